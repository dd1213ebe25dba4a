import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from recroute.data import InteractionMatrix
from recroute.routers import make_router
from recroute.routers.bpr import run_sgd
from recroute.routers.three_states import to_preferences
from recroute.testing import planted_dataset

NAN = float("nan")


def test_on_complete_0_1_data_the_steps_are_those_of_implicits_own_fit() -> None:
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    rng = np.random.default_rng(0)
    cells = InteractionMatrix.from_dense(rng.random((40, 7)) < 0.5)
    U, V = (rng.normal(size=(n, 4)).astype(np.float32) for n in (40, 7))
    U[:, -1] = 1
    with threadpool_limits(limits=1, user_api="blas"):
        model = BayesianPersonalizedRanking(
            factors=3, iterations=5, learning_rate=0.1, regularization=0.01, num_threads=1, random_state=0
        )
        model.user_factors, model.item_factors = U.copy(), V.copy()
        dense = cells.scores.toarray()
        dense[dense.all(axis=1)] = 0  # without opponents such an instance makes no step
        model.fit(sp.csr_matrix(dense), show_progress=False)
    seed = int(np.random.default_rng(0).integers(0, 2**31, size=1)[0])  # as implicit seeds its one thread
    run_sgd(to_preferences(cells), U, V, 5, 0.1, 0.01, seed)
    np.testing.assert_array_equal(U, model.user_factors)
    np.testing.assert_array_equal(V, model.item_factors)


def test_an_unobserved_llm_is_never_an_opponent() -> None:
    # LLM 2 succeeds on the first instances and was not run on the others: no pair may push it down there
    cells = InteractionMatrix.from_dense([[0.0, 1.0, 1.0]] * 5 + [[1.0, 0.0, NAN]] * 50)
    U, V = np.zeros((55, 2), dtype=np.float32), np.zeros((3, 2), dtype=np.float32)
    U[:, -1] = 1
    run_sgd(to_preferences(cells), U, V, 50, 0.1, 0.0, 0)
    assert V[2, -1] > 0  # its bias only ever rose, against LLM 0 on the first instances


def test_predictions_are_on_the_scale_of_scores() -> None:
    data = planted_dataset(n_instances=600, noise=0.0)
    router = make_router("bpr", n_epochs=200).fit(data)
    np.testing.assert_allclose(router.score(data), data.interactions.dense(), atol=0.15)


def test_data_without_any_contrast_gives_the_means() -> None:
    data = planted_dataset(n_instances=60)
    equal = InteractionMatrix.from_dense(np.ones((60, 6)))
    data = type(data)("equal", equal, data.instances, data.llms)
    np.testing.assert_allclose(make_router("bpr").fit(data).score(data), 1, atol=1e-6)
