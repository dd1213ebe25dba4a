"""What several attempts at a prompt reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from recroute.attempts.policies import NEXT, POSTERIOR, TOGETHER
from recroute.attempts.rows import CALLS, COST, HEADROOM, SCORE, SLOPE
from recroute.experiment.compare import cost_sentence, sentence
from recroute.experiment.result import Compared
from recroute.report.curves import Curve, draw_curves
from recroute.report.document import Block, Cell, Document, Figure, Medium, Number, Section, Table
from recroute.routers.trade_off import PROMPTS

SCORES = "score after at most k attempts"
SOFT = ("oracle", "fixed_order", "fixed_set", "task_order", "task_set", "random next")
DASHES: dict[str, Any] = {"oracle": "-", "fixed_order": "--", "fixed_set": ":", "task_order": (0, (6, 2))}


@dataclass(frozen=True, repr=False, eq=False)
class Cascade(Compared):
    """One row per metric value, with its 95% interval.

    Parameters
    ----------
    rows : polars.DataFrame
        `router, policy, group, pool_size, n_attempts, seed, metric, value, ci_low, ci_high, n_instances`. Metrics:
        `score_at_k` of the answer kept after at most k = `n_attempts` attempts; `calls_at_k`, mean number of LLMs
        called; `cost_at_k`, their mean cost, where costs are known; `headroom_closed`, the way from the best single LLM
        (tried once) to the oracle that was made; `slope` of the score on log2 of the pool size, without one.
    info : mapping
        With `attempts` and `verifier`; where cost is weighed `budget`, `quality` and `cost_unit`.
    comparisons : polars.DataFrame
        `score_at_k` of each router's policy "posterior" less that of the policy `baseline`; p_holm is corrected for
        the comparisons of that pool and number of attempts. Where cost is weighed, `score_at_k` and `cost_at_k` are
        compared with `next`, which weighs it too.
    """

    @property
    def main_metric(self) -> str:
        return SCORE

    def value(self, policy: str, k: int, *, metric: str = SCORE, **where: Any) -> float:
        """The pooled value of a policy after at most k attempts; KeyError unless exactly one row fits."""
        found = self.pooled(metric, policy=policy, n_attempts=k, **where)
        if found.height != 1:
            raise KeyError(f"{found.height} rows for policy {policy!r}, {k} attempts, metric {metric!r}, {where}")
        return float(found["value"][0])

    def sentences(self) -> list[str]:
        """The posterior against the ranking by text and the best fixed policy, at the first k beyond 1."""
        ks = sorted(k for k in self.info["attempts"] if k > 1)
        found = []
        for row in self.comparisons.filter(pl.col("n_attempts").is_in(ks[:1])).iter_rows(named=True):
            if row["pool_size"] == self._largest and row["baseline"] in (NEXT, "fixed_set", "task_set"):
                named = {**row, "router": f"{row['router']} by {POSTERIOR}"}
                is_cost = row["metric"] == COST
                said = f" cost{cost_sentence(named, self.info['cost_unit'])}" if is_cost else f": {sentence(named)}"
                found.append(f"{row['n_attempts']} attempts{said}")
        return found

    @property
    def _largest(self) -> int:
        return int(self.rows["pool_size"].max() or 0)  # type: ignore[arg-type]

    def document(self) -> Document:
        data = self.info["dataset"]
        facts = (
            f"{data['n_test']:,} test instances, {data['n_llms']:,} LLMs; {len(self.seeds)} "
            f"seed{'s' * (len(self.seeds) != 1)}; verifier {self.info['verifier']}; {self._target()}"
            "95% bootstrap intervals."
        )
        caption = (
            f"{SCORES.capitalize()}. next: the ranking by text; posterior: ranked again after every verdict; set: "
            "asked at once. Fixed policies and the oracle in grey; task_order and task_set are told the task."
        )
        picture = Figure(name="cascade", draw=self.plot, text=self._text, caption=caption)
        return self.document_of("Attempts on", facts, [*self._tables(), picture, *self._more()])

    def _target(self) -> str:
        """What routers' policies weigh cost for, if they do."""
        if "cost_unit" not in self.info:
            return ""
        if (budget := self.info["budget"]) is not None:
            return f"a budget of {budget:g} {self.info['cost_unit']} for {PROMPTS:,} prompts; "
        return f"lowest cost at {100 * self.info['quality']:g}% of the best single LLM's quality; "

    def _pools(self) -> list[tuple[str, int]]:
        found = self.pooled(SCORE).select("group", "pool_size").unique(maintain_order=True)
        return [(group, size) for group, size in found.iter_rows()]

    def _tables(self) -> Iterator[Table]:
        for group, size in self._pools():
            where = {"group": group, "pool_size": size}
            yield self._table(f"{SCORES}, {_pool(group, size)}", SCORE, where)
        if self.pooled(SLOPE).height:
            yield self._table("slope of the score on log2 of the pool size", SLOPE, {}, form="+.4f")

    def _more(self) -> Iterator[Block]:
        """What attempts cost, how far they come, and the comparisons."""
        for metric, title in ((CALLS, "LLMs called"), (COST, "cost of 1,000 prompts"), (HEADROOM, "headroom closed")):
            if self.pooled(metric).height:
                form, times = (".4g", PROMPTS) if metric == COST else (".2f", 1)
                tables: list[Block] = []
                for group, size in self._pools():
                    where = {"group": group, "pool_size": size}
                    tables.append(self._table(f"{title}, {_pool(group, size)}", metric, where, form, times))
                on = Medium.PAGE if metric == HEADROOM else Medium.SCREEN | Medium.PAGE
                yield Section(title=f"{title[0].upper()}{title[1:]}", blocks=tables, on=on)
        if self.comparisons.height:
            yield Section(title="Paired comparisons", blocks=[self._pairs()], on=Medium.PAGE)

    def _table(self, title: str, metric: str, where: dict[str, Any], form: str = ".3f", times: float = 1.0) -> Table:
        rows: list[list[Cell]] = []
        ks = sorted(self.info["attempts"])
        for router, policy in self._policies():
            of = [self.row(metric, router=router, policy=policy, n_attempts=k, **where) for k in ks]
            if any(of):
                rows.append([_label(router, policy), *(Number.of(row, form, times) for row in of)])
        heads = ["policy", *(f"k = {k}" for k in ks)]
        return Table(title=title, heads=heads, rows=rows, caption=self.counted(), soft=SOFT)

    def _policies(self) -> list[tuple[str, str]]:
        found = self.rows.select("router", "policy").unique(maintain_order=True)
        return [(router, policy) for router, policy in found.iter_rows()]

    def _pairs(self) -> Table:
        rows: list[list[Cell]] = [
            [
                f"{row['router']} {row['policy']}",
                row["baseline"],
                row["metric"],
                Number(row["pool_size"], form=",d"),
                Number(row["n_attempts"], form="d"),
                Number.of(row, "+.4g", PROMPTS) if row["metric"] == COST else Number.of(row, "+.4f"),
                Number(row["p_value"], form=".4f"),
                Number(row["p_holm"], form=".4f"),
            ]
            for row in self.comparisons.iter_rows(named=True)
        ]
        return Table(heads=["policy", "less", "metric", "m", "k", "difference", "p", "p (Holm)"], rows=rows)

    def _curves(self, metric: str, group: str | None, pool_size: int | None) -> list[Curve]:
        first = self._pools()[-1] if group is None else (group, pool_size)
        found = self.pooled(metric, group=first[0], pool_size=first[1])
        curves = []
        for router, policy in self._policies():
            own = found.filter(router=router, policy=policy).sort("n_attempts")
            if own.height:
                points = list(own.select("n_attempts", "value", "ci_low", "ci_high").iter_rows())
                label = _label(router, policy)
                curves.append(Curve(label, points, soft=label in SOFT, dash=DASHES.get(policy, "-.")))
        return curves

    def _text(self) -> Any:
        from recroute.report.terminal_plot import curves_text

        return curves_text(self._curves(SCORE, None, None), title=SCORES, x_label="attempts k")

    def plot(
        self, metric: str = SCORE, *, group: str | None = None, pool_size: int | None = None, **options: Any
    ) -> Any:
        """A metric by the number of attempts, a line for each policy, as Matplotlib axes; default the largest pool.

        `options` is `ax`, Matplotlib axes to draw on.
        """
        title = f"{self.marked}{self.info['dataset']['name']}"
        curves = self._curves(metric, group, pool_size)
        y_label = SCORES if metric == SCORE else metric.replace("_", " ")
        return draw_curves(curves, title=title, x_label="attempts k", y_label=y_label, **options)


def _label(router: str, policy: str) -> str:
    """What tables call a policy; those that ask no router are named alone."""
    return f"{router} {policy}" if policy in (NEXT, POSTERIOR, TOGETHER) else policy


def _pool(group: str, size: int) -> str:
    return f"{size:,} LLMs" if group == "all" else f"{size:,} LLMs, group {group}"
