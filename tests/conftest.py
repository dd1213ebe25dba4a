"""Real data where it is, and small data everywhere."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from recroute.cli.app import app
from recroute.data import Dataset
from recroute.testing import planted_dataset

REAL = Path(os.environ.get("RECROUTE_DATA", Path(__file__).parents[2] / "shared" / "data"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not REAL.is_dir():
        for item in items:
            if item.get_closest_marker("realdata"):
                item.add_marker(pytest.mark.skip(reason=f"no real data at {REAL}; set RECROUTE_DATA"))


@pytest.fixture(scope="session")
def real() -> Path:
    return REAL


@pytest.fixture(scope="session")
def planted() -> Dataset:
    return planted_dataset()


@pytest.fixture(scope="session")
def parse() -> Callable[[str], None]:
    """Parses a command line by the options of its verb, without running it; an error if they do not fit."""

    def parse_command(line: str) -> None:
        _, *words = shlex.split(line)
        command: Any = typer.main.get_command(app)
        while isinstance(command, TyperGroup):
            command = command.commands[words.pop(0)]
            command = command.load() if hasattr(command, "load") else command
        command.make_context("recroute", words)

    return parse_command
