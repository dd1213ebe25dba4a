"""The result of an evaluation: a tidy table and how it came about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from recroute._version import __version__
from recroute.data.atomic import new_file

COLUMNS = {
    "router": pl.String,
    "group": pl.String,
    "pool_size": pl.Int64,
    "seed": pl.Int64,
    "metric": pl.String,
    "value": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "n_instances": pl.Int64,
}


@dataclass(frozen=True)
class Evaluation:
    """One row per metric value, with its 95% interval.

    Parameters
    ----------
    rows : polars.DataFrame
        `router, group, pool_size, seed, metric, value, ci_low, ci_high, n_instances`. `seed` is null when
        pooled over seeds; `group` "mean" is the mean of the groups; `pool_size` is null for the slope.
    info : mapping
        `dataset` (name, shape, split), `seed`, `seeds`, `notes` (lines a reader should know) and `complete`
        (False if the run was interrupted).
    """

    rows: pl.DataFrame
    info: Mapping[str, Any]

    @property
    def notes(self) -> list[str]:
        return list(self.info["notes"])

    def value(self, router: str, metric: str, *, pool_size: int | None = None, group: str | None = None) -> float:
        """The pooled value of one metric; KeyError unless exactly one row fits.

        `pool_size` and `group` may be left out where there is only one.
        """
        found = self.rows.filter(pl.col("seed").is_null(), router=router, metric=metric)
        if pool_size is not None:
            found = found.filter(pool_size=pool_size)
        if group is not None:
            found = found.filter(group=group)
        if found.height != 1:
            raise KeyError(
                f"{found.height} rows for router {router!r}, metric {metric!r}, size {pool_size}, group {group!r}"
            )
        return float(found["value"][0])

    def to_pandas(self) -> Any:
        """The rows as a pandas frame (pandas has to be installed)."""
        return self.rows.to_pandas()

    def to_dict(self, command: list[str] | None = None) -> dict[str, Any]:
        """The result JSON: version, command, data set, seed, rows and what else is known of the run."""
        head = {
            "recroute": __version__,
            "command": command or [],
            "dataset": self.info["dataset"],
            "seed": self.info["seed"],
        }
        rest = {key: value for key, value in self.info.items() if key not in head}
        # NaN is no JSON: a value that does not exist is null
        rows = self.rows.with_columns(pl.col("value", "ci_low", "ci_high").fill_nan(None))
        return {**head, **rest, "rows": rows.to_dicts()}

    def write_json(self, path: str | Path, command: list[str] | None = None) -> None:
        """Write the result JSON, whole or not at all."""
        with new_file(Path(path)) as temporary:
            temporary.write_text(json.dumps(self.to_dict(command), indent=1), encoding="utf8")
