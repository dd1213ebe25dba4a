"""Records: one row per evaluated answer, checked once, and the tables and the matrix made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from recroute.data.ids import IdMap
from recroute.data.matrix import InteractionMatrix
from recroute.data.schema import ID, INSTANCES, LLMS, RECORDS, VERDICTS, check_columns, refuse_first
from recroute.errors import DataError
from recroute.util.numeric import Index, Positions

SCHEMAS = {"instance_id": INSTANCES, "llm_id": LLMS}


@dataclass(frozen=True, eq=False)
class Records:
    """One row per evaluated answer.

    Parameters
    ----------
    table : polars.DataFrame
        `instance_id str, llm_id str, score f32 in [0, 1]` and, if known, `cost f32 USD`; nothing else.

    Raises
    ------
    DataError
        For a missing column, an empty table, an id that is no text or missing, a score that is missing, NaN,
        infinite or outside [0, 1], a cost that is negative or not finite, and for a pair (instance, LLM) that
        occurs twice.
    """

    table: pl.DataFrame
    source: str = "records"

    def __post_init__(self) -> None:
        table = check_columns(self.table, RECORDS, self.source)
        if table.is_empty():
            raise DataError(f"{self.source} has no rows; one row per evaluated answer is needed")
        object.__setattr__(self, "table", table.select(name for name in RECORDS if name in table.columns))

    @classmethod
    def from_frame(cls, frame: Any, source: str = "records") -> Records:
        """From polars, pandas, pyarrow or a dict of columns."""
        return cls(frame, source)

    @staticmethod
    def empty() -> pl.DataFrame:
        """The table without rows, which stands beside preferences where there are no scores."""
        return pl.DataFrame(schema={"instance_id": pl.String, "llm_id": pl.String, "score": pl.Float32})

    def __len__(self) -> int:
        return self.table.height


def side_table(frame: Any, id_column: str) -> pl.DataFrame | None:
    """A table of instances or LLMs from any kind of frame, its ids checked."""
    if frame is None:
        return None
    source = f"the table of {id_column.removesuffix('_id')}s"
    return check_columns(frame, SCHEMAS[id_column], source)


def id_table(ids: Any, id_column: str, n: int, known: Any = None) -> pl.DataFrame:
    """A row for each of `n` ids in their order, with what a table says of them; DataError if it lacks one."""
    kind = id_column.removesuffix("_id")
    given = list(ids) if isinstance(ids, Iterable) and not isinstance(ids, str | bytes) else [ids]
    table = check_columns({id_column: given}, {id_column: ID}, f"the {kind} ids")
    if table.height != n:
        raise DataError(
            f"{table.height} {kind} ids for {n} {kind}s of a matrix, whose rows are instances, columns LLMs"
        )
    names = IdMap(table[id_column], kind)
    if known is None:
        return table
    known = check_columns(known, SCHEMAS[id_column], f"the table of {kind}s")
    told = IdMap(known[id_column], kind)
    if missing := [name for name in names if name not in told]:
        raise DataError(f"the table of {kind}s lacks {kind} {missing[0]!r}; add it there")
    return known[told.to_index(names)]


def side_tables(
    records: Records | None, battles: pl.DataFrame | None, instances: pl.DataFrame | None, llms: pl.DataFrame | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The tables of instances and LLMs; those that are not given have what occurs."""

    def occurring(name: str, columns: tuple[str, ...]) -> pl.DataFrame:
        parts = [] if records is None else [records.table[name]]
        parts += [] if battles is None else [battles[column] for column in columns]
        return pl.concat([part.rename(name) for part in parts]).unique().sort().to_frame()

    if instances is None:
        instances = occurring("instance_id", ("instance_id",))
    return with_task(instances), occurring("llm_id", ("llm_a", "llm_b")) if llms is None else llms


def score_matrix(records: Records, instances: pl.DataFrame, llms: pl.DataFrame) -> InteractionMatrix:
    """Matrix of the records, with rows and columns as in the tables; DataError for an unknown id or a repeated pair."""
    rows = _positions(records, "instance_id", instances)
    columns = _positions(records, "llm_id", llms)
    _refuse_duplicates(records, rows, columns, llms.height)
    cost = records.table["cost"].to_numpy() if "cost" in records.table.columns else None
    return InteractionMatrix.from_coordinates(
        rows, columns, records.table["score"].to_numpy(), (instances.height, llms.height), cost
    )


def verdict_matrix(table: Any, instances: IdMap, llms: IdMap, source: str) -> InteractionMatrix:
    """See `Dataset.with_verdicts`."""
    checked = check_columns(table, VERDICTS, source)
    values = checked["verdict"]
    bad = values.is_not_null() & (values != values.round())
    refuse_first(bad, lambda row: f"verdict {values[row]:g} ({source}, row {row}) {VERDICTS['verdict'].outside}")
    position = [
        checked[column].replace_strict(list(ids), range(len(ids)), default=None, return_dtype=pl.Int64)
        for column, ids in (("instance_id", instances), ("llm_id", llms))
    ]
    known = values.is_not_null() & position[0].is_not_null() & position[1].is_not_null()
    rows, columns = (places.filter(known).to_numpy() for places in position)
    shape = (len(instances), len(llms))
    return InteractionMatrix.from_coordinates(rows, columns, values.filter(known).to_numpy(), shape)


def with_task(instances: pl.DataFrame) -> pl.DataFrame:
    """The table of instances with a column `task`: where it has none, all are of the one task "all"."""
    return instances if "task" in instances.columns else instances.with_columns(pl.lit("all").alias("task"))


def _positions(records: Records, column: str, table: pl.DataFrame) -> Index:
    """Position of each record's id in `table`."""
    ids = IdMap(table[column], kind=column.removesuffix("_id"))
    at = ids.places(records.table[column])
    if at.null_count():
        value = records.table[column].filter(at.is_null())[0]
        raise DataError(f"{records.source} has {column} {value!r}, which the table of {ids.kind}s lacks; add it there")
    return at.to_numpy().astype(np.int64)


def _refuse_duplicates(records: Records, rows: Positions, columns: Positions, n_llms: int) -> None:
    cell = rows * n_llms + columns
    ordered = np.sort(cell)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice):
        row = int(np.flatnonzero(cell == twice[0])[1])
        instance, llm = records.table["instance_id"][row], records.table["llm_id"][row]
        raise DataError(
            f"instance {instance!r} and llm {llm!r} occur twice in {records.source} "
            f"(again in row {row}); keep one score for each pair"
        )
