"""Whatever a path leads to, a file is written whole or not at all, and nothing else is harmed."""

import io
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from recroute.errors import RecrouteError
from recroute.util.files import check_file, is_stdout, is_stream, new_file, to_json, write_json, write_text


def test_what_is_not_finite_is_null() -> None:
    value = {"a": [float("nan"), np.float32("inf"), -np.inf], "b": np.array([1.0, np.nan]), "c": {"d": (np.int64(3),)}}
    assert json.loads(to_json(value)) == {"a": [None, None, None], "b": [1.0, None], "c": {"d": [3]}}


def test_what_no_json_can_hold_is_refused() -> None:
    with pytest.raises(TypeError, match="object cannot be written as JSON"):
        to_json({"a": object()})


def test_text_without_a_place_in_unicode_is_written(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "µ \udcff")
    assert (tmp_path / "a.txt").read_text(encoding="utf8") == "µ \\udcff"


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    target, link, dangling = tmp_path / "deep" / "target.json", tmp_path / "link.json", tmp_path / "dangling.json"
    target.write_text("old", "utf8")
    link.symlink_to(target)
    dangling.symlink_to("deep/new.json")
    for path in (link, dangling):
        check_file(path)
        write_json(path, [1])
        assert path.is_symlink()
    assert target.read_text("utf8") == (tmp_path / "deep" / "new.json").read_text("utf8") == "[\n 1\n]\n"
    assert sorted(os.listdir(tmp_path / "deep")) == ["new.json", "target.json"]


def test_a_hard_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a longer old text", "utf8")
    os.link(tmp_path / "a", tmp_path / "b")
    write_text(tmp_path / "b", "new")
    assert (tmp_path / "a").read_text("utf8") == "new"


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for write in (check_file, lambda path: write_text(path, "x")):
        with pytest.raises(RecrouteError, match="leads back to itself"):
            write(tmp_path / "a")
    assert (tmp_path / "a").is_symlink()


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    check_file(pipe)
    write_json(pipe, {"a": 1})
    reader.join()
    assert read == [b'{\n "a": 1\n}\n']
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert is_stream(pipe)
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_socket_and_a_folder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's address is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        with pytest.raises(RecrouteError, match="is a socket; name a file"):
            check_file(Path("s"))
    with pytest.raises(RecrouteError, match="is a folder; name a file"):
        check_file(tmp_path)
    with pytest.raises(RecrouteError, match="does not exist; make it"):
        check_file(tmp_path / "nowhere" / "a.json")
    (tmp_path / "file").touch()
    with pytest.raises(RecrouteError, match="Not a directory"):
        check_file(tmp_path / "file" / "a.json")


def test_places_without_permission_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old.json").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    for name in ("old.json", "new.json"):
        with pytest.raises(RecrouteError, match="no permission"):
            check_file(tmp_path / name)


def test_a_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.touch()
    path.chmod(0o640)
    write_json(path, [])
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old", "utf8")

    def interrupted() -> None:
        with new_file(tmp_path / "a.txt") as temporary:
            temporary.write_text("half", "utf8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "a.txt").read_text("utf8") == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    def full() -> None:
        with new_file(tmp_path / "a.txt"):
            raise OSError(28, "No space left on device")

    with pytest.raises(RecrouteError, match=r"a\.txt cannot be written: No space left on device"):
        full()


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 127)
    write_text(path, "x")
    assert path.read_text("utf8") == "x"


def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from recroute.util.files import new_file\n"
        "with new_file(pathlib.Path(sys.argv[1])):\n"
        "    os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=False)
    assert killed.returncode == -9
    assert len(os.listdir(tmp_path)) == 1
    with new_file(tmp_path / "a") as one, new_file(tmp_path / "a") as other:  # of a living process: it stays
        assert {one.name, other.name} == set(os.listdir(tmp_path))
        other.write_text("new", "utf8")
    assert os.listdir(tmp_path) == ["a"]


def test_a_dash_is_standard_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    print("before")
    check_file(Path("-"))
    write_text(Path("-"), "µ")
    assert raw.getvalue() == "before\nµ".encode()
    assert os.listdir(tmp_path) == []


def test_a_dash_is_refused_where_standard_output_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(RecrouteError, match="standard output is closed"):
        check_file(Path("-"))


def test_the_file_that_standard_output_leads_to_is_standard_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "out.txt").open("w", encoding="utf8") as out:
        monkeypatch.setattr(sys, "stdout", out)
        print("before")
        assert is_stdout(tmp_path / "out.txt")
        write_text(tmp_path / "out.txt", "json\n")
        print("after")
    monkeypatch.undo()
    assert (tmp_path / "out.txt").read_text("utf8") == "before\njson\nafter\n"
