"""recroute data doctor: problems of a data set that would bias results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from recroute._version import __version__
from recroute.cli.options import DATASET, OUTPUTS, QUIET, SEED, Option, verb
from recroute.cli.places import check_places
from recroute.cli.screen import console, progress_bar
from recroute.data import write_dataset
from recroute.data.doctor import diagnose_path
from recroute.util.files import write_json

FIX = Option("fix", Path | None, None, help="Write the data set with rows in rank order put back to this folder.")


@verb(DATASET, FIX, SEED, OUTPUTS["json"], QUIET)
def doctor(chosen: Any) -> None:
    """Examine a data set: row order, twins, leaks, missing cells, scales, and whether there is anything to route.

    Example: recroute data doctor my_dataset --fix my_dataset_fixed
    """
    dataset, fix, seed, json_path = chosen.dataset, chosen.fix, chosen.seed, chosen.json_path
    check_places(json_path, folders={} if fix is None else {fix: "records.parquet"}, inputs=[dataset])
    with progress_bar(f"examining {dataset.name}", chosen.quiet) as progress:
        found = diagnose_path(dataset, seed=seed, progress=progress)
    if fix is not None:
        write_dataset(found.fixed(), fix)
    if json_path is not None:
        content = {"recroute": __version__, "command": ["recroute", *sys.argv[1:]], "seed": seed, **found.to_dict()}
        write_json(json_path, content)
    screen = console(chosen.quiet, json_path)
    found.show(screen)
    if fix is not None:
        screen.say(f"corrected data set: {fix}")
