import numpy as np
import pytest

from recroute.data import InteractionMatrix
from recroute.data.cells import DenseCells, SparseCells
from recroute.errors import DataError

NAN = float("nan")
CELLS = [[1.0, 0.0, NAN], [NAN, 0.0, 0.5]]


def test_stored_zeros_survive_every_operation() -> None:
    matrix = InteractionMatrix.from_dense(CELLS)
    assert matrix.n_observed == 4
    assert matrix.take_instances(np.array([1, 0])).n_observed == 4
    assert matrix.take_llms(np.array([1])).n_observed == 2
    np.testing.assert_array_equal(matrix.take_llms(np.array([2, 1])).dense(), [[NAN, 0.0], [0.5, 0.0]])
    np.testing.assert_array_equal(matrix.take_instances(np.array([1, 0])).dense(), [CELLS[1], CELLS[0]])


def test_dense_marks_unobserved_cells_as_nan() -> None:
    np.testing.assert_array_equal(InteractionMatrix.from_dense(CELLS).dense(), np.float32(CELLS))


def test_scores_of_0_and_1_are_decoded_like_any_others() -> None:
    scores = np.array([[1, np.nan, 0], [0, 1, np.nan]], dtype=np.float32)
    for block in (scores, scores / 2, np.where(scores == 0, 1, scores)):
        matrix = InteractionMatrix.from_dense(block)
        np.testing.assert_array_equal(matrix.dense(), block)
        values, observed = matrix.block(slice(0, 2))
        np.testing.assert_array_equal(values, np.nan_to_num(block))
        np.testing.assert_array_equal(observed, ~np.isnan(block))


@pytest.mark.parametrize("n_values", [2, 8, 9, 255, 256])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_any_number_of_different_scores_is_kept_exactly(n_values: int, kind: type) -> None:
    scores = np.random.default_rng(0).integers(0, n_values, (300, 500)) / (n_values - 1)  # more than a block
    scores[:, ::3] = np.nan
    scores = scores.astype(kind)
    matrix = InteractionMatrix.from_dense(scores)
    assert isinstance(matrix.cells, DenseCells if n_values < 256 else SparseCells)
    np.testing.assert_array_equal(matrix.dense(), scores.astype(np.float32))
    scores[-1, 1] = np.inf
    with pytest.raises(DataError, match="a score is infinite"):
        InteractionMatrix.from_dense(scores)


def test_costs_follow_their_cells() -> None:
    matrix = InteractionMatrix.from_coordinates(np.array([1, 0]), np.array([0, 1]), [0.0, 1.0], (2, 2), [3.0, 5.0])
    taken = matrix.take_llms(np.array([1, 0]))
    assert taken.costs is not None
    np.testing.assert_array_equal(taken.costs.toarray(), [[5.0, 0.0], [0.0, 3.0]])


def test_duplicate_cells_are_refused() -> None:
    with pytest.raises(DataError, match="duplicates"):
        InteractionMatrix.from_coordinates(np.array([0, 0]), np.array([0, 0]), [1.0, 0.0], (1, 1))
