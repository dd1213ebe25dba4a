"""Where a result goes, besides the terminal: JSON, run folder, HTML, picture, table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from recroute.cli.options import OUTPUT, check_writable
from recroute.data.atomic import check_new_folder
from recroute.evaluation import Evaluation, LearningCurve, write_run
from recroute.evaluation.provenance import file_digests
from recroute.evaluation.run_folder import RESULT
from recroute.files import write_text
from recroute.report import save_learning_png, save_png, write_html, write_learning_html

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
    Path | None, typer.Option("--csv", help="Write the rows of the result as a table.", rich_help_panel=OUTPUT)
]


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Places that a person named; what is None is not written."""

    json: Path | None = None
    run: Path | None = None
    html: Path | None = None
    png: Path | None = None
    csv: Path | None = None

    def check(self) -> None:
        """Refuse a place that cannot be written before the work is done, not after."""
        check_writable(self.json, self.html, self.png, self.csv)
        if self.run is not None:
            check_new_folder(self.run, RESULT)

    def write(self, evaluation: Evaluation | LearningCurve, options: Mapping[str, Any] | None = None) -> None:
        """Write all of it; the run folder first, because everything else can be made from it."""
        if self.run is not None:
            write_run(evaluation, self.run, options)
        if isinstance(evaluation, LearningCurve):
            self.write_files(evaluation, write_learning_html, save_learning_png)
        else:
            self.write_files(evaluation, write_html, save_png)

    def write_files(self, result: Any, html: Callable[[Any, Path], None], png: Callable[[Any, Path], None]) -> None:
        """Write a result that has rows and JSON, its report by `html` and its picture by `png`."""
        if self.json is not None:
            result.write_json(self.json)
        if self.csv is not None:
            write_text(self.csv, result.rows.write_csv())
        if self.html is not None:
            html(result, self.html)
        if self.png is not None:
            png(result, self.png)


def with_origin(evaluation: Result, digests: Mapping[str, str]) -> Result:
    """The result with the command line and the digests of the data's files."""
    dataset = {**evaluation.info["dataset"], "sha256": dict(digests)}
    return evaluation.with_info(command=["recroute", *sys.argv[1:]], dataset=dataset)


__all__ = ["CsvPath", "HtmlPath", "Outputs", "PngPath", "RunPath", "file_digests", "with_origin"]
