"""Objectives of a pool: the best score in the pool, or the score that a router reaches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, llm_means, task_means
from recroute.pools import PoolValue, ranks
from recroute.routers import Router
from recroute.routers.parts import out_of_fold

OBJECTIVES = ("routed", "oracle")
N_FOLDS = 4  # of the training prompts that predictions are made for
BLOCK_CELLS = 1 << 22


def oracle_value(train: Dataset) -> PoolValue:
    """Pools by their oracle score: the mean over instances of the best score in the pool."""
    scores = completed_scores(train)
    return PoolValue(scores, scores)


def routed_value(train: Dataset, router: Router, seed: int) -> PoolValue:
    """Pools by what the router expects of its own choices, on training prompts that it was not fitted on.

    The mean over prompts of the highest predicted score in the pool: monotone and submodular, as the oracle score is.
    Observed scores of the choices have no prediction error but much luck: among thousands of LLMs some look good on the
    few prompts they would get, and the pool would be filled with those. Predictions pool what is known of all LLMs and
    prompts. They may be on any scale; if the lowest is negative, all are shifted so that it is 0.

    The router is fitted once on each fold, with all LLMs; a pool is a restriction of its choices, as with `llms=`.
    """
    (predicted,), _ = out_of_fold([router], train, N_FOLDS, seed)
    return PoolValue(ranks(predicted, llm_means(train)), predicted - min(float(predicted.min()), 0.0))


def completed_scores(train: Dataset) -> NDArray[Any]:
    """Scores without gaps: uint8 (n, m) where all are observed and 0 or 1, else f32.

    An unobserved cell has the score that is expected of the LLM in that task (`task_means`): neither a failure nor a
    success. An LLM gains nothing by what it was not run on, and the more of the task it was run on, the more its own
    scores count. The oracle score of the completed cells is at most the expected one, since the best of several
    expectations is at most the expectation of the best.

    Parameters
    ----------
    train : Dataset
        Every instance has a record.
    """
    binary = train.interactions.density == 1 and all(bool(((b == 0) | (b == 1)).all()) for _, b in _blocks(train))
    found = np.empty((train.n_instances, train.n_llms), dtype=np.uint8 if binary else np.float32)
    names, means, _ = task_means(train)
    expected = means.clip(0, 1).astype(np.float32)
    for rows, block in _blocks(train):
        task = np.searchsorted(names, train.tasks[rows])
        found[rows] = block if binary else np.where(np.isnan(block), expected[task], block)
    return found


def _blocks(train: Dataset) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Rows and their scores, NaN where unobserved, some at a time."""
    step = max(1, BLOCK_CELLS // max(train.n_llms, 1))
    for start in range(0, train.n_instances, step):
        rows = slice(start, min(start + step, train.n_instances))
        yield rows, train.interactions.take_instances(np.arange(rows.start, rows.stop)).dense()
