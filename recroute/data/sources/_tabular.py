"""Tables of answers, long or wide, as a stream of blocks: read several times, never held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from recroute.data.content import Block, Content
from recroute.data.numbers import NumberReader
from recroute.data.schema import listed
from recroute.data.sources._entities import INSTANCE_COLUMNS, LongTable, instance_table, llm_table, with_text_ids
from recroute.data.sources._score_columns import Range, batches, counting_columns, mend, ranges, scaled, scaling
from recroute.data.tables import reading_table
from recroute.errors import DataError, argument

__all__ = ["LongTable", "long_content", "rename", "wide_content", "with_missing_noted"]

COST_SUFFIXES = ("|cost", "|total_cost")


def rename(frame: pl.LazyFrame, columns: Mapping[str, str], source: str) -> pl.LazyFrame:
    """The frame with columns {ours: theirs} under our names; a column of ours that is in the way is dropped."""
    there = frame.collect_schema().names()
    for ours, theirs in columns.items():
        if theirs not in there:
            raise DataError(f"column {theirs!r}, to be {ours}, is not in {source} ({listed(there)})")
    moved = {theirs: ours for ours, theirs in columns.items() if ours != theirs}
    in_the_way = [ours for ours in moved.values() if ours in there and ours not in moved]
    return frame.drop(in_the_way).rename(moved)


def long_content(tables: Sequence[LongTable], scale: str | None = None) -> Content:
    """The content of one or several long tables; ids in the order of their first appearance."""
    for table in tables:
        _require(table, ("instance_id", "llm_id", "score"))
    notes: list[str] = []
    tables, instances = instance_table([with_text_ids(table) for table in tables], notes)
    llms = llm_table(tables, notes)
    n_rows = 0
    for table in tables:
        with reading_table(table.path):
            n_rows += table.frame.select(pl.len()).collect(engine="streaming").item()
    found: list[Range] = []
    for table in tables:
        of_score = ranges(table, ["score"], notes)
        found += of_score.values()
        if counting_columns(table, of_score, n_rows):
            raise DataError(
                f"score counts the rows of {table.path.name} (0, 1, 2, ...); name the column of scores with "
                f"{argument('columns', 'score=NAME')}"
            )
    content = Content(instances, llms, blocks=(), n_rows=n_rows, notes=notes, scaling=_rescale())
    content.blocks = _long_blocks(tables, instances, llms, scaling(found, scale))
    return content


def wide_content(
    table: LongTable, llm_columns: Sequence[str], scale: str | None = None, leave_out: str = ""
) -> Content:
    """The content of a wide table: a row per instance, a column of scores per LLM, costs in `<llm>|total_cost`.

    `leave_out` is how a person can leave out a column that is no LLM, for the message about one.
    """
    _require(table, ("instance_id",))
    notes: list[str] = []
    (table,), _ = instance_table([with_text_ids(table)], notes)
    names = table.names
    kept = ["instance_id", *(column for column in INSTANCE_COLUMNS if column in names)]
    with reading_table(table.path):
        instances = table.frame.select(kept).collect(engine="streaming").with_columns(pl.all().cast(pl.String))
    found = ranges(table, llm_columns, notes, leave_out)
    if counting := counting_columns(table, found, instances.height):
        notes.append(f"row numbers in {_columns(counting)} of {table.path.name} are no scores: left out")
    llms = [name for name in llm_columns if name not in counting]
    if not llms:
        raise DataError(f"{table.path.name} has no column of scores, only row numbers in {_columns(counting)}")
    costs = {llm: llm + end for llm in llms for end in COST_SUFFIXES if llm + end in names}
    content = Content(
        instances,
        pl.DataFrame({"llm_id": llms}, schema={"llm_id": pl.String}),
        blocks=(),
        n_rows=instances.height * len(llms),
        distinct=True,
        notes=notes,
        scaling=_rescale() + (f", or leave out a column that is no LLM with {leave_out}NAME" if leave_out else ""),
    )
    by = scaling([found[llm] for llm in llms], scale)
    content.blocks = _wide_blocks(table, llms, costs, by, leave_out)
    return with_missing_noted(content)


def _rescale() -> str:
    return f"scale with {argument('scale', 'percent')} or {argument('scale', 'minmax')}, or fix that record"


def _columns(names: Sequence[str]) -> str:
    return f"column{'s' * (len(names) > 1)} {', '.join(map(repr, names))}"


def with_missing_noted(content: Content) -> Content:
    """The content, to whose notes the scores that are missing are added, by LLM, once its blocks have gone by."""
    content.blocks = _counted(content.blocks, content)
    return content


def _counted(blocks: Iterable[Block], content: Content) -> Iterator[Block]:
    missing = np.zeros(content.llms.height, dtype=np.int64)
    for block in blocks:
        if (unknown := np.isnan(block.score)).any():
            missing += np.bincount(block.llm_index[unknown], minlength=len(missing))
        yield block
    worst = np.argsort(-missing, kind="stable")[: (missing > 0).sum()]
    if len(worst):
        names = content.llms["llm_id"]
        told = ", ".join(f"{missing[at]:,} of {names[int(at)]}" for at in worst[:5].tolist())
        more = f" and of {len(worst) - 5:,} more LLMs" if len(worst) > 5 else ""
        content.notes.append(f"{missing.sum():,} scores are missing or NaN, left unobserved: {told}{more}")


def _long_blocks(
    tables: Sequence[LongTable], instances: pl.DataFrame, llms: pl.DataFrame, by: tuple[float, float]
) -> Iterator[Block]:
    rows, columns = pl.Enum(instances["instance_id"]), pl.Enum(llms["llm_id"])
    with_costs = all("cost" in table.names for table in tables)
    for table in tables:
        wanted = ["instance_id", "llm_id", "score", *(["cost"] if with_costs else [])]
        reader = NumberReader(table.path.name)
        for batch in batches(table, wanted):
            numbers = reader.read(batch.select(wanted[2:])).fill_null(np.nan)
            yield Block(
                batch["instance_id"].cast(pl.String).cast(rows).to_physical().to_numpy(),
                batch["llm_id"].cast(pl.String).cast(columns).to_physical().to_numpy(),
                scaled(numbers["score"].to_numpy(), by),
                numbers["cost"].to_numpy() if with_costs else None,
            )


def _wide_blocks(
    table: LongTable, llms: Sequence[str], costs: Mapping[str, str], by: tuple[float, float], leave_out: str
) -> Iterator[Block]:
    first, reader = 0, NumberReader(table.path.name, mend(llms, leave_out))
    for batch in batches(table, [*llms, *costs.values()], len(llms)):
        numbers = reader.read(batch).fill_null(np.nan)
        scores = numbers.select(llms).to_numpy()  # (rows, LLMs)
        cost = None
        if costs:
            unknown = pl.lit(np.nan)
            cost = (
                numbers.select((pl.col(costs[llm]) if llm in costs else unknown).alias(llm) for llm in llms)
                .to_numpy()
                .ravel()
            )
        rows = np.repeat(np.arange(first, first + batch.height, dtype=np.int32), len(llms))
        columns = np.tile(np.arange(len(llms), dtype=np.int32), batch.height)
        yield Block(rows, columns, scaled(scores.ravel(), by), cost)
        first += batch.height


def _require(table: LongTable, columns: Sequence[str]) -> None:
    for column in columns:
        if column not in table.names:
            mend = f"map it with {argument('columns', f'{column}=NAME')}"
            raise DataError(f"{table.path.name} has no column {column!r} ({listed(table.names)}); {mend}")
