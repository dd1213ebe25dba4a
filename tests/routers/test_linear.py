import numpy as np

from recroute.data import Dataset, InteractionMatrix, Precomputed
from recroute.routers import make_router
from recroute.testing import planted_dataset


def test_an_unobserved_cell_is_no_failure() -> None:
    full = planted_dataset(noise=0.0)
    cells = full.interactions.dense()
    cells[::2, 0] = np.nan
    gaps = Dataset("gaps", InteractionMatrix.from_dense(cells), full.instances, full.llms)
    complete, partial = make_router("linear").fit(full).score(full), make_router("linear").fit(gaps).score(gaps)
    np.testing.assert_allclose(partial[:, 1:], complete[:, 1:], atol=1e-3)  # the other LLMs are not concerned
    solved = full.interactions.dense()[:, 0] == 1
    assert partial[solved, 0].min() > partial[~solved, 0].max()
    assert partial[solved, 0].mean() > 0.7  # half of these cells as failures would hold it at a half


def test_llms_do_not_influence_each_other(planted: Dataset) -> None:
    everyone = make_router("linear").fit(planted).score(planted)
    two = make_router("linear").fit(planted.take_llms(np.array([3, 1]))).score(planted)
    np.testing.assert_allclose(two, everyone[:, [3, 1]], atol=1e-3)


def test_it_reads_the_vectors_of_the_data_set(planted: Dataset) -> None:
    task = np.unique(planted.tasks, return_inverse=True)[1]
    data = planted.with_embeddings(np.eye(3, dtype=np.float32)[task], Precomputed("task"))
    router = make_router("linear", n_epochs=50).fit(data)
    means = np.stack([data.interactions.dense()[task == t].mean(axis=0) for t in range(3)])
    np.testing.assert_allclose(router.score(np.eye(3, dtype=np.float32)), means, atol=0.08)
