"""Predictions for logged rows by routers that were not fitted on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.encoders import encode_dataset, fit_encoder, vectors_of
from recroute.routers import Router
from recroute.routers.parts import draw_folds
from recroute.util.numeric import Array


@dataclass(frozen=True, eq=False)
class Fold:
    """Rows int (k,) of a fold, the data set of the other rows, and that of these."""

    inside: NDArray[np.int64]
    rest: Dataset
    held_out: Dataset


def make_folds(data: Dataset, n_folds: int, seed: int, encoder: str | None = "auto") -> list[Fold]:
    """Folds of the rows: equal prompts in one, vectors from an encoder that saw the other rows only.

    `encoder` is the kind of it (see `fit_encoder`); None leaves the data as they are.
    """
    if encoder is not None:
        data = encode_dataset(data, encoder)
    of_row = draw_folds(data, n_folds, seed)
    found = []
    for f in range(of_row.max() + 1):
        inside = np.flatnonzero(of_row == f)
        rest, held_out = data.take_instances(np.flatnonzero(of_row != f)), data.take_instances(inside)
        if encoder is not None and (fitted := fit_encoder(rest, encoder)) is not None:
            rest, held_out = (part.with_embeddings(vectors_of(part, fitted), fitted) for part in (rest, held_out))
        found.append(Fold(inside, rest, held_out))
    return found


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
        found[fold.inside] = predict(replace(router, seed=seed).fit(fold.rest), fold.held_out)
    return found


def is_fitted(router: Router) -> bool:
    """Whether `fit` has been called on it, or it was loaded."""
    return hasattr(router, "llm_ids_")
