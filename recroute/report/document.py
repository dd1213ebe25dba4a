"""What a result has to say, said once: a terminal, a notebook and an HTML page show it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import Any

SIMULATED = "SIMULATED DATA: "  # before every title


class Medium(Flag):
    """Where a block is shown."""

    SCREEN = auto()
    NOTEBOOK = auto()
    PAGE = auto()
    ALL = SCREEN | NOTEBOOK | PAGE


@dataclass(frozen=True)
class Number:
    """A number of a table, with its interval where it has one.

    Parameters
    ----------
    value : float, optional
        None or NaN is shown as `missing` and sorts last.
    low, high : float, optional
        Ends of the interval, in the same format.
    form : str
        Format specification.
    missing : str
    below : str
        A second line in place of the interval.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    form: str = ".3f"
    missing: str = "-"
    below: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any] | None, form: str = ".3f", times: float = 1.0) -> Number:
        """The number of a row with `value, ci_low, ci_high`, multiplied by `times`; a dash where there is no row."""
        if row is None:
            return cls(None)
        value, low, high = (row[name] if row[name] is None else times * row[name] for name in _ENDS)
        return cls(value, low, high, form)

    @property
    def known(self) -> bool:
        return self.value is not None and not math.isnan(self.value)

    def shown(self) -> str:
        """The number without its interval.

        >>> Number(0.25, 0.2, 0.3).shown()
        '0.250'
        """
        return f"{self.value:{self.form}}" if self.known else self.missing

    def ends(self) -> tuple[str, str] | None:
        """Both ends of the interval; None where it has none."""
        if not self.known or self.low is None or self.high is None or math.isnan(self.low + self.high):
            return None
        return f"{self.low:{self.form}}", f"{self.high:{self.form}}"


_ENDS = ("value", "ci_low", "ci_high")
Cell = str | Number


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of words and numbers.

    Parameters
    ----------
    heads : sequence of str
    rows : sequence of sequence of str or Number
    title, caption : str
        What it shows, and what a reader needs beside it (n, seeds, intervals).
    soft : collection of str
        First cells of rows that are printed softer: bounds and baselines.
    ruled : bool
        Whether a line is drawn where the first column changes.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    caption: str = ""
    soft: Collection[str] = ()
    ruled: bool = False
    on: Medium = Medium.ALL

    def is_text(self, column: int) -> bool:
        """Whether a column holds words rather than numbers."""
        return any(isinstance(row[column], str) for row in self.rows) if self.rows else column == 0


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture: `draw` gives Matplotlib axes for pages and notebooks, `text` the same for a terminal (a Rich text)."""

    name: str
    draw: Callable[[], Any]
    caption: str = ""
    text: Callable[[], Any] | None = None
    on: Medium = Medium.ALL


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Names and values, a line each."""

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
    """Blocks under a title; a folded one is a click away on a page."""

    title: str
    blocks: Sequence[Block]
    folded: bool = False
    on: Medium = Medium.ALL


Block = Table | Figure | Facts | Words | Section


@dataclass(frozen=True, kw_only=True)
class Document:
    """All that a result has to say.

    A terminal shows tables and plots, then the verdict and the notes, where a reader's eye ends; a notebook and a page
    open with the verdict.

    Parameters
    ----------
    title : str
    facts : str
        One line: shape, n, seeds, intervals.
    verdict : sequence of str
        What can be said in words.
    notes : sequence of str
        What a reader has to know before believing it.
    blocks : sequence of Block
    simulated : bool
        Whether the data are simulated: every title says so.
    unfinished : str
        What is missing, if the work was interrupted.
    """

    title: str
    facts: str = ""
    verdict: Sequence[str] = ()
    notes: Sequence[str] = ()
    blocks: Sequence[Block] = field(default_factory=tuple)
    simulated: bool = False
    unfinished: str = ""

    def marked(self, title: str) -> str:
        """A title that says whether the data are simulated."""
        return f"{SIMULATED if self.simulated else ''}{title}"


def cut(text: str, longest: int) -> str:
    """The beginning of a text on one line, for a cell of a table.

    >>> cut("one \\n two three", 10)
    'one two...'
    """
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
