"""recroute tune: search for the best pipeline."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import typer
from rich.table import Table

from recroute.cli.experiment import DATASET, INTERRUPTED, Asked, experiment, with_origin
from recroute.cli.options import Option
from recroute.report import trials_counted
from recroute.tuning.search import search
from recroute.tuning.settings import TuneSettings

BEST_TRIALS = 8  # of the table
OUT = Option("out", Path, help="Study folder; an existing study is resumed.")


@experiment(TuneSettings, DATASET, OUT, outputs=("json",))
def tune(asked: Asked) -> None:
    """Search router, hyperparameters, encoder, bridge and calibration by cross-validation; then look at test once.

    Ctrl-C ends the search and writes the best so far; the same command resumes it. Several machines work on one study
    with the same --storage and --study.

    Example: recroute tune my_dataset --out my_study --trials 60 --jobs 2
    """
    settings, out, screen = asked.settings, asked.options["out"], asked.screen
    asked.check(settings.space, *settings.routers, into=out)
    data = asked.data()
    with asked.progress(f"tuning on {data.name}") as progress:
        tuned = search(settings, data, out, progress)
    tested = None if tuned.evaluation is None else with_origin(tuned.evaluation, asked.digests)
    if tested is not None and asked.options["json_path"] is not None:
        tested.write_json(asked.options["json_path"])
    screen.print(f"{trials_counted(tuned.trials)}; the best of them:", markup=False, soft_wrap=True)
    screen.print(_trial_table(tuned.trials))
    for note in tuned.notes:
        screen.print(note, markup=False, soft_wrap=True)
    screen.print(
        f"pipeline: {out / 'best.toml'}, fitted: {out / 'router'}, report: {out / 'report.html'}", markup=False
    )
    if tested is None:
        screen.print("stopped before the end, so test has not been read; the same command goes on", style="yellow")
        raise typer.Exit(INTERRUPTED)
    tested.show(screen)


def _trial_table(trials: pl.DataFrame) -> Table:
    """The best trials."""
    table = Table()
    table.add_column("trial", justify="right")
    table.add_column("pipeline", overflow="fold")
    values = [name for name in ("value", "value_2") if name in trials.columns]
    for name in (*values, "seconds"):
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for row in trials.filter(state="complete").sort("place").head(BEST_TRIALS).iter_rows(named=True):
        cells = [f"{row[name]:.4f}" for name in values]
        table.add_row(str(row["number"]), row["pipeline"], *cells, f"{row['seconds']:.1f}")
    return table
