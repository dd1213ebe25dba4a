"""`ColdStart`: the result of `coldstart`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from recroute.experiment.compare import bracket
from recroute.experiment.result import Result
from recroute.report.document import Block, Document, Figure, Medium, Number, Table

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
TARGET_SHARE = 0.99  # share of the mean score with full data
ERRORS = {
    "mean_score_error": "error of the mean score",
    "plain_mean_error": "error of the anchors' plain mean",
    "brier": "Brier",
    "auc": "AUC",
    "interval_coverage": "coverage of 90%",
    "interval_width": "width of 90%",
}
SHARE = "share_of_full"
POOLS = {"mixed": "pools with half of the LLMs unseen", "unseen": "pools of unseen LLMs only"}


@dataclass(frozen=True, repr=False, eq=False)
class ColdStart(Result):
    """Metric values with 95% intervals, one per row.

    Parameters
    ----------
    rows : polars.DataFrame
        `router, group, pool_size, strategy, n_anchors, seed, metric, value, ci_low, ci_high, n_llms, n_instances`, see
        `coldstart`. The strategy "all scores" denotes the router fitted on all scores of all LLMs; `oracle` and
        `random` have no strategy.
    info : mapping
        Includes `strategies`, `anchors` and `n_pools`.
    """

    def pooled(self, metric: str, **where: Any) -> pl.DataFrame:
        """Rows of a metric pooled over seeds, sorted by number of anchors."""
        return super().pooled(metric, **where).sort("n_anchors", maintain_order=True)

    def enough(self, share: float = TARGET_SHARE) -> pl.DataFrame:
        """Smallest number of anchors from which a router reaches at least `share` of its mean score with full data.

        Returns
        -------
        polars.DataFrame
            `router, group, strategy, n_anchors` (null if no number is enough), and `value, ci_low, ci_high` at this
            number. Only the value counts; its interval may reach below the share.
        """
        enough = []
        pooled = self.pooled(SHARE)
        for (router, group, strategy), rows in pooled.group_by(["router", "group", "strategy"], maintain_order=True):
            below = rows.filter(pl.col("value") < share)["n_anchors"].max()
            above = rows if below is None else rows.filter(pl.col("n_anchors") > below)
            first = above.row(0, named=True) if above.height else dict.fromkeys(rows.columns)
            head = {"router": router, "group": group, "strategy": strategy}
            enough.append(head | {name: first[name] for name in ("n_anchors", "value", "ci_low", "ci_high")})
        kinds = {name: COLUMNS[name] for name in ("router", "group", "strategy", "n_anchors", "value")}
        return pl.DataFrame(enough, schema=kinds | {"ci_low": pl.Float64, "ci_high": pl.Float64})

    def sentences(self) -> list[str]:
        sentences = []
        best = "active" if "active" in self.info["strategies"] else self.info["strategies"][0]
        for k in (16,) if 16 in self.info["anchors"] else self.info["anchors"][-1:]:
            at = self.row("mean_score_error", n_anchors=k, strategy=best)
            assert at is not None
            line = f"after {k} {best} anchors an unseen LLM's mean score is off by {_interval(at)} on average"
            if (plain := self.row("plain_mean_error", n_anchors=k, strategy="random")) is not None:
                line += f"; the plain mean of {k} random ones is off by {_interval(plain)}"
            sentences.append(line)
        for row in self.enough().filter(strategy=best, group="mixed").iter_rows(named=True):
            head = f"{row['router']}, with half of the pool unseen,"
            sentences.append(
                f"{head} stays below {TARGET_SHARE:.0%} of full data at every number of {best} anchors"
                if row["n_anchors"] is None
                else f"{head} has {TARGET_SHARE:.0%} of full data from {row['n_anchors']} {best} anchors on: "
                f"{_interval(row)}"
            )
        return sentences

    def document(self) -> Document:
        data, row = self.info["dataset"], self.row("mean_score_error")
        assert row is not None
        facts = (
            f"{data['n_instances']:,} instances x {data['n_llms']:,} LLMs; {row['n_llms']} of them are held out as "
            f"unseen (by {data['holdout']}); {len(self.seeds)} seeds; 95% bootstrap intervals."
        )
        caption = (
            "Left: error of an unseen LLM's predicted mean score over the prompts that it was not run on. Right: mean "
            "score of the choices, relative to the same router with all scores of all LLMs; dotted: 99%."
        )
        picture = Figure(name="coldstart", draw=self.plot, caption=caption, on=Medium.NOTEBOOK | Medium.PAGE)
        return self.document_of("Cold start on", facts, [picture, *self._tables()])

    def _tables(self) -> Iterator[Block]:
        """Tables of the prediction of unseen LLMs and of routing in each kind of pool, by number of anchors."""
        row = self.row("mean_score_error")
        assert row is not None
        rows = [
            [strategy, str(k), *(Number.of(self.row(metric, strategy=strategy, n_anchors=k)) for metric in ERRORS)]
            for strategy in self.info["strategies"]
            for k in sorted(self.info["anchors"])
        ]
        yield Table(
            title="prediction of unseen LLMs",
            heads=["strategy", "anchors", *ERRORS.values()],
            rows=rows,
            caption=f"means over {row['n_llms']} unseen LLMs x {len(self.seeds)} seeds (held out by "
            f"{self.info['dataset']['holdout']}); {row['n_instances']} prompts; 95% bootstrap intervals",
            ruled=True,
            on=Medium.SCREEN | Medium.PAGE,
        )
        for pool in POOLS:
            if self.pooled(SHARE, group=pool).height:
                yield self._routing(pool)

    def _routing(self, pool: str) -> Table:
        shares = self.pooled(SHARE, group=pool)
        routers = shares["router"].unique(maintain_order=True).to_list()
        rows: list[list[str | Number]] = []
        for strategy in self.info["strategies"]:
            for k in sorted(self.info["anchors"]):
                where = {"group": pool, "strategy": strategy, "n_anchors": k}
                rows.append([strategy, str(k), *(Number.of(self.row(SHARE, router=r, **where)) for r in routers)])
        full = [self.row("mean_score", group=pool, router=r, strategy="all scores") for r in routers]
        rows.append(["full data", "mu", *map(Number.of, full)])
        bounds = {name: self.row("mean_score", group=pool, router=name) for name in ("random", "oracle")}
        reached = ", ".join(f"{name} {row['value']:.3f}" for name, row in bounds.items() if row)
        return Table(
            title=f"routing in {POOLS[pool]}: share of full data",
            heads=["strategy", "anchors", *routers],
            rows=rows,
            caption=f"{self.info['n_pools']} pools of {shares['pool_size'][0]} LLMs, {shares['n_instances'][0]} test "
            f"instances x {len(self.seeds)} seeds; mu of {reached}",
            ruled=True,
            on=Medium.SCREEN | Medium.PAGE,
        )

    def plot(self, **options: Any) -> Any:
        """Plot the error of the mean score and, if there are routers, routing in mixed pools, by number of anchors.

        Returns
        -------
        matplotlib.axes.Axes
            Axes of the error; its `figure` has both plots.
        """
        from recroute.coldstart.picture import draw

        return draw(self, **options)


def _interval(row: Mapping[str, Any]) -> str:
    return f"{row['value']:.3f} {bracket(row['ci_low'], row['ci_high'])}"
