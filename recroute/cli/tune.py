"""recroute tune: search for the best pipeline."""

from __future__ import annotations

from pathlib import Path

import typer

from recroute.cli.experiment import INTERRUPTED, Asked, experiment, with_origin
from recroute.cli.options import DATASET, Option
from recroute.tuning.folder import BEST, REPORT, ROUTER
from recroute.tuning.search import search
from recroute.tuning.settings import TuneSettings

OUT = Option("out", Path, help="Study folder; an existing study is resumed.")


@experiment(TuneSettings, DATASET, OUT, outputs=("json",))
def tune(asked: Asked) -> None:
    """Search router, hyperparameters, encoder, bridge and calibration by cross-validation; then look at test once.

    After --timeout, too, test is read. Ctrl-C ends the search earlier and writes the best so far. The same command
    resumes it. Several machines work on one study with the same --storage and --study.

    Example: recroute tune my_dataset --out my_study --trials 60 --jobs 2
    """
    settings, out = asked.settings, asked.chosen.out
    asked.check(settings.space, *settings.routers, into=out)
    data = asked.data()
    with asked.progress(f"tuning on {data.name}") as progress:
        tuned = search(settings, data, out, progress)
    if tuned.evaluation is not None:
        asked.write(with_origin(tuned.evaluation, asked.digests))
    tuned.show(asked.screen)
    asked.screen.print(f"pipeline: {out / BEST}, fitted: {out / ROUTER}, report: {out / REPORT}", soft_wrap=True)
    if not tuned.complete:
        raise typer.Exit(INTERRUPTED)
