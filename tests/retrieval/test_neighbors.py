import numpy as np
import pytest

from recroute.retrieval import Neighbors, neighbors


def test_it_finds_the_nearest_by_cosine_in_any_number_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(700, 6)) * rng.uniform(0.1, 9, (700, 1))).astype(np.float32)
    Q = rng.normal(size=(9, 6)).astype(np.float32)
    similar = (Q / np.linalg.norm(Q, axis=1, keepdims=True)) @ (X / np.linalg.norm(X, axis=1, keepdims=True)).T
    nearest = np.argsort(-similar, axis=1)[:, :5]
    for block in (neighbors.BLOCK, 1500, 1):
        monkeypatch.setattr(neighbors, "BLOCK", block)
        index, similarity = Neighbors(X).search(Q, 5)
        np.testing.assert_array_equal(index, nearest)
        np.testing.assert_allclose(similarity, np.take_along_axis(similar, nearest, axis=1), atol=1e-6)


def test_among_equal_vectors_the_first_are_found() -> None:
    X = np.tile(np.eye(3, dtype=np.float32), (400, 1))
    index, similarity = Neighbors(X).search(np.float32([[0, 2, 0], [0, 0, 0]]), 4)
    np.testing.assert_array_equal(index, [[1, 4, 7, 10], [0, 1, 2, 3]])
    np.testing.assert_array_equal(similarity, [[1, 1, 1, 1], [0, 0, 0, 0]])


def test_no_more_neighbours_than_vectors() -> None:
    index, _ = Neighbors(np.eye(2, dtype=np.float32)).search(np.float32([[0.1, 1]]), 5)
    np.testing.assert_array_equal(index, [[1, 0]])
    assert Neighbors(np.eye(2, dtype=np.float32)).search(np.empty((0, 2), np.float32), 1)[0].shape == (0, 1)
