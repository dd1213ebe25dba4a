"""Markdown from values and texts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

BAR = r"\|"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown, whose last column is prose."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "{.prose-last}\n" + "".join(map(line_of, lines)) + "\n"


def line_of(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |\n"


def plain(text: str) -> str:
    """Text that Markdown does not read as markup, but for what stands in backticks; options are put into them."""
    parts = re.split(r"(`[^`]*`|(?<![\w-])--[a-z][a-z-]*[a-z])", " ".join(text.split()))
    return "".join(map(escaped, parts))


def escaped(part: str) -> str:
    if part.startswith("--"):
        return f"`{part}`"
    return part if part.startswith("`") else re.sub(r"([*_<>\[\]])", r"\\\1", part)


def code(value: Any) -> str:
    return f"`{value}`"
