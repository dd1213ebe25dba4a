"""`Frontier`: the result of `frontier`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from recroute.evaluation.frontier_picture import draw, single_llms, text
from recroute.evaluation.frontier_rows import COMPARED, GROUP, POINT_COLUMNS, SINGLE
from recroute.experiment.compare import LEVEL, bracket, cost_sentence
from recroute.experiment.result import Compared, records
from recroute.report.document import Block, Cell, Document, Figure, Medium, Number, Section, Table, Words
from recroute.routers.trade_off import PROMPTS

HEADS = {
    "aiq": "AIQ",
    "cost_at_quality@95": "cost at 95%",
    "cost_at_quality@100": "cost at 100%",
    "mean_score": "mu, ignoring cost",
    "mean_cost": "its cost",
}
CAPTION = (
    "Each curve is the concave hull of a router's choices as the weight of cost increases; segments between points are "
    "mixtures. Routers in colour with 95% bands; zero (mixtures of single LLMs), best_single and the oracle in grey; "
    "crosses are single LLMs. AIQ is the mean height of a curve between the costs of the cheapest and the most "
    "expensive LLM, on a linear axis."
)
PAIRED = (
    "Both routers are evaluated on the same resampled instances, using the resamples in which both reach the quality; "
    "p is two-sided, with Holm's correction for the routers compared with the same baseline."
)


@dataclass(frozen=True, repr=False, eq=False)
class Frontier(Compared):
    """Metrics of cost-quality curves, and the points of the curves.

    Parameters
    ----------
    rows : polars.DataFrame
        Rows of the group "all" are routers: `aiq`, `cost_at_quality@95` and `@100` (cost of one answer), `reached@100`
        (share of resamples in which the curve reaches that quality), and `mean_score` and `mean_cost` of the choices
        that ignore cost. Rows of the group "llm" are single LLMs.
    info : mapping
    comparisons : polars.DataFrame
        Paired differences of routers in AIQ and costs.
    points : polars.DataFrame
        `router, group, point, trade_off, mean_cost, cost_low, cost_high, mean_score, score_low, score_high, on_hull`,
        pooled over seeds. `trade_off` is in score per range of the LLMs' mean costs; it is null if only cost counts,
        and for single LLMs.
    """

    points: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=POINT_COLUMNS))

    @property
    def unit(self) -> str:
        """Unit of the costs."""
        return str(self.info["dataset"]["cost_unit"])

    @property
    def routers(self) -> list[str]:
        """Router labels in the order of the table."""
        return self.pooled("aiq", group=GROUP)["router"].to_list()

    @property
    def best_single(self) -> str:
        """Id of the LLM with the highest mean score on test instances."""
        scores, costs = (
            dict(self.pooled(metric, group=SINGLE).select("router", "value").iter_rows())
            for metric in ("mean_score", "mean_cost")
        )
        return max(scores, key=lambda name: (scores[name], -costs[name]))

    def value(self, router: str, metric: str) -> float:
        """Value of one metric of a router, pooled over seeds; KeyError if there is none."""
        if (row := self.row(metric, router=router, group=GROUP)) is None:
            raise KeyError(f"no row for router {router!r}, metric {metric!r}")
        return float(row["value"])

    def to_dict(self, command: list[str] | None = None) -> dict[str, Any]:
        return {**super().to_dict(command), "points": records(self.points)}

    def sentences(self, metric: str | None = None) -> list[str]:
        """One sentence for each pair of routers, comparing one metric (default: AIQ)."""
        compared = self.comparisons.filter(metric=metric or "aiq")
        return [_sentence(row, self.unit) for row in compared.iter_rows(named=True)]

    def plot(self, metric: str | None = None, **options: Any) -> Any:
        """Plot score against cost of 1,000 prompts: each router's hull with a 95% band, single LLMs as points.

        Parameters
        ----------
        metric : str, optional
            Ignored, because the curves are the same for every metric.
        **options
            `ax`, Matplotlib axes to draw on, and `title`.

        Returns
        -------
        matplotlib.axes.Axes
        """
        best = self.row("mean_score", router=self.best_single, group=SINGLE)
        assert best is not None
        title = f"{self.marked}what quality costs on {self.info['dataset']['name']}"
        return draw(self.points, best=best["value"], unit=self.unit, **{"title": title, **options})

    def document(self) -> Document:
        data, n_seeds = self.info["dataset"], len(self.seeds)
        facts = (
            f"{data['n_instances']:,} instances x {data['n_llms']:,} LLMs; {self.rows['n_instances'][0]:,} test "
            f"instances x {n_seeds} seed{'s' * (n_seeds != 1)}; 95% bootstrap intervals. Costs are {self.unit} per "
            f"{PROMPTS:,} prompts."
        )
        llms = single_llms(self.points)
        blocks: list[Block] = [
            Figure(name="frontier", draw=self.plot, caption=CAPTION, text=lambda: text(self.points, self.unit)),
            self._routers(),
            _llms("single LLMs on the hull (test)", llms.filter("on_hull"), Medium.SCREEN),
            _llms("single LLMs", llms, Medium.PAGE),
            Section(title="Paired comparisons", blocks=[Words(text=PAIRED), *self._pairs()], on=Medium.PAGE),
        ]
        return self.document_of("What quality costs on", facts, blocks)

    def _routers(self) -> Table:
        n_seeds = len(self.seeds)
        return Table(
            title=f"{self.info['dataset']['name']}: what quality costs",
            heads=["router", *HEADS.values()],
            rows=[[router, *(self._number(metric, router) for metric in HEADS)] for router in self.routers],
            caption=f"n = {self.rows['n_instances'][0]} test instances x {n_seeds} seed{'s' * (n_seeds > 1)}, 95% "
            f"bootstrap intervals; costs are {self.unit} per {PROMPTS:,} prompts, at 95% and 100% of the quality of "
            f"{self.best_single}",
        )

    def _number(self, metric: str, router: str) -> Number:
        """Value of a metric; if the curve does not reach the quality, the share of resamples in which it does."""
        number = Number.of(self.row(metric, router=router, group=GROUP), *_look(metric))
        reached = self.row(f"reached@{metric.partition('@')[2]}", router=router, group=GROUP)
        if number.known or reached is None:
            return number
        return Number(None, below=f"in {reached['value']:.0%} of resamples")

    def _pairs(self) -> Iterator[Table]:
        for metric in (name for name in HEADS if name in COMPARED):
            form, times = _look(metric, "+.4f")
            rows: list[list[Cell]] = []
            for row in self.comparisons.filter(metric=metric).iter_rows(named=True):
                difference = Number.of(row, form, times)
                p = Number(row["p_holm"] if difference.known else None, form=".4f")
                rows.append([row["router"], row["baseline"], difference, p])
            heads = ["router", "against", f"difference in {HEADS[metric]}", "p (Holm)"]
            yield Table(title=HEADS[metric], heads=heads, rows=rows)


def _look(metric: str, score: str = ".3f") -> tuple[str, float]:
    """Number format of a metric, and a factor: costs are shown per 1,000 prompts."""
    return (f"{score[:-2]}4g" if score[0] == "+" else ".4g", PROMPTS) if "cost" in metric else (score, 1.0)


def _llms(title: str, llms: pl.DataFrame, on: Medium) -> Table:
    rows: list[list[Cell]] = [
        [
            row["router"],
            Number(row["mean_score"], row["score_low"], row["score_high"]),
            Number(row["mean_cost"], row["cost_low"], row["cost_high"], ".4g"),
            *([Number(float(row["on_hull"]), form=".0f")] if Medium.PAGE in on else []),
        ]
        for row in llms.iter_rows(named=True)
    ]
    heads = ["LLM", "mean score", "cost", "on the hull"]
    return Table(title=title, heads=heads if Medium.PAGE in on else heads[:3], rows=rows, on=on)


def _sentence(row: Mapping[str, Any], unit: str) -> str:
    """Sentence on a difference in AIQ or in the cost of 1,000 prompts.

    >>> row = {"router": "auto", "baseline": "zero", "metric": "aiq", "value": 0.012, "p_holm": 0.01}
    >>> _sentence(row | {"ci_low": 0.004, "ci_high": 0.02}, "USD")
    'AIQ: auto is 0.0120 [0.0040, 0.0200] above zero'
    >>> _sentence(row | {"ci_low": -0.004, "ci_high": 0.028}, "USD")
    'AIQ, no clear difference: auto - zero = +0.0120 [-0.0040, 0.0280]'
    """
    value, low, high = row["value"], row["ci_low"], row["ci_high"]
    who, base = row["router"], row["baseline"]
    unclear = row["p_holm"] >= LEVEL or low <= 0 <= high
    if row["metric"] == "aiq":
        if unclear:
            return f"AIQ, no clear difference: {who} - {base} = {value:+.4f} {bracket(low, high, '.4f')}"
        if value < 0:
            return f"AIQ: {who} is {-value:.4f} {bracket(-high, -low, '.4f')} below {base}"
        return f"AIQ: {who} is {value:.4f} {bracket(low, high, '.4f')} above {base}"
    head = f"cost at {row['metric'].partition('@')[2]}% of the best single LLM's quality"
    if value is None or value != value:
        return f"{head}: {who} and {base} do not both reach it"
    return f"{head}{cost_sentence(row, unit)}"
