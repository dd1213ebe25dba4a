"""Tables of any kind, checked by what is declared of each column."""

import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recroute.data import Dataset, read_dataset
from recroute.data.schema import INSTANCES, LARGEST, LLMS, POOLS, RECORDS, check_columns
from recroute.errors import DataError

ROWS: dict[str, Any] = {"instance_id": ["q1", "q2"], "llm_id": ["a", "a"], "score": [1.0, 0.0]}
OTHER_KINDS = {
    "List": [[1.0], [0.0]],
    "Struct": [{"a": 1}, {"a": 2}],
    "Binary": [b"\xff", b"0"],
    "Datetime": [datetime(2026, 1, 1)] * 2,
    "Object": [object(), object()],
}


@pytest.mark.parametrize("column", ["score", "cost", "instance_id", "llm_id"])
@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_columns_of_another_kind_are_refused(column: str, kind: str, tmp_path: Path) -> None:
    table = pl.DataFrame({**ROWS, column: OTHER_KINDS[kind]})
    expected = f"{column} is {kind}.* in .*, not (a number|text)"
    with pytest.raises(DataError, match=expected):
        Dataset.from_records(table)
    if kind != "Object":
        table.write_parquet(tmp_path / "records.parquet")
        for place in (tmp_path, tmp_path / "records.parquet"):
            with pytest.raises(DataError, match=expected):
                read_dataset(place)


@pytest.mark.parametrize(
    "scores",
    [
        [1, 0],
        [True, False],
        ["1", " 0 "],
        [Decimal("1.0"), Decimal("0.0")],
        pl.Series([1, 0], dtype=pl.UInt64),
        pl.Series([1, 0], dtype=pl.Int128),
    ],
)
def test_numbers_of_any_kind_are_scores(scores: Any) -> None:
    assert Dataset.from_records({**ROWS, "score": scores}).interactions.dense().tolist() == [[1], [0]]


def test_ids_of_categories_are_texts() -> None:
    ids = pl.Series(["q2", "q1"], dtype=pl.Categorical)
    assert Dataset.from_records({**ROWS, "instance_id": ids}).instance_ids.ids == ("q1", "q2")


@pytest.mark.parametrize("number", [2**24 + 1, 2**53 + 1, 2**63 - 1, -(2**40)])
@pytest.mark.parametrize("column", ["score", "cost"])
def test_large_integers_are_numbers(column: str, number: int, tmp_path: Path) -> None:
    """PyArrow refuses to make 32-bit floats of integers that these do not hold."""
    pl.DataFrame({**ROWS, column: [number, 0]}).write_parquet(tmp_path / "records.parquet")
    if column == "cost" and 0 <= number <= LARGEST:
        assert read_dataset(tmp_path).interactions.dense_costs() is not None
    else:
        with pytest.raises(DataError, match=re.escape(f"{column} {number:g} for instance 'q1', llm 'a'")):
            read_dataset(tmp_path)


@pytest.mark.parametrize("name", ["_row", "row", "index", "_position", "literal", "len", "count", "price_in", "prompt"])
def test_further_columns_may_have_any_name(name: str, tmp_path: Path) -> None:
    table = pl.DataFrame({**ROWS, name: ["x", "y"]})
    assert Dataset.from_records(table).n_instances == 2
    with pytest.raises(DataError, match=r"score 2 for instance 'q1'.*row 0"):
        Dataset.from_records(table.with_columns(score=pl.Series([2, 0])))
    table.write_parquet(tmp_path / "records.parquet")
    pl.DataFrame({"llm_id": ["a"], "price_in": [1.0], "price_out": [2.0]}).write_parquet(tmp_path / "llms.parquet")
    instances = pl.DataFrame({"instance_id": ["q1", "q2"], "prompt": ["four", "four"], name: ["x", "y"]})
    instances.write_parquet(tmp_path / "instances.parquet")
    costs = read_dataset(tmp_path, cost="prices").interactions.mean_costs()
    assert costs is not None


@pytest.mark.parametrize(
    ("schema", "table", "message"),
    [
        (RECORDS, {**ROWS, "llm_id": ["a", ""]}, "llm_id is empty in t, row 1"),
        (RECORDS, {**ROWS, "llm_id": [None, None]}, "llm_id is missing in t, row 0"),
        (RECORDS, {**ROWS, "cost": [1e16, 0]}, r"cost 1e\+16 for instance 'q1', llm 'a' \(t, row 0\)"),
        (RECORDS, {}, r"column 'instance_id' is missing in t \(the table has no columns\)"),
        (INSTANCES, {"instance_id": ["q"], "task": [None]}, "task is missing in t, row 0"),
        (INSTANCES, {"instance_id": ["q"], "prompt": [["a"]]}, "prompt is List in t, not text"),
        (LLMS, {"llm_id": ["a"], "price_in": [1e300]}, r"price_in 1e\+300 for llm 'a'"),
        (POOLS, {"group": ["g"], "pool_size": [1.5], "llm_id": ["a"]}, "pool_size 1.5 for llm 'a'"),
        (POOLS, {"group": ["g"], "pool_size": [-1], "llm_id": ["a"]}, "pool_size -1 for llm 'a'"),
        (POOLS, {"group": ["g"], "pool_size": [None], "llm_id": ["a"]}, "pool_size is missing for llm 'a'"),
    ],
)
def test_the_first_fault_is_named_with_its_place(schema: Any, table: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_columns(table, schema, "t")


@pytest.mark.parametrize("outcome", [[["win"]], [b"win"], [{"a": 1}], [datetime(2026, 1, 1)], ["draw"], [1e300]])
def test_outcomes_of_another_kind_are_refused(outcome: list[Any]) -> None:
    with pytest.raises(DataError, match="outcome"):
        Dataset.from_records(
            None, preferences={"instance_id": ["q"], "llm_a": ["a"], "llm_b": ["b"], "outcome": outcome}
        )


def test_a_table_without_rows_is_told(tmp_path: Path) -> None:
    pl.DataFrame(ROWS).clear().write_parquet(tmp_path / "records.parquet")
    with pytest.raises(DataError, match="has no rows"):
        read_dataset(tmp_path)
    pl.DataFrame().write_parquet(tmp_path / "records.parquet")
    with pytest.raises(DataError, match="column 'instance_id' is missing"):
        read_dataset(tmp_path)
