"""Errors that users can fix: each message is one line that names the value, the place and the fix."""

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LONGEST_NAME, LONGEST_LINE = 200, 1200  # characters
LONG = re.compile(rf"""(?<!\w)(['"])(?:(?!\1).){{{LONGEST_NAME},}}\1|\S{{{LONGEST_NAME},}}""")
# Characters that a terminal obeys or cannot show: control characters, line breaks, changes of direction, surrogates.
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(message: str) -> str:
    r"""A message as one line that can be shown anywhere: control characters escaped, long names and lines cut.

    >>> one_line("llm \x1b[31mred\nis unknown")
    'llm \\x1b[31mred is unknown'
    """
    line = visible(" ".join(message.split()))
    return _cut(LONG.sub(lambda found: _cut(found[0], LONGEST_NAME), line), LONGEST_LINE)


def visible(text: str) -> str:
    """The text with control characters escaped as in Python, except line feeds."""
    return CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def _cut(text: str, longest: int) -> str:
    """The beginning and the end of a text that is too long."""
    if len(text) <= longest:
        return text
    head, tail = longest * 2 // 3, longest // 3
    return f"{text[:head]}[... {len(text) - head - tail:,} characters ...]{text[-tail:]}"


def either(command_line: str, python: str) -> str:
    """What to advise a person: an option on the command line, or what does the same in Python."""
    return command_line if _reader.on_command_line else python


def argument(name: str, value: object = None, *, option: str = "") -> str:
    """An argument as its reader would write it: `--split random` on the command line, `split='random'` in Python.

    `option` is the option's name where it differs; `set` stands for `--set name=value`.

    >>> argument("split", "random"), argument("n_jobs", 1, option="jobs"), argument("metric")
    ("split='random'", 'n_jobs=1', 'metric')
    """
    if not _reader.on_command_line:
        return name if value is None else f"{name}={value!r}"
    if option == "set":
        return f"--set {name}={value}"
    flag = f"--{option or name.replace('_', '-')}"
    return flag if value is None else f"{flag} {value}"


@dataclass
class _Reader:
    """Who reads the messages of this process; `on_command_line` says that they typed a command."""

    on_command_line: bool = False


_reader = _Reader()


@contextmanager
def on_command_line() -> Iterator[None]:
    """Within it messages speak of options, not of arguments."""
    before, _reader.on_command_line = _reader.on_command_line, True
    try:
        yield
    finally:
        _reader.on_command_line = before


class RecrouteError(ValueError):
    """Base class of all errors caused by input; the command line prints the message and exits with status 2."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class DataError(RecrouteError):
    """A data set, a table, a file or an argument is invalid."""


class RouterError(RecrouteError):
    """A router cannot do what was requested, or its folder is damaged."""


class UnknownNameError(RecrouteError):
    """A name that is not in its registry; the message suggests the nearest one and lists the known names."""

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "") -> None:
        known = list(known)
        near = difflib.get_close_matches(name[:LONGEST_NAME], known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        listed = ", ".join(known[:12]) + (f", ... ({len(known)} in all)" if len(known) > 12 else "")
        super().__init__(f"unknown {kind} {name!r}{where}: {hint}known: {listed}")
