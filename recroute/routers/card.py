"""The card of a router folder, once the router is not the one that was measured any more."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

CARD = "CARD.md"


def changed_card(folder: str | Path, change: str) -> str | None:
    """The card of the router in `folder`, under a line that says what was changed since; None where it has no card.

    Parameters
    ----------
    folder : str or Path
        Of the router before the change. Read it before the new router takes its place.
    change : str
        A clause, such as "LLM new-llm was taken in".
    """
    file = Path(folder) / CARD
    if not file.is_file():
        return None
    today = datetime.now(UTC).date()
    line = f"> **Changed on {today}: {change}.** All figures below were measured before that, without this change."
    return f"{line}\n\n{file.read_text(encoding='utf8')}"
