"""Any table of scores, long or wide."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from recroute.data.content import Content
from recroute.data.sources._pairs import pair_content
from recroute.data.sources._tabular import (
    COST_SUFFIXES,
    INSTANCE_COLUMNS,
    SUFFIXES,
    LongTable,
    long_content,
    open_table,
    rename,
    wide_content,
)
from recroute.data.sources.source import Source
from recroute.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Table(Source):
    """A table with a row per answer (long) or a row per instance and a column per LLM (wide).

    A table with the columns `llm_id` and `score` is long. In a wide one every column is an LLM except
    `instance_id`, `prompt`, `task`, `benchmark`, `split`, costs (`<llm>|cost`) and those in `ignore`.

    Parameters
    ----------
    columns : str, optional
        Their names for ours: "instance_id=qid,llm_id=model".
    scale : {"percent", "minmax"}, optional
        "percent" divides scores by 100; "minmax" takes the range of all scores of the table to [0, 1].
    ignore : str, optional
        Columns to leave out: "notes,date".
    pairs : bool
        The table has a row per battle of two LLMs, see `pair_content`.
    """

    layout: ClassVar[str] = "table"
    reads: ClassVar[str] = f"file: {', '.join(SUFFIXES)}; long (instance_id, llm_id, score), wide, or battles"

    columns: str | None = None
    scale: str | None = None
    ignore: str | None = None
    pairs: bool = False

    def read(self, path: Path) -> Content:
        if path.is_dir():
            raise DataError(f"{path} is a folder; name the table in it ({', '.join(SUFFIXES)})")
        frame = rename(open_table(path), self._mapping(), path.name)
        ignored = [name.strip() for name in (self.ignore or "").split(",") if name.strip()]
        for name in ignored:
            if name not in frame.collect_schema().names():
                raise DataError(f"column {name!r} to ignore is not in {path.name}")
        if self.pairs:
            content = pair_content(frame.drop(ignored), path)
            content.card = {"title": f"imported from {path.name}", "score": "none: preferences only"}
            return content
        table = LongTable(path, frame.drop(ignored))
        names = table.frame.collect_schema().names()
        if {"llm_id", "score"} & set(names):
            content = long_content([table], self.scale)
        else:
            taken = ("instance_id", *INSTANCE_COLUMNS)
            llms = [name for name in names if name not in taken and not name.endswith(COST_SUFFIXES)]
            if not llms:
                raise DataError(f"{path.name} is neither long (llm_id, score) nor has it a column for an LLM")
            content = wide_content(table, llms, self.scale, leave_out="--set ignore=")
        content.card = {"title": f"imported from {path.name}"}
        return content

    def _mapping(self) -> dict[str, str]:
        pairs = {}
        for item in (self.columns or "").split(","):
            ours, sign, theirs = (part.strip() for part in item.partition("="))
            if item.strip() and not (ours and sign and theirs):
                raise DataError(f"columns {item!r} is not of the form ours=theirs, such as instance_id=qid")
            if item.strip():
                pairs[ours] = theirs
        return pairs
