"""Choices of a fitted router at increasing weights of cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.metrics import Spending
from recroute.retrieval import first_evaluated, tie_order
from recroute.routers import Router
from recroute.routers.costs import CostModel, vectors
from recroute.routers.trade_off import cost_range
from recroute.util.numeric import Array

# Weights of cost in score per range of mean costs in the pool: from almost ignoring cost to minimising it.
COST_WEIGHTS = np.logspace(-2, 2, 9)


@dataclass(frozen=True, eq=False)
class PoolCosts:
    """Costs of the LLMs of a pool.

    Parameters
    ----------
    mean : f64 (m,)
        Mean training cost of each LLM; an LLM without known costs gets the highest mean.
    predicted : f32 (n, m)
        Costs on test instances, predicted from the training data.
    observed : f32 (n, m)
        Costs on test instances, NaN where unknown.
    """

    mean: Array
    predicted: NDArray[np.float32]
    observed: NDArray[np.float32]


def pool_costs(train: Dataset, test: Dataset) -> PoolCosts | None:
    """Costs of the LLMs; None unless both training and test data have costs."""
    observed = test.interactions.dense_costs()
    if observed is None or train.interactions.dense_costs() is None:
        return None
    model = CostModel.fit(train)
    return PoolCosts(model.level, model.predict(vectors(test)), observed)


def spend(
    router: Router,
    predicted: NDArray[np.float32],
    scores: NDArray[np.float32],
    costs: PoolCosts,
    weights: Array = COST_WEIGHTS,
) -> Spending:
    """Choices at every weight of cost, from predicted and observed scores f32 (n, m) of the router's LLMs.

    Scores and costs are those of the LLMs that the choices are judged by, see `Router.choose_judged`.
    """
    rows = np.arange(len(scores))
    prices = costs.predicted / cost_range(costs.mean)
    weighed = ((predicted - weight * prices).astype(np.float32) for weight in (0.0, *weights))
    choices = [router.choose_judged(block, scores).judged for block in weighed]
    cheapest, dearest = (first_evaluated(scores, tie_order(sign * costs.mean)) for sign in (-1, 1))
    choices.append(cheapest)  # only cost counts
    return Spending(
        cost=costs.observed[rows, choices[0]].astype(np.float64),
        scores=np.stack([scores[rows, choice] for choice in choices], axis=1).astype(np.float64),
        costs=np.stack([costs.observed[rows, choice] for choice in choices], axis=1).astype(np.float64),
        dearest=costs.observed[rows, dearest].astype(np.float64),
    )
