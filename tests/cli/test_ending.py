"""Whatever a command raises, it ends with one line, an exit code and nothing left behind."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import typer

from recroute.cli import routers
from recroute.cli.app import run


def ending(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """Exit code and line of a command that raises the error."""

    def fail() -> list[str]:
        raise error

    monkeypatch.setattr(routers, "router_names", fail)
    code = run(["routers"])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return code, captured.err.removeprefix("recroute: ").strip()


@pytest.mark.parametrize("kind", [KeyError, RuntimeError, pl.exceptions.PanicException])
def test_a_defect_is_one_line_that_names_its_traceback(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: type[BaseException],
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code, line = ending(kind("the\nreason " + "x" * 10_000), monkeypatch, capsys)
    assert code == 1
    assert line.startswith("a defect of recroute, please report it: ")
    assert len(line) < 1000
    (kept,) = tmp_path.iterdir()
    assert line.endswith(f"traceback: {kept}")
    assert "in fail" in kept.read_text(encoding="utf8")


def test_a_defect_is_told_where_no_file_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    code, line = ending(KeyError("x"), monkeypatch, capsys)
    assert code == 1
    assert "traceback: not kept (No such file or directory)" in line


def test_want_of_memory_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MemoryError) as refused:
        np.empty(1 << 60, dtype=np.uint8)
    code, line = ending(refused.value, monkeypatch, capsys)
    assert code == 2
    assert line.startswith("not enough memory: Unable to allocate 1.00 EiB")
    assert ending(MemoryError(), monkeypatch, capsys)[1].startswith("not enough memory: Python asked for more")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 2, "No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "a.csv"), 2, "a.csv: Permission denied"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (typer.Abort(), 130, "interrupted"),
        (UnicodeEncodeError("utf-8", "a\udcff", 1, 2, "surrogates not allowed"), 2, "'a\\udcff' is no valid text"),
    ],
)
def test_what_a_person_can_mend_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, line: str
) -> None:
    found = ending(error, monkeypatch, capsys)
    assert found[0] == code
    assert found[1].startswith(line)


def test_what_is_nested_too_deeply_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code, line = ending(RecursionError("maximum recursion depth exceeded"), monkeypatch, capsys)
    assert code == 2
    assert line.startswith("the input is nested too deeply (maximum recursion depth exceeded); traceback: ")


def process(before: str, *arguments: str) -> tuple[int, str]:
    """Exit code and standard error of the command line in a process that has run the code `before`."""
    code = f"import os, signal, sys; from recroute.cli import main\n{before}\nmain()"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


IN_THE_MIDDLE = """
import recroute.data.content
def interrupted(*arguments):
    os.kill(os.getpid(), signal.{})
recroute.data.content.store_matrix = interrupted
"""


@pytest.mark.parametrize(("how", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_in_the_middle_leaves_nothing_behind(tmp_path: Path, how: str, code: int) -> None:
    (tmp_path / "a.csv").write_text("instance_id,llm_id,score\nq,a,1\nq,b,0\n", "utf8")
    (tmp_path / "out").mkdir()
    arguments = ["data", "import", "table", str(tmp_path / "a.csv"), str(tmp_path / "out" / "new")]
    found, said = process(IN_THE_MIDDLE.format(how), *arguments)
    assert (found, said) == (code, "recroute: interrupted\n" if how == "SIGINT" else "")
    assert os.listdir(tmp_path / "out") == []


def test_what_a_killed_import_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("instance_id,llm_id,score\nq,a,1\nq,b,0\n", "utf8")
    (tmp_path / "out").mkdir()
    arguments = ["data", "import", "table", str(tmp_path / "a.csv"), str(tmp_path / "out" / "new"), "--quiet"]
    assert process(IN_THE_MIDDLE.format("SIGKILL"), *arguments)[0] == -9
    assert len(os.listdir(tmp_path / "out")) == 1
    assert run(arguments) == 0
    assert os.listdir(tmp_path / "out") == ["new"]


AMONG_THE_IMPORTS = """
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "{}":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("module", ["typer", "numpy", "recroute.data.doctor"])
def test_an_interrupt_among_the_imports_is_no_traceback(module: str) -> None:
    found = process(AMONG_THE_IMPORTS.format(module), "data", "doctor", "nowhere")
    assert found == (130, "recroute: interrupted\n")


def test_an_interrupt_that_is_ignored_stays_so() -> None:
    ignored = "signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + AMONG_THE_IMPORTS.format("typer")
    assert process(ignored, "--version") == (0, "")


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"),
        OSError(errno.ENOSPC, "No space left on device", "/scratch/recroute-1/x.npy"),
    ],
)
def test_where_temporary_files_find_no_room_the_line_names_the_variable(
    error: OSError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/scratch")
    code, line = ending(error, monkeypatch, capsys)
    assert code == 2
    assert line.endswith("; set TMPDIR to a folder that can be written to and has room")
