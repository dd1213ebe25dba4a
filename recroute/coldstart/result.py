"""What an evaluation of cold start found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import polars as pl

from recroute.experiment.compare import bracket
from recroute.experiment.result import Result

COLUMNS: dict[str, Any] = {
    "router": pl.String,
    "group": pl.String,
    "pool_size": pl.Int64,
    "strategy": pl.String,
    "n_anchors": pl.Int64,
    "seed": pl.Int64,
    "metric": pl.String,
    "value": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "n_llms": pl.Int64,
    "n_instances": pl.Int64,
}
ENOUGH = 0.99  # of what full data reach


@dataclass(frozen=True, repr=False, eq=False)
class ColdStart(Result):
    """One row per metric value, with its 95% interval.

    Parameters
    ----------
    rows : polars.DataFrame
        `router, group, pool_size, strategy, n_anchors, seed, metric, value, ci_low, ci_high, n_llms, n_instances`, see
        `coldstart`. `seed` is null when pooled over seeds. `strategy` "all scores" is the router fitted on all scores
        of all LLMs; `oracle` and `random` have no strategy.
    info : mapping
        `dataset`, `seed`, `seeds`, `strategies`, `anchors`, `notes`, `complete`, `routers`, `environment`.
    """

    rows: pl.DataFrame
    info: Mapping[str, Any]

    @property
    def notes(self) -> list[str]:
        return list(self.info["notes"])

    def pooled(self, metric: str, **where: Any) -> pl.DataFrame:
        """Rows of a metric pooled over seeds, by number of anchors."""
        return self.rows.filter(pl.col("seed").is_null(), metric=metric, **where).sort("n_anchors", maintain_order=True)

    def enough(self, share: float = ENOUGH) -> pl.DataFrame:
        """The smallest number of anchors from which on a router keeps at least `share` of what full data reach.

        Returns
        -------
        polars.DataFrame with `router, group, strategy, n_anchors` (null where no number measured is enough), `value`
        and its interval there. It is about the values measured; the interval may reach below the share.
        """
        found = []
        pooled = self.pooled("share_of_full")
        for (router, group, strategy), rows in pooled.group_by(["router", "group", "strategy"], maintain_order=True):
            below = rows.filter(pl.col("value") < share)["n_anchors"].max()
            above = rows if below is None else rows.filter(pl.col("n_anchors") > below)
            first = above.row(0, named=True) if above.height else dict.fromkeys(rows.columns)
            head = {"router": router, "group": group, "strategy": strategy}
            found.append(head | {name: first[name] for name in ("n_anchors", "value", "ci_low", "ci_high")})
        kinds = {name: COLUMNS[name] for name in ("router", "group", "strategy", "n_anchors", "value")}
        return pl.DataFrame(found, schema=kinds | {"ci_low": pl.Float64, "ci_high": pl.Float64})

    def sentences(self) -> list[str]:
        """What can be said in words."""
        found = []
        errors = self.pooled("mean_score_error")
        plain = self.pooled("plain_mean_error", strategy="random")
        best = "active" if "active" in self.info["strategies"] else self.info["strategies"][0]
        for k in (16,) if 16 in self.info["anchors"] else self.info["anchors"][-1:]:
            at = errors.filter(n_anchors=k, strategy=best).row(0, named=True)
            line = f"{k} {best} anchors tell an unseen LLM's mean score to within {_shown(at)} on average"
            if (of_plain := plain.filter(n_anchors=k)).height:
                line += f"; the plain mean of {k} random ones to within {_shown(of_plain.row(0, named=True))}"
            found.append(line)
        for row in self.enough().filter(strategy=best, group="mixed").iter_rows(named=True):
            head = f"{row['router']} in pools of which half is unseen"
            found.append(
                f"{head} is below {ENOUGH:.0%} of full data at every number of {best} anchors measured"
                if row["n_anchors"] is None
                else f"{head} keeps {ENOUGH:.0%} of full data from {row['n_anchors']} {best} anchors on: {_shown(row)}"
            )
        return found

    def plot(self, **options: Any) -> Any:
        """Error and routing by number of anchors as Matplotlib axes; see `plot_coldstart`."""
        return import_module("recroute.report").plot_coldstart(self, **options)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return str(import_module("recroute.report").coldstart_notebook(self))

    def with_info(self, **more: Any) -> ColdStart:
        return replace(self, info={**self.info, **more})

    def to_dict(self, command: list[str] | None = None) -> dict[str, Any]:
        """The result JSON: version, command, data set, seed, rows and what else is known of the run."""
        rows = self.rows.with_columns(pl.col("value", "ci_low", "ci_high").fill_nan(None))
        return {**self.head(command), "rows": rows.to_dicts()}


def _shown(row: Mapping[str, Any]) -> str:
    return f"{row['value']:.3f} {bracket(row['ci_low'], row['ci_high'])}"
