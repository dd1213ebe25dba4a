import numpy as np
import polars as pl
import pytest

from recroute.data import dataset_from_pairs
from recroute.errors import DataError

BATTLES = {
    "instance_id": ["q1", "q1", "q2"],
    "llm_a": ["x", "x", "z"],
    "llm_b": ["y", "y", "x"],
    "outcome": ["win", "tie", "loss"],
}
NAN = float("nan")


def test_every_battle_is_an_instance_with_two_scores() -> None:
    data = dataset_from_pairs(BATTLES)
    assert list(data.instance_ids) == ["q1#0", "q1#1", "q2#2"]
    np.testing.assert_array_equal(data.interactions.dense(), [[1, 0, NAN], [0.5, 0.5, NAN], [1, NAN, 0]])


def test_prompts_and_tasks_come_along() -> None:
    about = pl.DataFrame({"instance_id": ["q2", "q1"], "prompt": ["two", "one"], "task": ["b", "a"]})
    data = dataset_from_pairs(BATTLES, instances=about)
    assert data.prompts == ["one", "one", "two"]
    assert data.tasks.tolist() == ["a", "a", "b"]
    assert dataset_from_pairs(BATTLES | {"prompt": ["p", "p", "r"]}, instances=about).prompts == ["p", "p", "r"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outcome": ["win", "draw", "loss"]}, r"outcome 'draw' in pairs, row 1 is none of win, tie, loss"),
        ({"llm_b": ["y", "y", "z"]}, r"llm 'z' meets itself in pairs, row 2"),
        ({"llm_b": ["y", None, "x"]}, r"llm_b is missing in pairs, row 1"),
    ],
)
def test_what_is_no_battle_is_refused(change: dict[str, list[str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        dataset_from_pairs(BATTLES | change)


def test_an_instance_that_the_table_lacks_or_has_twice_is_refused() -> None:
    with pytest.raises(DataError, match="'q2' of pairs is not in the table"):
        dataset_from_pairs(BATTLES, instances=pl.DataFrame({"instance_id": ["q1"]}))
    with pytest.raises(DataError, match="'q1' stands twice"):
        dataset_from_pairs(BATTLES, instances=pl.DataFrame({"instance_id": ["q1", "q1", "q2"]}))


def test_a_missing_column_is_named() -> None:
    with pytest.raises(DataError, match="'outcome' is missing"):
        dataset_from_pairs({key: value for key, value in BATTLES.items() if key != "outcome"})
