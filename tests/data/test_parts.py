from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset
from recroute.data.parts import Parts
from recroute.errors import DataError
from recroute.testing import planted_dataset

N, M = 240, 5


@pytest.fixture
def data() -> Dataset:
    return planted_dataset(n_instances=N, n_llms=M, missing=0.4).evaluated()


def write(data: Dataset, folder: Path, n_files: int, *, paired: bool, width: int = 3) -> Path:
    """A folder of several files: a prompt's records beside it, or anywhere."""
    vectors = np.random.default_rng(0).normal(size=(data.n_instances, width)).astype(np.float32)
    instances = data.instances.with_columns(embedding=pl.Series(vectors.tolist(), dtype=pl.List(pl.Float32)))
    records = data.to_polars().drop("task")
    for name in ("records", "instances"):
        (folder / f"{name}.parquet").mkdir(parents=True)
    part = pl.col("instance_id").hash(7) % n_files
    for i in range(n_files):
        instances.filter(part == i).write_parquet(folder / "instances.parquet" / f"{i}.parquet")
        rows = records.filter(part == i) if paired else records.sample(fraction=1, shuffle=True, seed=1)[i::n_files]
        rows.write_parquet(folder / "records.parquet" / (f"{i}.parquet" if paired else f"day-{i}.parquet"))
    return folder


def cells(blocks: list[Dataset]) -> pl.DataFrame:
    return pl.concat([block.to_polars() for block in blocks]).sort("instance_id", "llm_id")


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("at_once", [100, 10_000])
def test_blocks_hold_every_record_once(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paired: bool, at_once: int
) -> None:
    monkeypatch.setattr("recroute.data.parts.ROWS_AT_ONCE", at_once)
    parts = Parts.read(write(data, tmp_path / "d", 4, paired=paired))
    with parts.blocks() as blocks:
        found = list(blocks)
    assert len(found) <= parts.n_parts
    assert (parts.n_parts > 1) == (paired or at_once == 100)
    expected = data.to_polars().sort("instance_id", "llm_id")
    assert cells(found).equals(expected.select(cells(found).columns))
    assert sum(block.n_instances for block in found) == data.n_instances
    widths = {block.embeddings.shape[1] for block in found if block.embeddings is not None}
    assert widths == {3}
    assert list(tmp_path.iterdir()) == [tmp_path / "d"]


def test_samples_are_drawn_by_hash_whatever_the_files(data: Dataset, tmp_path: Path) -> None:
    one = Parts.read(write(data, tmp_path / "one", 1, paired=True), n_test=20, n_sample=50, seed=3)
    many = Parts.read(write(data, tmp_path / "many", 6, paired=False), n_test=20, n_sample=50, seed=3)
    for drawn in (one.sample("test"), one.sample("train")):
        assert cells([drawn]).equals(cells([data.take_instances(data.instance_ids.to_index(drawn.instance_ids))]))
    assert one.sample("test").instance_ids.ids == many.sample("test").instance_ids.ids
    test, train = (set(one.sample(part).instance_ids) for part in ("test", "train"))
    assert (len(test), len(train), len(test & train)) == (20, 50, 0)
    for parts in (one, many):
        with parts.blocks() as blocks:
            ids = {name for block in blocks for name in block.instance_ids}
        assert ids == set(data.instance_ids) - test
    other = Parts.read(tmp_path / "one", n_test=20, seed=4)
    assert set(other.sample("test").instance_ids) != test


def test_only_the_training_part_of_a_split_counts(data: Dataset, tmp_path: Path) -> None:
    folder = write(data, tmp_path / "d", 1, paired=True)
    file = folder / "instances.parquet" / "0.parquet"
    split = pl.Series(["train" if i % 3 else "test" for i in range(data.n_instances)])
    pl.read_parquet(file).with_columns(split=split).write_parquet(file)
    parts = Parts.read(folder, n_sample=N)
    with parts.blocks() as blocks:
        (block,) = blocks
    assert block.n_instances == split.eq("train").sum()
    assert parts.sample("train").n_instances == block.n_instances


def test_a_plain_folder_with_coded_ids(data: Dataset, tmp_path: Path) -> None:
    data.to_polars().cast({"instance_id": pl.Categorical, "llm_id": pl.Categorical}).write_parquet(
        tmp_path / "records.parquet"
    )
    data.instances.write_parquet(tmp_path / "instances.parquet")
    with Parts.read(tmp_path).blocks() as blocks:
        assert cells(list(blocks))["score"].sum() == data.to_polars()["score"].sum()


def change(folder: Path, name: str, **columns: pl.Expr) -> None:
    file = folder / f"{name}.parquet" / "0.parquet"
    pl.read_parquet(file).with_columns(**columns).write_parquet(file)


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("records", {"score": pl.lit(1.5)}, r"score 1.5 is outside \[0, 1\]"),
        ("records", {"score": pl.lit(None, pl.Float64)}, "score is not finite"),
        ("records", {"instance_id": pl.lit("nobody")}, "instance_id 'nobody' of a record in .* is not in instances"),
        ("instances", {"instance_id": pl.lit("same")}, "instance_id 'same' is twice"),
        ("instances", {"embedding": pl.col("embedding").list.head(pl.int_range(pl.len()) % 3)}, "differ in length"),
        ("instances", {"embedding": pl.lit("text")}, "not lists of numbers"),
        ("records", {"score": pl.lit("high")}, "score"),
    ],
)
def test_what_is_wrong_is_told(
    data: Dataset, tmp_path: Path, name: str, columns: dict[str, pl.Expr], message: str
) -> None:
    folder = write(data, tmp_path / "d", 1, paired=True)
    change(folder, name, **columns)
    with pytest.raises(DataError, match=message):  # noqa: PT012
        parts = Parts.read(folder, n_sample=50)
        parts.sample("train")
        with parts.blocks() as blocks:
            list(blocks)


def test_files_that_are_missing_or_none(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no .*records\.parquet"):
        Parts.read(tmp_path)
    folder = write(data, tmp_path / "d", 1, paired=True)
    (folder / "records.parquet" / "0.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match=r"0\.parquet cannot be read"):
        Parts.read(folder)
    pl.DataFrame({"instance_id": ["a"], "llm": ["b"]}).write_parquet(folder / "records.parquet" / "0.parquet")
    with pytest.raises(DataError, match="llm_id"):
        Parts.read(folder)
