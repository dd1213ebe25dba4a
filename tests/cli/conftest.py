"""What tests of the command line share."""

import shlex
from collections.abc import Callable
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from recroute.cli.app import app


def parse_command(line: str) -> None:
    """Parse a command line by the options of its verb, without running it; an error if they do not fit."""
    _, *words = shlex.split(line)
    command: Any = typer.main.get_command(app)
    while isinstance(command, TyperGroup):
        command = command.commands[words.pop(0)]
        command = command.load() if hasattr(command, "load") else command
    command.make_context("recroute", words)


@pytest.fixture(scope="session")
def parse() -> Callable[[str], None]:
    return parse_command
