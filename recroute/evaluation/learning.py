"""`learning_curve`: routing quality against the number of training instances."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import polars as pl

from recroute.data import Dataset
from recroute.errors import DataError
from recroute.evaluation.curves import growth_text, plot_growth
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.run import evaluate as evaluate_all
from recroute.evaluation.run import measure, scale
from recroute.evaluation.settings import EvaluationSettings, ScaleSettings
from recroute.evaluation.tables import main_group, soft, title_of
from recroute.experiment.compare import LEVEL, holm, is_bound
from recroute.experiment.protocol import Progress
from recroute.experiment.result import Compared
from recroute.report.document import Block, Cell, Document, Figure, Medium, Number, Section, Table
from recroute.routers import Router, as_routers
from recroute.util.arguments import as_numbers, checked
from recroute.util.settings import check_known

SIZE_COLUMNS = {"train_fraction": pl.Float64, "n_train": pl.Int64}
ENOUGH_COLUMNS = {
    "router": pl.String,
    "baseline": pl.String,
    "n_train": pl.Int64,
    "value": pl.Float64,
    "ci_low": pl.Float64,
    "n_train_clear": pl.Int64,
}
SETTINGS: dict[Callable[..., Evaluation], type[EvaluationSettings]] = {
    scale: ScaleSettings,
    evaluate_all: EvaluationSettings,
}
X_LABEL = "training instances"


@dataclass(frozen=True, repr=False, eq=False)
class LearningCurve(Compared):
    """Evaluations of the same routers, pools and test instances after fits on increasing training sets.

    Parameters
    ----------
    rows, comparisons : polars.DataFrame
        As in `Evaluation`, with additional columns `train_fraction` and `n_train`, the share and number of training
        instances.
    info : mapping
        As in `Evaluation`, with `train_fractions`. `n_train` in `dataset` is that of the largest training set.
    choices : polars.DataFrame, optional
        As in `Evaluation`, with the additional column `train_fraction`.
    """

    def curve(self, metric: str | None = None, group: str | None = None) -> pl.DataFrame:
        """Rows of one metric, pooled over seeds and averaged over groups and pool sizes."""
        return _main(self.pooled(metric or self.main_metric), group).sort("n_train")

    def enough(self, metric: str | None = None, group: str | None = None) -> pl.DataFrame:
        """Smallest training set at which each router beats the baseline in one metric (default: `main_metric`).

        Returns
        -------
        polars.DataFrame
            A row for each router that is not a bound. `n_train` is the smallest training set at which the paired 95%
            interval of its difference to the baseline is above 0, `value` and `ci_low` are those at this size. Because
            some of many comparisons succeed by chance, `n_train_clear` is stricter: at this size and at every larger
            one the router is ahead with p < .05 after Holm's correction for all routers and training sets together.
            Null if there is none.
        """
        pairs = _main(self.comparisons.filter(metric=metric or self.main_metric), group)
        pairs = pairs.with_columns(p=pl.Series(holm(pairs["p_value"].to_list()), dtype=pl.Float64))
        found = []
        for router in pairs["router"].unique(maintain_order=True):
            own = pairs.filter(router=router).sort("n_train")
            first: dict[str, Any] = next(own.filter(pl.col("ci_low") > 0).iter_rows(named=True), {})
            clear = None
            for row in reversed(own.to_dicts()):
                if row["value"] <= 0 or row["p"] >= LEVEL:
                    break
                clear = row["n_train"]
            at = {name: first.get(name) for name in ("n_train", "value", "ci_low")}
            found.append({"router": router, "baseline": own["baseline"][0], **at, "n_train_clear": clear})
        return pl.DataFrame(found, schema=ENOUGH_COLUMNS)

    def sentences(self) -> list[str]:
        """One sentence per router with the number of training instances from which it beats the baseline."""
        found = []
        for row in self.enough().iter_rows(named=True):
            if row["router"] == row["baseline"] or is_bound(row["router"]):
                continue
            size = row["n_train_clear"]
            at = "at no training size" if size is None else f"from {size:,} training instances on"
            alone = "" if row["n_train"] in (None, size) else f" (uncorrected interval above 0 at {row['n_train']:,})"
            found.append(f"{row['router']} beats {row['baseline']} {at}{alone}")
        return found

    def plot(self, metric: str | None = None, **options: Any) -> Any:
        """Plot a metric against the number of training instances; `options` are those of `plot_growth`.

        Returns
        -------
        matplotlib.axes.Axes
        """
        metric = metric or self.main_metric
        title = f"{self.marked}{self.info['dataset']['name']}, {_where(self.curve(metric))}"
        return plot_growth(self._growth(metric), **{"metric": metric, "title": title, "x_label": X_LABEL, **options})

    def document(self) -> Document:
        data, n_seeds = self.info["dataset"], len(self.seeds)
        facts = (
            f"{data['n_instances']:,} instances x {data['n_llms']:,} LLMs; up to {data['n_train']:,} training "
            f"instances; {data['n_test']:,} test instances x {n_seeds} seed{'s' * (n_seeds != 1)}; 95% bootstrap "
            "intervals."
        )
        return self.document_of("Learning curves on", facts, list(self._blocks()), unfinished="training sets")

    def _growth(self, metric: str) -> pl.DataFrame:
        """Rows with the size of the training set as `pool_size`, for the plots of growing pools."""
        return self.curve(metric).with_columns(pool_size=pl.col("n_train"))

    def _blocks(self) -> Iterator[Block]:
        main, there = self.main_metric, set(self.rows["metric"])
        figures = [
            Figure(
                name=f"learning-{metric}",
                draw=partial(self.plot, metric),
                caption=f"{title_of(metric)}, {_where(self.curve(metric))}",
            )
            for metric in (main, "lift")
            if metric in there
        ]
        yield Section(title="As the training data grow", blocks=figures, on=Medium.PAGE)
        tables = [self._table(main)]
        tables += [self._table(metric, on=Medium.PAGE) for metric in ("best_single_ratio", "lift") if metric in there]
        yield Section(title="Tables", blocks=tables)
        title = f"{title_of(main)}, {_where(self.curve())}"
        text = partial(growth_text, self._growth(main), main, title=title, x_label=X_LABEL)
        yield Figure(name="curve", draw=self.plot, text=text, on=Medium.SCREEN)
        yield Section(title="How much is enough", blocks=[self._enough_table()], on=Medium.PAGE)

    def _table(self, metric: str, on: Medium = Medium.ALL) -> Table:
        """Table of routers by number of training instances, and the number from which each is ahead of the baseline."""
        rows = self.curve(metric)
        sizes = rows["n_train"].unique().sort().to_list()
        clear = dict(self.enough(metric).select("router", "n_train_clear").iter_rows())
        body: list[list[Cell]] = []
        for router in rows["router"].unique(maintain_order=True):
            own = {row["n_train"]: row for row in rows.filter(router=router).iter_rows(named=True)}
            ahead = Number(clear.get(router), form=",d", missing="never" if router in clear else "")
            body.append([router, *(Number.of(own.get(size)) for size in sizes), ahead])
        return Table(
            title=f"{title_of(metric)} by {X_LABEL}, {_where(rows)}",
            heads=["router", *(f"{size:,}" for size in sizes), "ahead from"],
            rows=body,
            caption=f"{self.counted()}; {self._rule()}",
            soft=soft([str(row[0]) for row in body]),
            on=on,
        )

    def _enough_table(self) -> Table:
        body: list[list[Cell]] = [
            [
                row["router"],
                row["baseline"],
                Number(row["n_train"], form=",d", missing="never"),
                Number(row["value"], form="+.4f"),
                Number(row["n_train_clear"], form=",d", missing="never"),
            ]
            for row in self.enough().iter_rows(named=True)
        ]
        heads = ["router", "baseline", "interval first above 0 at", "by", "ahead from there on, corrected"]
        return Table(heads=heads, rows=body, caption=self._rule())

    def _rule(self) -> str:
        baseline = self.comparisons["baseline"][0]
        return (
            f"ahead: above {baseline} fitted on the same instances, with p < .05 after Holm's correction for all "
            "routers and training sets, at this size and at every larger one"
        )


@checked
def learning_curve(
    dataset: Dataset,
    routers: Iterable[Router | str],
    *,
    train_fractions: Sequence[float] = (0.01, 0.03, 0.1, 0.3, 1.0),
    evaluate: Callable[..., Evaluation] = scale,
    progress: Progress | None = None,
    **settings: Any,
) -> LearningCurve:
    """Routing quality after fits on increasing fractions of the training instances.

    The fractions are nested and stratified by task, and drawn for each seed (see `take_train_fraction`). Test instances
    and pools are the same for all fractions: pools are chosen on the whole training part, whereas encoders and routers,
    including the best single LLM, are fitted on the fraction only.

    Parameters
    ----------
    dataset : Dataset
    routers : list of Router or str
    train_fractions : list of float
        Each in (0, 1].
    evaluate : callable
        `recroute.scale` or `recroute.evaluate`.
    progress : callable, optional
        Called with the number of pools done and the total number.
    **settings
        Settings of `evaluate`, except `train_fraction`.

    Returns
    -------
    LearningCurve
        After a KeyboardInterrupt it holds the finished fractions.

    Raises
    ------
    RecrouteError
        As `evaluate`, and if there is no fraction, or one that leaves too few instances.
    """
    if evaluate not in SETTINGS:
        raise DataError(f"evaluate is {evaluate!r:.60}; give recroute.scale or recroute.evaluate")
    known = [f.name for f in fields(SETTINGS[evaluate]) if f.name != "train_fraction"]
    check_known(settings, known, "learning_curve")
    return learn(SETTINGS[evaluate](**settings), dataset, routers, train_fractions, progress)


def learn(
    settings: EvaluationSettings,
    dataset: Dataset,
    routers: Iterable[Router | str],
    train_fractions: Sequence[float],
    progress: Progress | None = None,
) -> LearningCurve:
    """Implementation of `learning_curve`."""
    fractions = sorted(set(as_numbers(train_fractions, "train_fractions")))
    if not fractions:
        raise DataError("a learning curve needs at least one training fraction, such as 0.1")
    dataset, routers, parts = settings.encoded(dataset), as_routers(routers), []
    for i, fraction in enumerate(fractions):

        def step(done: int, of: int, before: int = i) -> None:
            if progress:
                progress(before * of + done, len(fractions) * of)

        room = settings.headroom if fraction == fractions[-1] else False
        part = measure(replace(settings, train_fraction=fraction, headroom=room), dataset, routers, step)
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
        {**largest, "notes": list(notes), **sizes},
        pl.concat([_with_size(part.comparisons, f, part.info["dataset"]["n_train"]) for f, part in parts]),
        pl.concat(choices) if choices else None,
    )


def _with_size(table: pl.DataFrame, fraction: float, n_train: int | None) -> pl.DataFrame:
    known = {"train_fraction": fraction} if n_train is None else {"train_fraction": fraction, "n_train": n_train}
    return table.with_columns(**{name: pl.lit(value, dtype=SIZE_COLUMNS[name]) for name, value in known.items()})


def _main(rows: pl.DataFrame, group: str | None) -> pl.DataFrame:
    rows = rows.filter(group=group or main_group(rows))
    return rows.filter(pl.col("pool_size").is_null()) if rows["pool_size"].has_nulls() else rows


def _where(rows: pl.DataFrame) -> str:
    group, size = rows.select("group", "pool_size").row(0)
    pools = "mean over pool sizes" if size is None else f"m = {size:,}"
    return f"{pools}, {'mean over groups' if group == 'mean' else f'group {group}'}"
