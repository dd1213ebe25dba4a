"""Opt-in: `pytest tests/benchmarks/test_coreset.py -s`. Which part of the training prompts should `knn` keep?

As many prompts as fit into memory, chosen in several ways, or as many cluster centres with the mean scores of all
prompts of the cluster; beside them `kmeans` and `knn` of all prompts. Mean score of the choices on the validation part,
5 seeds, and the difference from a uniform sample with as many neighbours. Figures, no assertion.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recroute.data import Dataset, read_dataset
from recroute.routers import make_router
from recroute.splits import split_dataset

DATA = Path(os.environ.get("RECROUTE_DATA", Path(__file__).parents[3] / "shared" / "data"))
SIZES, NEIGHBORS = (64, 256, 1024), (5, 20, 100)
Rows = tuple[np.ndarray, np.ndarray]  # unit vectors f32 (k, d) and scores f64 (k, m), means where unobserved


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["openllm1", "routerbench", "zeroeval", "llmrouter", "mmlupro"])
def test_coreset(name: str) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"no {DATA / name}")
    data = read_dataset(DATA / name)
    data = data.take_llms(np.random.default_rng(0).permutation(data.n_llms)[:300])
    found: dict[tuple[int, int, str], list[np.ndarray]] = {}
    for seed in range(5):
        parts = split_dataset(data, seed=seed)
        for key, predicted in predictions(parts.train, parts.valid, seed):
            found.setdefault(key, []).append(scores_of_choices(predicted, parts.valid))
    for (size, n_neighbors, what), each in sorted(found.items()):
        scores = np.concatenate(each)
        line = f"{name}, {size or 'all'} rows, {n_neighbors} neighbours, {what}: {scores.mean():.4f}"
        if size and what != "uniform":
            gap = scores - np.concatenate(found[size, n_neighbors, "uniform"])
            line += f", less uniform {gap.mean():+.4f} +- {1.96 * gap.std() / len(gap) ** 0.5:.4f}"
        print(f"\n{line}", end="", flush=True)


def predictions(train: Dataset, valid: Dataset, seed: int) -> Iterator[tuple[tuple[int, int, str], np.ndarray]]:
    assert train.embeddings is not None
    assert valid.embeddings is not None
    rng = np.random.default_rng(seed)
    X, prompts, scores = unit(train.embeddings), unit(valid.embeddings), train.interactions.dense().astype(np.float64)
    mean = np.nanmean(scores, axis=0)
    filled = np.where(np.isnan(scores), mean, scores)
    yield (0, 0, "kmeans"), make_router("kmeans", seed=seed).fit(train).score(valid)
    for n_neighbors in NEIGHBORS:
        yield (0, n_neighbors, "knn"), average(prompts, (X, filled), n_neighbors, mean)
    for size in SIZES:
        if size <= len(X) // 2:
            for what, rows in coresets(train, X, scores, size, rng).items():
                kept = (X[rows], filled[rows]) if isinstance(rows, np.ndarray) else rows
                for n_neighbors in NEIGHBORS:
                    yield (size, n_neighbors, what), average(prompts, kept, n_neighbors, mean)


def coresets(
    train: Dataset, X: np.ndarray, scores: np.ndarray, size: int, rng: np.random.Generator
) -> dict[str, np.ndarray | Rows]:
    """Rows to keep, or rows made of all: by the name of the way."""
    label, centres = cluster(X, size, rng)
    coarse, _ = cluster(X, size // 8, rng)
    nearest = [of[(X[of] @ centres[c]).argmax()] for c in range(size) if len(of := np.flatnonzero(label == c))]
    seen, total, mean = np.zeros((size, scores.shape[1])), np.zeros((size, scores.shape[1])), np.nanmean(scores, axis=0)
    np.add.at(seen, label, ~np.isnan(scores))
    np.add.at(total, label, np.nan_to_num(scores))
    return {
        "uniform": rng.choice(len(X), size, replace=False),
        "k-center": farthest_first(X, size, rng),
        "by task": in_proportion(train.tasks, size, rng),
        "by cluster": in_proportion(coarse, size, rng),
        "nearest to centres": np.array(nearest),
        "means of clusters": (unit(centres), (total + 2 * mean) / (seen + 2)),  # shrunk by two records
    }


def average(prompts: np.ndarray, kept: Rows, n_neighbors: int, mean: np.ndarray) -> np.ndarray:
    """Mean score on the nearest rows; equal ones in the order of the LLMs' means."""
    near = np.argsort(-(prompts @ kept[0].T), axis=1, kind="stable")[:, :n_neighbors]
    return np.stack([kept[1][rows].mean(axis=0) for rows in near]) + 1e-7 * mean


def scores_of_choices(predicted: np.ndarray, part: Dataset) -> np.ndarray:
    """Score of the LLM with the highest prediction among those that were evaluated on the prompt."""
    scores = part.interactions.dense()
    return scores[np.arange(len(scores)), np.where(np.isnan(scores), -np.inf, predicted).argmax(axis=1)]


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def cluster(X: np.ndarray, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.cluster import KMeans

    found = KMeans(size, n_init=1, max_iter=30, random_state=int(rng.integers(1 << 30))).fit(X)
    return found.labels_, found.cluster_centers_


def farthest_first(X: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    chosen = [int(rng.integers(len(X)))]
    closest = X @ X[chosen[0]]
    while len(chosen) < size:
        chosen.append(int(closest.argmin()))
        closest = np.maximum(closest, X @ X[chosen[-1]])
    return np.array(chosen)


def in_proportion(kind: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """As many of each kind as its share says."""
    order = rng.permutation(len(kind))
    order = order[np.argsort(kind[order], kind="stable")]
    return order[np.linspace(0, len(kind), size, endpoint=False).astype(int)]
