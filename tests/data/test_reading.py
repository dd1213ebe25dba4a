"""Files of a data set that are damaged, announce too much or are none: one line that names them."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recroute.data import Dataset, Precomputed, read_dataset, write_dataset
from recroute.data.json_tables import read_json_lines
from recroute.data.reading import reading
from recroute.data.sources import import_dataset
from recroute.data.tables import read_table
from recroute.errors import DataError

ROWS = {"instance_id": ["q1", "q2", "q2"], "llm_id": ["a", "a", "b"], "score": [1.0, 0.0, 0.5]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_dataset(Dataset.from_records(ROWS), tmp_path / "data")
    return tmp_path / "data"


def refused(path: Path) -> str:
    with pytest.raises(DataError) as found:
        read_dataset(path)
    assert "\n" not in str(found.value)
    return str(found.value)


def test_an_announcement_beyond_the_size_of_a_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    codes = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1 << 20, np.int32)), pa.array(["a"]))
    with pq.ParquetWriter(tmp_path / "bomb.parquet", pa.schema({"llm_id": codes.type}), compression="zstd") as writer:
        for _ in range(128):
            writer.write_table(pa.table({"llm_id": codes}), row_group_size=1 << 20)
    assert (tmp_path / "bomb.parquet").stat().st_size < 1 << 20
    with pytest.raises(DataError, match="announces 134,217,728 rows"):
        read_table(tmp_path / "bomb.parquet")


def test_vectors_announced_beyond_their_file_are_refused(folder: Path) -> None:
    data = read_dataset(folder)
    write_dataset(data.with_embeddings(np.ones((2, 3), np.float32), Precomputed("own")), folder)
    content = (folder / "embeddings.npz").read_bytes()
    assert read_dataset(folder).embeddings is not None
    np.savez(folder / "embeddings.npz", instance_id=np.array(["q1", "q1"]), embedding=np.ones((2, 3)))
    assert "'q1' occurs twice" in refused(folder)
    np.savez(folder / "embeddings.npz", instance_id=np.ones(2), embedding=np.ones((2, 3)))
    assert "instance_id is float64 (2,)" in refused(folder)
    np.savez(folder / "embeddings.npz", instance_id=np.array(["q1", "q2"]))
    assert "embeddings.npz has no array 'embedding' (there: instance_id); write" in refused(folder)
    np.savez(folder / "embeddings.npz")
    assert "embeddings.npz has no array 'instance_id' (it holds none); write" in refused(folder)
    (folder / "embeddings.npz").write_bytes(content[:-30])
    assert "cannot be read as embeddings" in refused(folder)


def test_a_column_that_stands_twice_is_named(tmp_path: Path) -> None:
    table = pa.table(ROWS)
    pq.write_table(table.append_column("score", table["score"]), tmp_path / "r.parquet")
    assert "column 'score' stands twice" in refused(tmp_path / "r.parquet")
    (tmp_path / "r.csv").write_text("instance_id,llm_id,score,score\nq,a,1,0\n", "utf8")
    assert "column 'score' stands twice" in refused(tmp_path / "r.csv")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("r.csv", "a,x,1\nb,y,0,1,ho,9,9\n", "line 3 has 7 fields, but the header has 5"),
        ("r.csv", 'a,"x,\ny",1\nb,"y"" z",0,1,ho,9\n', "line 4 has 6 fields, but the header has 5"),
        ("r.csv", 'a,x,1\nb,5" disk,0,1,ho,\n', "line 3 has 6 fields, but the header has 5"),
        ("r.tsv", "a\tx, y\t1\nb\ty\t0\t1\tho\t9\n", "line 3 has 6 fields, but the header has 5"),
    ],
)
def test_a_row_with_more_fields_than_the_header_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    heads = ["instance_id", "llm_id", "score", "task", "note"]
    (tmp_path / name).write_text(("\t" if name == "r.tsv" else ",").join(heads) + "\n" + text, "utf8")
    with pytest.raises(DataError, match=f"{name}, {message}"):
        import_dataset("table", tmp_path / name, tmp_path / "data")
    assert not (tmp_path / "data").exists()
    if name == "r.csv":
        assert f"{name}, {message}" in refused(tmp_path / name)


def test_a_csv_file_in_another_encoding_is_read_by_its_mark_or_told(tmp_path: Path) -> None:
    for encoding in ("utf-16", "cp1252"):
        (tmp_path / f"{encoding}.csv").write_text("instance_id,llm_id,score\nqä,a,1\n", encoding=encoding)
    assert read_dataset(tmp_path / "utf-16.csv").instance_ids.ids == ("qä",)
    assert "cp1252.csv, line 2 is not UTF-8 (in CP1252 it says 'qä,a,1')" in refused(tmp_path / "cp1252.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n{"a": NaN}\n', "line 2 is not valid JSON: NaN is not a number"),
        ('{"a": 1}\n[1]\n', "line 2 is not a JSON object"),
        ('{"a": 1}\n{"a":\n', "line 2 is not valid JSON: "),
        ('{"a": 1}\n' + '{"a":' * 100_000 + "\n", "line 2 is nested too deeply"),
    ],
)
def test_the_line_that_is_no_json_is_named(text: str, message: str) -> None:
    with pytest.raises(DataError, match=f"x.jsonl, {message}"):
        read_json_lines(text.encode(), "x.jsonl")


def test_what_is_not_utf8_is_named() -> None:
    with pytest.raises(DataError, match="line 2 is not UTF-8"):
        read_json_lines(b'{"a": "x"}\n{"a": "\xff"}\n', "x.jsonl")


@pytest.mark.parametrize("name", ["records", "instances", "llms", "preferences", "pools", "embeddings", "card"])
def test_a_link_that_leads_nowhere_is_not_taken_for_nothing(folder: Path, name: str) -> None:
    file = folder / f"{name}.{ {'embeddings': 'npz', 'card': 'json'}.get(name, 'parquet') }"
    file.unlink(missing_ok=True)
    file.symlink_to(folder / "nowhere")
    assert file.name in refused(folder)


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), MemoryError(), KeyError("x"), OSError()])
def test_whatever_a_reader_raises_names_the_file(error: Exception) -> None:
    with (
        pytest.raises(DataError, match=r"f.parquet cannot be read as parquet: .+; write"),
        reading(Path("f.parquet"), "parquet"),
    ):
        raise error


def test_a_panic_of_polars_is_one_line() -> None:
    with pytest.raises(DataError, match="cannot be read"), reading(Path("f.csv"), "csv"):
        raise pl.exceptions.PanicException("unwrap")


@pytest.mark.parametrize("text", ["[1]", "{", '{"a": ' * 100_000, '{"a": 1' + "0" * 5000 + "}"])
def test_a_card_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / "card.json").write_text(text, "utf8")
    assert "card.json" in refused(folder)


def test_mapped_scores_outside_the_range_are_not_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recroute.data.stored_matrix.STORED_FROM", 1)
    write_dataset(Dataset.from_records(ROWS), folder)
    meaning = json.loads((folder / "scores.json").read_text("utf8"))
    for values in ([0.0, 0.5, 7.0], [-1.0, 0.5, 1.0], [0.0, 0.5, 10**400], "no"):
        (folder / "scores.json").write_text(json.dumps({**meaning, "values": values}), "utf8")
        assert np.nanmax(read_dataset(folder).interactions.dense()) == 1


@pytest.mark.parametrize("column", ["instance_id", "llm_id", "score"])
def test_a_column_that_is_missing_is_named(folder: Path, column: str) -> None:
    pl.DataFrame(ROWS).drop(column).write_parquet(folder / "records.parquet")
    assert f"column '{column}' is missing in records.parquet" in refused(folder)
    (folder / "instances.parquet").unlink()
    (folder / "llms.parquet").unlink()
    assert f"column '{column}' is missing in records.parquet" in refused(folder)
