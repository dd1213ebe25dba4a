"""Any table of scores, long or wide."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from recroute.data.content import Content
from recroute.data.sources._entities import INSTANCE_COLUMNS, LongTable
from recroute.data.sources._pairs import pair_content
from recroute.data.sources._score_columns import index_columns
from recroute.data.sources._tabular import COST_SUFFIXES, long_content, rename, wide_content, with_missing_noted
from recroute.data.sources.source import Source
from recroute.data.table_folders import open_tables
from recroute.data.tables import SUFFIXES
from recroute.errors import DataError, either

OURS = ("instance_id", "llm_id", "score", "cost", *INSTANCE_COLUMNS)


@dataclass(frozen=True, kw_only=True)
class Table(Source):
    r"""A table with a row per answer (long) or a row per instance and a column per LLM (wide).

    A table with the columns `llm_id` and `score` is long. In a wide one every column is an LLM except
    `instance_id`, `prompt`, `task`, `benchmark`, `split`, costs (`<llm>|cost`), those that number the rows, and those
    in `ignore`.

    Parameters
    ----------
    columns : str, optional
        Their names for ours: "instance_id=qid,llm_id=model"; a comma in a name is written `\,`.
    scale : {"percent", "minmax"}, optional
        "percent" divides scores by 100; "minmax" takes the range of all scores of the table to [0, 1].
    ignore : str, optional
        Columns to leave out: "notes,date".
    pairs : bool
        The table has a row per battle of two LLMs, see `pair_content`.
    """

    layout: ClassVar[str] = "table"
    reads: ClassVar[str] = (
        f"file: {', '.join(SUFFIXES)}; or a folder of partitions or of Hugging Face's save_to_disk; long "
        "(instance_id, llm_id, score), wide, or battles"
    )

    columns: str | None = None
    scale: str | None = None
    ignore: str | None = None
    pairs: bool = False

    def read(self, path: Path) -> Content:
        notes: list[str] = []
        columns, ignored = _mapping(self.columns), _names(self.ignore)
        frame = open_tables(path, notes, known=(*OURS, *columns.values()))
        frame = rename(frame, columns, path.name)
        for name in ignored:
            if name not in frame.collect_schema().names():
                raise DataError(f"column {name!r} to ignore is not in {path.name}")
        if self.pairs:
            content = pair_content(frame.drop(ignored), path)
            content.card = {"title": f"imported from {path.name}", "score": "none: preferences only"}
        else:
            content = table_content(LongTable(path, frame.drop(ignored)), self.scale)
            content.card = {"title": f"imported from {path.name}"}
        content.notes[:0] = notes
        return content


def table_content(table: LongTable, scale: str | None = None) -> Content:
    """The content of a long or wide table."""
    path = table.path
    if is_long(table.names):
        return with_missing_noted(long_content([table], scale))
    notes: list[str] = []
    taken = ("instance_id", *INSTANCE_COLUMNS)
    names = [name for name in table.names if name not in taken and not name.endswith(COST_SUFFIXES)]
    unnamed = index_columns(table, names)
    if unnamed and "instance_id" not in table.names and table.names[0] == unnamed[0]:
        table = LongTable(path, table.frame.rename({unnamed[0]: "instance_id"}))
        notes.append(f"the first column of {path.name}, which has no name, is taken for instance_id")
        names.remove(unnamed.pop(0))
    if unnamed:
        shown = f"column{'s' * (len(unnamed) > 1)} {', '.join(map(repr, unnamed))}"
        notes.append(f"an index without a name in {shown} of {path.name} is no LLM: left out")
    llms = [name for name in names if name not in unnamed]
    if not llms:
        raise DataError(f"{path.name} is neither long (llm_id, score) nor has it a column for an LLM")
    content = wide_content(table, llms, scale, leave_out=either("--set ignore=", "ignore="))
    content.notes[:0] = notes
    return content


def is_long(names: list[str]) -> bool:
    """Whether a table with these columns has a row per answer."""
    return bool({"llm_id", "score"} & set(names))


def _mapping(columns: str | None) -> Mapping[str, str]:
    pairs = {}
    for item in _names(columns):
        ours, sign, theirs = (part.strip() for part in item.partition("="))
        if not (ours and sign and theirs):
            raise DataError(f"columns {item!r} is not of the form ours=theirs, such as instance_id=qid")
        pairs[ours] = theirs
    return pairs


def _names(text: str | None) -> list[str]:
    r"""Names between commas; a comma in a name is written `\,`."""
    items = re.findall(r"(?:\\.|[^,\\]|\\$)+", text or "")
    return [name for item in items if (name := re.sub(r"\\([,\\])", r"\1", item).strip())]
