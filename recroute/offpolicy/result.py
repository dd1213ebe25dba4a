"""What off-policy evaluation found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from recroute.experiment.compare import COMPARISON_COLUMNS, sentence
from recroute.experiment.result import Compared, records
from recroute.experiment.rows import COLUMNS
from recroute.offpolicy.estimators import ESTIMATORS
from recroute.report.curves import Curve, draw_intervals
from recroute.report.document import Block, Cell, Document, Figure, Medium, Number, Table

ROW_COLUMNS = {**COLUMNS, "estimator": pl.String}
PAIR_COLUMNS = {**COMPARISON_COLUMNS, "estimator": pl.String}
LOGGED = "logged"


@dataclass(frozen=True, repr=False, eq=False)
class OffPolicy(Compared):
    """What other routers would have scored on logged traffic.

    Parameters
    ----------
    rows : polars.DataFrame
        `router, group, pool_size, seed, metric, value, ci_low, ci_high, n_instances, estimator`. Metric `mean_score`
        has a row for each estimator ("ips", "snips", "dr"), and for the router "logged", the choices that were made,
        one with the estimator "mean". `effective_n`, `largest_weight`, `mean_weight` and `never_logged` are those of
        `Overlap`, without an estimator.
    info : mapping
        With `reward_model, n_folds, epsilon, temperature`.
    comparisons : polars.DataFrame
        Paired differences to "logged" for each estimator; p_holm is corrected for the number of routers.
    """

    def value(self, router: str, metric: str = "mean_score", estimator: str | None = None) -> float:
        """One value; KeyError unless exactly one row fits."""
        found = self._of(router, metric, estimator)
        if found.height != 1:
            raise KeyError(f"{found.height} rows for router {router!r}, metric {metric!r}, estimator {estimator!r}")
        return float(found["value"][0])

    def _of(self, router: str, metric: str, estimator: str | None) -> pl.DataFrame:
        return self.rows.filter(pl.col("estimator").eq_missing(pl.lit(estimator)), router=router, metric=metric)

    def sentences(self, estimator: str = "dr") -> list[str]:
        """Each router against the choices that were logged, in words."""
        return [sentence(row) for row in self.comparisons.filter(estimator=estimator).iter_rows(named=True)]

    def to_dict(self, command: list[str] | None = None) -> dict[str, Any]:
        only_pairs = set(PAIR_COLUMNS) - set(ROW_COLUMNS)
        found = [
            {key: value for key, value in row.items() if row["baseline"] is not None or key not in only_pairs}
            for row in records(pl.concat([self.rows, self.comparisons], how="diagonal"))
        ]
        return {**self.head(command), "rows": found}

    def document(self) -> Document:
        data = self.info["dataset"]
        facts = f"{data['n_instances']:,} logged choices among {data['n_llms']:,} LLMs; asymptotic 95% intervals."
        caption = "Doubly robust estimates of the mean score, with their 95% intervals; in grey what was logged."
        blocks: list[Block] = [
            self._table(),
            Figure(name="offpolicy", draw=self.plot, caption=caption, on=Medium.PAGE),
        ]
        return self.document_of("Mean score estimated from", facts, blocks, unfinished="routers")

    def _table(self) -> Table:
        """Routers by estimator, with the difference to what was logged and how much the log says about each."""
        none = Number(None, missing="")
        logged = next(self._of(LOGGED, "mean_score", "mean").iter_rows(named=True))
        rows: list[list[Cell]] = [[LOGGED, none, none, Number.of(logged), none, none, none]]
        for router in self.rows["router"].unique(maintain_order=True)[1:]:
            scores = (next(self._of(router, "mean_score", name).iter_rows(named=True)) for name in ESTIMATORS)
            pair = next(self.comparisons.filter(router=router, estimator="dr").iter_rows(named=True))
            rows.append(
                [
                    router,
                    *map(Number.of, scores),
                    Number.of(pair, "+.3f"),
                    Number(self.value(router, "effective_n"), form=".0f"),
                    Number(self.value(router, "largest_weight"), form=".1%"),
                ]
            )
        return Table(
            title=f"{self.info['dataset']['name']}: mean score, estimated from the log",
            heads=["router", *ESTIMATORS.values(), "dr - logged", "effective n", "heaviest"],
            rows=rows,
            caption=f"n = {self.info['dataset']['n_instances']} logged choices, 95% intervals; reward model of the "
            f"doubly robust estimate: {self.info['reward_model']}; effective n: as many choices of the router itself "
            "would say as much; heaviest: largest share of one choice in all weights",
            soft=(LOGGED,),
        )

    def plot(self, *, estimator: str = "dr", **options: Any) -> Any:
        """Each router's estimate with its 95% interval, beside the mean score that was logged.

        Parameters
        ----------
        estimator : {"ips", "snips", "dr"}
        **options
            `ax`, Matplotlib axes to draw on.

        Returns
        -------
        matplotlib.axes.Axes
        """
        curves = []
        for router in self.rows["router"].unique(maintain_order=True):
            of = "mean" if router == LOGGED else estimator
            point = self._of(router, "mean_score", of).select("pool_size", "value", "ci_low", "ci_high").row(0)
            curves.append(Curve(router, [point], soft=router == LOGGED))
        title = f"{self.marked}{self.info['dataset']['name']}"
        return draw_intervals(curves, title=title, x_label=f"mean score, {ESTIMATORS[estimator]}", **options)
