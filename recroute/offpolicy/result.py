"""The result of an off-policy evaluation: a tidy table and how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import polars as pl

from recroute.evaluation.evaluation import COLUMNS
from recroute.experiment.compare import COMPARISON_COLUMNS, sentence
from recroute.experiment.old_result import Result

ROW_COLUMNS = {**COLUMNS, "estimator": pl.String}
PAIR_COLUMNS = {**COMPARISON_COLUMNS, "estimator": pl.String}
LOGGED = "logged"


@dataclass(frozen=True, repr=False, eq=False)
class OffPolicy(Result):
    """What other routers would have scored on logged traffic.

    Parameters
    ----------
    rows : polars.DataFrame
        `router, group, pool_size, seed, metric, value, ci_low, ci_high, n_instances, estimator`. Metric `mean_score`
        has a row for each estimator ("ips", "snips", "dr"), and for the router "logged", the choices that were made,
        one with the estimator "mean". `effective_n`, `largest_weight`, `mean_weight` and `never_logged` are those of
        `Overlap`, without an estimator.
    comparisons : polars.DataFrame
        Paired differences to "logged" for each estimator; p_holm is corrected for the routers.
    info : mapping
        `dataset` (name, shape), `seed`, `notes`, `reward_model`, `n_folds`, `epsilon`, `temperature`.
    """

    rows: pl.DataFrame
    comparisons: pl.DataFrame
    info: Mapping[str, Any]

    @property
    def notes(self) -> list[str]:
        return list(self.info["notes"])

    def value(self, router: str, metric: str = "mean_score", estimator: str | None = None) -> float:
        """One value; KeyError unless exactly one row fits."""
        found = self.rows.filter(pl.col("estimator").eq_missing(pl.lit(estimator)), router=router, metric=metric)
        if found.height != 1:
            raise KeyError(f"{found.height} rows for router {router!r}, metric {metric!r}, estimator {estimator!r}")
        return float(found["value"][0])

    def sentences(self, estimator: str = "dr") -> list[str]:
        """What can be said of each router against the choices that were logged."""
        return [sentence(row) for row in self.comparisons.filter(estimator=estimator).iter_rows(named=True)]

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict and the table."""
        return str(import_module("recroute.report").off_policy_notebook(self))

    def to_dict(self, command: list[str] | None = None) -> dict[str, Any]:
        """The result JSON: version, command, data set, seed, rows and what else is known of the run."""
        rows = pl.concat([self.rows, self.comparisons], how="diagonal").with_columns(
            pl.col("value", "ci_low", "ci_high").fill_nan(None)
        )
        only_pairs = [name for name in PAIR_COLUMNS if name not in ROW_COLUMNS]
        found = [
            {key: value for key, value in row.items() if row["baseline"] is not None or key not in only_pairs}
            for row in rows.iter_rows(named=True)
        ]
        return {**self.head(command), "rows": found}
