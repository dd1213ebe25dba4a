"""What is printed never ends a command."""

import errno
import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table

from recroute.cli.app import run
from recroute.cli.screen import console, prepare_streams
from recroute.data import write_dataset
from recroute.testing import planted_dataset


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    write_dataset(planted_dataset(n_instances=60), tmp_path / "data")
    return ["data", "describe", str(tmp_path / "data"), "--json", str(tmp_path / "a.json")]


def shown(monkeypatch: pytest.MonkeyPatch, encoding: str, *content: Any) -> str:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    prepare_streams()
    console(quiet=False).print(*content, markup=False)
    return raw.getvalue().decode(encoding)


def test_signs_become_ascii_and_letters_question_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, "ascii", "│─└ a…b größe") == "|-+ a...b gr??e\n"
    assert shown(monkeypatch, "cp1252", "│ größe 日") == "| größe ?\n"
    assert shown(monkeypatch, "utf8", "│ größe 日") == "│ größe 日\n"


def test_control_characters_in_names_are_shown_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table("LLM")
    table.add_row("\x1b]0;owned\x07\x1b[2J")
    text = shown(monkeypatch, "utf8", "\x1b[31mred\rover \udcff \u202e", table)
    assert "\\x1b[31mred" in text
    assert "\\x1b]0;owned" in text
    assert "\\u202e" in text
    assert not {"\x1b", "\x07", "\r", "\u202e"} & set(text)


def test_a_reader_that_leaves_is_no_error(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (command, ["--help"], ["--version"], ["scale", "--help"], ["routers", "--json", "-", "--quiet"]):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as stream:
            monkeypatch.setattr(sys, "stdout", stream)
            assert run(arguments) == 0
            monkeypatch.undo()
    assert (tmp_path / "a.json").is_file()
    assert capsys.readouterr().err == ""


def test_a_closed_standard_output_is_no_error(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert run(command) == 0
    assert (tmp_path / "a.json").is_file()


class Full(io.StringIO):
    """A stream to a disk without room."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_behind_standard_output_is_one_line_and_loses_no_file(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    assert run(command) == 2
    assert capsys.readouterr().err == "recroute: standard output: No space left on device\n"
    assert (tmp_path / "a.json").is_file()
