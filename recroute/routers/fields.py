"""How a router declares its hyperparameters and what a fit sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any


def setting(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] | None = None,
    help: str = "",
) -> Any:
    """A hyperparameter: its default, its closed range or its choices, and one line of help, declared once."""
    return field(default=default, metadata={"low": low, "high": high, "choices": choices, "help": help})


def fitted(*, array: bool = True, needed: bool = True) -> Any:
    """Declares what `_fit` sets; no parameter of the constructor. What is not needed, folders may lack."""
    return field(init=False, repr=False, compare=False, metadata={"array": array, "needed": needed})
