"""recroute report: a page from one run, or from several side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recroute.cli.experiment import write_files
from recroute.cli.options import CsvPath, PngPath, Quiet
from recroute.cli.places import check_places
from recroute.cli.screen import console
from recroute.errors import RecrouteError
from recroute.evaluation.combine import combine
from recroute.evaluation.run_folder import read_run


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders (--out) or results (--json).")],
    html: Annotated[Path, typer.Option("--html", help="The HTML file to write.")],
    png: PngPath = None,
    csv: CsvPath = None,
    quiet: Quiet = False,
) -> None:
    """One HTML file on a run, or on several runs on the same data and splits.

    Example: recroute report runs/auto runs/knn --html report.html
    """
    check_places(html, png, csv, inputs=runs)
    found = combine({name: read_run(path) for name, path in _names(runs).items()})
    write_files(found, {"html": html, "png": png, "csv": csv})
    out = console(quiet, html, png, csv)
    for line in found.sentences():
        out.print(line)
    for note in found.notes:
        out.print(f"note: {note}", style="yellow")
    out.print(f"Written to {', '.join(str(path) for path in (html, png, csv) if path)}", soft_wrap=True)


def _names(paths: list[Path]) -> dict[str, Path]:
    """A name for each run: its last part where that tells them apart, else the whole path."""
    if len({path.resolve() for path in paths}) < len(paths):
        raise RecrouteError("a run is named twice; name each run once")
    short = [path.stem if path.suffix == ".json" else path.name for path in paths]
    return dict(zip(short if len(set(short)) == len(paths) else map(str, paths), paths, strict=True))
