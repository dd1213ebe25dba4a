"""Opt-in: `pytest tests/benchmarks/test_sums.py -s`. Quality of fits where records are few.

Real data, of which each training prompt keeps a few records on average; mean score of the chosen LLMs and mean squared
error on validation prompts, five seeds: fitted in memory and from sums (three records), and in memory as many records
are fitted and as few are (`has_few_records`; 3, 5 and 10 records). Prints figures and asserts nothing about them.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import recroute as rr
from recroute.data import Dataset, InteractionMatrix
from recroute.errors import DataError
from recroute.routers import factorisation, factors, variational

DATA = Path(__file__).parents[3] / "shared" / "data"
SETS = ("routerbench", "llmrouter", "mmlupro", "zeroeval")
ROUTERS = ("best_single", "ridge", "svd", "kmeans", "ease", "hierarchy", "auto")
FEW = ("svd", "als", "hierarchy")  # routers fitted in another way on few records
N_SEEDS, N_RECORDS = 5, 3


def thinned(train: Dataset, seed: int, n_records: int = N_RECORDS) -> Dataset:
    block = train.interactions.dense()
    block[np.random.default_rng(seed).random(block.shape) > n_records / block.shape[1]] = np.nan
    return replace(train, interactions=InteractionMatrix.from_dense(block)).evaluated()


def quality(router: rr.Router, data: Dataset) -> tuple[float, float]:
    """Mean score of the chosen LLMs, and mean squared error of the predicted scores."""
    scores, predicted = data.interactions.dense(), router.score(data)
    judged = ~np.isnan(scores).all(axis=1)
    best = np.where(np.isnan(scores), -np.inf, predicted).argmax(axis=1)
    return float(scores[np.arange(len(scores)), best][judged].mean()), float(np.nanmean((predicted - scores) ** 2))


def say(what: str, pairs: list[tuple[tuple[float, float], tuple[float, float]]]) -> None:
    values = np.array(pairs)  # (seeds, before and after, measures)
    gain = values[:, 1] - values[:, 0]
    error = gain.std(axis=0, ddof=1) / np.sqrt(len(gain))
    for i, measure in enumerate(("score", "squared error")):
        before, after = values.mean(axis=0)[:, i]
        print(f"\n{what}, {measure}: {before:.4f} -> {after:.4f}, {gain.mean(axis=0)[i]:+.4f} +- {error[i]:.4f}")


def read(name: str) -> Dataset:
    if not (DATA / name).is_dir():
        pytest.skip(f"needs {DATA / name}")
    return rr.read_dataset(DATA / name)


@pytest.mark.parametrize("name", SETS)
def test_quality(name: str) -> None:
    data = read(name)
    found: dict[str, list[tuple[tuple[float, float], tuple[float, float]]]] = {router: [] for router in ROUTERS}
    for seed in range(N_SEEDS):
        parts = rr.prepare_split(data, seed=seed)
        train = thinned(parts.train, seed)
        for router in ROUTERS:
            fitted = rr.make_router(router).fit(train)
            try:
                summed = rr.fit_from_sums(train, rr.make_router(router))
            except DataError as refused:
                print(f"\n{name} {router}: {refused}")
                continue
            found[router].append((quality(fitted, parts.valid), quality(summed, parts.valid)))
    for router, pairs in found.items():
        if pairs:
            say(f"{name} {router}", pairs)


@pytest.mark.parametrize("n_records", [3, 5, 10])
@pytest.mark.parametrize("name", SETS)
def test_few_records(name: str, n_records: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = read(name)
    found: dict[str, list[tuple[tuple[float, float], tuple[float, float]]]] = {router: [] for router in FEW}
    for seed in range(N_SEEDS):
        parts = rr.prepare_split(data, seed=seed)
        train = thinned(parts.train, seed, n_records)
        for router in FEW:
            fitted = rr.make_router(router).fit(train)
            with monkeypatch.context() as patch:
                for module in (factors, factorisation, variational):
                    patch.setattr(module, "has_few_records", lambda matrix: False)
                before = rr.make_router(router).fit(train)
            found[router].append((quality(before, parts.valid), quality(fitted, parts.valid)))
    for router, pairs in found.items():
        say(f"{name}, {n_records} records a prompt, {router}", pairs)


@pytest.mark.parametrize("router", ["bpr", "lmf"])
def test_bridge_to_the_scores(router: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `svd` gains by a bridge that regresses scores, tried on routers whose factors are no model of scores."""
    data, pairs = read("zeroeval"), []
    for seed in range(N_SEEDS):
        parts = rr.prepare_split(data, seed=seed)
        train = thinned(parts.train, seed)
        found = []
        for of_scores in (False, True):
            monkeypatch.setattr(type(rr.make_router(router)), "bridges_scores", of_scores)
            found.append(quality(rr.make_router(router).fit(train), parts.valid))
        pairs.append((found[0], found[1]))
    say(f"zeroeval, {N_RECORDS} records a prompt, {router} with a bridge to the scores", pairs)
