"""An import that is stopped in the middle, by Ctrl-C or by force, in a process of its own."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.cli.app import run
from recroute.data import read_dataset

N_INSTANCES, N_LLMS = 700, 10
# Runs the command and sends itself the signal at the named moment.
CHILD = """
import os, pathlib, sys
from contextlib import contextmanager
from recroute.cli import import_data, main
from recroute.util import folders
from recroute.data.sources import _tabular, routereval

_tabular.BATCH = 1000  # seven blocks; a leaderboard has three of 256 instances
moment, number = sys.argv.pop(1), int(sys.argv.pop(1))

@contextmanager
def progress_bar(label, quiet):
    def progress(done, total):
        if moment.isdigit() and done * 100 >= int(moment) * total:
            os.kill(os.getpid(), number)
    yield progress

import_data.progress_bar = progress_bar
rename, exchanged = pathlib.Path.rename, folders._exchanged

def exchange(new, path):
    if moment == "before_rename":
        os.kill(os.getpid(), number)
    done = moment != "between_renames" and exchanged(new, path)
    if moment == "after_rename" and done:
        os.kill(os.getpid(), number)
    return done

def renamed(self, target):
    rename(self, target)
    if moment == "between_renames" and ".previous" in target.name or moment == "after_rename" and ".new-" in self.name:
        os.kill(os.getpid(), number)

folders._exchanged = exchange
pathlib.Path.rename = renamed
main()
"""


def write_sources(folder: Path, value: float) -> None:
    """A table and a leaderboard of 7,000 records each, all of one score."""
    ids = [f"q{i}" for i in range(N_INSTANCES)]
    pl.DataFrame(
        {"instance_id": np.repeat(ids, N_LLMS), "llm_id": [f"m{j}" for j in range(N_LLMS)] * N_INSTANCES}
    ).select(pl.all(), pl.lit(value).alias("score")).write_parquet(folder / "table.parquet")
    board = {"model": [f"m{j}" for j in range(N_LLMS)], "data": {}}
    board["data"] = {"arc": {"correctness": np.full((N_INSTANCES, N_LLMS), value)}}
    (folder / "routereval" / "leaderboard_score").mkdir(parents=True, exist_ok=True)
    (folder / "routereval" / "leaderboard_score" / "leaderboard_old.pkl").write_bytes(pickle.dumps(board))


def arguments(layout: str, folder: Path) -> list[str]:
    source = folder / ("table.parquet" if layout == "table" else layout)
    return ["data", "import", layout, str(source), str(folder / "d" / "imported"), "--quiet"]


def stopped_import(layout: str, folder: Path, moment: str, number: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CHILD, moment, str(number), *arguments(layout, folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


# Between the renames there is an old folder only; Ctrl-C puts it back; after a kill it is read where it is.
@pytest.mark.parametrize(
    ("layout", "moment"),
    [
        *(("table", moment) for moment in ("1", "50", "100", "before_rename", "between_renames", "after_rename")),
        ("routereval", "50"),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_the_old_folder_or_the_new_one(tmp_path: Path, layout: str, moment: str, number: int) -> None:
    write_sources(tmp_path, 1.0)
    assert run(arguments(layout, tmp_path)) == 0
    write_sources(tmp_path, 0.0)
    done = stopped_import(layout, tmp_path, moment, number)
    if number == signal.SIGINT:
        assert (done.returncode, done.stderr) == (130, "recroute: interrupted\n")
    else:
        assert done.returncode == -signal.SIGKILL
    data = read_dataset(tmp_path / "d" / "imported")
    assert data.interactions.n_observed == N_INSTANCES * N_LLMS
    assert set(data.interactions.scores.data) == {0.0 if moment == "after_rename" else 1.0}
    if number == signal.SIGINT:
        assert os.listdir(tmp_path / "d") == ["imported"]
    assert run(arguments(layout, tmp_path)) == 0
    assert set(read_dataset(tmp_path / "d" / "imported").interactions.scores.data) == {0.0}
    assert os.listdir(tmp_path / "d") == ["imported"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_no_folder_where_none_was(tmp_path: Path, number: int) -> None:
    write_sources(tmp_path, 1.0)
    assert stopped_import("table", tmp_path, "50", number).returncode in (130, -signal.SIGKILL)
    assert not (tmp_path / "d" / "imported").exists()
    assert all(path.name.startswith(".imported.new-") for path in (tmp_path / "d").iterdir())
    assert run(arguments("table", tmp_path)) == 0
    assert os.listdir(tmp_path / "d") == ["imported"]


def test_progress_is_shown_on_a_terminal_and_nowhere_else(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    write_sources(tmp_path, 1.0)
    command = [sys.executable, "-c", "from recroute.cli import main; main()", *arguments("table", tmp_path)[:-1]]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=environment)
    os.close(theirs)
    on_terminal = b""
    with contextlib.suppress(OSError):  # Linux says EIO where the other end is closed
        while part := os.read(ours, 1 << 16):
            on_terminal += part
    os.close(ours)
    assert process.wait() == 0
    assert b"importing table.parquet" in on_terminal
    assert b"7000/7000" in on_terminal
    shown = subprocess.run(command, capture_output=True, check=True, env=environment)
    assert b"700 instances x 10 LLMs, 7,000 records" in shown.stdout
    assert shown.stderr == b""
