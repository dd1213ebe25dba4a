"""The result of off-policy evaluation."""

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
    """Estimates of what other routers would have scored on logged traffic.

    Parameters
    ----------
    rows : polars.DataFrame
        `router, group, pool_size, seed, metric, value, ci_low, ci_high, n_instances, estimator`. The metric
        `mean_score` has a row for each estimator ("ips", "snips", "dr"). For the router "logged", which stands for the
        choices that were made, it has one with the estimator "mean". The metrics `effective_n`, `largest_weight`,
        `mean_weight` and `never_logged` are those of `Overlap`, and have no estimator.
    info : mapping
        Includes `reward_model, n_folds, epsilon, temperature`.
    comparisons : polars.DataFrame
        Paired differences to "logged" for each estimator; p_holm is corrected for the number of routers.
    """

    def value(self, router: str, metric: str = "mean_score", estimator: str | None = None) -> float:
        """The value of the matching row; KeyError unless exactly one matches."""
        found = self._of(router, metric, estimator)
        if found.height != 1:
            raise KeyError(f"{found.height} rows for router {router!r}, metric {metric!r}, estimator {estimator!r}")
        return float(found["value"][0])

    def _of(self, router: str, metric: str, estimator: str | None) -> pl.DataFrame:
        return self.rows.filter(pl.col("estimator").eq_missing(pl.lit(estimator)), router=router, metric=metric)

    def sentences(self, estimator: str = "dr") -> list[str]:
        """A sentence for each router that compares it with the logged choices."""
        return [sentence(row) for row in self.comparisons.filter(estimator=estimator).iter_rows(named=True)]

    def to_dict(self, command: list[str] | None = None) -> dict[str, Any]:
        only_pairs = set(PAIR_COLUMNS) - set(ROW_COLUMNS)
        rows = [
            {key: value for key, value in row.items() if row["baseline"] is not None or key not in only_pairs}
            for row in records(pl.concat([self.rows, self.comparisons], how="diagonal"))
        ]
        return {**self.head(command), "rows": rows}

    def document(self) -> Document:
        data = self.info["dataset"]
        facts = f"{data['n_instances']:,} logged choices among {data['n_llms']:,} LLMs; asymptotic 95% intervals."
        caption = "Doubly robust estimates of the mean score with 95% intervals; grey: the logged choices."
        blocks: list[Block] = [
            self._table(),
            Figure(name="offpolicy", draw=self.plot, caption=caption, on=Medium.PAGE),
        ]
        return self.document_of("Mean score estimated from", facts, blocks, unfinished="routers")

    def _table(self) -> Table:
        """A row for each router: its estimates, the difference to the logged choices, and the overlap."""
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
            f"doubly robust estimate: {self.info['reward_model']}; effective n: the number of choices made by the "
            "router itself that would say as much; heaviest: largest share of one choice in the sum of all weights",
            soft=(LOGGED,),
        )

    def plot(self, *, estimator: str = "dr", **options: Any) -> Any:
        """Draw each router's estimate with its 95% interval, and the mean score of the logged choices.

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
