"""Opt-in: `pytest tests/benchmarks/test_costs.py -s`. How well the cost of an answer is predicted on held-out prompts.

The share of the variance of an LLM's costs around its mean on train that a model explains on test, costs of each LLM
relative to that mean, so that dear and cheap LLMs count alike. Prints figures; what is asserted is that `CostModel`
explains more than the prompt's length or task alone.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recroute import prepare_split, read_dataset
from recroute.bridges import fit_ridge
from recroute.data import Dataset
from recroute.routers.costs import CostModel
from recroute.splits import Split

SEEDS = range(10)
FLOOR = 1e-9  # USD; a cost of 0 has no logarithm


def costs_of(data: Dataset) -> np.ndarray:
    costs = data.interactions.dense_costs()
    assert costs is not None
    return costs.astype(np.float64)


def lengths(data: Dataset) -> np.ndarray:
    """Logarithm of the prompt's characters, f32 (n, 1); they themselves predict less."""
    assert data.prompts is not None
    return np.array([[np.log(max(len(text), 1))] for text in data.prompts], dtype=np.float32)


def by_log(parts: Split) -> np.ndarray:
    """Ridge regression of the logarithm on the vectors; back by the mean of the residuals' exponentials."""
    assert parts.train.embeddings is not None
    assert parts.test.embeddings is not None
    logs = np.log(costs_of(parts.train).clip(min=FLOOR))
    rows = ~np.isnan(logs).any(axis=1)
    weight, offset = fit_ridge(parts.train.embeddings[rows], logs[rows])
    back = np.exp(logs[rows] - parts.train.embeddings[rows] @ weight - offset).mean(axis=0)
    return np.exp(parts.test.embeddings @ weight + offset) * back


def by_task(parts: Split) -> np.ndarray:
    """Each LLM's mean cost in the prompt's task."""
    costs, overall = costs_of(parts.train), np.nanmean(costs_of(parts.train), axis=0)
    means = {task: np.nanmean(costs[parts.train.tasks == task], axis=0) for task in np.unique(parts.train.tasks)}
    return np.stack([means.get(task, overall) for task in parts.test.tasks])


def explained(costs: np.ndarray, predicted: np.ndarray, level: np.ndarray) -> float:
    known = ~np.isnan(costs)
    left = np.where(known, ((costs - predicted) / level) ** 2, 0).sum()
    return 1 - float(left / np.where(known, ((costs - level) / level) ** 2, 0).sum())


def with_lengths(parts: Split) -> Split:
    named = {name: replace(data, embeddings=lengths(data)) for name, data in parts.parts().items()}
    return replace(parts, **named)


@pytest.mark.realdata
def test_share_of_the_costs_variance_that_is_predicted(real: Path) -> None:
    data = read_dataset(real / "routerbench")
    found: dict[str, list[float]] = {}
    for seed in SEEDS:
        parts = prepare_split(data, seed=seed)
        short = with_lengths(parts)
        assert parts.test.embeddings is not None
        model = CostModel.fit(parts.train)
        predictions = {
            "CostModel": model.predict(parts.test.embeddings),
            "regression of the logarithm": by_log(parts),
            "length alone": CostModel.fit(short.train).predict(lengths(parts.test)),
            "task means": by_task(parts),
        }
        for name, predicted in predictions.items():
            found.setdefault(name, []).append(explained(costs_of(parts.test), predicted, model.level))
    print(f"\nrouterbench, {parts.test.n_instances} test prompts, {len(SEEDS)} splits: mean, lowest and highest share")
    for name, shares in found.items():
        print(f"  {name:28s} {np.mean(shares):.3f} ({min(shares):.3f} to {max(shares):.3f})")
    assert np.mean(found["CostModel"]) > max(np.mean(found["length alone"]), np.mean(found["task means"]))
