"""Tables of an HTML report; every cell is escaped, and every number carries its value for sorting."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from recroute.experiment.compare import is_yardstick


@dataclass(frozen=True)
class Number:
    """A number with its interval, as a cell; NaN or none is shown as a dash and sorts last."""

    value: float | None
    low: float | None = None
    high: float | None = None
    form: str = ".3f"
    missing: str = "-"

    def bare(self) -> Number:
        """Without its interval."""
        return Number(self.value, form=self.form)

    def html(self) -> str:
        if self.value is None or math.isnan(self.value):
            return f"<td>{self.missing}</td>"
        shown = f"{self.value:{self.form}}"
        if self.low is not None and self.high is not None and not math.isnan(self.low + self.high):
            shown += f" <small>{self.low:{self.form}} to {self.high:{self.form}}</small>"
        return f'<td data-value="{self.value!r}">{shown}</td>'


def html_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str | Number]],
    *,
    caption: str = "",
    text: int = 1,
    sortable: bool = True,
) -> str:
    """A table whose first `text` columns are words and whose others are numbers.

    A row whose first cell is a bound or baseline is printed softer. A notebook has neither the style nor the script
    of a page: there a table is not `sortable`, words may stand in any column, and the notebook chooses the colours.
    """
    if not sortable:
        return _plain_table(heads, list(rows), caption)
    head = "".join(
        f'<th scope="col"{" class=text" if i < text else ""}><button type="button">{escape(name)}</button></th>'
        for i, name in enumerate(heads)
    )
    body = "\n".join(
        f"<tr{' class=bound' if is_yardstick(str(row[0])) else ''}>{''.join(_cell(cell) for cell in row)}</tr>"
        for row in rows
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table class="sortable">{title}<thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _plain_table(heads: Sequence[str], rows: Sequence[Sequence[str | Number]], caption: str) -> str:
    left = ' style="text-align: left"'
    head = "".join(
        f"<th{left if rows and isinstance(rows[0][i], str) else ''}>{escape(name)}</th>" for i, name in enumerate(heads)
    )
    lines = (
        "".join(cell.html() if isinstance(cell, Number) else f"<td{left}>{escape(cell)}</td>" for cell in row)
        for row in rows
    )
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    title = f"<p>{escape(caption)}</p>" if caption else ""
    return f"{title}<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def fact_table(facts: Mapping[str, Any]) -> str:
    """Names and values, one line each."""
    rows = (
        f'<tr><td class="text">{escape(str(key))}</td><td class="wrap"><code>{escape(str(value))}</code></td></tr>'
        for key, value in facts.items()
    )
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def _cell(cell: str | Number) -> str:
    return cell.html() if isinstance(cell, Number) else f'<td class="text">{escape(cell)}</td>'
