import numpy as np
import pytest

from recroute.data import Dataset
from recroute.routers import make_router
from recroute.routers.kmeans import choose_strength, cluster, nearest, shrunk_means
from recroute.testing import planted_dataset


def test_without_shrinkage_the_features_are_the_plain_means_per_cluster(planted: Dataset) -> None:
    router = make_router("kmeans", n_clusters=3, strength=0).fit(planted)
    label = nearest(router.vectors(planted), router.centres_)
    scores = planted.interactions.dense()
    for c in range(3):
        centred = router.feature_[c] - router.feature_[c].mean()
        plain = scores[label == c].mean(axis=0)
        np.testing.assert_allclose(centred, plain - plain.mean(), atol=1e-5)


def test_clusters_are_the_kinds_of_prompts(planted: Dataset) -> None:
    router = make_router("kmeans").fit(planted)
    choice = router.rank(planted).llm_index[:, 0]
    assert (choice % 3 == np.arange(240) % 3).all()


def test_an_infinite_strength_leaves_the_means() -> None:
    data = planted_dataset(missing=0.2)
    router = make_router("kmeans", n_clusters=3, strength=float("inf")).fit(data)
    apart = router.feature_ - router.llm_mean_
    np.testing.assert_allclose(apart, np.broadcast_to(apart[:, :1], apart.shape), atol=1e-6)


def test_a_shrunk_mean_weighs_the_evidence() -> None:
    values, observed = np.array([[0.4, 0.0], [0.2, 0.0], [0.0, 0.6]]), np.array([[1.0, 0], [1, 0], [0, 1]])
    found = shrunk_means(np.array([0, 0, 0]), values, observed, 3.0, 1)
    np.testing.assert_allclose(found, [[2 / 5 * 0.3, 1 / 4 * 0.6]])


def test_the_strength_is_that_of_an_explicit_leave_one_out(rng: np.random.Generator) -> None:
    label = rng.integers(0, 4, 60)
    observed = (rng.random((60, 5)) < 0.7).astype(np.float64)
    values = (rng.normal(size=(4, 5))[label] * 0.5 + rng.normal(size=(60, 5))) * observed
    strengths = (np.inf, 30.0, 10.0, 3.0, 1.0)

    def left_out(strength: float) -> float:
        total = 0.0
        for i in range(60):
            rest = np.arange(60) != i
            predicted = shrunk_means(label[rest], values[rest], observed[rest], strength, 4)[label[i]]
            total += float((((values[i] - predicted) * observed[i]) ** 2).sum())
        return total

    strength, error = choose_strength(label, values, observed, strengths)
    assert strength == min(strengths, key=left_out)
    np.testing.assert_allclose(error.sum(), left_out(strength))


def test_nearest_equals_a_plain_search(rng: np.random.Generator) -> None:
    X, centres = rng.normal(size=(50, 4)).astype(np.float32), rng.normal(size=(7, 4)).astype(np.float32)
    distance = np.linalg.norm(X[:, None] - centres[None], axis=2)
    np.testing.assert_array_equal(nearest(X, centres), distance.argmin(axis=1))


def test_clusters_are_the_same_for_the_same_seed(rng: np.random.Generator) -> None:
    X = rng.normal(size=(300, 6)).astype(np.float32)
    np.testing.assert_array_equal(cluster(X, 8, 1)[0], cluster(X, 8, 1)[0])


@pytest.mark.parametrize("n_clusters", [1, 500])
def test_any_number_of_clusters_serves(planted: Dataset, n_clusters: int) -> None:
    router = make_router("kmeans", n_clusters=n_clusters).fit(planted)
    assert len(router.centres_) <= 240
    assert np.isfinite(router.score(planted)).all()
