"""Documents in a terminal, printed by Rich."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from recroute.report.document import Block, Cell, Document, Facts, Figure, Medium, Number, Section, Table, Words

WIDEST_WORDS = 22  # columns for text, which may be folded
NARROW = 0.02  # width of an interval whose ends are shown with as many digits as the number
PARAGRAPH = 60  # characters from which text in a cell counts as a paragraph


def show(document: Document, console: Console) -> None:
    """Print a document: tables and plots, then the verdict and the notes."""
    for shown in _rendered(document, document.blocks, console.width):
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
    """The table in at most `width` columns, if it can be.

    An interval stands beside its number while that fits, with headings broken between words if need be; then below the
    number, then below it in two lines. A line separates the baselines from the routers before them.
    """
    found = _empty(title, table.caption, show_lines=any(map(_is_long, table.rows)))
    words = [table.is_text(i) for i in range(len(table.heads))]
    table = replace(table, rows=[*zip(*map(_coarse, zip(*table.rows, strict=True)), strict=True)])
    for layout in (_beside, _below, _folded):
        rows = [[layout(cell) if isinstance(cell, Number) else Text(cell) for cell in row] for row in table.rows]
        cells = [max([1, *(len(line) for row in rows for line in row[i].plain.split("\n"))]) for i in range(len(words))]
        least = [max([cell, *map(len, head.split())]) for head, cell in zip(table.heads, cells, strict=True)]
        if fits := _total(least, words) <= width:
            break
    is_wide = _total([max(len(head), cell) for head, cell in zip(table.heads, cells, strict=True)], words) > width
    for head, is_text, cell, high in zip(table.heads, words, cells, least, strict=True):
        if is_text:
            found.add_column(Text(head), overflow="fold")
        else:  # numbers are never broken
            most = high if fits and is_wide else None
            found.add_column(Text(head), justify="right", min_width=cell, max_width=most, overflow="fold")
    for at, row in enumerate(rows):
        found.add_row(*row, end_section=table.ends_group(at))
    return found


def _coarse(column: Sequence[Cell]) -> Sequence[Cell]:
    """The cells of a column, with a digit less in intervals that are all wide.

    >>> _coarse([Number(0.745, 0.69, 0.814)])[0].ends()
    ('0.69', '0.81')
    """
    numbers = [cell for cell in column if isinstance(cell, Number)]
    widths = [cell.high - cell.low for cell in numbers if cell.low is not None and cell.high is not None]
    if any(cell.form != ".3f" for cell in numbers) or any(width < NARROW for width in widths):
        return column
    return [replace(cell, ends_form=".2f") if isinstance(cell, Number) else cell for cell in column]


def _total(widths: Sequence[int], words: Sequence[bool]) -> int:
    """Total width of a table with columns of these widths; text may be folded."""
    return 1 + sum(3 + (min(w, WIDEST_WORDS) if is_text else w) for w, is_text in zip(widths, words, strict=True))


def _beside(cell: Number) -> Text:
    """The number and its interval in one line; what stands below it in place of an interval, beside it."""
    ends = cell.ends()
    beside = cell.below or (f"[{', '.join(map(_short, ends))}]" if ends else "")
    return _joined(cell, " ", beside)


def _below(cell: Number, apart: str = " ") -> Text:
    return _joined(cell, "\n", cell.below or apart.join(map(_short, cell.ends() or ())))


def _joined(cell: Number, apart: str, more: str) -> Text:
    shown = Text(_short(cell.shown()))
    return shown.append(apart).append(more, style="dim") if more else shown


def _folded(cell: Number) -> Text:
    return _below(cell, apart="\n")


def _short(number: str) -> str:
    """A formatted number without the zero before the point.

    >>> _short("0.816"), _short("-0.016"), _short("10.5")
    ('.816', '-.016', '10.5')
    """
    return re.sub(r"^([+-]?)0\.", r"\1.", number)


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
