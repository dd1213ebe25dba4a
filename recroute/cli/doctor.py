"""recroute data doctor: what makes a matrix lie."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from recroute._version import __version__
from recroute.cli.options import DatasetPath, JsonPath, Quiet, Seed
from recroute.cli.places import check_places
from recroute.cli.screen import console, progress_bar
from recroute.data import write_dataset
from recroute.data.doctor import diagnose_path
from recroute.util.files import write_json


def doctor(
    dataset: DatasetPath,
    fix: Annotated[
        Path | None, typer.Option("--fix", help="Write the data set with rows in rank order put back to this folder.")
    ] = None,
    seed: Seed = 0,
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Examine a data set: row order, twins, leaks, missing cells, scales, and whether there is anything to route.

    Example: recroute data doctor my_dataset --fix my_dataset_fixed
    """
    check_places(json_path, folders={} if fix is None else {fix: "records.parquet"}, inputs=[dataset])
    with progress_bar(f"examining {dataset.name}", quiet) as progress:
        found = diagnose_path(dataset, seed=seed, progress=progress)
    if fix is not None:
        write_dataset(found.fixed(), fix)
    if json_path is not None:
        content = {"recroute": __version__, "command": ["recroute", *sys.argv[1:]], "seed": seed, **found.to_dict()}
        write_json(json_path, content)
    screen = console(quiet, json_path)
    found.show(screen)
    if fix is not None:
        screen.say(f"corrected data set: {fix}")
