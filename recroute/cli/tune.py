"""recroute tune: search for the best pipeline."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from recroute.cli.options import (
    DatasetPath,
    EncoderKind,
    JsonPath,
    MinCoverage,
    Quiet,
    Seed,
    SplitKind,
    complete_router,
    conclude,
    encode_prompts,
    whole_numbers,
)
from recroute.cli.outputs import file_digests, with_origin
from recroute.cli.places import check_places
from recroute.cli.screen import Screen, console
from recroute.data import read_dataset
from recroute.report import growth_plot, growth_table, trials_counted

RUNNING = "How long and where it runs"  # a panel of the help
SHOWN = 8  # trials of the table


def tune(
    dataset: DatasetPath,
    out: Annotated[Path, typer.Option("--out", help="Study folder; an existing study is resumed.")],
    router: Annotated[
        list[str] | None,
        typer.Option(
            "--router",
            help="Search this router; repeated. What a label such as 'svd(bridge=kernel)' says stays as it is. "
            "Default: auto, hierarchy, knn, ridge, kmeans, svd, embedllm.",
            autocompletion=complete_router,
        ),
    ] = None,
    trials: Annotated[
        int, typer.Option("--trials", min=1, help="Trials of the study in the end.", rich_help_panel=RUNNING)
    ] = 60,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0, help="Stop after so many seconds.", rich_help_panel=RUNNING)
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help="What to search for; two for a Pareto front. Default: mean_score."),
    ] = None,
    space: Annotated[
        Path | None, typer.Option("--space", help="TOML file that takes the place of the packaged search spaces.")
    ] = None,
    pool_sizes: Annotated[str, typer.Option("--pool-sizes", help="Sizes of the pools.")] = "3,5,10,100,1000",
    groups: Annotated[
        str, typer.Option("--groups", help="Of all_strong, all_weak, strong_to_weak, nested.")
    ] = "all_strong,all_weak,strong_to_weak",
    folds: Annotated[int, typer.Option("--folds", min=2, help="Folds of the cross-validation.")] = 5,
    split: SplitKind = None,
    encoder: EncoderKind = "auto",
    prune: Annotated[
        bool, typer.Option("--prune/--no-prune", help="Stop trials that will not be the best.", rich_help_panel=RUNNING)
    ] = True,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            help="Keep the study in a database, such as sqlite:///study.db or postgresql://...",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    study: Annotated[
        str | None, typer.Option("--study", help="Its name there. Default: the folder's name.", rich_help_panel=RUNNING)
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes on this machine.", rich_help_panel=RUNNING)] = 1,
    min_coverage: MinCoverage = 0.0,
    seed: Seed = 0,
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Search router, hyperparameters, encoder, bridge and calibration by cross-validation; then one look at test.

    Ctrl-C ends the search and writes the best so far; the same command goes on with it. Several machines work on one
    study with the same --storage and --study.

    Example: recroute tune my_dataset --out my_study --trials 60 --jobs 2
    """
    from recroute.tuning import tune as search

    check_places(json_path, into=out, inputs=(dataset, space, *(router or ())))
    screen = console(quiet, json_path)
    sizes = whole_numbers(pool_sizes, "--pool-sizes")
    digests = file_digests(dataset)
    data = encode_prompts(read_dataset(dataset).take_covered(min_coverage), encoder, screen)
    with _progress(f"tuning on {data.name}", quiet) as progress:
        found = search(
            data,
            out,
            routers=router or (),
            n_trials=trials,
            metrics=metric or ("mean_score",),
            space=space,
            pool_sizes=sizes,
            groups=[group.strip() for group in groups.split(",") if group.strip()],
            n_folds=folds,
            split=split,
            encoder=encoder,
            prune=prune,
            storage=storage,
            study_name=study,
            n_jobs=jobs,
            timeout=timeout,
            seed=seed,
            progress=progress,
        )
    tested = None if found.evaluation is None else with_origin(found.evaluation, digests)
    if json_path is not None and tested is not None:
        tested.write_json(json_path)
    screen.print(f"{trials_counted(found.trials)}; the best of them:", markup=False, soft_wrap=True)
    screen.print(_trial_table(found.trials))
    for note in found.notes:
        screen.print(note, markup=False, soft_wrap=True)
    screen.print(
        f"pipeline: {out / 'best.toml'}, fitted: {out / 'router'}, report: {out / 'report.html'}", markup=False
    )
    if tested is None:
        screen.print("stopped before the end, so test has not been read; the same command goes on", style="yellow")
        raise typer.Exit(130)
    screen.print(growth_table(tested), growth_table(tested, "best_single_ratio"), growth_plot(tested.rows))
    conclude(tested, screen)


def _trial_table(trials: pl.DataFrame) -> Table:
    """The best trials."""
    table = Table()
    table.add_column("trial", justify="right")
    table.add_column("pipeline", overflow="fold")
    values = [name for name in ("value", "value_2") if name in trials.columns]
    for name in (*values, "seconds"):
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for row in trials.filter(state="complete").sort("place").head(SHOWN).iter_rows(named=True):
        cells = [f"{row[name]:.4f}" for name in values]
        table.add_row(str(row["number"]), row["pipeline"], *cells, f"{row['seconds']:.1f}")
    return table


@contextmanager
def _progress(label: str, quiet: bool) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on standard error with time left and the best so far."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[best]}", markup=False),
    )
    hidden = quiet or sys.stderr is None or not sys.stderr.isatty()
    with Progress(*columns, console=Screen(stderr=True), transient=True, disable=hidden) as bar:
        task = bar.add_task(label, total=None, best="")
        yield lambda done, total, best: bar.update(task, completed=done, total=total, best=best)
