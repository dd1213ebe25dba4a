"""What a dataset folder holds, with the records as a stream of blocks, and writing it in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.io.plugins import register_io_source

from recroute.data.embeddings import refuse_beyond_16_bits, write_embeddings
from recroute.data.encoding import as_vectors
from recroute.data.ids import IdMap
from recroute.data.matrix import is_dense
from recroute.data.preferences import Preferences
from recroute.data.records import Records
from recroute.data.schema import INSTANCES, LARGEST, LLMS, RECORDS, check_columns
from recroute.data.stored_matrix import store_matrix, twice_message
from recroute.errors import DataError
from recroute.util.files import write_json, write_parquet
from recroute.util.folders import new_folder

ROWS_PER_GROUP = 1 << 19
FEW_SHARED = 0.1  # share of instances with two LLMs below which an import says so
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Block:
    """Some records: positions in the tables of instances and LLMs, and what was observed there.

    Parameters
    ----------
    instance_index, llm_index : int (k,)
    score : float (k,)
        In [0, 1]; NaN marks an answer without a score, which is left out as unobserved.
    cost : float (k,) USD, optional
        NaN where unknown. Either every block of a stream has costs, or none.
    verdict : float (k,), optional
        1 or 0, see `Dataset.verdicts`; NaN where there is none. Either every block of a stream has them, or none.
    """

    instance_index: NDArray[np.integer]
    llm_index: NDArray[np.integer]
    score: NDArray[np.floating]
    cost: NDArray[np.floating] | None = None
    verdict: NDArray[np.floating] | None = None

    def take(self, index: slice | NDArray[np.bool_]) -> Block:
        """Some of the records."""
        return Block(*(None if values is None else values[index] for values in self._arrays()))  # type: ignore[arg-type]

    @classmethod
    def join(cls, blocks: Sequence[Block]) -> Block:
        """The records of several blocks."""
        of_all = zip(*(block._arrays() for block in blocks), strict=True)
        return cls(*(None if any(v is None for v in values) else np.concatenate(values) for values in of_all))  # type: ignore[arg-type]

    def _arrays(self) -> tuple[NDArray[Any] | None, ...]:
        return self.instance_index, self.llm_index, self.score, self.cost, self.verdict


@dataclass(eq=False)
class Content:
    """A data set on its way to disk; the records flow by and are never held together.

    Parameters
    ----------
    instances, llms : polars.DataFrame
        As `Dataset` has them.
    blocks : iterable of Block
    n_rows : int
        Rows that the blocks will hold, for progress.
    distinct : bool
        True where no pair can occur twice by construction; otherwise that is checked.
    embeddings : f32 (n, d), optional
    encoder : str
        What made the embeddings.
    float16 : bool
        Write embeddings in half precision; those that are given in it are written so anyway.
    pools : polars.DataFrame, optional
        `group, pool_size, llm_id` and, with several benchmarks, `benchmark`.
    preferences : polars.DataFrame, optional
        As `pair_table` gives them.
    card : mapping
    notes : list of str
        What a person has to know of this import; blocks may add to it while they flow.
    scaling : str
        Sentence on how scores outside [0, 1] can be brought there, for the message that refuses them.
    """

    instances: pl.DataFrame
    llms: pl.DataFrame
    blocks: Iterable[Block]
    n_rows: int
    distinct: bool = False
    embeddings: NDArray[np.float32] | None = None
    encoder: str = "unnamed"
    float16: bool = False
    pools: pl.DataFrame | None = None
    preferences: pl.DataFrame | None = None
    card: Mapping[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    scaling: str = "fix that record"


def write_content(content: Content, path: Path, progress: Progress | None = None) -> int:
    """Write a dataset folder block by block; an older one of the same place is replaced whole, or not at all.

    Returns
    -------
    The number of records written, without the unobserved.

    Raises
    ------
    DataError
        For ids that occur twice or are empty, a score outside [0, 1], a negative cost, a pair (instance, LLM)
        that occurs twice, what `check_columns` and `as_vectors` refuse, and where neither a score nor a
        preference is left.
    """
    instance_ids = checked_ids(content.instances, "instance")
    llm_ids = checked_ids(content.llms, "llm")
    check_columns(content.instances, INSTANCES, "the table of instances")
    check_columns(content.llms, LLMS, "the table of LLMs")
    vectors = content.embeddings
    if vectors is not None:
        checked = as_vectors(vectors, "the embeddings", lambda row: f"instance {instance_ids.column[row]!r}")
        vectors = vectors if vectors.dtype == np.float16 else checked
        if content.float16:
            refuse_beyond_16_bits(vectors, instance_ids)
    with new_folder(path, marker="records.parquet") as folder:
        dense = is_dense(content.n_rows, (len(instance_ids), len(llm_ids)))
        shared = _Shared(len(instance_ids), len(llm_ids))
        stream = shared.counted(
            checked_blocks(content, instance_ids, llm_ids, progress, distinct=content.distinct or dense)
        )
        n_records = _write_records(stream, folder / "records.parquet", instance_ids, llm_ids)
        content.notes += shared.notes()
        preferences = content.preferences
        if preferences is not None and preferences.height:
            Preferences.from_frame(preferences, instance_ids, llm_ids, "preferences")  # refuses unknown ids
            write_parquet(folder / "preferences.parquet", preferences)
        elif n_records == 0:
            raise DataError(f"{content.card.get('name', path.name)} holds no score; nothing was written")
        if n_records == 0:  # the file by which a folder is known as a data set
            write_parquet(folder / "records.parquet", Records.empty())
        elif dense:
            store_matrix(folder, instance_ids, llm_ids)  # which finds pairs that occur twice
        _write_tables(content, vectors, instance_ids, folder)
    return n_records


def _write_tables(content: Content, vectors: NDArray[Any] | None, instance_ids: IdMap, folder: Path) -> None:
    """All but the records and preferences: instances, LLMs and, where there are any, pools, vectors and the card."""
    write_parquet(folder / "instances.parquet", content.instances)
    write_parquet(folder / "llms.parquet", content.llms)
    if content.pools is not None:
        write_parquet(folder / "pools.parquet", content.pools)
    if vectors is not None:
        half = content.float16 or np.float16 in (vectors.dtype, getattr(vectors, "stored", None))
        write_embeddings(folder / "embeddings.npz", instance_ids, vectors, content.encoder, half=half)
    if content.card:
        write_json(folder / "card.json", dict(content.card))


class _Shared:
    """How many scores each instance has, counted while the blocks flow by."""

    def __init__(self, n_instances: int, n_llms: int) -> None:
        self.n_scores = np.zeros(n_instances, dtype=np.int32)
        self.has_score = np.zeros(n_llms, dtype=np.bool_)

    def counted(self, blocks: Iterator[Block]) -> Iterator[Block]:
        for block in blocks:
            if len(index := block.instance_index):
                first = int(index.min())
                counts = np.bincount(index - first)
                self.n_scores[first : first + len(counts)] += counts.astype(np.int32)
                self.has_score[block.llm_index] = True
            yield block

    def notes(self) -> list[str]:
        """A note if hardly any instance has scores of two LLMs."""
        n_known, n_shared = int((self.n_scores > 0).sum()), int((self.n_scores > 1).sum())
        if self.has_score.sum() < 2 or n_shared >= FEW_SHARED * n_known:
            return []
        return [
            f"only {n_shared:,} of {n_known:,} instances have scores of two LLMs, so LLMs can hardly be compared: do "
            "their files name the same instances alike?"
        ]


def checked_ids(table: pl.DataFrame, kind: str) -> IdMap:
    """The ids of a table of instances or LLMs; DataError for one that is missing, empty or there twice."""
    ids = table[f"{kind}_id"]
    if (nameless := ids.is_null() | (ids == "")).any():
        row = nameless.arg_max()
        raise DataError(f"{kind}_id is missing or empty in row {row} of the {kind}s; give every {kind} a name")
    return IdMap(ids, kind=kind)


def checked_blocks(
    content: Content, instances: IdMap, llms: IdMap, progress: Progress | None = None, *, distinct: bool
) -> Iterator[Block]:
    """The blocks without their unobserved rows, each score and cost checked, no pair twice."""
    keys: list[NDArray[np.int64]] = []
    done = 0
    for block in content.blocks:
        done += len(block.score)
        seen = ~np.isnan(block.score)
        if not seen.all():
            block = block.take(seen)
        _refuse_values(block, instances, llms, content.scaling)
        if not distinct:
            keys.append(block.instance_index.astype(np.int64) * len(llms) + block.llm_index)
        yield block
        if progress is not None:
            progress(done, max(content.n_rows, done))
    _refuse_twice(keys, instances, llms)


def _refuse_values(block: Block, instances: IdMap, llms: IdMap, scaling: str) -> None:
    def where(bad: NDArray[np.bool_]) -> tuple[int, str]:
        row = int(np.argmax(bad))
        pair = f"instance {instances.ids[block.instance_index[row]]!r}, llm {llms.ids[block.llm_index[row]]!r}"
        return row, pair

    bad = ~((block.score >= 0) & (block.score <= 1))
    if bad.any():
        row, pair = where(bad)
        raise DataError(f"score {block.score[row]:g} for {pair} is outside [0, 1]; {scaling}")
    if block.cost is not None:
        bad = (block.cost < 0) | (block.cost > LARGEST)
        if bad.any():
            row, pair = where(bad)
            raise DataError(f"cost {block.cost[row]:g} for {pair} {RECORDS['cost'].outside}")


def _refuse_twice(keys: list[NDArray[np.int64]], instances: IdMap, llms: IdMap) -> None:
    total = sum(map(len, keys))
    cells = np.empty(total, dtype=np.int64)
    while keys:  # from the end, freeing as we go: the keys are never held twice
        part = keys.pop()
        cells[total - len(part) : total] = part
        total -= len(part)
    cells.sort()
    twice = cells[1:][cells[1:] == cells[:-1]]
    if len(twice):
        row, column = divmod(int(twice[0]), len(llms))
        raise DataError(twice_message(instances.ids[row], llms.ids[column], len(twice)))


def _write_records(blocks: Iterator[Block], path: Path, instances: IdMap, llms: IdMap) -> int:
    """records.parquet, a row group for every half million rows or so; no file where there are no records."""
    first = next(blocks, None)
    if first is None:
        return 0
    names = {"instance_id": _coded(instances), "llm_id": _coded(llms)}
    n_records = 0

    def tables(*_: object) -> Iterator[pl.DataFrame]:
        nonlocal n_records
        for block in _gathered(chain([first], blocks)):
            n_records += len(block.score)
            yield _table(block, names)

    schema = _table(first.take(slice(0)), names).schema
    write_parquet(path, register_io_source(tables, schema=schema), row_group_size=ROWS_PER_GROUP)
    return n_records


def _coded(ids: IdMap) -> pl.Series:
    """Ids as text, dictionary-coded where that is short: it is written anew in each row group."""
    return ids.column.cast(pl.Categorical) if len(ids) < ROWS_PER_GROUP else ids.column


def _table(block: Block, names: dict[str, pl.Series]) -> pl.DataFrame:
    """The records of a block, with ids for positions and null for NaN."""
    positions = zip(names.items(), (block.instance_index, block.llm_index), strict=True)
    columns = {name: ids.gather(at) for (name, ids), at in positions}
    for name, values in (("score", block.score), ("cost", block.cost), ("verdict", block.verdict)):
        if values is not None:
            columns[name] = pl.Series(values.astype(np.float32), nan_to_null=True)
    return pl.DataFrame(columns)


def _gathered(blocks: Iterator[Block]) -> Iterator[Block]:
    """Small blocks joined to about half a million rows, large ones cut."""
    waiting: list[Block] = []
    n_waiting = 0
    for block in blocks:
        for start in range(0, len(block.score), ROWS_PER_GROUP):
            waiting.append(block.take(slice(start, start + ROWS_PER_GROUP)))
            n_waiting += len(waiting[-1].score)
            if n_waiting >= ROWS_PER_GROUP:
                yield Block.join(waiting)
                waiting, n_waiting = [], 0
    if n_waiting:
        yield Block.join(waiting)
