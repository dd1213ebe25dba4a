"""`Outcome`: per-instance results of a router, from which all metrics are computed."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recroute.metrics.observed import Observed
from recroute.metrics.predictions import Predictions, judge
from recroute.util.numeric import Array, Weights, known_mean


@dataclass(frozen=True, eq=False)
class Agreement:
    """Agreement of a router's predictions with preferences on n instances.

    Parameters
    ----------
    n_decided : f64 (n,)
        Number of battles that were not ties.
    n_agreed : f64 (n,)
        Number of these whose winner has the higher predicted score; equal predictions count half.
    """

    n_decided: Array
    n_agreed: Array

    def take(self, index: NDArray[np.integer]) -> Agreement:
        """Restrict to these instances."""
        return Agreement(self.n_decided[index], self.n_agreed[index])

    @classmethod
    def of(
        cls, predicted: ArrayLike, row: ArrayLike, llm_a: ArrayLike, llm_b: ArrayLike, outcome: ArrayLike
    ) -> Agreement:
        """Compare predicted scores float (n, m) with p battles: rows and columns int (p,), outcomes float (p,)."""
        table, at = np.asarray(predicted), np.asarray(row)
        won = np.sign(np.asarray(outcome, dtype=np.float64) - 0.5)
        ahead = np.sign(table[at, np.asarray(llm_a)] - table[at, np.asarray(llm_b)]).astype(np.float64)
        decided = won != 0
        agreed = (1 + won * ahead) / 2 * decided
        n = len(table)
        return cls(np.bincount(at, decided, n).astype(np.float64), np.bincount(at, agreed, n).astype(np.float64))


@dataclass(frozen=True, eq=False)
class Spending:
    """Choices of one router on n instances at p weights of cost, from "cost is ignored" to "only cost counts".

    Parameters
    ----------
    cost : f64 (n,)
        USD of the LLM that the router's own choice is judged by, see `Outcome`; NaN where unknown.
    scores, costs : f64 (n, p)
        Score and cost of the LLM that the choice at each weight is judged by; NaN where unknown.
    dearest : f64 (n,)
        Cost of the LLM that was most expensive in training, or of the next one that was evaluated. That of the cheapest
        is the last column of `costs`.
    """

    cost: Array
    scores: Array
    costs: Array
    dearest: Array

    def take(self, index: NDArray[np.integer]) -> Spending:
        """Restrict to these instances."""
        return Spending(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


@dataclass(frozen=True, eq=False)
class Outcome:
    """Results of one router on n test instances and a pool of m LLMs. Arrays have shape (n,) unless stated otherwise.

    Instances that have preferences but no scores are NaN in the fields about scores.

    Parameters
    ----------
    instance_id : str
        Equal ids in two outcomes are the same instance, for paired resampling.
    chosen : f64
        Score of the LLM that the choice is judged by: the highest-ranked one that was evaluated on the instance.
    choice : int
        Column of the LLM that was chosen, evaluated or not.
    judged_by : int
        Column of the LLM that `chosen` is the score of.
    unobserved : f64
        1 if the chosen LLM was not evaluated on the instance, else 0.
    best, average : f64
        Highest and mean observed score of the pool on the instance.
    best_single, train_best : f64
        Score of the best single LLM on test instances, and of the one that was best in training. Like choices, they are
        judged by the next best LLM where they were not evaluated.
    entropy : f64
        Entropy in bits of the router's own distribution.
    reference : f64
        Score of the reference LLM; NaN if there is none.
    n_llms : int
        Size of the pool.
    predictions : Predictions, optional
        None for a router that chooses by chance, which predicts nothing.
    spending : Spending, optional
        None if no costs are known, or the router chooses by chance.
    agreement : Agreement, optional
        None if there are no battles, or the router chooses by chance or reads the scores.
    """

    instance_id: NDArray[np.str_]
    chosen: Array
    choice: NDArray[np.int64]
    judged_by: NDArray[np.int64]
    unobserved: Array
    best: Array
    average: Array
    best_single: Array
    train_best: Array
    entropy: Array
    reference: Array
    n_llms: int
    predictions: Predictions | None = None
    spending: Spending | None = None
    agreement: Agreement | None = None

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Whether the instance has an observed score, bool (n,)."""
        return ~np.isnan(self.best)

    def take(self, index: NDArray[np.integer]) -> Outcome:
        """Restrict to these instances, in this order; repetitions are allowed."""
        arrays = (f.name for f in fields(self) if f.name not in ("n_llms", "predictions", "spending", "agreement"))
        return replace(
            self,
            **{name: getattr(self, name)[index] for name in arrays},
            predictions=self.predictions and self.predictions.take(index),
            spending=self.spending and self.spending.take(index),
            agreement=self.agreement and self.agreement.take(index),
        )

    @classmethod
    def of(
        cls,
        scores: ArrayLike | Observed,
        choice: ArrayLike,
        *,
        judged_by: ArrayLike | None = None,
        train_best: int | ArrayLike | None = None,
        best_single: int | ArrayLike | None = None,
        predicted: ArrayLike | None = None,
        **given: Any,
    ) -> Outcome:
        """Build an outcome from observed scores.

        Parameters
        ----------
        scores : float (n, m), or Observed
            NaN where unobserved.
        choice : int (n,)
        judged_by : int (n,), optional
            Columns of the LLMs that the choices are judged by. Default: `choice`, so choices that were not evaluated
            have no score.
        train_best, best_single : int or f64 (n,), optional
            The LLM that is best in training and on test instances: its column, or the scores that it is judged by.
            Default: the LLM with the highest mean observed score, or the next best where it was not evaluated.
        predicted : float (n, m), optional
            Predicted scores.
        **given
            Other fields; None counts as not given. `chosen` is given for a router that chooses by chance, `entropy` is
            0 by default, and `reference` may be a single number.
        """
        given = {name: value for name, value in given.items() if value is not None}
        observed = Observed.of(scores)
        table, judged = observed.scores, observed.judged
        picked = np.asarray(choice, dtype=np.int64)
        by = picked if judged_by is None else np.asarray(judged_by, dtype=np.int64)
        n, rows = len(table), np.arange(len(table))
        missed = np.zeros(n, dtype=bool) if "chosen" in given else np.isnan(table[rows, picked])
        single = _judged_scores(table, best_single)
        fields_of = {
            "instance_id": np.arange(n).astype(np.str_),
            "chosen": table[rows, by].astype(np.float64),
            "choice": picked,
            "judged_by": by,
            "unobserved": np.where(judged, missed, np.nan),
            "best": observed.best,
            "average": observed.average,
            "best_single": single,
            "train_best": single if train_best is None else _judged_scores(table, train_best),
            "entropy": np.zeros(n),
            "n_llms": table.shape[1],
        }
        if predicted is not None and judged.any():
            fields_of["predictions"] = judge(np.asarray(predicted), observed)
        given["reference"] = np.broadcast_to(np.asarray(given.get("reference", np.nan), dtype=np.float64), (n,))
        return cls(**{**fields_of, **given})


def _judged_scores(scores: NDArray[np.floating], best: int | ArrayLike | None) -> Array:
    """Scores f64 (n,) that the best LLM is judged by; `best` is its column or these scores, see `Outcome.of`."""
    if best is not None:
        given = np.asarray(best)
        return (scores[:, int(given)] if given.ndim == 0 else given).astype(np.float64)
    (mean,) = known_mean(scores)
    by_mean = scores[:, np.argsort(-mean, kind="stable")]  # NaN comes last
    return by_mean[np.arange(len(scores)), (~np.isnan(by_mean)).argmax(axis=1)].astype(np.float64)


def weighted_sum(values: NDArray[np.floating], weights: Weights | None) -> Array:
    """Weighted sums over instances, f64 (b,) or (b, p), of values (n,) or (n, p); without weights b is 1."""
    every: Weights = np.ones((1, len(values))) if weights is None else weights
    return every @ values.astype(np.float64)


def no_value(weights: Weights | None) -> Array:
    """NaN (b,), the value of a metric whose inputs the outcome lacks."""
    return np.full(1 if weights is None else len(weights), np.nan)
