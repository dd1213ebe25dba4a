"""What a pointer reads at the points of a line, kept with the line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recroute.util.numeric import Array


@dataclass(frozen=True, eq=False)
class Reading:
    """What an interactive plot tells of the points of a line beyond their coordinates.

    Parameters
    ----------
    names : sequence of str, optional
        A name for each point.
    ends : (sequence of float, sequence of float), optional
        Lower and upper ends of the intervals.
    band : bool
        Whether the interval is drawn as a band.
    across : bool
        Whether the interval is one of x, not of y.
    """

    names: Sequence[str] | None = None
    ends: tuple[Sequence[float] | Array, Sequence[float] | Array] | None = None
    band: bool = False
    across: bool = False
