"""What is printed: signs that a stream lacks are replaced, control characters shown; a reader may leave."""

from __future__ import annotations

import codecs
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment

from recroute.errors import visible
from recroute.report.document import Document
from recroute.report.terminal import show
from recroute.util.files import is_stdout, write_json

REPLACED = "recroute.replaced"  # name of the error handler of streams
SIGNS = {"…": "...", "·": ".", "–": "-", "—": "-", "•": "*", "×": "x", "±": "+-", "≤": "<=", "≥": ">=", "→": "->"}
WITHOUT_TERMINAL = 100  # columns


class Screen(Console):
    """A console that never ends a command: neither by a name it cannot show nor by a reader that left.

    What is printed is text, whatever brackets and colons it has; styles are given as such.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"highlight": False, "markup": False, "emoji": False, **options})

    def show(self, document: Document) -> None:
        """Print the tables of a document, what can be said in words, and its notes."""
        show(document, self)

    def say(self, *lines: str, style: str | None = None) -> None:
        """Print lines as they are; only the terminal breaks them."""
        for line in lines:
            self.print(line, style=style, soft_wrap=True)

    def note(self, *notes: str) -> None:
        """Print what a reader has to know."""
        self.say(*(f"note: {note}" for note in notes), style="yellow")

    def on_broken_pipe(self) -> None:
        self.quiet = True
        abandon(self.file)

    def _write_buffer(self) -> None:
        try:
            super()._write_buffer()
        except BrokenPipeError:
            raise
        except OSError as error:  # which names no file
            raise OSError(error.errno, error.strerror, "standard error" if self.stderr else "standard output") from None

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        return super()._render_buffer(
            part if part.control else part._replace(text=visible(part.text)) for part in buffer
        )


def answer(facts: Mapping[str, Any], document: Document, json_path: Path | None, quiet: bool) -> None:
    """Write facts as JSON where that was asked for, and print the same for a person."""
    if json_path is not None:
        write_json(json_path, facts)
    console(quiet, json_path).show(document)


def console(quiet: bool, *outputs: Path | None) -> Screen:
    """Where results are shown: standard output, or standard error where one of the outputs goes there."""
    taken = any(path is not None and is_stdout(path) for path in outputs)
    found = Screen(quiet=quiet, stderr=taken)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found.width = WITHOUT_TERMINAL
    return found


@contextmanager
def progress_bar(
    label: str, quiet: bool, columns: Iterable[ProgressColumn] | None = None
) -> Iterator[Callable[..., None]]:
    """A bar on standard error with time left; yields a function (done, of, status="") for the library to call."""
    shown = (
        (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()) if columns is None else columns
    )
    with Progress(
        TextColumn("{task.description}", markup=False),
        *shown,
        TextColumn("{task.fields[status]}", markup=False),
        console=Screen(stderr=True),
        transient=True,
        disable=quiet or sys.stderr is None or not sys.stderr.isatty(),
    ) as bar:
        task = bar.add_task(label, total=None, status="")
        yield lambda done, total, status="": bar.update(task, completed=done, total=total, status=status)


def prepare_streams() -> None:
    """Let standard output and standard error replace what their encoding lacks."""
    codecs.register_error(REPLACED, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=REPLACED)


def abandon(stream: IO[str]) -> None:
    """Send to nowhere what a stream still holds and will get."""
    with suppress(OSError, ValueError):  # no file behind it
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """Signs of tables and plots in ASCII; ? for letters, so that no name looks like another."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_in_ascii, error.object[error.start : error.end])), error.end


def _in_ascii(sign: str) -> str:
    first, *words = unicodedata.name(sign, "?").split()
    if first != "BOX":
        return SIGNS.get(sign, "?")
    return {"HORIZONTAL": "-", "VERTICAL": "|"}.get(" ".join(words[2:]), "+")  # after BOX DRAWINGS LIGHT
