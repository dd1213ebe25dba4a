"""Our own reading of Parquet's footer, against Arrow's."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recroute.data.parquet_footer import read_footer
from recroute.data.tables import open_table, read_table
from recroute.errors import DataError

NESTED = pa.table(
    {
        "llm_id": ["a", "b", None],
        "é": pa.array([[1, 2], None, []]),
        "struct": pa.array([{"llm_id": 1, "in": {"x": "y"}}] * 3),
        "map": pa.array([[("a", 1)]] * 3, pa.map_(pa.string(), pa.int64())),
        "word": pa.array(["x", "y", "x"]).dictionary_encode(),
        "score": pa.array([0.5, 1, 0], pa.float32()),
    }
)


@pytest.mark.parametrize("compression", ["none", "zstd"])
@pytest.mark.parametrize("rows", [0, 1, 3, 400])
def test_the_footer_says_what_arrow_says(tmp_path: Path, rows: int, compression: str) -> None:
    table = pa.concat_tables([NESTED] * 140).slice(0, rows)
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=17, compression=compression)
    told = pq.read_metadata(tmp_path / "t.parquet")
    n_bytes = sum(told.row_group(at).total_byte_size for at in range(told.num_row_groups))
    assert read_footer(tmp_path / "t.parquet") == (table.column_names, rows, n_bytes)


def test_the_footer_of_a_file_by_polars(tmp_path: Path) -> None:
    table = pl.DataFrame({f"c{at}": np.arange(5) for at in range(20)})
    table.write_parquet(tmp_path / "t.parquet", row_group_size=2)
    assert read_footer(tmp_path / "t.parquet")[:2] == (table.columns, 5)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 100, b"\xff\xff\0\0PAR1", b"x" * 20 + b"\x08\0\0\0PAR1"])
def test_what_is_no_parquet_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.parquet").write_bytes(content)
    for read in (open_table, read_table):
        with pytest.raises(DataError, match=r"t\.parquet") as found:
            read(tmp_path / "t.parquet")
        assert "\n" not in str(found.value)


def test_any_byte_of_the_footer_may_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(NESTED, path)
    content = path.read_bytes()
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    for at in range(start, len(content), 3):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xA5]) + content[at + 1 :])
        try:
            read_footer(path)
        except (ValueError, LookupError, RecursionError):
            continue


def test_rows_beyond_the_size_of_a_file_are_refused(tmp_path: Path) -> None:
    """Polars would ask the system for that much memory, which ends the process."""
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"llm_id": ["a"] * 77}), path)
    content, count = path.read_bytes(), bytes([77 * 2 % 256 | 128, 77 * 2 >> 7])
    length = int.from_bytes(content[-8:-4], "little")
    footer = content[-8 - length : -8].replace(count, b"\xfe" + b"\xff" * 7 + b"\x3f")
    path.write_bytes(content[: -8 - length] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(DataError, match=r"announces [0-9,]{20,} rows"):
        read_table(path)
