"""How a command ends that does not end well: one line, and an exit code."""

from __future__ import annotations

import errno
import sys
import tempfile
import traceback
from contextlib import suppress

import typer

from recroute._version import __version__
from recroute.cli.screen import Screen, abandon
from recroute.errors import RecrouteError, one_line

DEFECT, REFUSED, INTERRUPTED = 1, 2, 130


def refuse(message: str, code: int = REFUSED) -> int:
    """One line on standard error; the exit code."""
    with suppress(OSError):  # nobody is left to tell
        screen = Screen(stderr=True, soft_wrap=True, highlight=False)
        screen.print(f"recroute: {one_line(message)}", markup=False)
    return code


def failed(error: BaseException) -> int:
    """The exit code for whatever a command raised; one line says what, but for an interrupt."""
    if isinstance(error, typer.TyperException):
        return refuse(error.format_message())
    if isinstance(error, RecrouteError):
        return refuse(str(error))
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):  # the reader of our output, such as head, has gone
        return 0
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return refuse(f"{error.object!r} is no valid text: half a pair of UTF-16, or a byte that is not UTF-8; fix it")
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return refuse(f"{place}{error.strerror}{_room(error)}")
    if isinstance(error, MemoryError):
        said = str(error) or "Python asked for more than there is"
        return refuse(f"not enough memory: {said}; take fewer LLMs or instances, or fewer processes beside it")
    if isinstance(error, RecursionError):
        return refuse(f"the input is nested too deeply ({error}); traceback: {_kept(error)}")
    said = f"{type(error).__name__}: {error}"
    return refuse(f"a defect of recroute, please report it: {said}; traceback: {_kept(error)}", DEFECT)


def _room(error: OSError) -> str:
    """What to do about a folder for temporary files that is missing or full."""
    missing = "usable temporary directory" in str(error.strerror)
    full = error.errno == errno.ENOSPC and str(error.filename or "").startswith(tempfile.tempdir or "\0")
    return "; set TMPDIR to a folder that can be written to and has room" if missing or full else ""


def flush(code: int) -> int:
    """The exit code when all that was printed has been written, as far as somebody reads it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError as error:
            abandon(stream)  # the interpreter would try again
            if not isinstance(error, BrokenPipeError):
                code = refuse(f"the output cannot be written: {error.strerror}")
    return code


def _kept(error: BaseException) -> str:
    """The file that the traceback was written to."""
    lines = [f"recroute {__version__}, Python {sys.version}\n", f"{sys.argv}\n", *traceback.format_exception(error)]
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="recroute-", suffix=".txt", delete=False, encoding="utf8", errors="backslashreplace"
        ) as file:
            file.writelines(lines)
    except OSError as failure:
        return f"not kept ({failure.strerror})"
    return file.name
