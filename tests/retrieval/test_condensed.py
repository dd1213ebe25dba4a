"""Choices that nobody evaluated are judged by the best-ranked LLM that was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recroute.retrieval import condensed, first_evaluated, tie_order, top_k

NAN = np.nan


def drawn(seed: int, missing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, predictions with many ties, and an order for them."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 9), rng.integers(1, 7)
    scores = rng.random((n, m))
    scores[rng.random((n, m)) < missing] = NAN
    return scores, (rng.integers(0, 4, (n, m)) / 3).astype(np.float32), tie_order(rng.random(m))


def test_by_hand() -> None:
    scores = np.array([[NAN, NAN, 0.5, 0.0], [1.0, NAN, NAN, 0.0], [NAN, 0.7, 0.7, 0.7], [NAN, NAN, NAN, NAN]])
    predicted = np.array([[0.9, 0.8, 0.1, 0.2]] * 4, dtype=np.float32)
    order = np.arange(4)
    found = condensed(top_k(predicted, 1, order)[:, 0], scores, predicted, order)
    assert found.first.tolist() == [0, 0, 0, 0]
    assert found.judged.tolist() == [3, 0, 1, 0]  # of the last instance nobody has a score


def test_equal_predictions_go_by_the_order() -> None:
    scores = np.array([[NAN, 0.1, 0.2]])
    alike = np.full((1, 3), 0.5, dtype=np.float32)
    assert condensed(np.array([0]), scores, alike, np.array([0, 2, 1])).judged.tolist() == [2]


def test_a_prediction_of_minus_infinity_still_ranks_above_an_unobserved_cell() -> None:
    predicted = np.array([[1.0, -np.inf, -np.inf]], dtype=np.float32)
    assert condensed(np.array([0]), np.array([[NAN, NAN, 0.3]]), predicted, np.arange(3)).judged.tolist() == [2]


def test_an_order_is_followed_to_the_first_llm_that_was_evaluated() -> None:
    scores = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, NAN], [0.1, NAN, NAN], [NAN, NAN, NAN]])
    assert first_evaluated(scores, np.array([2, 1, 0])).tolist() == [2, 1, 0, 2]


@given(st.integers(0, 500))
def test_on_complete_data_the_first_choice_is_judged(seed: int) -> None:
    scores, predicted, order = drawn(seed, 0.0)
    first = top_k(predicted, 1, order)[:, 0]
    assert condensed(first, scores, predicted, order).judged.tolist() == first.tolist()
    assert (first_evaluated(scores, order) == order[0]).all()


@given(st.integers(0, 500))
def test_the_judged_llm_is_the_best_of_those_that_were_evaluated(seed: int) -> None:
    scores, predicted, order = drawn(seed, 0.5)
    judged = condensed(top_k(predicted, 1, order)[:, 0], scores, predicted, order).judged
    for row, llm in zip(
        np.flatnonzero(~np.isnan(scores).all(axis=1)), judged[~np.isnan(scores).all(axis=1)], strict=True
    ):
        seen = [int(column) for column in order if not np.isnan(scores[row, column])]
        assert llm == max(seen, key=lambda column: (predicted[row, column], -seen.index(column)))


@pytest.mark.parametrize("seed", range(20))
def test_what_is_predicted_of_unobserved_cells_changes_nothing(seed: int) -> None:
    scores, predicted, order = drawn(seed, 0.4)
    rng, other = np.random.default_rng(seed + 1), predicted.copy()
    hidden = np.isnan(scores)
    other[hidden] = rng.permutation(other[hidden]) + rng.normal()
    known = ~hidden.all(axis=1)
    one, two = (condensed(top_k(p, 1, order)[:, 0], scores, p, order).judged[known] for p in (predicted, other))
    assert one.tolist() == two.tolist()
