import numpy as np
from scipy.optimize import check_grad
from scipy.special import expit

from recroute.data import Dataset, InteractionMatrix, Precomputed
from recroute.routers import make_router
from recroute.routers.embedllm import Penalty, objective
from recroute.routers.logistic import Cells, cell_loss
from recroute.testing import planted_dataset


def test_the_gradient_equals_finite_differences(rng: np.random.Generator) -> None:
    n, d, m, k = 20, 4, 5, 2
    observed = (rng.random((n, m)) < 0.7).astype(np.float64)
    cells = Cells(rng.normal(size=(n, d)), rng.random((n, m)) * observed, observed, np.zeros(n, dtype=np.int64))
    penalty = Penalty(rng.random(m), rng.normal(size=m))
    flat = rng.normal(size=(d + m + 1) * k + m)
    error = check_grad(lambda x: objective(x, cells, penalty, k)[0], lambda x: objective(x, cells, penalty, k)[1], flat)
    assert error < 1e-4


def test_the_penalty_is_what_noise_on_the_vectors_costs(rng: np.random.Generator) -> None:
    n, d, m, noise = 40, 3, 4, 0.05
    X, slopes = rng.normal(size=(n, d)) * 0.1, rng.normal(size=(d, m))
    ones = np.ones((n, m))
    S = (rng.random((n, m)) < 0.5).astype(np.float64)

    def loss(vectors: np.ndarray) -> float:
        return float(cell_loss(vectors @ slopes, Cells(vectors, S, ones, np.zeros(n, dtype=np.int64)))[0].sum())

    drawn = [loss(X + e) + loss(X - e) for e in noise * rng.normal(size=(4000, n, d))]
    p = expit(X @ slopes)
    second_order = (noise**2 * (p * (1 - p)).sum(axis=0) * (slopes**2).sum(axis=0)).sum() / 2
    np.testing.assert_allclose(np.mean(drawn) / 2 - loss(X), second_order, rtol=0.1)


def planted_embedllm(
    rng: np.random.Generator, n: int, d: int, k: int, m: int
) -> tuple[Dataset, np.ndarray, np.ndarray]:
    X, slopes = rng.normal(size=(n, d)), rng.normal(size=(d, k)) @ rng.normal(size=(k, m)) / 2
    P = expit(X @ slopes + rng.normal(size=m) / 2)
    scores = InteractionMatrix.from_dense((rng.random(P.shape) < P).astype(np.float32))
    data = planted_dataset(n_instances=n, n_llms=m)
    data = Dataset("embedllm", scores, data.instances.drop("prompt"), data.llms)
    return data.with_embeddings(X.astype(np.float32), Precomputed("x")), P, slopes


def test_planted_parameters_are_recovered(rng: np.random.Generator) -> None:
    data, P, slopes = planted_embedllm(rng, 1500, 6, 2, 30)
    router = make_router("embedllm", n_factors=2, noise=0.0).fit(data)  # noise would shrink the slopes
    found = router.projection_ @ (router.llm_factors_ * router.head_).T
    assert np.abs(router.score(data) - P).mean() < 0.03
    assert np.corrcoef(found.ravel(), slopes.ravel())[0, 1] > 0.98


def test_the_rank_is_the_width_of_an_llm_vector(rng: np.random.Generator) -> None:
    data, _, _ = planted_embedllm(rng, 400, 6, 3, 10)
    router = make_router("embedllm", n_factors=2, noise=0.1).fit(data)
    assert np.linalg.matrix_rank(router.projection_ @ (router.llm_factors_ * router.head_).T) == 2


def test_unlike_irt_one_factor_cannot_hold_both_difficulty_and_a_preference(rng: np.random.Generator) -> None:
    # prompts differ in difficulty by the first entry, and in the LLM they want by the second
    X = rng.normal(size=(1200, 2))
    taste = np.where(np.arange(8) % 2, 1.5, -1.5)
    P = expit(-3 * X[:, :1] + X[:, 1:] * taste)
    scores = InteractionMatrix.from_dense((rng.random(P.shape) < P).astype(np.float32))
    data = planted_dataset(n_instances=1200, n_llms=8)
    data = Dataset("both", scores, data.instances.drop("prompt"), data.llms)
    data = data.with_embeddings(X.astype(np.float32), Precomputed("x"))

    def right(name: str, n_factors: int) -> float:
        choice = make_router(name, n_factors=n_factors).fit(data).rank(data).llm_index[:, 0]
        return float(((taste[choice] > 0) == (X[:, 1] > 0)).mean())

    assert right("irt", 1) > 0.95
    assert right("embedllm", 2) > 0.95
    assert right("embedllm", 1) < 0.8
