"""The codings for implicit and lightfm, cell by cell."""

import numpy as np
import scipy.sparse as sp

from recroute.data import InteractionMatrix
from recroute.routers.three_states import to_outcomes, to_preferences

NAN = float("nan")


def stored(matrix: sp.csr_matrix) -> list[tuple[int, int, float]]:
    coo = matrix.tocoo()
    return [(int(i), int(j), float(v)) for i, j, v in zip(coo.row, coo.col, coo.data, strict=True)]


def test_outcomes_hold_success_and_failure_apart_and_unobserved_in_neither() -> None:
    coded = to_outcomes(InteractionMatrix.from_dense([[1.0, 0.0, NAN, 0.25]]), alpha=8.0)
    assert stored(coded) == [(0, 0, 8.0), (0, 3, 2.0), (0, 5, 8.0), (0, 7, 6.0)]


def test_preferences_store_what_is_better_and_what_must_not_be_an_opponent() -> None:
    coded = to_preferences(InteractionMatrix.from_dense([[1.0, 0.0, NAN], [0.75, 0.25, 0.5]]))
    assert stored(coded) == [(0, 0, 1.0), (0, 2, -1.0), (1, 0, 1.0), (1, 2, -1.0)]


def test_an_instance_without_contrast_prefers_nothing() -> None:
    equal = np.float32(0.1)  # its mean over three cells is off by rounding
    coded = to_preferences(InteractionMatrix.from_dense([[1, 1, 1], [0, 0, NAN], [equal] * 3, [NAN] * 3]))
    np.testing.assert_array_equal(coded.toarray(), -np.ones((4, 3)))


def test_the_coding_leaves_the_matrix_as_it_was() -> None:
    cells = InteractionMatrix.from_dense([[1.0, 0.0, NAN, 0.5]])
    to_outcomes(cells), to_preferences(cells)
    assert cells.scores.data.tolist() == [1.0, 0.0, 0.5]
