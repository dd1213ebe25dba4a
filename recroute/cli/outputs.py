"""Where a result goes, besides the terminal: JSON, run folder, HTML, picture, table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from recroute.cli.options import OUTPUT
from recroute.cli.places import check_places
from recroute.cli.screen import Screen, console
from recroute.evaluation import Evaluation, LearningCurve, write_run
from recroute.evaluation.run_folder import RESULT
from recroute.experiment.provenance import file_digests
from recroute.report import save_learning_png, save_png, write_html, write_learning_html
from recroute.util.files import is_stream, write_text

Result = TypeVar("Result", Evaluation, LearningCurve)
RunPath = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="Write the run to this folder: configuration, choices, result, environment.",
        rich_help_panel=OUTPUT,
    ),
]
HtmlPath = Annotated[
    Path | None,
    typer.Option("--html", help="Write a report as one HTML file that needs no network.", rich_help_panel=OUTPUT),
]
PngPath = Annotated[Path | None, typer.Option("--png", help="Save the curve as a picture.", rich_help_panel=OUTPUT)]
CsvPath = Annotated[
    Path | None,
    typer.Option(
        "--csv", help="Write the rows of the result as a table; - is standard output.", rich_help_panel=OUTPUT
    ),
]


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Places that a person named; what is None is not written."""

    json: Path | None = None
    run: Path | None = None
    html: Path | None = None
    png: Path | None = None
    csv: Path | None = None

    def check(self, *inputs: str | Path, folders: Mapping[Path, str] | None = None) -> None:
        """Refuse a place that cannot be written, or that would harm an input, before the work is done."""
        folders = {**({} if self.run is None else {self.run: RESULT}), **(folders or {})}
        check_places(self.json, self.csv, self.html, self.png, folders=folders, inputs=inputs)

    def screen(self, quiet: bool) -> Screen:
        """Where a person reads the result: standard output, unless one of these takes it."""
        return console(quiet, self.json, self.csv, self.html, self.png)

    def write(self, evaluation: Evaluation | LearningCurve, options: Mapping[str, Any] | None = None) -> None:
        """Write all of it; the run folder first, because everything else can be made from it."""
        if self.run is not None:
            write_run(evaluation, self.run, options)
        if isinstance(evaluation, LearningCurve):
            self.write_files(evaluation, write_learning_html, save_learning_png)
        else:
            self.write_files(evaluation, write_html, save_png)

    def write_files(self, result: Any, html: Callable[[Any, Path], None], png: Callable[[Any, Path], None]) -> None:
        """Write a result that has rows and JSON, its report by `html` and its picture by `png`.

        Pipes and standard output come last: whoever reads them may leave, and the files are there.
        """
        writers: list[tuple[Path | None, Callable[[Any, Path], None]]] = [
            (self.json, lambda result, path: result.write_json(path)),
            (self.csv, lambda result, path: write_text(path, result.rows.write_csv())),
            (self.html, html),
            (self.png, png),
        ]
        named = [(path, write) for path, write in writers if path is not None]
        for path, write in sorted(named, key=lambda item: is_stream(item[0])):
            write(result, path)


def with_origin(evaluation: Result, digests: Mapping[str, str]) -> Result:
    """The result with the command line and the digests of the data's files."""
    dataset = {**evaluation.info["dataset"], "sha256": dict(digests)}
    return evaluation.with_info(command=["recroute", *sys.argv[1:]], dataset=dataset)


__all__ = ["CsvPath", "HtmlPath", "Outputs", "PngPath", "RunPath", "file_digests", "with_origin"]
