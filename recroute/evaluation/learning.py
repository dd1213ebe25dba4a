"""Learning curves: routing quality as the training data grow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from numbers import Real
from typing import Any

import polars as pl

from recroute.data import Dataset
from recroute.encoders import encode_dataset
from recroute.errors import DataError
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.run import scale
from recroute.experiment.compare import LEVEL, holm, is_bound
from recroute.experiment.old_protocol import Progress
from recroute.experiment.old_result import Result
from recroute.routers import Router, as_routers
from recroute.util.arguments import as_list, checked

SIZE_COLUMNS = {"train_fraction": pl.Float64, "n_train": pl.Int64}
ENOUGH_COLUMNS = {
    "router": pl.String,
    "baseline": pl.String,
    "n_train": pl.Int64,
    "value": pl.Float64,
    "ci_low": pl.Float64,
    "n_train_clear": pl.Int64,
}


@dataclass(frozen=True, repr=False, eq=False)
class LearningCurve(Result):
    """Evaluations of the same routers, pools and test instances after fits on more and more training instances.

    Parameters
    ----------
    rows, comparisons : polars.DataFrame
        Those of an `Evaluation` with `train_fraction, n_train`, the share and the number of training instances, added.
    info : mapping
        As of an `Evaluation`, with `train_fractions`. Its `dataset` has the `n_train` of the largest.
    choices : polars.DataFrame, optional
        As of an `Evaluation`, with `train_fraction` added.
    """

    rows: pl.DataFrame
    comparisons: pl.DataFrame
    info: Mapping[str, Any]
    choices: pl.DataFrame | None = None

    @property
    def notes(self) -> list[str]:
        return list(self.info["notes"])

    @property
    def seeds(self) -> list[int]:
        return list(self.info["seeds"])

    def curve(self, metric: str = "mean_score", group: str | None = None) -> pl.DataFrame:
        """Rows pooled over seeds of one metric: the mean over groups and over pool sizes where there are several."""
        return _main(self.rows.filter(pl.col("seed").is_null(), metric=metric), group).sort("n_train")

    def enough(self, metric: str = "mean_score", group: str | None = None) -> pl.DataFrame:
        """The smallest training set at which each router beats the baseline.

        Returns
        -------
        polars.DataFrame with a row for each router that is no bound. `n_train` is the smallest training set at which
        the paired 95% interval of its difference to the baseline lies above 0; `value` and `ci_low` stand at it. Of
        many looks at the same curve some succeed by chance, so `n_train_clear` asks for more: from it on, at it and at
        every larger one, the router is ahead with p below .05 after Holm's correction for all routers and all training
        sets together. Null where there is none.
        """
        pairs = _main(self.comparisons.filter(metric=metric), group)
        pairs = pairs.with_columns(p=pl.Series(holm(pairs["p_value"].to_list()), dtype=pl.Float64))
        found = []
        for router in pairs["router"].unique(maintain_order=True):
            own = pairs.filter(router=router).sort("n_train")
            first: dict[str, Any] = next(iter(own.filter(pl.col("ci_low") > 0).to_dicts()), {})
            clear = None
            for row in reversed(own.to_dicts()):
                if row["value"] <= 0 or row["p"] >= LEVEL:
                    break
                clear = row["n_train"]
            found.append(
                {
                    "router": router,
                    "baseline": own["baseline"][0],
                    "n_train": first.get("n_train"),
                    "value": first.get("value"),
                    "ci_low": first.get("ci_low"),
                    "n_train_clear": clear,
                }
            )
        return pl.DataFrame(found, schema=ENOUGH_COLUMNS)

    def sentences(self) -> list[str]:
        """From how many training instances on each router beats the baseline."""
        found = []
        for row in self.enough().iter_rows(named=True):
            if row["router"] == row["baseline"] or is_bound(row["router"]):
                continue
            size = row["n_train_clear"]
            at = "at no training size" if size is None else f"from {size:,} training instances on"
            alone = "" if row["n_train"] in (None, size) else f" (uncorrected interval above 0 at {row['n_train']:,})"
            found.append(f"{row['router']} beats {row['baseline']} {at}{alone}")
        return found

    def plot(self, metric: str = "mean_score", **options: Any) -> Any:
        """The curve as Matplotlib axes, see `plot_learning`."""
        return import_module("recroute.report").plot_learning(self, metric, **options)

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict and the table."""
        return str(import_module("recroute.report").learning_notebook(self))

    def with_info(self, **more: Any) -> LearningCurve:
        """The curve with more known of it."""
        return replace(self, info={**self.info, **more})

    def to_dict(self, command: list[str] | None = None) -> dict[str, Any]:
        """The result JSON: that of an `Evaluation`, every row with `train_fraction` and `n_train`."""
        plain = Evaluation(self.rows, self.info, self.comparisons)
        return plain.to_dict(command)


@checked
def learning_curve(
    dataset: Dataset,
    routers: Iterable[Router | str],
    *,
    train_fractions: Sequence[float] = (0.01, 0.03, 0.1, 0.3, 1.0),
    evaluate: Callable[..., Evaluation] = scale,
    headroom: bool | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> LearningCurve:
    """Routing quality after fits on growing fractions of the training instances.

    The fractions are nested and stratified by task, drawn for each seed (see `take_train_fraction`). Test instances
    and pools are the same for all: pools are chosen on the whole training part, encoders and routers, the best single
    LLM among them, know the fraction only.

    Parameters
    ----------
    dataset : Dataset
    routers : list of Router or str
    train_fractions : list of float
        Each in (0, 1].
    evaluate : callable
        `scale` or `recroute.evaluation.evaluate`; `options` are its parameters.
    headroom, progress
        As there.

    Returns
    -------
    LearningCurve. After a KeyboardInterrupt it holds the fractions that were finished.

    Raises
    ------
    RecrouteError
        For what `evaluate` refuses, no fraction, or one that leaves too few instances.
    """
    fractions = sorted(set(as_list(train_fractions, "train_fractions", Real, "numbers")))
    if not fractions:
        raise DataError("a learning curve needs at least one training fraction, such as 0.1")
    dataset = encode_dataset(dataset, options.get("encoder", "auto"))
    routers, parts = as_routers(routers), []
    for i, fraction in enumerate(fractions):

        def step(done: int, of: int, before: int = i) -> None:
            if progress:
                progress(before * of + done, len(fractions) * of)

        last = fraction == fractions[-1]
        room = headroom if last else False
        part = evaluate(dataset, routers, train_fraction=fraction, headroom=room, progress=step, **options)
        parts.append((fraction, part))
        if not part.info["complete"]:
            break
    return _joined(parts)


def _joined(parts: Sequence[tuple[float, Evaluation]]) -> LearningCurve:
    largest = parts[-1][1].info
    notes = dict.fromkeys(note for _, part in reversed(parts) for note in part.notes)
    sizes = {
        "train_fractions": [fraction for fraction, _ in parts],
        "splits": {f"{seed}, {f:g}": digest for f, part in parts for seed, digest in part.info["splits"].items()},
    }
    choices = [_with_size(part.choices, fraction, None) for fraction, part in parts if part.choices is not None]
    return LearningCurve(
        pl.concat([_with_size(part.rows, f, part.info["dataset"]["n_train"]) for f, part in parts]),
        pl.concat([_with_size(part.comparisons, f, part.info["dataset"]["n_train"]) for f, part in parts]),
        {**largest, "notes": list(notes), **sizes},
        pl.concat(choices) if choices else None,
    )


def _with_size(table: pl.DataFrame, fraction: float, n_train: int | None) -> pl.DataFrame:
    known = {"train_fraction": fraction} if n_train is None else {"train_fraction": fraction, "n_train": n_train}
    return table.with_columns(**{name: pl.lit(value, dtype=SIZE_COLUMNS[name]) for name, value in known.items()})


def _main(rows: pl.DataFrame, group: str | None) -> pl.DataFrame:
    groups = rows["group"].unique(maintain_order=True).to_list()
    group = group or ("mean" if "mean" in groups else groups[0])
    rows = rows.filter(group=group)
    return rows.filter(pl.col("pool_size").is_null()) if rows["pool_size"].has_nulls() else rows
