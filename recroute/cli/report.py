"""recroute report: a page from one run, or from several side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recroute.cli.experiment import write_files
from recroute.cli.options import OUTPUTS, QUIET, Option, verb
from recroute.cli.places import check_places
from recroute.cli.screen import console
from recroute.errors import RecrouteError
from recroute.evaluation.combine import combine
from recroute.evaluation.run_folder import read_run

RUNS = Option("runs", list[Path], help="Run folders (--out) or results (--json).", is_argument=True, metavar="RUN...")
HTML = Option("html", Path, help="The HTML file to write.")


@verb(RUNS, HTML, OUTPUTS["png"], OUTPUTS["csv"], QUIET)
def report(chosen: Any) -> None:
    """One HTML file on a run, or on several runs on the same data and splits.

    Example: recroute report runs/auto runs/knn --html report.html
    """
    places = {"html": chosen.html, "png": chosen.png, "csv": chosen.csv}
    check_places(*places.values(), inputs=chosen.runs)
    found = combine({name: read_run(path) for name, path in _names(chosen.runs).items()})
    write_files(found, places)
    screen = console(chosen.quiet, *places.values())
    screen.say(*found.sentences())
    screen.note(*found.notes)
    screen.say(f"Written to {', '.join(str(path) for path in places.values() if path)}")


def _names(paths: list[Path]) -> dict[str, Path]:
    """A name for each run: its last part where that tells them apart, else the whole path."""
    if len({path.resolve() for path in paths}) < len(paths):
        raise RecrouteError("a run is named twice; name each run once")
    short = [path.stem if path.suffix == ".json" else path.name for path in paths]
    return dict(zip(short if len(set(short)) == len(paths) else map(str, paths), paths, strict=True))
