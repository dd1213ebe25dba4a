"""Scores and costs of a router's choices on test prompts, for one pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from recroute.retrieval import Choices
from recroute.routers import Router
from recroute.splits import Split
from recroute.util.numeric import Array, Positions, known_mean


@dataclass(frozen=True, eq=False)
class Judged:
    """One pool on n test instances.

    Parameters
    ----------
    chosen : f64 (n,)
        Score of the highest-ranked LLM that has one; NaN if no LLM of the pool has a score.
    best : f64 (n,)
        Highest observed score in the pool; NaN if there is none.
    unobserved : f64 (n,)
        1 if the router's first choice has no score, else 0; NaN if no LLM of the pool has a score.
    cost : f64 (n,)
        USD of the LLM whose score is `chosen`; NaN if unknown.
    """

    chosen: Array
    best: Array
    unobserved: Array
    cost: Array

    def __len__(self) -> int:
        return len(self.chosen)


def judge(router: Router, split: Split, pool: Sequence[int] | Positions) -> Judged:
    """Fit the router on the training scores of the pool alone, as `scale` does, and judge its choices on test.

    `pool` holds positions of LLMs in the parts of `split`.
    """
    llm_index = np.asarray(pool)
    test = split.test.take_llms(llm_index)
    scores = test.interactions.dense().astype(np.float64)
    if len(llm_index) == 1:
        choices = Choices(*np.zeros((2, len(scores)), dtype=np.int64))
    else:
        fitted = replace(router, seed=split.seed).fit(split.train.take_llms(llm_index))
        choices = fitted.choose_judged(fitted.score(test), scores)
    rows = np.arange(len(scores))
    chosen, unobserved = scores[rows, choices.judged], np.isnan(scores[rows, choices.first]).astype(np.float64)
    unobserved[np.isnan(chosen)] = np.nan
    cost = np.full(len(scores), np.nan)
    if (costs := test.interactions.dense_costs()) is not None:
        cost = costs[rows, choices.judged]
    return Judged(chosen, np.fmax.reduce(scores, axis=1), unobserved, cost)


def average(draws: Sequence[Judged]) -> Judged:
    """Average several pools: for each instance and array, the mean over the pools that have a value."""
    return Judged(**{f.name: known_mean([getattr(draw, f.name) for draw in draws])[0] for f in fields(Judged)})
