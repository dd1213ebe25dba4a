"""Factor models of logs: few records of each prompt, and vectors that tell what the prompt needs."""

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, InteractionMatrix, Precomputed
from recroute.routers import make_router

N_LLMS, N_RECORDS = 40, 4


@pytest.fixture(scope="module")
def logs() -> tuple[Dataset, np.ndarray, np.ndarray]:
    """A data set, and 300 new prompts' vectors with the LLMs' probabilities of success."""
    rng = np.random.default_rng(0)
    need = rng.normal(size=(6300, 2))
    logit = rng.normal(0, 0.5, N_LLMS) + need @ rng.normal(size=(2, N_LLMS)) + rng.normal(size=(6300, 1))
    truth = 1 / (1 + np.exp(-logit))
    scores = (rng.random(truth.shape) < truth).astype(np.float32)
    scores[rng.random(truth.shape).argsort(axis=1) >= N_RECORDS] = np.nan
    vectors = (need @ rng.normal(size=(2, 8)) + rng.normal(size=(6300, 8))).astype(np.float32)
    prompts = pl.select(instance_id=pl.format("q{}", pl.int_range(6000)), task=pl.lit("chat"))
    llms = pl.DataFrame({"llm_id": [f"llm-{j}" for j in range(N_LLMS)]})
    matrix = InteractionMatrix.from_dense(scores[:6000])
    return Dataset("logs", matrix, prompts, llms, vectors[:6000], Precomputed("own")), vectors[6000:], truth[6000:]


def test_scores_of_new_prompts_are_predicted_from_logs(logs: tuple[Dataset, np.ndarray, np.ndarray]) -> None:
    data, vectors, truth = logs
    predicted = make_router("svd(n_factors=3)").fit(data).score(vectors)
    correlation = np.corrcoef((predicted - predicted.mean(axis=0)).ravel(), (truth - truth.mean(axis=0)).ravel())[0, 1]
    assert correlation > 0.57
