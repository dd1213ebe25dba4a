"""A cell of a terminal's table with two lines: what it says, and below it, dimmed, how sure that is."""

from __future__ import annotations

from rich.text import Text


def stacked(upper: str, lower: str) -> Text:
    """A cell of two lines; names in it are shown as they are, whatever brackets they have."""
    return Text.assemble(upper, "\n", (lower, "dim"))
