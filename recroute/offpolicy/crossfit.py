"""Predictions for logged rows by routers that were not fitted on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from recroute.data import Dataset
from recroute.encoders import encode_dataset
from recroute.experiment.prepare import with_vectors
from recroute.routers import Router
from recroute.splits import Fold, make_folds
from recroute.util.numeric import Array


def folds_with_vectors(data: Dataset, n_folds: int, seed: int, encoder: str | None = "auto") -> list[Fold]:
    """Folds of the rows: equal prompts share a fold; its vectors come from an encoder fitted on the other rows.

    `encoder` is a kind of encoder, see `fit_encoder`; None leaves the data unchanged.
    """
    if encoder is None:
        return make_folds(data, n_folds, seed)
    folds = make_folds(encode_dataset(data, encoder), n_folds, seed)
    return [replace(fold, parts=with_vectors(fold.parts, encoder)) for fold in folds]


def out_of_fold(
    router: Router, data: Dataset, folds: Sequence[Fold], seed: int, predict: Callable[[Router, Dataset], Array]
) -> Array:
    """What `predict` says of each row of `data`, f64 (n, m), by the router fitted on the other folds.

    A router that is fitted already is taken as it is.
    """
    if is_fitted(router):
        return predict(router, data)
    found = np.empty((data.n_instances, data.n_llms))
    for fold in folds:
        found[fold.index] = predict(replace(router, seed=seed).fit(fold.parts.train), fold.parts.test)
    return found


def is_fitted(router: Router) -> bool:
    """Whether `fit` has been called on it, or it was loaded."""
    return hasattr(router, "llm_ids_")
