"""Data sets made of frames and matrices in memory."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from recroute.coldstart.answers import read_results
from recroute.data import Dataset, Precomputed, read_dataset, write_dataset
from recroute.data.schema import as_table
from recroute.errors import DataError

NAN = float("nan")
LONG = {"instance_id": [8, 7, 8], "llm_id": ["b", "a", "a"], "score": [0.5, 0.0, NAN], "prompt": ["y", "x", "y"]}
WIDE = {"instance_id": [8, 7], "prompt": ["y", "x"], "b": [0.5, None], "a": [None, 0.0]}
CELLS = {("7", "a"): 0.0, ("8", "b"): 0.5}


def cells(data: Dataset) -> dict[tuple[str, str], float]:
    rows, columns = data.interactions.coordinates()
    ids, llms = data.instance_ids.ids, data.llm_ids.ids
    return {(ids[i], llms[j]): float(s) for i, j, s in zip(rows, columns, data.interactions.scores.data, strict=True)}


def frames(columns: dict[str, list[Any]]) -> list[Any]:
    pandas = pytest.importorskip("pandas")
    table = pl.DataFrame(columns, strict=False)
    nullable = pandas.DataFrame(columns).convert_dtypes()
    indexed = pandas.DataFrame(columns).set_index("instance_id")
    filtered = pandas.concat([pandas.DataFrame(columns), pandas.DataFrame(columns).iloc[:0]]).iloc[::-1].iloc[::-1]
    return [table, table.lazy(), table.to_arrow(), columns, pandas.DataFrame(columns), nullable, indexed, filtered]


@pytest.mark.parametrize("kind", range(8))
def test_long_and_wide_frames_are_data_sets(kind: int) -> None:
    long, wide = read_dataset(frames(LONG)[kind]), read_dataset(frames(WIDE)[kind])
    assert cells(long) == cells(wide) == CELLS
    assert (long.instance_ids.ids, long.llm_ids.ids) == (("7", "8"), ("a", "b"))  # in alphabetical order
    assert (wide.instance_ids.ids, wide.llm_ids.ids) == (("8", "7"), ("b", "a"))  # as they stand
    assert (long.prompts, wide.prompts) == (["x", "y"], ["y", "x"])
    assert "1 scores are missing or NaN, left unobserved: 1 of a" in long.card["notes"]


@pytest.mark.parametrize("kind", range(4, 8))
def test_pandas_frames_are_read_alike_without_pyarrow(kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Without(pl.DataFrame):
        def __init__(self, data: Any = None, **options: Any) -> None:
            if hasattr(data, "set_index"):
                raise ImportError("pyarrow is required")
            super().__init__(data, **options)

    frame = frames({**LONG, "day": [date(2026, 1, 1), None, None]})[kind]
    expected = as_table(frame, "frame")
    monkeypatch.setattr(pl, "DataFrame", Without)
    found = as_table(frame, "frame")
    assert (found.columns, found.rows()) == (expected.columns, expected.rows())


def test_an_index_of_text_without_a_name_holds_the_ids() -> None:
    pandas = pytest.importorskip("pandas")
    data = read_dataset(pandas.DataFrame({"a": [1, 0], "b": [0, 0.5]}, index=["q1", "q2"]))
    assert data.instance_ids.ids == ("q1", "q2")
    levels = pandas.MultiIndex.from_tuples([("q1", "a"), ("q2", "a")], names=["instance_id", "llm_id"])
    assert cells(read_dataset(pandas.DataFrame({"score": [1, 0]}, index=levels))) == {("q1", "a"): 1, ("q2", "a"): 0}


def test_a_pivoted_frame_is_wide() -> None:
    pandas = pytest.importorskip("pandas")
    records = pandas.DataFrame({"instance_id": [1, 1, 2], "llm_id": ["a", "b", "a"], "score": [1.0, 0.0, 0.5]})
    wide = records.pivot_table(index="instance_id", columns="llm_id", values="score")
    assert cells(read_dataset(wide)) == cells(read_dataset(records))


def test_a_frame_is_read_as_the_file_that_holds_it(tmp_path: Path) -> None:
    for columns in (LONG, WIDE):
        table = pl.DataFrame(columns, strict=False)
        table.write_parquet(tmp_path / "t.parquet")
        table.write_csv(tmp_path / "t.csv")
        for path in (tmp_path / "t.parquet", tmp_path / "t.csv", str(tmp_path / "t.csv")):
            assert cells(read_dataset(path)) == CELLS
            assert read_dataset(path).prompts == read_dataset(table).prompts


def test_what_was_guessed_of_a_file_stands_in_the_card(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("instance_id;a;b\nq;0,5;1\n", "utf8")
    assert read_dataset(tmp_path / "t.csv").card["notes"] == [
        "t.csv is separated by semicolons",
        "numbers of t.csv have a decimal comma",
    ]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            {"instance_id": ["q"], "llm_id": ["a"], "score": [1.5]},
            r"score 1.5 for .* outside \[0, 1\]; scale the scores",
        ),
        ({"instance_id": ["q", "q"], "llm_id": ["a", "a"], "score": [1, 0]}, "occur twice"),
        ({"instance_id": ["q", "q"], "a": [1, 0]}, "instance_id 'q' occurs twice"),
        ({"instance_id": ["q"], "llm_id": ["a"], "score": [None]}, "holds no score"),
        ({"instance_id": [], "llm_id": [], "score": []}, "has no rows"),
        ({"instance_id": ["q"]}, "neither long .* nor has it a column for an LLM"),
        ({"score": [1.0]}, "column 'instance_id' is missing in frame"),
        (7, "not a table"),
        (None, "not a table"),
        ([[1, 0]], "no column 'instance_id'"),
    ],
)
def test_what_is_no_data_set_is_refused_in_one_line(frame: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as found:
        read_dataset(frame)
    assert "\n" not in str(found.value)


# -- matrices

DENSE = np.array([[1, 0, NAN], [NAN, 0.5, 0]])
STORED = {(0, 0): 1.0, (0, 1): 0.0, (1, 1): 0.5, (1, 2): 0.0}


def stored(kind: str) -> Any:
    rows, columns = np.array(list(STORED)).T
    return sp.coo_array((list(STORED.values()), (rows, columns)), shape=(2, 3)).asformat(kind)


@pytest.mark.parametrize(
    "matrix",
    [
        DENSE,
        DENSE.astype(np.float32),
        DENSE.tolist(),
        np.asfortranarray(DENSE),
        np.where(np.isnan(DENSE), None, DENSE),
        np.ma.masked_invalid(DENSE),
        *(stored(kind) for kind in ("coo", "csr", "csc")),
        sp.csr_matrix(stored("csr")),
    ],
)
def test_a_matrix_has_three_states(matrix: Any) -> None:
    data = Dataset.from_matrix(matrix, ["a", "b", "c"], [7, 8])
    expected = {(("7", "8")[i], "abc"[j]): score for (i, j), score in STORED.items()}
    assert cells(data) == expected
    assert data.tasks.tolist() == ["all", "all"]


def test_nan_that_is_stored_is_unobserved() -> None:
    matrix = sp.csr_array(([1.0, NAN, 0.0], ([0, 0, 1], [0, 1, 1])), shape=(2, 2))
    assert cells(Dataset.from_matrix(matrix, ["a", "b"], ["x", "y"])) == {("x", "a"): 1.0, ("y", "b"): 0.0}


@pytest.mark.parametrize("ids", [[1, 2], (1.0, 2.0), np.array([1, 2]), pl.Series([1, 2]), range(1, 3), ["1", "2"]])
def test_ids_of_a_matrix_are_text(ids: Any) -> None:
    data = Dataset.from_matrix(np.eye(2, dtype=bool), ids, ids)
    assert data.llm_ids.ids == data.instance_ids.ids == ("1", "2")


def test_what_is_known_of_rows_and_columns_may_come_in_any_order() -> None:
    instances = {"instance_id": [8, 9, 7], "task": [2, 2, 1], "prompt": ["y", "z", "x"]}
    llms = pl.DataFrame({"llm_id": ["b", "a"], "family": ["B", None]})
    data = Dataset.from_matrix(np.eye(2), ["a", "b"], [7, 8], instances=instances, llms=llms, name="own", card={"k": 1})
    assert (data.prompts, data.tasks.tolist()) == (["x", "y"], ["1", "2"])
    assert (data.llms["family"].to_list(), data.name, data.card) == ([None, "B"], "own", {"k": 1})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"matrix": [[1.5, 0], [0, 1]]}, r"score 1.5 is outside \[0, 1\]"),
        ({"matrix": [[1, np.inf], [0, 1]]}, "a score is infinite"),
        ({"matrix": [["x", 0], [0, 1]]}, "something else than real numbers"),
        ({"matrix": np.eye(2) * 1j}, "something else than real numbers"),
        ({"matrix": [1, 0]}, r"has the shape \(2,\)"),
        ({"matrix": sp.coo_array([1.0, 0.0])}, "a sparse matrix of 1 dimensions"),
        ({"matrix": sp.coo_array(([1.0, 1.0], ([0, 0], [0, 0])), shape=(2, 2))}, "without duplicates"),
        *(
            ({"matrix": sp.eye_array(2).asformat(kind)}, f"in the format {kind} cannot")
            for kind in ("lil", "dok", "dia", "bsr")
        ),
        ({"llm_ids": ["a"]}, "1 llm ids for 2 llms of a matrix, whose rows are instances, columns LLMs"),
        ({"instance_ids": "x"}, "1 instance ids for 2 instances"),
        ({"llm_ids": ["a", "a"]}, "llm_id 'a' occurs twice"),
        ({"llm_ids": ["a", None]}, "llm_id is missing in the llm ids, row 1"),
        ({"llm_ids": ["a", 0.5]}, "the llm ids cannot be read as a table|neither text nor a whole number"),
        ({"llm_ids": 7}, "1 llm ids for 2"),
        ({"instances": {"instance_id": ["x"]}}, "the table of instances lacks instance 'y'"),
    ],
)
def test_what_does_not_fit_a_matrix_is_refused(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"matrix": np.eye(2), "llm_ids": ["a", "b"], "instance_ids": ["x", "y"]}
    with pytest.raises(DataError, match=message):
        Dataset.from_matrix(**(given | change))


# -- ids that are whole numbers, wherever they stand


@pytest.mark.parametrize("ids", [[2, 10], [2.0, 10.0], ["2", "10"]])
def test_whole_numbers_are_ids_in_every_table(ids: list[Any], tmp_path: Path) -> None:
    records = {"instance_id": ids, "llm_id": ids, "score": [1, 0]}
    data = Dataset.from_records(
        records,
        instances={"instance_id": ids, "task": ids},
        llms={"llm_id": ids},
        preferences={"instance_id": ids, "llm_a": ids, "llm_b": ids[::-1], "outcome": ["win", "tie"]},
    )
    assert data.instance_ids.ids == data.llm_ids.ids == tuple(data.tasks.tolist()) == ("2", "10")
    write_dataset(data.with_embeddings(np.eye(2, dtype=np.float32), Precomputed("own")), tmp_path / "d")
    for name in ("records", "instances", "llms"):
        table = pl.read_parquet(tmp_path / "d" / f"{name}.parquet")
        columns = [column for column in ("instance_id", "llm_id") if column in table.columns]
        numbers = table.with_columns(pl.col(columns).cast(pl.String).cast(pl.Int64))
        numbers.write_parquet(tmp_path / "d" / f"{name}.parquet")
    np.savez(tmp_path / "d" / "embeddings.npz", instance_id=np.array([2, 10]), embedding=np.eye(2), encoder="own")
    again = read_dataset(tmp_path / "d")
    assert cells(again) == cells(data)
    assert again.embeddings is not None
    assert again.embeddings.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_whole_numbers_are_ids_in_results_of_a_new_llm(suffix: str, tmp_path: Path) -> None:
    results = pl.DataFrame({"instance_id": [7, 8, 9], "llm_id": [3, 3, 4], "score": [1.0, None, 0.0]})
    write = {".csv": results.write_csv, ".jsonl": results.write_ndjson, ".parquet": results.write_parquet}
    write[suffix](tmp_path / f"r{suffix}")  # type: ignore[operator]
    data, notes = read_results(tmp_path / f"r{suffix}", "3", pl.DataFrame({"instance_id": ["7", "8"]}))
    assert cells(data) == {("7", "3"): 1.0}
    assert notes == ["1 rows without a score were left out"]


def test_results_of_a_new_llm_may_come_from_a_spreadsheet(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes("sep=;\r\ninstance_id;score\r\n7;0,5\r\n8;\r\n;\r\n".encode("utf-16"))
    data, notes = read_results(tmp_path / "r.csv", "new", pl.DataFrame({"instance_id": ["7", "8"]}))
    assert cells(data) == {("7", "new"): 0.5}
    assert notes == ["r.csv is UTF-16", "1 rows without a score were left out"]
