"""How a fitted router spends when cost counts against the predicted score."""

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

# Weights of cost in units of score over the pool's range of cost: from costs that hardly matter to pennies that do.
COST_WEIGHTS = np.logspace(-2, 2, 9)


@dataclass(frozen=True, eq=False)
class PoolCosts:
    """What the LLMs of a pool cost.

    Parameters
    ----------
    mean : f64 (m,)
        On train, of each LLM; of one without a known cost that of the dearest.
    predicted : f32 (n, m)
        On test, from train.
    observed : f32 (n, m)
        On test, NaN where unknown.
    """

    mean: Array
    predicted: NDArray[np.float32]
    observed: NDArray[np.float32]


def pool_costs(train: Dataset, test: Dataset) -> PoolCosts | None:
    """Costs of each LLM; None where the data have no costs on both."""
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
    """Choices at every weight of cost, for predicted and observed scores f32 (n, m) of the router's own pool.

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
