"""Remembering by content, in bounded memory."""

import numpy as np

from recroute.util.memo import Memo, room


def test_results_are_remembered_by_content_oldest_forgotten_first() -> None:
    calls = []

    def total(X: np.ndarray, Y: np.ndarray) -> float:
        calls.append(1)
        return float(X.sum() + Y.sum())

    memo = Memo(total, max_cells=10)
    X, Y = np.ones((2, 2)), np.zeros(1)
    assert [memo(X, Y), memo(X.copy(), Y)] == [4, 4]
    assert len(calls) == 1
    X[0, 0] = 3  # the caller may write into its own array
    assert memo(X, Y) == 6
    assert memo(np.ones((2, 2)), Y) == 4  # both are kept
    assert len(calls) == 2
    assert memo(np.ones((2, 2)).astype(np.float32), Y) == 4  # another type is another array
    assert memo(np.ones((2, 2)), Y) == 4  # forgotten for the third
    assert len(calls) == 4


def test_what_is_too_large_is_not_kept() -> None:
    calls = []
    memo = Memo(lambda X: calls.append(X.size), max_cells=4)
    memo(np.ones(5))
    memo(np.ones(5))
    assert calls == [5, 5]


def test_shape_and_text_tell_arrays_apart() -> None:
    memo = Memo(lambda X: (X.shape, X.ravel()[0]), max_cells=100)
    assert memo(np.ones((2, 3)))[0] == (2, 3)
    assert memo(np.ones((3, 2)))[0] == (3, 2)
    assert memo(np.array(["a", "b"]))[1] == "a"
    assert memo(np.array(["c", "b"]))[1] == "c"


def test_a_room_says_how_much_is_kept() -> None:
    calls = []
    memo = Memo(lambda X: calls.append(X.size), max_cells=4)
    with room(3):
        for _ in range(2):
            memo(np.ones(5))
            memo(np.zeros(6))
    assert calls == [5, 6]
    with room(0):  # nothing is looked up either
        memo(np.ones(5))
    assert calls == [5, 6, 5]
