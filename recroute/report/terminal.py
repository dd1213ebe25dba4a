"""A document in a terminal, by Rich."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from recroute.report.document import Block, Cell, Document, Facts, Figure, Medium, Number, Section, Table, Words

WIDTH = 100  # columns that a table should fit
WIDEST_WORDS = 22  # of them for words, which may be folded


def show(document: Document, console: Console) -> None:
    """Print tables and plots, then the verdict and the notes."""
    for shown in _rendered(document, document.blocks):
        console.print(shown)
    for line in document.verdict:
        console.print(line, markup=False)
    for note in document.notes:
        console.print(f"note: {note}", style="yellow", markup=False)
    if document.unfinished:
        console.print(document.unfinished, style="yellow", markup=False)


def _rendered(document: Document, blocks: Iterable[Block]) -> Iterator[Any]:
    for block in blocks:
        if Medium.SCREEN not in block.on:
            continue
        match block:
            case Section():
                yield from _rendered(document, block.blocks)
            case Table():
                yield _table(block, document.marked(block.title) if block.title else "")
            case Figure():
                if block.text is not None:
                    yield block.text()
            case Facts():
                yield _facts(block)
            case Words():
                yield Text(block.text)


def _table(table: Table, title: str) -> RichTable:
    found = RichTable(title=title or None, caption=table.caption or None, title_justify="left", caption_justify="left")
    widths = [max([1, *(len(line) for row in table.rows for line in _lines(row[i]))]) for i in range(len(table.heads))]
    words = [table.is_text(i) for i in range(len(table.heads))]
    fits = _width(table.heads, widths, words) <= WIDTH
    for i, head in enumerate(table.heads):
        if words[i]:
            found.add_column(head, overflow="fold")
        else:  # numbers stay whole
            found.add_column(head, justify="right", min_width=widths[i] if fits else None, overflow="fold")
    apart = " " if fits else "\n"  # the ends of an interval below each other in wide tables
    for row, following in zip(table.rows, [*table.rows[1:], None], strict=True):
        ends = table.ruled and following is not None and following[0] != row[0]
        found.add_row(*(_cell(cell, apart) for cell in row), end_section=ends)
    return found


def _width(heads: Sequence[str], widths: Sequence[int], words: Sequence[bool]) -> int:
    """Columns of the table with both ends of each interval on one line; heads break between words."""
    total = 1
    for head, width, is_text in zip(heads, widths, words, strict=True):
        widest = max([width, *map(len, head.split())])
        total += 3 + (min(widest, WIDEST_WORDS) if is_text else widest)
    return total


def _lines(cell: Cell) -> list[str]:
    if not isinstance(cell, Number):
        return cell.split("\n")
    return [cell.shown(), cell.below or " ".join(cell.ends() or ())]


def _cell(cell: Cell, apart: str) -> Text:
    if not isinstance(cell, Number):
        return Text(cell)
    below = cell.below or apart.join(cell.ends() or ())
    return Text.assemble(cell.shown(), "\n", (below, "dim")) if below else Text(cell.shown())


def _facts(block: Facts) -> RichTable:
    found = RichTable(title=block.title or None, title_justify="left", show_header=False)
    for key, value in block.facts.items():
        found.add_row(Text(str(key)), Text(str(value)))
    return found
