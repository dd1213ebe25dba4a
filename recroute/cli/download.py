"""recroute data download: public data sets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer
from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

from recroute.cli.options import OUTPUTS, QUIET, Option, verb
from recroute.cli.places import check_places
from recroute.cli.screen import console, progress_bar
from recroute.data.download import DATASETS
from recroute.data.download import download as fetch
from recroute.errors import RecrouteError
from recroute.util.files import write_json

NAME = Option("name", str, help=f"{', '.join(DATASETS)}.", is_argument=True, complete=lambda incomplete: list(DATASETS))
TO = Option("to", Path, help="Folder for the files.")
ONLY = Option("only", list[str] | None, None, help="Only files like 'router_dataset*'; may be repeated.")
YES = Option("yes", bool, False, flag="--yes", help="Do not ask before loading gigabytes.")


@verb(NAME, TO, ONLY, YES, OUTPUTS["json"], QUIET)
def download(chosen: Any) -> None:
    """Load a public data set; what was loaded before is kept, what broke off goes on.

    Example: recroute data download routereval --to routereval_files --only 'router_dataset*'
    """
    name, to, json_path = chosen.name, chosen.to, chosen.json_path
    check_places(json_path, into=to)

    def confirm(n_bytes: int) -> bool:
        if chosen.yes:
            return True
        if not sys.stdin.isatty():
            raise RecrouteError(f"{name} is {n_bytes / 1e9:.1f} GB; say --yes, or choose files with --only")
        return typer.confirm(f"{name} is {n_bytes / 1e9:.1f} GB. Load it?")

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with progress_bar(f"loading {name}", chosen.quiet, columns) as progress:
        done = fetch(name, to, only=chosen.only or (), confirm=confirm, progress=progress)
    if json_path is not None:
        write_json(json_path, {"name": name, "files": list(done.files), "n_kept": done.n_kept})
    console(chosen.quiet, json_path).say(
        f"{len(done.files)} files in {to}, {done.n_kept} of them were there",
        f"next: recroute data import {DATASETS[name].layout} {to} DATASET",
    )
