import numpy as np
from scipy.optimize import check_grad
from scipy.special import expit

from recroute.data import Dataset, InteractionMatrix, Precomputed
from recroute.routers import make_router
from recroute.routers.irt import Prior, objective
from recroute.routers.logistic import Cells
from recroute.testing import planted_dataset


def planted_irt(rng: np.random.Generator, n: int, d: int, k: int, m: int) -> tuple[Dataset, dict[str, np.ndarray]]:
    X = rng.normal(size=(n, d))
    truth = {
        "A": rng.normal(size=(d, k)),
        "T": rng.normal(size=(m, k)),
        "b": rng.normal(size=d),
        "c": rng.normal(size=m),
    }
    P = expit(X @ truth["A"] @ truth["T"].T / 2 - (X @ truth["b"])[:, None] / 2 + truth["c"] / 2)
    scores = (rng.random(P.shape) < P).astype(np.float32)
    data = planted_dataset(n_instances=n, n_llms=m)
    data = Dataset("irt", InteractionMatrix.from_dense(scores), data.instances.drop("prompt"), data.llms)
    return data.with_embeddings(X.astype(np.float32), Precomputed("x")), truth | {"P": P}


def test_the_gradient_equals_finite_differences(rng: np.random.Generator) -> None:
    n, d, m, k = 20, 4, 5, 2
    observed = (rng.random((n, m)) < 0.7).astype(np.float64)
    cells = Cells(rng.normal(size=(n, d)), rng.random((n, m)) * observed, observed, np.zeros(n, dtype=np.int64))
    prior = Prior(0.7, 1.3, rng.normal(size=m))
    for n_factors in (k, 0):
        flat = rng.normal(size=(d + m) * n_factors + d + m)
        error = check_grad(
            lambda x, k=n_factors: objective(x, cells, prior, k)[0],
            lambda x, k=n_factors: objective(x, cells, prior, k)[1],
            flat,
        )
        assert error < 1e-4


def test_planted_parameters_are_recovered(rng: np.random.Generator) -> None:
    data, truth = planted_irt(rng, 1500, 6, 2, 30)
    router = make_router("irt").fit(data)
    assert np.abs(router.score(data) - truth["P"]).mean() < 0.04
    assert np.corrcoef(router.bias_, truth["c"])[0, 1] > 0.95
    # ability and discrimination are known up to a rotation: their product, and what it leaves to the difficulty
    slopes = router.discrimination_ @ router.ability_.T - router.difficulty_[:, None]
    planted = truth["A"] @ truth["T"].T / 2 - truth["b"][:, None] / 2
    assert np.corrcoef(slopes.ravel(), planted.ravel())[0, 1] > 0.98


def test_the_penalty_keeps_the_rank_low(rng: np.random.Generator) -> None:
    data, _ = planted_irt(rng, 1500, 6, 1, 30)
    router = make_router("irt", n_factors=6).fit(data)
    size = np.linalg.svd(router.discrimination_ @ router.ability_.T, compute_uv=False)
    assert size[0] > 5 * size[2]


def test_difficulty_does_not_change_the_choice(rng: np.random.Generator) -> None:
    data, _ = planted_irt(rng, 300, 4, 2, 8)
    router = make_router("irt").fit(data)
    before = router.rank(data).llm_index
    router.difficulty_ = 0.5 * router.difficulty_
    np.testing.assert_array_equal(router.rank(data).llm_index, before)


def test_at_the_full_penalty_only_difficulty_and_bias_are_left(planted: Dataset) -> None:
    router = make_router("irt", reg=1).fit(planted)
    assert not router.discrimination_.any()
    assert not router.ability_.any()
    assert make_router("irt", reg=0.97).fit(planted).discrimination_.any()


def test_graded_scores_are_soft_labels(rng: np.random.Generator) -> None:
    data, _ = planted_irt(rng, 400, 4, 1, 5)
    half = 0.25 + 0.5 * data.interactions.dense()
    graded = Dataset("graded", InteractionMatrix.from_dense(half), data.instances, data.llms)
    graded = graded.with_embeddings(data.embeddings, data.encoder)
    predicted = make_router("irt").fit(graded).score(graded)
    assert (predicted < 0.2).mean() < 0.05  # the labels lie between .25 and .75
    assert (predicted > 0.8).mean() < 0.05
    np.testing.assert_allclose(predicted.mean(axis=0), half.mean(axis=0), atol=0.03)
