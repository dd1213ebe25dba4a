"""recroute data download: public data sets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

from recroute.cli.options import JsonPath, Quiet
from recroute.cli.places import check_places
from recroute.cli.screen import console, progress_bar
from recroute.data.download import DATASETS
from recroute.data.download import download as fetch
from recroute.errors import RecrouteError
from recroute.util.files import write_json


def download(
    name: Annotated[str, typer.Argument(help=f"{', '.join(DATASETS)}.", autocompletion=lambda: list(DATASETS))],
    to: Annotated[Path, typer.Option("--to", help="Folder for the files.")],
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Only files like 'router_dataset*'; may be repeated.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before loading gigabytes.")] = False,
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Load a public data set; what was loaded before is kept, what broke off goes on.

    Example: recroute data download routereval --to routereval_files --only 'router_dataset*'
    """
    check_places(json_path, into=to)

    def confirm(n_bytes: int) -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            raise RecrouteError(f"{name} is {n_bytes / 1e9:.1f} GB; say --yes, or choose files with --only")
        return typer.confirm(f"{name} is {n_bytes / 1e9:.1f} GB. Load it?")

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with progress_bar(f"loading {name}", quiet, columns) as progress:
        done = fetch(name, to, only=only or (), confirm=confirm, progress=progress)
    if json_path is not None:
        write_json(json_path, {"name": name, "files": list(done.files), "n_kept": done.n_kept})
    out = console(quiet, json_path)
    out.print(f"{len(done.files)} files in {to}, {done.n_kept} of them were there", markup=False, soft_wrap=True)
    out.print(f"next: recroute data import {DATASETS[name].layout} {to} DATASET", markup=False, soft_wrap=True)
