"""How a fitted router spends when cost counts against the predicted score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.metrics import Spending
from recroute.routers import Router

# Weights of cost in units of score over the pool's range of cost: from costs that hardly matter to pennies that do.
COST_WEIGHTS = np.logspace(-2, 2, 9)
Array = NDArray[np.float64]


def pool_costs(train: Dataset, test: Dataset) -> tuple[Array, Array] | None:
    """Mean cost of each LLM on train, f64 (m,), and its costs on test, f64 (n, m) with NaN where unknown.

    None where the data have no costs on both. An LLM without a known cost on train counts as the dearest.
    """
    spent, spent_on_test = train.interactions.costs, test.interactions.costs
    if spent is None or spent_on_test is None:
        return None
    known = ~np.isnan(spent.data)
    of = spent.indices[known]
    count = np.bincount(of, minlength=train.n_llms)
    if not count.any():
        return None
    total = np.bincount(of, spent.data[known].astype(np.float64), minlength=train.n_llms)
    mean = np.divide(total, count, out=np.full(train.n_llms, np.nan), where=count > 0)
    on_test = np.full((test.n_instances, test.n_llms), np.nan)
    on_test[test.interactions.coordinates()] = spent_on_test.data
    if np.isnan(on_test).all():
        return None
    return np.where(count > 0, mean, np.nanmax(mean)), on_test


def spend(
    router: Router, predicted: NDArray[np.float32], scores: NDArray[np.float32], costs: tuple[Array, Array]
) -> Spending:
    """Choices at every weight of cost, for predicted and observed scores f32 (n, m) of the router's own pool."""
    mean, on_test = costs
    everyone, rows = np.arange(len(mean)), np.arange(len(scores))
    span = max(float(np.ptp(mean)), 1e-12)
    prices = (mean - mean.min()) / span
    choices = [
        router.choose((predicted - weight * prices).astype(np.float32), everyone)[:, 0]
        for weight in (0.0, *COST_WEIGHTS)
    ]
    choices.append(np.full(len(scores), int(mean.argmin())))  # only cost counts
    return Spending(
        cost=on_test[rows, choices[0]],
        scores=np.stack([scores[rows, choice] for choice in choices], axis=1).astype(np.float64),
        costs=np.stack([on_test[rows, choice] for choice in choices], axis=1),
        dearest=on_test[:, int(mean.argmax())],
    )
