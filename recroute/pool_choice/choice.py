"""The result of `choose_pool`: the chosen LLMs, and the quality they reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from recroute.experiment.compare import bracket
from recroute.experiment.result import Result, records
from recroute.pool_choice.rows import ALL, GROUPS, OF_ALL, ORACLE, ROUTED, SHARES, STRONG
from recroute.report.document import Block, Cell, Document, Facts, Figure, Medium, Number, Table

TARGET_SHARE = 0.99  # share of the routed quality of all LLMs
MAX_NAMED = 3  # LLMs in the row of a task
TABLES = Medium.SCREEN | Medium.PAGE


@dataclass(frozen=True, repr=False, eq=False)
class PoolChoice(Result):
    """The LLMs worth deploying.

    Parameters
    ----------
    rows : polars.DataFrame
        One row per metric value with its 95% interval: `router, group, baseline, pool_size, seed, metric, value,
        ci_low, ci_high, n_instances`, see `choose_pool`. `seed` is null when pooled over seeds. A row with a baseline
        is a paired difference, group minus baseline.
    info : mapping
        Includes `size, objective, router, keep, budget`.
    llms : list of str
        The pool of the requested size, chosen for the requested objective on the training prompts of the first seed.
    pools : polars.DataFrame
        `objective, pool_size, llm_id, n_seeds`: the first seed's pools, and the number of seeds that chose each LLM.
    tasks : polars.DataFrame
        `task, n_instances, llm_id, share`: the share of each task's training prompts that the router sends to each
        LLM, by routers fitted on other prompts.
    replacements : polars.DataFrame
        `llm_id, replacement, mean_score, difference, ci_low, ci_high`: the best replacement if that LLM is withdrawn,
        the mean score on the first seed's test prompts with it, and the paired difference to the pool with its 95%
        interval.
    """

    llms: list[str]
    pools: pl.DataFrame
    tasks: pl.DataFrame
    replacements: pl.DataFrame

    @property
    def n_all(self) -> int:
        """The number of LLMs in the pool of all, to which shares refer."""
        return int(self.pooled("mean_score", group=ALL)["pool_size"][0])

    def pooled(self, metric: str, **where: Any) -> pl.DataFrame:
        """Rows of a metric pooled over seeds, sorted by pool size; paired differences only if a `baseline` is named."""
        rows = super().pooled(metric, **where).sort("pool_size", maintain_order=True)
        return rows if "baseline" in where else rows.filter(pl.col("baseline").is_null())

    def enough(self, share: float = TARGET_SHARE) -> int | None:
        """The smallest pool size that reaches this share of the routed quality of all LLMs; None if none does."""
        reached = self.pooled("share_of_all", group=ROUTED).filter(pl.col("value") >= share)
        return reached["pool_size"].min() if reached.height else None  # type: ignore[return-value]

    def to_dict(self, command: list[str] | None = None) -> dict[str, Any]:
        tables = {name: records(getattr(self, name)) for name in ("pools", "tasks", "replacements", "rows")}
        return {**self.head(command), "llms": self.llms, **tables}

    def sentences(self) -> list[str]:
        router, size, m = self.info["router"], len(self.llms), self.n_all
        lines = []
        for group, metric, aim, whole in (
            (ROUTED, "share_of_all", "for routing", f"what {router} reaches with all {m:,}"),
            (ORACLE, "oracle_share_of_all", "for the oracle", f"the oracle score of all {m:,}"),
        ):
            row = self.row(metric, group=group, pool_size=size)
            if row is None:
                lines.append(f"{size} chosen {aim}: no share of {whole}, because that is 0 on test")
                continue
            line = f"{size} chosen {aim}: {_share(row)} of {whole}"
            if strong := self.row(metric, group=STRONG, pool_size=size):
                line += f"; RouterEval's all_strong {_share(strong)}"
                if gap := self.row(metric, group=group, baseline=STRONG, pool_size=size):
                    line += f", difference {_share(gap, '+')}"
            lines.append(line)
        if self.pooled("share_of_all", group=ROUTED).height:
            lines.append(self._smallest())
        return lines

    def _smallest(self) -> str:
        k, whole = self.enough(), f"{TARGET_SHARE:.0%} of what {self.info['router']} reaches with all {self.n_all:,}"
        row = None if k is None else self.row("share_of_all", group=ROUTED, pool_size=k)
        if k is None or row is None:
            return f"no pool of up to {len(self.llms)} LLMs chosen for routing reaches {whole}"
        return f"smallest pool that reaches {whole}: {k} LLM{'s' * (k > 1)}, {_share(row)}"

    def document(self) -> Document:
        data, info = self.info["dataset"], self.info
        facts = (
            f"{data['n_instances']:,} instances x {data['n_llms']:,} LLMs; router {info['router']}; n = "
            f"{data['n_test']:,} test prompts x {len(self.seeds)} seeds; 95% bootstrap intervals. Pools are chosen on "
            "training prompts."
        )
        caption = (
            "Left: mean score of the router on test prompts, fitted on the pool alone, as a share of its mean score "
            "with all LLMs. Right: the same for the best score in the pool, an upper bound for every router."
        )
        asked = {key: info[key] for key in ("objective", "router", "budget")} | {"keep": ", ".join(info["keep"])}
        blocks: list[Block] = [
            Figure(name="pool", draw=self.plot, caption=caption, text=self._text),
            self._members(),
            self._tasks(),
            *map(self._shares, SHARES),
            self._differences(),
            Facts(title="Settings", facts=asked),
        ]
        return self.document_of("LLMs worth deploying on", facts, blocks)

    def _members(self) -> Table:
        """The LLMs of the pool: their share of the prompts, the seeds that chose them, and their replacements."""
        total = self.tasks.unique("task")["n_instances"].sum()
        weighted = (pl.col("share") * pl.col("n_instances")).sum() / total
        share = dict(self.tasks.group_by("llm_id").agg(weighted).iter_rows())
        pools = self.pools.filter(objective=self.info["objective"], pool_size=len(self.llms))
        n_seeds = dict(pools.select("llm_id", "n_seeds").iter_rows())
        after = {row["llm_id"]: row for row in self.replacements.iter_rows(named=True)}
        rows: list[list[Cell]] = []
        for llm in self.llms:
            then = after.get(llm, dict.fromkeys(self.replacements.columns))
            rows.append(
                [
                    llm,
                    then["replacement"] or "-",
                    Number(share[llm], form=".0%"),
                    Number(n_seeds[llm], form="d"),
                    Number(then["mean_score"]),
                    Number(then["difference"], then["ci_low"], then["ci_high"], "+.3f"),
                ]
            )
        return Table(
            title=f"the {len(self.llms)} LLMs (chosen for: {self.info['objective']})",
            heads=["LLM", "if withdrawn, use", "answers", "seeds", "mean score then", "difference"],
            rows=rows,
            caption=f"answers: share of the training prompts that {self.info['router']} sends to it, out of fold; "
            f"seeds: how many of {len(self.seeds)} chose it; if withdrawn: the replacement that loses least on train, "
            f"and its effect on the {self.info['dataset']['n_test']} test prompts of seed {self.info['seed']}",
            on=TABLES,
        )

    def _tasks(self) -> Table:
        rows: list[list[Cell]] = []
        for (task,), of_task in self.tasks.group_by("task", maintain_order=True):
            used = of_task.filter(pl.col("share") > 0).sort("share", descending=True, maintain_order=True)
            named = [f"{share:.0%} {llm}" for llm, share in used.select("llm_id", "share").head(MAX_NAMED).iter_rows()]
            if (others := used.height - len(named)) > 0:
                named.append(f"{used['share'][MAX_NAMED:].sum():.0%} {others} other{'s' * (others > 1)}")
            rows.append([str(task), Number(of_task["n_instances"][0], form=",d"), "\n".join(named)])
        return Table(title="where the prompts go", heads=["task", "prompts", "LLMs"], rows=rows, on=TABLES)

    def _shares(self, metric: str) -> Table:
        groups = [group for group in GROUPS if self.pooled(metric, group=group).height]
        sizes = self.pooled(metric).filter(pl.col("group") != ALL)["pool_size"].unique().sort()
        rows: list[list[Cell]] = [
            [str(size), *(Number.of(self.row(metric, group=group, pool_size=size), ".1%") for group in groups)]
            for size in sizes
        ]
        full = self.row(OF_ALL[metric], group=ALL)
        assert full is not None
        who = self.info["router"] if metric == "share_of_all" else "oracle"
        return Table(
            title=f"{SHARES[metric]} on test, share of all {self.n_all:,} LLMs",
            heads=["LLMs", *(GROUPS[group] for group in groups)],
            rows=rows,
            caption=f"all LLMs: {who} {full['value']:.3f} {bracket(full['ci_low'], full['ci_high'])}; n = "
            f"{full['n_instances']} test prompts x {len(self.seeds)} seeds, 95% bootstrap intervals",
            on=TABLES,
        )

    def _differences(self) -> Table:
        pairs = self.rows.filter(
            pl.col("seed").is_null(), pl.col("baseline").is_not_null(), pl.col("metric").is_in(list(SHARES))
        )
        return Table(
            title="paired differences",
            heads=["pool", "baseline", "share of all LLMs", "LLMs", "difference"],
            rows=[
                [
                    GROUPS[row["group"]],
                    GROUPS[row["baseline"]],
                    SHARES[row["metric"]],
                    Number(row["pool_size"], form="d"),
                    Number.of(row, "+.1%"),
                ]
                for row in pairs.iter_rows(named=True)
            ],
            caption="Both pools on the same resampled test prompts.",
            on=Medium.PAGE,
        )

    def plot(self, **options: Any) -> Any:
        """Draw routed quality and oracle score by pool size, side by side, as shares of those of all LLMs.

        Returns
        -------
        matplotlib.axes.Axes of the routed quality; its `.figure` has both.
        """
        from recroute.pool_choice.picture import draw

        return draw(self, f"share of all {self.n_all:,} LLMs", **options)

    def _text(self) -> Any:
        from recroute.pool_choice.picture import text

        return text(self, f"share of all {self.n_all:,} LLMs")


def _share(row: Mapping[str, Any], sign: str = "") -> str:
    return f"{row['value']:{sign}.1%} {bracket(row['ci_low'], row['ci_high'], f'{sign}.1%')}"
