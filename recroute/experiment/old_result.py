"""The result JSON that every verb writes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from recroute._version import __version__
from recroute.util.files import write_json


class Result(ABC):
    """What can be written as a result JSON; a subclass has `rows`, and `info`, what is known of the run."""

    rows: pl.DataFrame
    info: Mapping[str, Any]

    def __repr__(self) -> str:
        routers, metrics = (self.rows[name].n_unique() for name in ("router", "metric"))
        marked = "SIMULATED DATA, " if self.info["dataset"].get("simulated") else ""
        return (
            f"{type(self).__name__}({marked}{self.info['dataset']['name']!r}: {self.rows.height:,} rows, "
            f"{routers} routers, {metrics} metrics)"
        )

    @abstractmethod
    def to_dict(self, command: list[str] | None = None) -> dict[str, Any]:
        """The result JSON: version, command, data set, seed, rows and what else is known of the run."""

    def head(self, command: list[str] | None = None) -> dict[str, Any]:
        """All of the result JSON but its tables; `command` replaces what `info` says of it."""
        first = {
            "recroute": __version__,
            "command": command or self.info.get("command", []),
            "dataset": self.info["dataset"],
            "seed": self.info["seed"],
        }
        return first | {key: value for key, value in self.info.items() if key not in first}

    def write_json(self, path: str | Path, command: list[str] | None = None) -> None:
        """Write the result JSON, whole or not at all."""
        write_json(path, self.to_dict(command))
