"""Documents in a terminal, printed by Rich."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from recroute.report.document import Block, Cell, Document, Facts, Figure, Medium, Number, Section, Table, Words

WIDTH = 100  # columns that a table should fit
WIDEST_WORDS = 22  # columns for text, which may be folded
PARAGRAPH = 60  # characters from which text in a cell counts as a paragraph


def show(document: Document, console: Console) -> None:
    """Print a document: tables and plots, then the verdict and the notes."""
    for shown in _rendered(document, document.blocks, min(console.width, WIDTH)):
        console.print(shown)
    for line in document.verdict:
        console.print(line, markup=False)
    for note in document.notes:
        console.print(f"note: {note}", style="yellow", markup=False)
    if document.unfinished:
        console.print(document.unfinished, style="yellow", markup=False)


def _rendered(document: Document, blocks: Iterable[Block], width: int) -> Iterator[Any]:
    for block in blocks:
        if Medium.SCREEN not in block.on:
            continue
        match block:
            case Section():
                yield from _rendered(document, block.blocks, width)
            case Table():
                yield _table(block, document.marked(block.title) if block.title else "", width)
            case Figure():
                if block.text is not None:
                    yield block.text()
            case Facts():
                yield _facts(block, document.marked(block.title) if block.title else "")
            case Words():
                yield Text(block.text)


def _table(table: Table, title: str, width: int) -> RichTable:
    """The table in at most `width` columns: first headings are broken between words, then intervals into two lines."""
    found = _empty(title, table.caption, show_lines=any(map(_is_long, table.rows)))
    words = [table.is_text(i) for i in range(len(table.heads))]
    cells = [max([1, *(len(line) for row in table.rows for line in _lines(row[i]))]) for i in range(len(table.heads))]
    broken = [max([cell, *map(len, head.split())]) for head, cell in zip(table.heads, cells, strict=True)]
    fits = _total(broken, words) <= width
    is_wide = _total([max(len(head), cell) for head, cell in zip(table.heads, cells, strict=True)], words) > width
    for head, is_text, cell, least in zip(table.heads, words, cells, broken, strict=True):
        if is_text:
            found.add_column(Text(head), overflow="fold")
        else:  # numbers are never broken
            low, high = cell if fits else None, least if fits and is_wide else None
            found.add_column(Text(head), justify="right", min_width=low, max_width=high, overflow="fold")
    apart = " " if fits else "\n"
    for row, following in zip_longest(table.rows, table.rows[1:]):
        ends = table.ruled and following is not None and following[0] != row[0]
        found.add_row(*(_cell(cell, apart) for cell in row), end_section=ends)
    return found


def _total(widths: Sequence[int], words: Sequence[bool]) -> int:
    """Total width of a table with columns of these widths; text may be folded."""
    return 1 + sum(3 + (min(w, WIDEST_WORDS) if is_text else w) for w, is_text in zip(widths, words, strict=True))


def _lines(cell: Cell) -> list[str]:
    if not isinstance(cell, Number):
        return cell.split("\n")
    return [cell.shown(), cell.below or " ".join(cell.ends() or ())]


def _cell(cell: Cell, apart: str) -> Text:
    if not isinstance(cell, Number):
        return Text(cell)
    below = cell.below or apart.join(cell.ends() or ())
    return Text.assemble(cell.shown(), "\n", (below, "dim")) if below else Text(cell.shown())


def _facts(block: Facts, title: str) -> RichTable:
    found = _empty(title, show_header=False)
    for key, value in block.facts.items():
        found.add_row(Text(str(key)), Text(str(value)))
    return found


def _empty(title: str, caption: str = "", **options: Any) -> RichTable:
    """A table without rows; brackets in its title and caption are not read as Rich's markup."""
    return RichTable(
        title=Text(title, style="table.title") if title else None,
        caption=Text(caption, style="table.caption") if caption else None,
        title_justify="left",
        caption_justify="left",
        **options,
    )


def _is_long(row: Sequence[Cell]) -> bool:
    """Whether a row contains a paragraph; a line then separates it from the next row."""
    return any(isinstance(cell, str) and len(cell) > PARAGRAPH for cell in row)
