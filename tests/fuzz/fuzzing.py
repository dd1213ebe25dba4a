"""What every verb promises, whatever it is given: done (0), one line on what to mend (2), or interrupted (130).

Each `test_*.py` beside this file draws inputs of one kind with hypothesis and hands them to `run_verb`. As part of the
suite they are few and always the same; `RECROUTE_FUZZ=2000 pytest tests/fuzz` draws 2,000 new ones for each test, and
says at the end how many verbs ran and how they ended.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, settings

from recroute.cli import app as cli
from recroute.errors import LONGEST_LINE

N_LONG = int(os.environ.get("RECROUTE_FUZZ", "0"))
ENDS = (0, 2, 130)
LONGEST = LONGEST_LINE + len("recroute: \n")
HANGS = 120  # seconds; looked at in long runs only
ended: Counter[tuple[str, int]] = Counter()  # verbs that ran in this process, by name and exit code


def few(n: int) -> settings:
    """Settings of a test that draws `n` inputs, or as many as RECROUTE_FUZZ says."""
    return settings(
        max_examples=N_LONG or n,
        derandomize=not N_LONG,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=bool(N_LONG),
    )


@dataclass(frozen=True)
class Ran:
    """How a verb ended, and what it wrote to the two streams."""

    code: int
    out: str
    err: str


def run_verb(*arguments: object) -> Ran:
    """Run a verb in this process; whatever it raises that is no refusal is raised here, with its traceback."""
    words = [str(argument) for argument in arguments]
    out, err = io.StringIO(), io.StringIO()
    raised: list[BaseException] = []
    with _watched(raised), redirect_stdout(out), redirect_stderr(err), _within(HANGS if N_LONG else 0):
        code = cli.run(words)
    ended[" ".join(words[: 2 if words[0] == "data" else 1]), code] += 1
    if code not in ENDS and raised:
        raise raised[0]
    found = Ran(code, out.getvalue(), err.getvalue())
    assert code in ENDS, found
    assert len(found.err) <= LONGEST, found
    assert found.err.count("\n") == (code != 0), found
    assert "Traceback" not in found.err, found
    return found


@contextmanager
def place() -> Iterator[Path]:
    """An empty folder, in memory where that can be, removed at the end."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _watched(raised: list[BaseException]) -> Iterator[None]:
    """Keeps what the application raises, which `run` turns into an exit code."""
    inner = cli.app

    def app(*args: Any, **named: Any) -> Any:
        try:
            return inner(*args, **named)
        except BaseException as error:
            raised.append(error)
            raise

    with patch.object(cli, "app", app):
        yield


@contextmanager
def _within(seconds: int) -> Iterator[None]:
    """TimeoutError if the block takes longer; 0, another thread or another system: no limit."""
    if not seconds or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise AssertionError(f"still running after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
