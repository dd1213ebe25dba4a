from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from recroute.data import Dataset, InteractionMatrix, Preferences, leaderboard, llm_means, read_dataset, write_dataset
from recroute.errors import DataError
from recroute.splits import split_dataset
from recroute.testing import drawn_preferences, planted_dataset

BATTLES = {
    "instance_id": ["q1", "q1", "q2"],
    "llm_a": ["x", "x", "z"],
    "llm_b": ["y", "y", "x"],
    "outcome": ["win", "tie", "loss"],
}


def rows(data: Dataset) -> list[tuple[object, ...]]:
    assert data.preferences is not None
    return data.preferences.to_frame(data.instance_ids, data.llm_ids).rows()


def test_battles_are_a_data_set_without_scores() -> None:
    data = Dataset.from_records(None, preferences=BATTLES)
    assert (data.instance_ids.ids, data.llm_ids.ids) == (("q1", "q2"), ("x", "y", "z"))
    assert (data.interactions.n_observed, data.n_preferences) == (0, 3)
    assert rows(data) == [("q1", "x", "y", 1.0), ("q1", "x", "y", 0.5), ("q2", "z", "x", 0.0)]
    assert data.is_rated.tolist() == [True, True]
    graded = Dataset.from_records(None, preferences=BATTLES | {"outcome": [0.75, 0, 1]})
    assert [row[-1] for row in rows(graded)] == [0.75, 0.0, 1.0]


def test_battles_and_records_share_their_tables() -> None:
    records = {"instance_id": ["q3"], "llm_id": ["w"], "score": [1.0]}
    data = Dataset.from_records(records, preferences=BATTLES)
    assert (data.instance_ids.ids, data.llm_ids.ids) == (("q1", "q2", "q3"), ("w", "x", "y", "z"))
    assert rows(data)[2] == ("q2", "z", "x", 0.0)


def test_battles_follow_their_instances_and_llms() -> None:
    data = Dataset.from_records(None, preferences=BATTLES)
    assert rows(data.take_instances(np.array([1]))) == [("q2", "z", "x", 0.0)]
    assert rows(data.take_instances(np.array([1, 0]))) == rows(data)
    assert rows(data.take_llms(np.array([2, 0]))) == [("q2", "z", "x", 0.0)]  # y has left
    assert data.take_llms(np.array([1])).n_preferences == 0


@pytest.mark.parametrize("with_scores", [False, True])
def test_a_folder_gives_back_what_was_written(tmp_path: Path, with_scores: bool) -> None:
    data = drawn_preferences(planted_dataset(), 500)
    if with_scores:
        data = replace(data, interactions=planted_dataset().interactions)
    write_dataset(data, tmp_path / "d")
    again = read_dataset(tmp_path / "d")
    assert rows(again) == rows(data)
    assert again.instances.equals(data.instances)
    assert again.interactions.n_observed == data.interactions.n_observed
    (tmp_path / "d" / "records.parquet").unlink()
    if not with_scores:
        assert rows(read_dataset(tmp_path / "d")) == rows(data)


def test_a_split_divides_the_battles() -> None:
    data = drawn_preferences(planted_dataset(), 500)
    parts = split_dataset(data).parts()
    assert sum(part.n_preferences for part in parts.values()) == 500
    assert sorted(row for part in parts.values() for row in rows(part)) == sorted(rows(data))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outcome": ["win", "draw", "loss"]}, r"outcome 'draw' in preferences, row 1 is not one of win, tie, loss"),
        ({"outcome": [1.0, 0.5, 1.5]}, r"outcome 1.5 in preferences, row 2 is not one of"),
        ({"outcome": [1.0, None, 0.0]}, r"outcome None in preferences, row 1 is not one of"),
        ({"llm_b": ["y", "y", "z"]}, r"llm 'z' meets itself in preferences, row 2"),
        ({"llm_b": ["y", None, "x"]}, r"llm_b is missing in preferences, row 1"),
        ({"instance_id": [1.5, 2, 3]}, r"instance_id 1.5 in preferences is neither text nor a whole number"),
    ],
)
def test_what_is_no_battle_is_refused(change: dict[str, list[str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Dataset.from_records(None, preferences=BATTLES | change)


def test_what_the_tables_lack_is_refused() -> None:
    known = pl.DataFrame({"instance_id": ["q1"]})
    with pytest.raises(DataError, match="preferences has instance_id 'q2', which the table of instances lacks"):
        Dataset.from_records(None, preferences=BATTLES, instances=known)
    with pytest.raises(DataError, match="'outcome' is missing"):
        Dataset.from_records(None, preferences={key: BATTLES[key] for key in ("instance_id", "llm_a", "llm_b")})
    with pytest.raises(DataError, match="neither records nor preferences"):
        Dataset.from_records(None)
    data = planted_dataset(n_instances=12)
    beyond = Preferences(*(np.array([n], dtype=np.int32) for n in (12, 0, 1)), np.ones(1, dtype=np.float32))
    with pytest.raises(DataError, match="beyond the tables of 12 and 6"):
        replace(data, preferences=beyond)


def test_the_leaderboard_is_the_minimum_of_its_loss() -> None:
    data = drawn_preferences(planted_dataset(n_llms=5), 400, first_shown=0.2)
    fought = data.preferences
    assert fought is not None

    def loss(x: np.ndarray) -> float:
        lead = x[fought.llm_a] - x[fought.llm_b] + x[-1]
        y = fought.outcome.astype(np.float64)
        penalty = 0.05 * (x[:-1] ** 2).sum() + 5 * x[-1] ** 2
        return float((np.logaddexp(0, lead) - y * lead).sum() + penalty)

    found = minimize(loss, np.zeros(6), tol=1e-10).x
    board = leaderboard(fought, 5)
    np.testing.assert_allclose(board.coefficient, found[:-1] - found[:-1].mean(), atol=1e-4)
    np.testing.assert_allclose(board.first_shown, found[-1], atol=1e-4)


def test_one_that_always_wins_has_a_finite_place() -> None:
    many = {"instance_id": ["q"] * 50_000, "llm_a": ["x"] * 50_000, "llm_b": ["y"] * 50_000, "outcome": [1.0] * 50_000}
    board = leaderboard(Dataset.from_records(None, preferences=many).preferences, 2)
    assert 3 < board.coefficient[0] < 30
    nobody = leaderboard(Preferences.empty(), 3)
    np.testing.assert_array_equal(nobody.coefficient, 0)


def test_win_rates_stand_in_for_means() -> None:
    data = Dataset.from_records(None, preferences=BATTLES)
    rates = llm_means(data)
    np.testing.assert_allclose(rates.mean(), 0.5)
    assert rates.argmax() == 0
    board = leaderboard(data.preferences, 3).coefficient
    np.testing.assert_allclose(rates[0], expit(board[0] - board).mean())
    scored = replace(data, interactions=InteractionMatrix.from_dense([[0, 0, 1], [0, 0, 1]]))
    np.testing.assert_allclose(llm_means(scored), [0, 0, 1])
