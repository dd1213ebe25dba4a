"""`Parts`: a dataset folder that need not fit into memory, read a part at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.dataset import Dataset
from recroute.data.encoding import Precomputed
from recroute.data.folder import read_card
from recroute.data.ids import IdMap
from recroute.data.matrix import InteractionMatrix
from recroute.data.reading import is_there, reading
from recroute.data.records import with_task
from recroute.data.schema import ID_COLUMNS, INSTANCES, LLMS, check_columns, number_column, require_columns
from recroute.data.tables import read_table
from recroute.errors import DataError

ROWS_AT_ONCE = 20_000_000  # records of a part; some 2 GB while they are added up
VECTORS = "embedding"  # column of the instances: a list of d numbers
_HASH = "_hash"


@dataclass(frozen=True, eq=False)
class Parts:
    """A dataset folder in which `records.parquet` and `instances.parquet` may be folders of Parquet files.

    Where both have files of the same names, each pair is a part: records of a prompt are in the file that is named as
    its own. Otherwise prompts are dealt out by the hash of their ids into parts of some 20 million records, in
    temporary files (`TMPDIR`) that take as much disk as the folder.

    Parameters
    ----------
    path : Path
    records, instances : tuple of Path
    llms : polars.DataFrame
    card : mapping
        What `card.json` says of the source, the licence, and whether the data are simulated.
    n_test, n_sample, seed : int
        The `n_test` instances with the smallest hashes of their ids are for testing, and in no block; the `n_sample`
        next ones are a sample of the others.
    """

    path: Path
    records: tuple[Path, ...]
    instances: tuple[Path, ...]
    llms: pl.DataFrame
    card: Mapping[str, Any] = field(default_factory=dict)
    n_test: int = 0
    n_sample: int = 0
    seed: int = 0

    @classmethod
    def read(cls, path: str | Path, *, n_test: int = 0, n_sample: int = 0, seed: int = 0) -> Parts:
        """Find the files of a folder; the LLMs are those of `llms.parquet`, or of the records in alphabetical order.

        Raises
        ------
        DataError
            If `records.parquet` or `instances.parquet` is missing, or a file is no Parquet or lacks a column.
        """
        folder = Path(path)
        records, instances = (_files(folder / f"{name}.parquet") for name in ("records", "instances"))
        for files, columns in ((records, ("instance_id", "llm_id", "score")), (instances, ("instance_id",))):
            for file in files:
                with reading(file, "Parquet"):
                    require_columns(_scan(file).head(0).collect(), columns, str(file.relative_to(folder)))
        if is_there(folder / "llms.parquet"):
            llms = check_columns(read_table(folder / "llms.parquet"), LLMS, "llms.parquet")
        else:
            found = _scan(records).select(pl.col("llm_id").unique()).collect(engine="streaming")
            llms = check_columns(found.sort("llm_id"), LLMS, "records.parquet")
        return cls(folder, records, instances, llms, read_card(folder / "card.json"), n_test, n_sample, seed)

    @cached_property
    def samples(self) -> Dataset:
        """Both samples as one data set, with "train" or "test" in the column `split` of the instances."""
        records, instances = (
            _scan(files).join(self._drawn.lazy(), on="instance_id", how="semi").collect(engine="streaming")
            for files in (self.records, self.instances)
        )
        found = self._dataset(records, instances.sort("instance_id"))
        test = found.instances["instance_id"].is_in(self._test["instance_id"].implode())
        split = pl.when(test).then(pl.lit("test")).otherwise(pl.lit("train"))
        return replace(found, instances=found.instances.with_columns(split=split))

    def sample(self, part: str) -> Dataset:
        """The sample for "train" or "test", with all records of its instances."""
        found = self.samples.take_instances((self.samples.instances["split"] == part).to_numpy())
        return replace(found, instances=found.instances.drop("split"))

    @cached_property
    def _drawn(self) -> pl.DataFrame:
        """`instance_id` of both samples, in the order of their hashes."""
        n = self.n_test + self.n_sample
        hashed = pl.col("instance_id").hash(self.seed).alias(_HASH)
        wanted = _training(self.instances).select("instance_id", hashed).bottom_k(n, by=[_HASH, "instance_id"])
        found = wanted.collect(engine="streaming").sort(_HASH, "instance_id")["instance_id"]
        if n > self.n_test >= len(found):
            raise DataError(
                f"{self.path} has {len(found)} training instances, and {self.n_test} are to be left out for testing; "
                "leave out fewer"
            )
        if (twice := found.is_duplicated()).any():
            raise DataError(f"instance_id {found.filter(twice)[0]!r} is twice in {self.path}; keep one row for each id")
        return found.to_frame()

    @property
    def _test(self) -> pl.DataFrame:
        return self._drawn[: self.n_test]

    @contextmanager
    def blocks(self) -> Iterator[Iterator[Dataset]]:
        """Context manager: the training instances with their records, a part at a time, without those for testing."""
        test = self._test
        if self._is_paired:
            yield self._blocks(list(zip(self.records, self.instances, strict=True)), test)
        elif self.n_parts == 1:
            yield self._blocks([(self.records, self.instances)], test)
        else:
            with TemporaryDirectory(prefix="recroute-parts-") as place:
                both = enumerate((self.records, self.instances))
                dealt = [_dealt(files, Path(place) / str(i), self.n_parts) for i, files in both]
                yield self._blocks(list(zip(*dealt, strict=True)), test)

    @property
    def _is_paired(self) -> bool:
        names = [[file.name for file in files] for files in (self.records, self.instances)]
        return names[0] == names[1] and len(names[0]) > 1

    @cached_property
    def n_parts(self) -> int:
        """Number of parts that `blocks` goes through."""
        if self._is_paired:
            return len(self.records)
        return max(1, -(-_scan(self.records).select(pl.len()).collect().item() // ROWS_AT_ONCE))

    def _blocks(self, parts: list[tuple[object, object]], test: pl.DataFrame) -> Iterator[Dataset]:
        for records, instances in parts:
            known = (
                _training(instances).join(test.lazy(), on="instance_id", how="anti", maintain_order="left").collect()
            )
            if known.is_empty():
                continue
            rows = _scan(records)
            if known.height < _scan(instances).select(pl.len()).collect().item():
                left_out = _scan(instances).join(known.lazy().select("instance_id"), on="instance_id", how="anti")
                rows = rows.join(left_out, on="instance_id", how="anti", maintain_order="left")
            yield self._dataset(rows.collect(), known)

    def _dataset(self, records: pl.DataFrame, instances: pl.DataFrame) -> Dataset:
        """A data set of some instances and all LLMs; DataError for an unknown id or a score that is none."""
        instances, vectors = with_own_embeddings(instances, self.path.name)
        keys = [name for name in INSTANCES if name in instances.columns]
        instances = with_task(check_columns(instances.select(keys), INSTANCES, "instances.parquet"))
        index = {}
        for name, table in (("instance_id", instances), ("llm_id", self.llms)):
            at = IdMap(table[name], name[:-3]).places(records[name])
            if at.null_count():
                unknown = records.filter(at.is_null()).row(0, named=True)
                raise DataError(
                    f"{name} {unknown[name]!r} of a record in {self.path / 'records.parquet'} is not in "
                    f"{name[:-3]}s.parquet (of that part); add it there"
                )
            index[name] = at.to_numpy()
        score = number_column(records, "score", "records.parquet")["score"].cast(pl.Float32).fill_null(np.nan)
        shape = (instances.height, self.llms.height)
        matrix = InteractionMatrix.from_coordinates(index["instance_id"], index["llm_id"], score.to_numpy(), shape)
        found = Dataset(self.path.name, matrix, instances, self.llms, card=self.card)
        return found if vectors is None else found.with_embeddings(*vectors)


def _files(place: Path) -> tuple[Path, ...]:
    files = tuple(sorted(place.glob("*.parquet"))) if place.is_dir() else (place,) if place.is_file() else ()
    if not files:
        raise DataError(f"there is no {place}, neither a Parquet file nor a folder of them; a dataset folder needs it")
    return files


def _scan(files: object) -> pl.LazyFrame:
    """The rows of one file, several, or a folder; ids are text, whatever their encoding."""
    table = pl.scan_parquet(list(files) if isinstance(files, tuple) else files)  # type: ignore[arg-type]
    schema = table.collect_schema()
    coded = [name for name in ID_COLUMNS if schema.get(name) in (pl.Categorical, pl.Enum)]
    return table.with_columns(pl.col(coded).cast(pl.String)) if coded else table


def _training(files: object) -> pl.LazyFrame:
    """The instances to train on: those of the split "train", or all where there is no such column."""
    table = _scan(files)
    return table.filter(pl.col("split") == "train") if "split" in table.collect_schema() else table


def _dealt(files: tuple[Path, ...], place: Path, n_parts: int) -> list[Path]:
    """Deal the rows of files out by the hash of `instance_id`; returns a folder of files for each part."""
    folders = [place / str(part) for part in range(n_parts)]
    for folder in folders:
        folder.mkdir(parents=True)
    for i, file in enumerate(files):
        n = _scan(file).select(pl.len()).collect().item()
        for start in range(0, n, ROWS_AT_ONCE // 4):
            rows = _scan(file).slice(start, ROWS_AT_ONCE // 4).collect()
            part = rows["instance_id"].hash(1) % n_parts
            for p, folder in enumerate(folders):
                rows.filter(part == p).write_parquet(folder / f"{i}-{start}.parquet")
    return folders


def with_own_embeddings(
    instances: pl.DataFrame, source: str
) -> tuple[pl.DataFrame, tuple[NDArray[np.float32], Precomputed] | None]:
    """The instances without a column `embedding`, and the vectors in it with their encoder, if there is one.

    Raises DataError for a column of another kind, and lists of different lengths.
    """
    if VECTORS not in instances.columns:
        return instances, None
    vectors = _vectors(instances[VECTORS], f"the instances of {source}")
    return instances.drop(VECTORS), (vectors, Precomputed(source))


def _vectors(column: pl.Series, source: str) -> NDArray[np.float32]:
    """Vectors f32 (n, d) of a column of lists of the same length."""
    widths = column.list.len().unique() if column.dtype.base_type() == pl.List else None
    if widths is not None:
        if len(widths) != 1 or column.null_count():
            raise DataError(f"{VECTORS} of {source} differ in length, or one is missing; give every instance d numbers")
        column = column.list.to_array(int(widths[0]))
    if column.dtype.base_type() != pl.Array:
        raise DataError(f"{VECTORS} in {source} is {column.dtype}, not lists of numbers; write it so, or leave it out")
    return np.ascontiguousarray(column.to_numpy(), dtype=np.float32)
