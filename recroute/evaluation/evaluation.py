"""The result of an evaluation: a tidy table and how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Self

import polars as pl

from recroute.experiment.compare import COMPARISON_COLUMNS, is_bound, sentence
from recroute.experiment.old_result import Result

COLUMNS = {
    "router": pl.String,
    "group": pl.String,
    "pool_size": pl.Int64,
    "seed": pl.Int64,
    "metric": pl.String,
    "value": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "n_instances": pl.Int64,
}

PASSED = {  # metric: what it compares with, and the value of a tie
    "lift": ("best single of train", 0.0),
    "best_single_ratio": ("best single on test", 1.0),
    "reference_ratio": ("reference", 1.0),
}
PASS_COLUMNS = {
    "router": pl.String,
    "group": pl.String,
    "against": pl.String,
    "pool_size": pl.Int64,
    "value": pl.Float64,
    "ci_low": pl.Float64,
    "pool_size_clear": pl.Int64,
}


@dataclass(frozen=True, repr=False, eq=False)
class Evaluation(Result):
    """One row per metric value, with its 95% interval.

    Parameters
    ----------
    rows : polars.DataFrame
        `router, group, pool_size, seed, metric, value, ci_low, ci_high, n_instances`. `seed` is null when
        pooled over seeds; `group` "mean" is the mean of the groups; `pool_size` is null for the slope and for the mean
        over sizes.
    info : mapping
        `dataset` (name, shape, split), `seed`, `seeds`, `notes` (lines a reader should know), `complete` (False if the
        run was interrupted) and `headroom` (the doctor's numbers, or None).
    comparisons : polars.DataFrame
        Paired differences to a baseline, pooled over seeds, see `recroute.experiment.compare.comparisons`.
    choices : polars.DataFrame, optional
        What every router took for every test instance, see `recroute.evaluation.choices.choice_table`.
    """

    rows: pl.DataFrame
    info: Mapping[str, Any]
    comparisons: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=COMPARISON_COLUMNS))
    choices: pl.DataFrame | None = None

    @property
    def notes(self) -> list[str]:
        return list(self.info["notes"])

    @property
    def seeds(self) -> list[int]:
        """The seeds in the table: all that were asked for, unless the run was interrupted."""
        keys = self.info.get("splits") or self.info["seeds"]
        return list(dict.fromkeys(int(str(key).partition(",")[0]) for key in keys))  # "0" or "0, task gsm8k"

    def value(self, router: str, metric: str, *, pool_size: int | None = None, group: str | None = None) -> float:
        """The pooled value of one metric; KeyError unless exactly one row fits.

        `pool_size` and `group` may be left out where there is only one.
        """
        found = self.rows.filter(pl.col("seed").is_null(), router=router, metric=metric)
        if pool_size is not None:
            found = found.filter(pool_size=pool_size)
        if group is not None:
            found = found.filter(group=group)
        if found.height != 1:
            raise KeyError(
                f"{found.height} rows for router {router!r}, metric {metric!r}, size {pool_size}, group {group!r}"
            )
        return float(found["value"][0])

    @property
    def main_metric(self) -> str:
        """The mean score, or where there are only preferences the agreement with them."""
        return "mean_score" if "mean_score" in self.rows["metric"] else "agreement"

    def sentences(self, metric: str | None = None) -> list[str]:
        """What can be said of each router against the baseline, by default in its `main_metric`.

        The mean over groups and pool sizes is compared where there are several.
        """
        metric = metric or self.main_metric
        found = self.comparisons.filter(metric=metric)
        if "mean" in found["group"]:
            found = found.filter(group="mean")
        if found["pool_size"].has_nulls():
            found = found.filter(pl.col("pool_size").is_null())
        return [sentence(row) for row in found.iter_rows(named=True)]

    def passes(self, group: str | None = None) -> pl.DataFrame:
        """The smallest pool at which each router passes the best single LLM, and the reference.

        Parameters
        ----------
        group : str, optional
            Default: the mean over groups, or the only group.

        Returns
        -------
        polars.DataFrame with a row for each router and `against`: "best single of train" (lift above 0), "best single
        on test" (V_B above 1) or "reference" (V_R above 1), where there is one. `pool_size` is the smallest pool whose
        value is above, `value` and `ci_low` stand at it; `pool_size_clear` is the smallest whose interval lies above as
        a whole. Null where no pool does. A larger pool may fall behind again.
        """
        pooled = self.rows.filter(pl.col("seed").is_null(), pl.col("pool_size").is_not_null())
        groups = pooled["group"].unique(maintain_order=True).to_list()
        group = group or ("mean" if "mean" in groups else groups[0])
        found = []
        for metric, (against, limit) in PASSED.items():
            curves = pooled.filter(group=group, metric=metric).sort("pool_size")
            for router in curves["router"].unique(maintain_order=True):
                curve = curves.filter(router=router)
                above = curve.filter(pl.col("value") > limit).head(1).to_dicts()
                clear = curve.filter(pl.col("ci_low") > limit)["pool_size"].to_list()
                first: dict[str, Any] = above[0] if above else {}
                found.append(
                    {
                        "router": router,
                        "group": group,
                        "against": against,
                        "pool_size": first.get("pool_size"),
                        "value": first.get("value"),
                        "ci_low": first.get("ci_low"),
                        "pool_size_clear": clear[0] if clear else None,
                    }
                )
        return pl.DataFrame(found, schema=PASS_COLUMNS)

    def passing(self) -> str:
        """From which pool size on each router is above the best single LLM on test, its whole interval included."""
        found = self.passes().filter(against="best single on test")
        routers = [label for label in found["router"] if label != "best_single" and not is_bound(label)]
        found = found.filter(pl.col("router").is_in(routers))
        found = found.sort("pool_size_clear", nulls_last=True, maintain_order=True)
        parts = []
        for (size,), rows in found.group_by("pool_size_clear", maintain_order=True):
            where = "at no size" if size is None else f"from m = {size}"
            parts.append(f"{where}: {', '.join(rows['router'])}")
        return f"above the best single LLM on test, interval and all, {'; '.join(parts)}"

    def to_pandas(self) -> Any:
        """The rows as a pandas frame (pandas has to be installed)."""
        return self.rows.to_pandas()

    def to_polars(self) -> pl.DataFrame:
        """The rows."""
        return self.rows

    def plot(self, metric: str | None = None, **options: Any) -> Any:
        """The growth curve, or intervals side by side for one pool, as Matplotlib axes; see `plot_evaluation`."""
        return _report().plot_evaluation(self, metric, **options)

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict, the notes and the main table."""
        return str(_report().notebook_html(self))

    def with_info(self, **more: Any) -> Self:
        """The evaluation with more known of it."""
        return replace(self, info={**self.info, **more})

    def renamed(self, router: str, name: str) -> Evaluation:
        """The evaluation with another name for a router, in tables and choices; `info` says what it stands for."""
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

    def to_dict(self, command: list[str] | None = None) -> dict[str, Any]:
        """The result JSON: version, command, data set, seed, rows and what else is known of the run."""
        # NaN is no JSON: a value that does not exist is null
        rows = self.rows.with_columns(pl.col("value", "ci_low", "ci_high").fill_nan(None))
        pairs = self.comparisons.with_columns(pl.lit(None, dtype=pl.Int64).alias("seed"))
        return {**self.head(command), "rows": rows.to_dicts() + pairs.to_dicts()}

    @classmethod
    def from_dict(cls, result: Mapping[str, Any]) -> Evaluation:
        """From a result JSON; the opposite of `to_dict`. KeyError or TypeError if it is none."""
        pairs = [row for row in result["rows"] if row.get("baseline") is not None]
        rows = [row for row in result["rows"] if row.get("baseline") is None]
        # Keys that a result of an older version may lack.
        known = {
            "complete": True,
            "notes": [],
            "seeds": [result["seed"]],
            "environment": {"recroute": result["recroute"]},
        }
        info = {**known, **{key: value for key, value in result.items() if key not in ("rows", "recroute")}}
        if "name" not in info["dataset"]:
            raise KeyError("name")
        return cls(_table(rows, COLUMNS), info, _table(pairs, COMPARISON_COLUMNS))


def _table(rows: list[Mapping[str, Any]], columns: Mapping[str, Any]) -> pl.DataFrame:
    """Rows as a frame; a null value is NaN, as it was before it became JSON."""
    numbers = [name for name, kind in columns.items() if kind == pl.Float64 and name.startswith(("value", "ci_"))]
    found = pl.DataFrame([{name: row.get(name) for name in columns} for row in rows], schema=dict(columns))
    return found.with_columns(pl.col(numbers).fill_null(float("nan")))


def _report() -> Any:
    """The layer that shows results; it builds on this one, so it is looked up only when somebody looks."""
    return import_module("recroute.report")
