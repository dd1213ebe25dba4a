"""Objectives that pools are chosen by: the best score in the pool, or the score that a router expects to reach."""

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
N_FOLDS = 4  # of the training prompts, for out-of-fold predictions
BLOCK_CELLS = 1 << 22  # scores read at once


def oracle_value(train: Dataset) -> PoolValue:
    """Value of a pool by its oracle score: the mean over instances of the best score in the pool."""
    scores = completed_scores(train)
    return PoolValue(scores, scores)


def routed_value(train: Dataset, router: Router, seed: int) -> PoolValue:
    """Value of a pool by the score that the router expects of its choices, on training prompts it was not fitted on.

    It is the mean over prompts of the highest predicted score in the pool, which is monotone and submodular like the
    oracle score. Observed scores of the choices would select for luck: of thousands of LLMs, some score well by chance
    on the few prompts that they would get. Predictions share the information of all LLMs and prompts. They may be on
    any scale; if the lowest is negative, all are shifted so that it is 0.

    The router is fitted once for each fold, on all LLMs; a pool restricts its choices, as `llms=` does.
    """
    (predicted,), _ = out_of_fold([router], train, N_FOLDS, seed)
    return PoolValue(ranks(predicted, llm_means(train)), predicted - min(float(predicted.min()), 0.0))


def completed_scores(train: Dataset) -> NDArray[Any]:
    """Scores with missing ones filled in: uint8 (n, m) if all are observed and each is 0 or 1, else f32.

    A missing score is set to the LLM's expected score in that task (`task_means`), so that it counts as neither a
    failure nor a success. The more prompts of the task the LLM was run on, the more its own scores determine that
    expectation. The oracle score of filled-in cells is at most the true expected one, because the best of several
    expectations is at most the expectation of the best.

    Parameters
    ----------
    train : Dataset
        Every instance must have a record.
    """
    binary = train.interactions.density == 1 and all(bool(((b == 0) | (b == 1)).all()) for _, b in _blocks(train))
    filled = np.empty((train.n_instances, train.n_llms), dtype=np.uint8 if binary else np.float32)
    names, means, _ = task_means(train)
    expected = means.clip(0, 1).astype(np.float32)
    for rows, block in _blocks(train):
        task = np.searchsorted(names, train.tasks[rows])
        filled[rows] = block if binary else np.where(np.isnan(block), expected[task], block)
    return filled


def _blocks(train: Dataset) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Blocks of rows and their scores, f32 (rows, m), NaN where unobserved."""
    step = max(1, BLOCK_CELLS // max(train.n_llms, 1))
    for start in range(0, train.n_instances, step):
        rows = slice(start, min(start + step, train.n_instances))
        yield rows, train.interactions.take_instances(np.arange(rows.start, rows.stop)).dense()
