"""The pool that was chosen, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import polars as pl

from recroute.experiment.compare import bracket
from recroute.experiment.old_result import Result
from recroute.pool_choice.rows import ALL, ORACLE, ROUTED, STRONG

ENOUGH = 0.99  # of what all LLMs reach


@dataclass(frozen=True, repr=False, eq=False)
class PoolChoice(Result):
    """The LLMs worth deploying.

    Parameters
    ----------
    llms : list of str
        The pool of the size asked for, chosen for the objective asked for on the training prompts of the first seed.
    rows : polars.DataFrame
        One row per metric value with its 95% interval: `router, group, baseline, pool_size, seed, metric, value,
        ci_low, ci_high, n_instances`, see `choose_pool`. `seed` is null when pooled over seeds. A row with a baseline
        is a paired difference, group minus baseline.
    pools : polars.DataFrame
        `objective, pool_size, llm_id, n_seeds`: the first seed's pools, and how many seeds chose the LLM too.
    tasks : polars.DataFrame
        `task, n_instances, llm_id, share`: where the router sends training prompts that it was not fitted on.
    replacements : polars.DataFrame
        `llm_id, replacement, mean_score, difference, ci_low, ci_high`: the best exchange if that LLM is withdrawn, the
        mean score on the first seed's test prompts then, and its paired difference to the pool with its interval.
    info : mapping
        `dataset`, `seed`, `seeds`, `objective`, `router`, `keep`, `budget`, `notes`, `complete`, `environment`.
    """

    llms: list[str]
    rows: pl.DataFrame
    pools: pl.DataFrame
    tasks: pl.DataFrame
    replacements: pl.DataFrame
    info: Mapping[str, Any]

    @property
    def notes(self) -> list[str]:
        return list(self.info["notes"])

    def pooled(self, metric: str, **where: Any) -> pl.DataFrame:
        """Rows of a metric pooled over seeds, by pool size; differences only where a `baseline` is named."""
        rows = self.rows.filter(pl.col("seed").is_null(), metric=metric)
        if "baseline" not in where:
            rows = rows.filter(pl.col("baseline").is_null())
        return rows.filter(**where).sort("pool_size", maintain_order=True)

    def enough(self, share: float = ENOUGH) -> int | None:
        """The smallest size whose routed pool has at least this share of the quality of all LLMs; None if none has."""
        reached = self.pooled("share_of_all", group=ROUTED).filter(pl.col("value") >= share)
        return reached["pool_size"].min() if reached.height else None  # type: ignore[return-value]

    def sentences(self) -> list[str]:
        """What can be said in words."""
        router, size = self.info["router"], len(self.llms)
        m = int(self.pooled("mean_score", group=ALL)["pool_size"][0])
        found = []
        for group, metric, aim, told in (
            (ROUTED, "share_of_all", "for routing", f"what {router} reaches with all {m:,}"),
            (ORACLE, "oracle_share_of_all", "for the oracle", f"the oracle score of all {m:,}"),
        ):
            row = self.pooled(metric, group=group, pool_size=size)
            if row.is_empty():
                found.append(f"{size} chosen {aim}: no share of {told} can be told, for that is 0 on test")
                continue
            line = f"{size} chosen {aim}: {_share(row)} of {told}"
            if (strong := self.pooled(metric, group=STRONG, pool_size=size)).height:
                gap = self.pooled(metric, group=group, baseline=STRONG, pool_size=size)
                line += f"; RouterEval's all_strong {_share(strong)}, difference {_share(gap, '+')}"
            found.append(line)
        if self.pooled("share_of_all", group=ROUTED).is_empty():
            return found
        k, told = self.enough(), f"{ENOUGH:.0%} of what {router} reaches with all {m:,}"
        found.append(
            f"no pool of up to {size} LLMs chosen for routing has {told}"
            if k is None
            else f"smallest pool with at least {told}: {k} LLM{'s' * (k > 1)}, "
            + _share(self.pooled("share_of_all", group=ROUTED, pool_size=k))
        )
        return found

    def plot(self) -> Any:
        """Share of the quality of all LLMs by size as Matplotlib axes; see `plot_pool`."""
        return import_module("recroute.report").plot_pool(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return str(import_module("recroute.report").pool_notebook(self))

    def with_info(self, **more: Any) -> PoolChoice:
        return replace(self, info={**self.info, **more})

    def to_dict(self, command: list[str] | None = None) -> dict[str, Any]:
        """The result JSON: version, command, data set, seed, rows, the pool and what else is known of it."""
        tables = {name: getattr(self, name) for name in ("pools", "tasks", "replacements", "rows")}
        plain = {name: table.with_columns(pl.col(pl.Float64).fill_nan(None)) for name, table in tables.items()}
        return {**self.head(command), "llms": self.llms, **{name: table.to_dicts() for name, table in plain.items()}}


def _share(rows: pl.DataFrame, sign: str = "") -> str:
    value, low, high = rows.select("value", "ci_low", "ci_high").row(0)
    return f"{value:{sign}.1%} {bracket(low, high, f'{sign}.1%')}"
