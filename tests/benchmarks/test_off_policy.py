"""Opt-in: `pytest tests/benchmarks/test_off_policy.py -s`. How often the 95% intervals of estimates from logs hold.

On a full matrix the truth is known. One part of the instances fits the router that logs (kNN, epsilon-greedy) and the
router that is judged; the other part is the population. Each repetition draws instances from it with replacement,
simulates one logged choice for each, and estimates the judged router's mean score on the population.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import beta

from recroute.data import Dataset, Precomputed, read_dataset
from recroute.data.sources import simulate
from recroute.experiment.prepare import with_vectors
from recroute.offpolicy import Logs, choice_probabilities
from recroute.offpolicy.crossfit import folds_with_vectors, out_of_fold
from recroute.offpolicy.estimators import ESTIMATORS, Estimate, estimates
from recroute.pools import make_pools
from recroute.routers import make_router
from recroute.splits import Split

N_FIT = 1500
NAMES = [
    "simulated",
    *(pytest.param(name, marks=pytest.mark.realdata) for name in ("mmlupro", "openllm1", "llmrouter")),
]
EPSILON = 0.3
MAIN_WIDTH = 384  # of the first view: MiniLM, or on simulated data TF-IDF
LOGGING, JUDGED, MODEL = "knn", "hierarchy", "knn(n_neighbors=100)"


@dataclass(frozen=True)
class World:
    """A population with all its scores f64 (n, m), what the two routers do on it, and what `MODEL` predicts."""

    population: Dataset
    scores: np.ndarray
    logging: np.ndarray
    judged: np.ndarray
    predicted: np.ndarray

    @property
    def truth(self) -> float:
        return float((self.judged * self.scores).sum(axis=1).mean())


def make_world(data: Dataset, judged: str = JUDGED, epsilon: float = EPSILON) -> World:
    order = np.random.default_rng(0).permutation(data.n_instances)
    n_fit = min(N_FIT, data.n_instances // 3)
    fit, population = (data.take_instances(np.sort(part)) for part in (order[:n_fit], order[n_fit:]))
    if data.n_llms > 100:
        (pool,) = make_pools(fit, ["all_strong"], [10], 0)
        fit, population = fit.take_llms(pool.llm_index), population.take_llms(pool.llm_index)
    parts = with_vectors(Split(train=fit, valid=population, test=population, name="population", seed=0), "auto")
    logging, router = (make_router(name).fit(parts.train) for name in (LOGGING, judged))
    # the vectors as they are for every repetition, and a short text that only tells which draws are the same
    short = population.instances.with_columns(prompt=pl.col("instance_id"))
    assert parts.test.embeddings is not None
    vectors = parts.test.embeddings[:, :MAIN_WIDTH]
    population = replace(population, instances=short, embeddings=vectors, encoder=Precomputed("population"))
    return World(
        population,
        population.interactions.dense().astype(np.float64),
        choice_probabilities(logging, parts.test, epsilon=epsilon),
        choice_probabilities(router, parts.test),
        make_router(MODEL).fit(parts.train).score(parts.test).clip(0, 1).astype(np.float64),
    )


def repeat(world: World, repetition: int, n: int, model: str | None) -> tuple[dict[str, Estimate], np.ndarray]:
    """Estimates from one simulated log, and the weights; the reward model is fitted on its folds, or `MODEL` before."""
    rng = np.random.default_rng([1, repetition])
    drawn = rng.integers(0, len(world.scores), n)
    logging, judged, scores = (block[drawn] for block in (world.logging, world.judged, world.scores))
    taken = (logging.cumsum(axis=1) > rng.random(n)[:, None] * logging.sum(axis=1, keepdims=True)).argmax(axis=1)
    rows = np.arange(n)
    known = world.population.take_instances(drawn)
    known = replace(known, instances=known.instances.with_columns(pl.Series("instance_id", [f"r{i}" for i in rows])))
    llms = world.population.llm_ids.ids
    table = {"instance_id": list(known.instance_ids), "llm_id": [llms[i] for i in taken]}
    logs = Logs(pl.DataFrame({**table, "score": scores[rows, taken], "propensity": logging[rows, taken]}))
    predicted = world.predicted[drawn]
    if model is not None:
        data = logs.dataset(known, llms)
        folds = folds_with_vectors(data, 5, repetition, "precomputed")
        predicted = out_of_fold(make_router(model), data, folds, repetition, lambda r, part: r.score(part, list(llms)))
        predicted = predicted.clip(0, 1)
    weight = judged[rows, taken] / logging[rows, taken]
    return estimates(weight, scores[rows, taken], taken, predicted, judged), weight


def coverage(covered: np.ndarray) -> tuple[float, float, float]:
    """Share, and its exact 95% binomial interval (Clopper and Pearson)."""
    k, n = int(covered.sum()), len(covered)
    low = beta.ppf(0.025, k, n - k + 1) if k else 0.0
    high = beta.ppf(0.975, k + 1, n - k) if k < n else 1.0
    return k / n, float(low), float(high)


def measure(name: str, world: World, n_repetitions: int, n: int, model: str | None) -> dict[str, tuple[float, ...]]:
    found = [repeat(world, r, n, model) for r in range(n_repetitions)]
    effective = np.mean([w.sum() ** 2 / (w @ w) for _, w in found])
    print(f"\n{name}: {n_repetitions} logs of {n} rows, truth {world.truth:.4f}, effective n {effective:.0f}, {model}")
    covers, errors = {}, {}
    for estimator in ESTIMATORS:
        error = np.array([e[estimator].value for e, _ in found]) - world.truth
        reach = np.array([e[estimator].standard_error for e, _ in found])
        errors[estimator] = float(np.sqrt((error**2).mean()))
        covers[estimator] = coverage(np.abs(error) <= 1.959964 * reach)
        share, low, high = covers[estimator]
        print(
            f"  {estimator:5s} covered {share:.3f} [{low:.3f}, {high:.3f}], bias {100 * error.mean():+.2f} "
            f"(se {100 * error.std() / np.sqrt(len(error)):.2f}), RMSE {100 * errors[estimator]:.2f} points, "
            f"{errors[estimator] / errors['ips']:.2f} of ips; mean se {100 * reach.mean():.2f}",
            flush=True,
        )
    return covers


def check(covers: dict[str, tuple[float, ...]], estimators: Sequence[str] = tuple(ESTIMATORS)) -> None:
    """None of these is shown to be off 95% by more than 3 points."""
    for estimator in estimators:
        _, low, high = covers[estimator]
        assert low < 0.98, estimator
        assert high > 0.92, estimator


def load(name: str, real: Path) -> Dataset:
    return simulate(n_llms=10, n_instances=6000, seed=3) if name == "simulated" else read_dataset(real / name)


@pytest.mark.parametrize("name", NAMES)
def test_thin_overlap_with_a_reward_model_fitted_on_the_log(name: str, real: Path) -> None:
    """Where `Overlap` warns; only the doubly robust intervals have to hold."""
    world = make_world(load(name, real).take_covered(1.0))
    check(measure(name, world, 200, 1000, MODEL), ["dr"])


@pytest.mark.parametrize("name", NAMES)
def test_fair_overlap_with_a_reward_model_fitted_before(name: str, real: Path) -> None:
    world = make_world(load(name, real).take_covered(1.0))
    check(measure(name, world, 400, 8000, None))
