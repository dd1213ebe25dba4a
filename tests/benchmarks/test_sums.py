"""Opt-in: `pytest tests/benchmarks/test_sums.py -s`. What fitting from sums costs in quality where records are few.

Real data, of which each training prompt keeps three records on average; mean score of the chosen LLMs on validation
prompts, fitted in memory and from sums, five seeds. Prints figures and asserts nothing about them.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import recroute as rr
from recroute.data import Dataset, InteractionMatrix
from recroute.errors import DataError

DATA = Path(__file__).parents[3] / "shared" / "data"
SETS = ("routerbench", "llmrouter", "mmlupro", "zeroeval")
ROUTERS = ("best_single", "ridge", "svd", "kmeans", "ease", "hierarchy", "auto")
N_SEEDS, N_RECORDS = 5, 3


def thinned(train: Dataset, seed: int) -> Dataset:
    block = train.interactions.dense()
    block[np.random.default_rng(seed).random(block.shape) > N_RECORDS / block.shape[1]] = np.nan
    return replace(train, interactions=InteractionMatrix.from_dense(block)).evaluated()


def mean_score(router: rr.Router, data: Dataset) -> float:
    scores = data.interactions.dense()
    judged = ~np.isnan(scores).all(axis=1)
    best = np.where(np.isnan(scores), -np.inf, router.score(data)).argmax(axis=1)
    return float(scores[np.arange(len(scores)), best][judged].mean())


@pytest.mark.parametrize("name", SETS)
def test_quality(name: str) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"needs {DATA / name}")
    data = rr.read_dataset(DATA / name)
    found: dict[str, list[tuple[float, float]]] = {router: [] for router in ROUTERS}
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
            found[router].append((mean_score(fitted, parts.valid), mean_score(summed, parts.valid)))
    for router, pairs in found.items():
        if not pairs:
            continue
        scores = np.array(pairs)
        gain = scores[:, 1] - scores[:, 0]
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        before, after = scores.mean(axis=0)
        print(f"\n{name} {router}: {before:.4f} -> {after:.4f}, {gain.mean():+.4f} +- {error:.4f}")
