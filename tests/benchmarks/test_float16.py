"""Opt-in: `pytest tests/benchmarks/test_float16.py -s`. What vectors in half precision do to routing, on real data.

The vectors that came with a data set, turned at random so that rounding does not undo an earlier one, and TF-IDF:
routers fitted on them as they are and rounded to float16, judged on the validation part. Figures, no assertion.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from recroute.data import Dataset, Precomputed, read_dataset
from recroute.encoders import fit_encoder, vectors_of
from recroute.encoders.choose import view_encoder
from recroute.routers import make_router
from recroute.splits import split_dataset

DATA = Path(os.environ.get("RECROUTE_DATA", Path(__file__).parents[3] / "shared" / "data"))
SETS = ("openllm1", "mmlupro", "zeroeval", "llmrouter", "routerbench")
ROUTERS = ("knn", "knn(n_neighbors=100)", "ridge", "svd")


@pytest.mark.realdata
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kind", ["own", "tfidf"])
def test_rounding(name: str, kind: str) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"no {DATA / name}")
    data = read_dataset(DATA / name)
    data = data.take_llms(np.random.default_rng(0).permutation(data.n_llms)[:300])
    vectors = turned(data) if kind == "own" else tfidf(data)
    for router in ROUTERS:
        gaps, changed = [], []
        for seed in range(5):
            exact, rounded = (scores_of_choices(data, each, router, seed) for each in (vectors, halved(vectors)))
            gaps.append(rounded.mean() - exact.mean())
            changed.append((rounded != exact).mean())
        print(
            f"\n{name} {kind} {router}: {np.round(gaps, 5)}, {np.mean(changed):.4f} of the scores changed", flush=True
        )


def turned(data: Dataset) -> np.ndarray:
    assert data.embeddings is not None
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(data.embeddings.shape[1],) * 2))
    return (data.embeddings @ turn).astype(np.float32)


def tfidf(data: Dataset) -> np.ndarray:
    encoder = fit_encoder(data, "tfidf")
    assert encoder is not None
    return vectors_of(data, view_encoder(encoder, "tfidf"))


def halved(vectors: np.ndarray) -> np.ndarray:
    return vectors.astype(np.float16).astype(np.float32)


def scores_of_choices(data: Dataset, vectors: np.ndarray, router: str, seed: int) -> np.ndarray:
    """Score of the LLM chosen for each validation prompt, of those that were evaluated on it."""
    parts = split_dataset(data.with_embeddings(vectors, Precomputed("turned")), seed=seed)
    scores = parts.valid.interactions.dense()
    predicted = make_router(router, seed=seed).fit(parts.train).score(parts.valid)
    return scores[np.arange(len(scores)), np.where(np.isnan(scores), -np.inf, predicted).argmax(axis=1)]
