"""The result of an evaluation: a tidy table and how it came about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from recroute._version import __version__
from recroute.data.atomic import new_file
from recroute.evaluation.compare import COMPARISON_COLUMNS, sentence

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
        pooled over seeds; `group` "mean" is the mean of the groups; `pool_size` is null for the slope and for the mean
        over sizes.
    info : mapping
        `dataset` (name, shape, split), `seed`, `seeds`, `notes` (lines a reader should know) and `complete`
        (False if the run was interrupted).
    comparisons : polars.DataFrame
        Paired differences to a baseline, pooled over seeds, see `recroute.evaluation.compare.comparisons`.
    """

    rows: pl.DataFrame
    info: Mapping[str, Any]
    comparisons: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=COMPARISON_COLUMNS))

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

    def sentences(self, metric: str = "mean_score") -> list[str]:
        """What can be said of each router against the baseline.

        The mean over groups and pool sizes is compared where there are several.
        """
        found = self.comparisons.filter(metric=metric)
        if "mean" in found["group"]:
            found = found.filter(group="mean")
        if found["pool_size"].has_nulls():
            found = found.filter(pl.col("pool_size").is_null())
        return [sentence(row) for row in found.iter_rows(named=True)]

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
        pairs = self.comparisons.with_columns(pl.lit(None, dtype=pl.Int64).alias("seed"))
        return {**head, **rest, "rows": rows.to_dicts() + pairs.to_dicts()}

    def write_json(self, path: str | Path, command: list[str] | None = None) -> None:
        """Write the result JSON, whole or not at all."""
        with new_file(Path(path)) as temporary:
            temporary.write_text(json.dumps(self.to_dict(command), indent=1), encoding="utf8")
