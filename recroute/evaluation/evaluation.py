"""`Evaluation`: the result of `evaluate` and `scale`, as a tidy table with its document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import polars as pl

from recroute.evaluation.curves import growth_text, plot_growth, plot_intervals
from recroute.evaluation.passing import passes, passing
from recroute.evaluation.tables import (
    all_metrics,
    comparison_table,
    growth_table,
    main_group,
    metric_table,
    published_table,
    title_of,
)
from recroute.experiment.compare import COMPARISON_COLUMNS, sentence
from recroute.experiment.result import Compared
from recroute.experiment.rows import COLUMNS
from recroute.report.document import Block, Document, Figure, Medium, Section, Words

FIGURES = ("mean_score", "effective_p", "agreement")
CAPTION = (
    "Routers in colour, with 95% intervals if there are few (all are in the tables); bounds, baselines and r_o(p) "
    "(oracle_mix) in grey."
)
CAPTIONS = {
    "effective_p": "effective_p: the probability p at which a router that takes the oracle's choice with probability p "
    "and a uniform one otherwise has the same score. 0 is random, 1 the oracle."
}
PAIRED = (
    "Both routers are evaluated on the same resampled instances; p is two-sided, with Holm's correction for the "
    "routers compared in the same group and pool size."
)


@dataclass(frozen=True, repr=False, eq=False)
class Evaluation(Compared):
    """Metric values with 95% intervals, one per row.

    Parameters
    ----------
    rows : polars.DataFrame
        `router, group, pool_size, seed, metric, value, ci_low, ci_high, n_instances`. `seed` is null if the row is
        pooled over seeds. The group "mean" is the mean of the groups. `pool_size` is null for the slope and for the
        mean over sizes.
    info : mapping
        `dataset` (name, shape, split), `seed`, `seeds`, `notes` (for the reader), `complete` (False if the run was
        interrupted) and `headroom` (see `recroute.data.doctor.headroom`, or None).
    """

    def value(self, router: str, metric: str, *, pool_size: int | None = None, group: str | None = None) -> float:
        """Value of one metric, pooled over seeds.

        `pool_size` and `group` may be omitted if there is only one.

        Raises
        ------
        KeyError
            Unless exactly one row matches.
        """
        rows = self.rows.filter(pl.col("seed").is_null(), router=router, metric=metric)
        if pool_size is not None:
            rows = rows.filter(pool_size=pool_size)
        if group is not None:
            rows = rows.filter(group=group)
        if rows.height != 1:
            raise KeyError(
                f"{rows.height} rows for router {router!r}, metric {metric!r}, size {pool_size}, group {group!r}"
            )
        return float(rows["value"][0])

    @property
    def grows(self) -> bool:
        """Whether there are pools of several sizes."""
        return self.rows["pool_size"].drop_nulls().n_unique() > 1

    def compared(self, metric: str | None = None) -> pl.DataFrame:
        """Comparisons with the baseline in one metric (default: `main_metric`), averaged over groups and sizes."""
        pairs = self.comparisons.filter(metric=metric or self.main_metric)
        if "mean" in pairs["group"]:
            pairs = pairs.filter(group="mean")
        if pairs["pool_size"].has_nulls():
            pairs = pairs.filter(pl.col("pool_size").is_null())
        return pairs

    def sentences(self, metric: str | None = None) -> list[str]:
        """One sentence per router on its comparison with the baseline, see `compared`."""
        return [sentence(row) for row in self.compared(metric).iter_rows(named=True)]

    def passes(self, group: str | None = None) -> pl.DataFrame:
        """Smallest pool size at which each router surpasses the best single LLM and the reference.

        Parameters
        ----------
        group : str, optional
            Default: the mean over groups, or the only group.

        Returns
        -------
        polars.DataFrame
            A row for each router and `against`: "best single of train" (lift above 0), "best single on test" (V_B above
            1) or "reference" (V_R above 1). `pool_size` is the smallest pool with a value above the threshold, `value`
            and `ci_low` are those at this size; `pool_size_clear` is the smallest pool whose whole interval is above.
            Null if there is no such pool. A larger pool may be below the threshold again.
        """
        return passes(self.rows, group)

    def passing(self) -> str:
        """Sentence with the smallest pool at which each router's whole interval is above the best single LLM."""
        return passing(self.rows)

    def plot(self, metric: str | None = None, **options: Any) -> Any:
        """Plot the growth curve, or intervals if there is only one pool size; returns the Matplotlib axes.

        `options` are those of `plot_growth`: `group`, `ax`, `title`.
        """
        draw = plot_growth if self.grows else plot_intervals
        title = f"{self.marked}{self.info['dataset']['name']}"
        return draw(self.rows, **{"metric": metric or self.main_metric, "title": title, **options})

    def document(self) -> Document:
        data, n_seeds = self.info["dataset"], len(self.seeds)
        shape = f"{data['n_instances']:,} instances x {data['n_llms']:,} LLMs; " if "n_instances" in data else ""
        test = f"{data['n_test']:,} test instances x " if "n_test" in data else ""
        what = "The verdict averages over groups and pool sizes; 1 point is 0.01 of the score."
        facts = f"{shape}{test}{n_seeds} seed{'s' * (n_seeds != 1)}; 95% bootstrap intervals. {what}"
        blocks = list(self._blocks()) if self._pools.height else []
        return self.document_of("Routing on", facts, blocks, unfinished="pools")

    @property
    def _pools(self) -> pl.DataFrame:
        """Rows pooled over seeds, without means over pool sizes."""
        return self.rows.filter(pl.col("seed").is_null(), pl.col("pool_size").is_not_null())

    def _blocks(self) -> Iterator[Block]:
        first = main_group(self._pools)
        others = [group for group in self._pools["group"].unique(maintain_order=True) if group != first]
        title = "As the pool grows" if self.grows else "Side by side"
        yield Section(title=title, blocks=list(self._figures(first, others)), on=Medium.PAGE)
        tables: list[Block] = []
        if self.grows:
            present = set(self._pools.filter(group=first)["metric"])
            shown = {self.main_metric: Medium.ALL, "best_single_ratio": Medium.SCREEN | Medium.PAGE}
            shown |= {metric: Medium.PAGE for metric in FIGURES if metric != self.main_metric}
            tables += [growth_table(self, metric, first, on) for metric, on in shown.items() if metric in present]
            rest = [growth_table(self, self.main_metric, group) for group in others]
        else:
            tables.append(metric_table(self, first))
            rest = [metric_table(self, group) for group in others]
        if published := self.info.get("published"):
            tables.append(published_table(self, published))
        if rest:
            tables.append(Section(title="Other groups", blocks=rest, folded=True, on=Medium.PAGE))
        title = f"All metrics, group {first}"
        tables.append(Section(title=title, blocks=list(all_metrics(self, first)), folded=self.grows, on=Medium.PAGE))
        yield Section(title="Tables", blocks=tables)
        if self.grows:
            text = partial(growth_text, self.rows, self.main_metric)
            yield Figure(name="curve", draw=self.plot, text=text, on=Medium.SCREEN)
            if "best_single_ratio" in self._pools["metric"]:
                yield Words(text=self.passing(), on=Medium.SCREEN | Medium.PAGE)
        if self.main_metric in self.comparisons["metric"]:
            yield Section(title="Paired comparisons", blocks=list(self._pairs()), on=Medium.PAGE)

    def _figures(self, first: str, others: list[str]) -> Iterator[Figure]:
        wanted = [(metric, first) for metric in FIGURES] + [("mean_score", group) for group in others]
        for number, (metric, group) in enumerate(wanted, 1):
            if self._pools.filter(metric=metric, group=group)["value"].drop_nulls().drop_nans().is_empty():
                continue
            title = f"{self.marked}{title_of(metric)}, group {group}"
            draw = partial(self.plot, metric, group=group, title=title)
            yield Figure(name=f"figure{number}", draw=draw, caption=CAPTIONS.get(metric, CAPTION))

    def _pairs(self) -> Iterator[Block]:
        """Comparisons of the group that the verdict is about, and those of the other groups, folded."""
        pairs = self.comparisons.filter(metric=self.main_metric)
        first = main_group(pairs)
        yield Words(text=PAIRED)
        yield comparison_table(pairs.filter(group=first))
        others = pairs.filter(pl.col("group") != first)
        if others.height:
            yield Section(title="Other groups", blocks=[comparison_table(others)], folded=True)

    def renamed(self, router: str, name: str) -> Evaluation:
        """Evaluation with a router renamed in tables and choices."""
        if router == name:
            return self
        label = pl.col("router", "baseline").replace(router, name)
        known = self.info.get("routers", {})
        rows = self.rows.with_columns(pl.col("router").replace(router, name))
        choices = self.choices
        if choices is not None:
            codes = choices["router"].cast(pl.String).replace(router, name).cast(pl.Categorical)
            choices = choices.with_columns(codes.alias("router"))
        info = {**self.info, "routers": {name if label == router else label: v for label, v in known.items()}}
        return replace(self, rows=rows, info=info, comparisons=self.comparisons.with_columns(label), choices=choices)

    def with_choices(self, choices: pl.DataFrame) -> Evaluation:
        return replace(self, choices=choices)

    @classmethod
    def from_dict(cls, result: Mapping[str, Any]) -> Evaluation:
        """Inverse of `to_dict`. KeyError or TypeError if the mapping is not a result."""
        pairs = [row for row in result["rows"] if row.get("baseline") is not None]
        rows = [row for row in result["rows"] if row.get("baseline") is None]
        # defaults of keys that results of older versions lack
        known = {"complete": True, "notes": [], "environment": {"recroute": result["recroute"]}}
        info = {**known, **{key: value for key, value in result.items() if key not in ("rows", "recroute")}}
        if "name" not in info["dataset"]:
            raise KeyError("name")
        # the finished seeds, which older results do not list
        seeds = dict.fromkeys(row["seed"] for row in rows if row["seed"] is not None)
        info["seeds"] = list(seeds) or [result["seed"]]
        return cls(_table(rows, COLUMNS), info, _table(pairs, COMPARISON_COLUMNS))


def _table(rows: list[Mapping[str, Any]], columns: Mapping[str, Any]) -> pl.DataFrame:
    """Rows as a frame, with the null values of JSON as NaN."""
    numbers = [name for name, kind in columns.items() if kind == pl.Float64 and name.startswith(("value", "ci_"))]
    frame = pl.DataFrame([{name: row.get(name) for name in columns} for row in rows], schema=dict(columns))
    return frame.with_columns(pl.col(numbers).fill_null(float("nan")))
