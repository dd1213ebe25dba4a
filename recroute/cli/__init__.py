"""The command line: one file per verb; each parses, calls the library and prints."""

import os
import sys

from recroute.cli.signals import leave_at_once


def main() -> None:
    """Run the command line. Exit code 0: done, 2: bad usage or input (one line), 1: a defect of ours."""
    leave_at_once()  # before anything else is imported
    _hold_standard_streams()
    from recroute.cli.app import run

    code = run(sys.argv[1:])
    leave_at_once()
    sys.exit(code)


def _hold_standard_streams() -> None:
    """Where a standard stream is closed, a file that is opened later would get its number, and what is printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


__all__ = ["main"]
