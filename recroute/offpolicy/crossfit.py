"""Cross-fitting: predictions for logged rows by routers that were fitted on the other rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from recroute.data import Dataset
from recroute.encoders import encode_dataset
from recroute.experiment.prepare import with_vectors
from recroute.routers import Router
from recroute.splits import Fold, make_folds
from recroute.util.numeric import Array


def folds_with_vectors(data: Dataset, n_folds: int, seed: int, encoder: str | Any | None = "auto") -> list[Fold]:
    """Split the rows into folds; rows with equal prompts share a fold.

    `encoder` is a kind of encoder, see `fit_encoder`; it is fitted for each fold on the other rows. With None, the
    folds have the vectors of `data`, if any.
    """
    if encoder is None:
        return make_folds(data, n_folds, seed)
    folds = make_folds(encode_dataset(data, encoder), n_folds, seed)
    return [replace(fold, parts=with_vectors(fold.parts, encoder)) for fold in folds]


def out_of_fold(
    router: Router, data: Dataset, folds: Sequence[Fold], seed: int, predict: Callable[[Router, Dataset], Array]
) -> Array:
    """Predictions f64 (n, m) for each row of `data`, made by the router fitted on the other folds.

    `predict(router, part)` returns them for a part of the data, f64 (rows, m). A router that is already fitted is used
    unchanged on all rows.
    """
    if is_fitted(router):
        return predict(router, data)
    predicted = np.empty((data.n_instances, data.n_llms))
    for fold in folds:
        predicted[fold.index] = predict(replace(router, seed=seed).fit(fold.parts.train), fold.parts.test)
    return predicted


def is_fitted(router: Router) -> bool:
    """Whether the router was fitted, or loaded from a folder."""
    return hasattr(router, "llm_ids_")
