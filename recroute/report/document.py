"""The content of a result, independent of the medium: a terminal, a notebook or an HTML page."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import Any

SIMULATED = "SIMULATED DATA: "  # prefix of titles


class Medium(Flag):
    """The media that show a block."""

    SCREEN = auto()
    NOTEBOOK = auto()
    PAGE = auto()
    ALL = SCREEN | NOTEBOOK | PAGE


@dataclass(frozen=True)
class Number:
    """A number in a table, optionally with an interval.

    Parameters
    ----------
    value : float, optional
        None or NaN is shown as `missing` and sorts last.
    low, high : float, optional
        Ends of the interval, in the same format unless `ends_form` says otherwise.
    form : str
        Format specification.
    missing : str
        Text for a missing value.
    below : str
        A second line in place of the interval.
    ends_form : str
        Format of the ends of the interval. Default: that of the number.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    form: str = ".3f"
    missing: str = "-"
    below: str = ""
    ends_form: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any] | None, form: str = ".3f", times: float = 1.0) -> Number:
        """The number of a row with `value, ci_low, ci_high`, multiplied by `times`; missing if the row is None."""
        if row is None:
            return cls(None)
        value, low, high = (row[name] if row[name] is None else times * row[name] for name in _ENDS)
        return cls(value, low, high, form)

    @property
    def known(self) -> bool:
        return self.value is not None and not math.isnan(self.value)

    def shown(self) -> str:
        """The formatted number without its interval.

        >>> Number(0.25, 0.2, 0.3).shown()
        '0.250'
        """
        return f"{self.value:{self.form}}" if self.known else self.missing

    def ends(self) -> tuple[str, str] | None:
        """The formatted ends of the interval; None if there is none."""
        if not self.known or self.low is None or self.high is None or math.isnan(self.low + self.high):
            return None
        form = self.ends_form or self.form
        return f"{self.low:{form}}", f"{self.high:{form}}"


_ENDS = ("value", "ci_low", "ci_high")
Cell = str | Number


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of text and numbers.

    Parameters
    ----------
    heads : sequence of str
        Column headings.
    rows : sequence of sequence of str or Number
    title, caption : str
        The content, and what a reader needs to interpret it (n, seeds, intervals).
    soft : collection of str
        First cells of rows that are printed in grey: bounds and baselines.
    ruled : bool
        Whether a line is drawn where the first column changes.
    on : Medium
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    caption: str = ""
    soft: Collection[str] = ()
    ruled: bool = False
    on: Medium = Medium.ALL

    def is_text(self, column: int) -> bool:
        """Whether a column holds text rather than numbers."""
        return any(isinstance(row[column], str) for row in self.rows) if self.rows else column == 0

    def ends_group(self, row: int) -> bool:
        """Whether a line is drawn below this row: by `ruled`, and above the first row that is `soft`."""
        if row + 1 == len(self.rows):
            return False
        name, following = (str(self.rows[i][0]) for i in (row, row + 1))
        first_soft = following in self.soft and not any(str(other[0]) in self.soft for other in self.rows[: row + 1])
        return first_soft or (self.ruled and following != name)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A plot: `draw` returns Matplotlib axes for pages and notebooks, `text` a Rich text for a terminal."""

    name: str
    draw: Callable[[], Any]
    caption: str = ""
    text: Callable[[], Any] | None = None
    on: Medium = Medium.ALL


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Names and values, one per line."""

    facts: Mapping[str, Any]
    title: str = ""
    on: Medium = Medium.PAGE


@dataclass(frozen=True, kw_only=True)
class Words:
    """A paragraph, or a command line."""

    text: str
    is_command: bool = False
    on: Medium = Medium.PAGE


@dataclass(frozen=True, kw_only=True)
class Section:
    """Blocks under a title; on a page, a folded section is closed until it is clicked."""

    title: str
    blocks: Sequence[Block]
    folded: bool = False
    on: Medium = Medium.ALL


Block = Table | Figure | Facts | Words | Section


@dataclass(frozen=True, kw_only=True)
class Document:
    """The content of a result.

    A notebook and a page open with the verdict. A terminal shows the tables and plots first, then the verdict and the
    notes, so that they are visible above the prompt.

    Parameters
    ----------
    title : str
    facts : str
        One line: shape, n, seeds, intervals.
    verdict : sequence of str
        Sentences that summarise the result.
    notes : sequence of str
        Caveats.
    blocks : sequence of Block
    simulated : bool
        Whether the data are simulated; every title then says so.
    unfinished : str
        What is missing if the work was interrupted.
    """

    title: str
    facts: str = ""
    verdict: Sequence[str] = ()
    notes: Sequence[str] = ()
    blocks: Sequence[Block] = field(default_factory=tuple)
    simulated: bool = False
    unfinished: str = ""

    def marked(self, title: str) -> str:
        """The title, marked if the data are simulated."""
        return f"{SIMULATED if self.simulated else ''}{title}"


def cut(text: str, longest: int) -> str:
    """The beginning of a text on one line, at most `longest` characters, for a cell of a table.

    >>> cut("one \\n two three", 10)
    'one two...'
    """
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
