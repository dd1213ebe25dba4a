"""Where a result goes, besides the terminal: JSON, run folder, HTML, picture, table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from recroute.cli.options import OUTPUT, CsvPath, PngPath
from recroute.cli.places import check_places
from recroute.cli.screen import Screen, console
from recroute.evaluation import Evaluation
from recroute.experiment.provenance import file_digests
from recroute.util.files import is_stream, write_text

HtmlPath = Annotated[
    Path | None,
    typer.Option("--html", help="Write a report as one HTML file that needs no network.", rich_help_panel=OUTPUT),
]


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Places that a person named; what is None is not written."""

    json: Path | None = None
    html: Path | None = None
    png: Path | None = None
    csv: Path | None = None

    def check(self, *inputs: str | Path, folders: Mapping[Path, str] | None = None) -> None:
        """Refuse a place that cannot be written, or that would harm an input, before the work is done."""
        check_places(self.json, self.csv, self.html, self.png, folders=folders, inputs=inputs)

    def screen(self, quiet: bool) -> Screen:
        """Where a person reads the result: standard output, unless one of these takes it."""
        return console(quiet, self.json, self.csv, self.html, self.png)

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


def with_origin(evaluation: Evaluation, digests: Mapping[str, str]) -> Evaluation:
    """The result with the command line and the digests of the data's files."""
    dataset = {**evaluation.info["dataset"], "sha256": dict(digests)}
    return evaluation.with_info(command=["recroute", *sys.argv[1:]], dataset=dataset)


__all__ = ["CsvPath", "HtmlPath", "Outputs", "PngPath", "file_digests", "with_origin"]
