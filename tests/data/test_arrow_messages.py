"""Our own reading of what Arrow's formats announce, against Arrow's."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from recroute.data.arrow_messages import column_names, is_file, n_announced
from recroute.data.tables import open_table
from recroute.errors import DataError

TABLE = pa.table(
    {
        "llm_id": pa.array(["a", "b", "a"]).dictionary_encode(),
        "é": pa.array([[1, 2], None, []]),
        "": pa.array([{"llm_id": 1}] * 3),
        "nothing": pa.nulls(3),
    }
)


def stream(table: pa.Table, **options: object) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=2)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("legacy", [False, True])
def test_names_and_lengths_of_a_stream(tmp_path: Path, legacy: bool) -> None:
    (tmp_path / "t.arrow").write_bytes(stream(TABLE, use_legacy_format=legacy))
    assert not is_file(tmp_path / "t.arrow")
    assert column_names(tmp_path / "t.arrow") == TABLE.column_names
    assert n_announced(tmp_path / "t.arrow") == 2
    assert open_table(tmp_path / "t.arrow").collect()["llm_id"].to_list() == ["a", "b", "a"]


@pytest.mark.parametrize("library", ["arrow", "polars"])
def test_names_of_a_file(tmp_path: Path, library: str) -> None:
    path = tmp_path / "t.arrow"
    if library == "polars":
        pl.from_arrow(TABLE.drop_columns("")).write_ipc(path)
    else:
        with pa.ipc.new_file(str(path), TABLE.schema) as writer:
            writer.write_table(TABLE)
    assert is_file(path)
    assert column_names(path) == [name for name in TABLE.column_names if name or library == "arrow"]


def test_rows_beyond_the_size_of_a_stream_are_refused(tmp_path: Path) -> None:
    """Polars would ask the system for that much memory, which ends the process."""
    content = stream(pa.table({"n": [7, 7]}))
    at = content.rindex((2).to_bytes(8, "little"), 0, len(content) - 16)
    (tmp_path / "t.arrow").write_bytes(content[:at] + (1 << 60).to_bytes(8, "little") + content[at + 8 :])
    with pytest.raises(DataError, match="announces 1,152,921,504,606,846,976 rows"):
        open_table(tmp_path / "t.arrow")


def test_any_byte_of_a_stream_may_be_damaged(tmp_path: Path) -> None:
    path, content = tmp_path / "t.arrow", stream(TABLE)
    for at in range(0, len(content), 5):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xA5]) + content[at + 1 :])
        for read in (column_names, n_announced):
            try:
                read(path)
            except ValueError:
                continue
    for end in range(8, len(content) - 8, 40):
        path.write_bytes(content[:end])
        with pytest.raises(DataError, match=r"t\.arrow"):
            open_table(path).collect()
