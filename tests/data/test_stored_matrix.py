"""The matrix from a file of records in one go, and as mapped files beside it."""

import json
from mmap import mmap
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, InteractionMatrix, Records, read_dataset, stored_matrix, write_dataset
from recroute.data.cells import DenseCells, SparseCells
from recroute.errors import DataError


def records(n: int, m: int, density: float, n_values: int = 2, costs: bool = False, seed: int = 0) -> pl.DataFrame:
    """Random records in random order."""
    rng = np.random.default_rng(seed)
    rows, columns = np.nonzero(rng.random((n, m)) < density)
    order = rng.permutation(len(rows))
    rows, columns = rows[order], columns[order]
    table = pl.DataFrame(
        {
            "instance_id": [f"q{i}" for i in rows],
            "llm_id": [f"m{j}" for j in columns],
            "score": (rng.integers(0, n_values, len(rows)) / (n_values - 1)).astype(np.float32),
        }
    )
    return table.with_columns(cost=pl.lit(0.5) * pl.col("score") + 1e-3) if costs else table


def folder_of(table: pl.DataFrame, place: Path) -> Path:
    place.mkdir()
    table.write_parquet(place / "records.parquet", row_group_size=50)
    return place


def same(one: Dataset, other: Dataset) -> None:
    assert one.instance_ids.ids == other.instance_ids.ids
    assert one.llm_ids.ids == other.llm_ids.ids
    assert isinstance(one.interactions.cells, type(other.interactions.cells))
    np.testing.assert_array_equal(one.interactions.dense(), other.interactions.dense())
    assert (one.interactions.costs is None) == (other.interactions.costs is None)
    if one.interactions.costs is not None and other.interactions.costs is not None:
        np.testing.assert_array_equal(one.interactions.costs.data, other.interactions.costs.data)


@pytest.mark.parametrize("costs", [False, True])
@pytest.mark.parametrize(
    ("density", "n_values", "layout"), [(0.6, 2, DenseCells), (0.9, 300, SparseCells), (0.05, 11, SparseCells)]
)
def test_reading_row_groups_gives_what_reading_all_gives(
    tmp_path: Path, density: float, n_values: int, layout: type, costs: bool
) -> None:
    table = records(40, 30, density, n_values, costs)
    found = read_dataset(folder_of(table, tmp_path / "data"))
    assert isinstance(found.interactions.cells, layout)
    same(found, Dataset.from_records(Records(table)))


@pytest.mark.parametrize("costs", [False, True])
def test_a_large_dense_matrix_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, costs: bool) -> None:
    monkeypatch.setattr(stored_matrix, "STORED_FROM", 100)
    dataset = Dataset.from_records(Records(records(40, 30, 0.6, 11, costs)))
    write_dataset(dataset, tmp_path / "data")
    found = read_dataset(tmp_path / "data")
    cells = found.interactions.cells
    assert isinstance(cells, DenseCells)
    assert isinstance(cells.codes.base, mmap)
    assert (cells.spent is None) != costs
    same(found, dataset)
    same(found.take_instances(np.array([3, 1])), dataset.take_instances(np.array([3, 1])))


@pytest.mark.parametrize("table", [records(40, 30, 0.05), records(40, 30, 0.9, 300)], ids=["sparse", "many values"])
def test_other_matrices_leave_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: pl.DataFrame
) -> None:
    monkeypatch.setattr(stored_matrix, "STORED_FROM", 100)
    write_dataset(Dataset.from_records(Records(table)), tmp_path / "data")
    assert {p.name for p in (tmp_path / "data").iterdir()} == {"records.parquet", "instances.parquet", "llms.parquet"}


def stale_records(folder: Path) -> None:
    table = pl.read_parquet(folder / "records.parquet")
    table.with_columns(score=1 - pl.col("score")).write_parquet(folder / "records.parquet")


def stale_instances(folder: Path) -> None:
    pl.read_parquet(folder / "instances.parquet").reverse().write_parquet(folder / "instances.parquet")


def cut_codes(folder: Path) -> None:
    content = (folder / "scores.npy").read_bytes()
    (folder / "scores.npy").write_bytes(content[: len(content) // 2])


def unknown_code(folder: Path) -> None:
    codes = np.load(folder / "scores.npy")
    codes[0, 0] = 200
    np.save(folder / "scores.npy", codes)


def no_json(folder: Path) -> None:
    (folder / "scores.json").write_text("{", "utf8")


def other_order(folder: Path) -> None:
    meaning = json.loads((folder / "scores.json").read_text("utf8"))
    (folder / "scores.json").write_text(json.dumps(meaning | {"values": meaning["values"][::-1]}), "utf8")


@pytest.mark.parametrize("spoil", [stale_records, stale_instances, cut_codes, unknown_code, no_json, other_order])
def test_files_that_do_not_belong_to_the_records_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil
) -> None:
    monkeypatch.setattr(stored_matrix, "STORED_FROM", 100)
    write_dataset(Dataset.from_records(Records(records(40, 30, 0.6, 11))), tmp_path / "data")
    spoil(tmp_path / "data")
    found = read_dataset(tmp_path / "data")
    table = pl.read_parquet(tmp_path / "data" / "records.parquet")
    expected = Dataset.from_records(Records(table), instances=found.instances, llms=found.llms)
    same(found, expected)


@pytest.mark.parametrize("again", [0, 60])
def test_a_pair_that_stands_twice_is_named(tmp_path: Path, again: int) -> None:
    table = records(40, 30, 0.6)
    twice = pl.concat([table, table[[again]]])
    with pytest.raises(DataError, match=f"instance '{table['instance_id'][again]}' and llm '{table['llm_id'][again]}'"):
        read_dataset(folder_of(twice, tmp_path / "data"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": 1.5}, "score 1.5 for instance"),
        ({"score": None}, "score is missing"),
        ({"cost": -1.0}, r"cost -1 for .*\(records.parquet, row 7\)"),
        ({"llm_id": None}, "llm_id is missing in records.parquet, row 7"),
    ],
)
def test_what_is_wrong_is_named_as_ever(tmp_path: Path, change: dict, message: str) -> None:
    (column, value), table = next(iter(change.items())), records(40, 30, 0.6, costs=True)
    spoilt = table.with_row_index("i").with_columns(
        pl.when(pl.col("i") == 7).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)
    )
    with pytest.raises(DataError, match=message):
        read_dataset(folder_of(spoilt.drop("i"), tmp_path / "data"))


def test_scores_are_kept_exactly() -> None:
    values = np.array([0, 0.1, 1 / 3, 0.7, 1], dtype=np.float32)
    block = values[np.random.default_rng(0).integers(0, 5, (20, 30))]
    matrix = InteractionMatrix.from_dense(block)
    assert isinstance(matrix.cells, DenseCells)
    np.testing.assert_array_equal(matrix.dense(), block)
    np.testing.assert_array_equal(matrix.cells.values[1:], values)  # in rising order, whatever came first
