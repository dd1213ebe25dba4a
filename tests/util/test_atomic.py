"""A folder is the old one or the new one, wherever its path leads."""

import os
import stat
from pathlib import Path

import pytest

from recroute.errors import RecrouteError
from recroute.util.files import make_folder
from recroute.util.folders import check_folder, check_new_folder, new_folder

MARKER = "marker"


def write(path: Path, content: str) -> None:
    with new_folder(path, MARKER) as folder:
        (folder / MARKER).write_text(content, "utf8")


def test_a_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    target, link = tmp_path / "deep" / "target", tmp_path / "link"
    link.symlink_to("deep/target")
    for content in ("made", "replaced", "again"):
        write(link, content)
        assert link.is_symlink()
        assert (target / MARKER).read_text("utf8") == content
    assert sorted(os.listdir(tmp_path)) == ["deep", "link"]
    assert os.listdir(tmp_path / "deep") == ["target"]


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(RecrouteError, match="leads back to itself"):
        check_new_folder(tmp_path / "a", MARKER)


def test_files_and_what_lies_in_them_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept", "utf8")
    (tmp_path / "link").symlink_to("file")
    for path in (tmp_path / "file", tmp_path / "link"):
        with pytest.raises(RecrouteError, match="was not written by recroute"):
            check_new_folder(path, MARKER)
    with pytest.raises(RecrouteError, match="Not a directory"):
        check_new_folder(tmp_path / "file" / "new", MARKER)
    with pytest.raises(RecrouteError, match="name a folder"):
        check_new_folder(Path("-"), MARKER)
    assert (tmp_path / "file").read_text("utf8") == "kept"


def test_the_folder_a_command_runs_in_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / MARKER).touch()
    monkeypatch.chdir(tmp_path / "below")
    for path in (Path(), tmp_path):
        with pytest.raises(RecrouteError, match="is where this command runs"):
            check_new_folder(path, MARKER)


def test_a_place_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(RecrouteError, match="no permission"):
        check_new_folder(tmp_path / "not" / "yet", MARKER)


def test_a_folder_keeps_its_permissions(tmp_path: Path) -> None:
    write(tmp_path / "a", "old")
    (tmp_path / "a").chmod(0o750)
    write(tmp_path / "a", "new")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o750


def test_a_full_disk_names_the_folder_and_leaves_nothing(tmp_path: Path) -> None:
    def full() -> None:
        with new_folder(tmp_path / "a", MARKER):
            raise OSError(28, "No space left on device")

    with pytest.raises(RecrouteError, match="a cannot be written: No space left on device"):
        full()
    assert os.listdir(tmp_path) == []


def test_an_unreadable_source_keeps_its_name(tmp_path: Path) -> None:
    def unreadable() -> None:
        with new_folder(tmp_path / "a", MARKER):
            (tmp_path / "source").read_text("utf8")

    with pytest.raises(FileNotFoundError, match="source"):
        unreadable()


def test_a_folder_that_files_are_added_to_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("deep/target")
    check_folder(tmp_path / "link")
    make_folder(tmp_path / "link")
    assert (tmp_path / "deep" / "target").is_dir()
    check_folder(tmp_path / "link")
    (tmp_path / "file").touch()
    with pytest.raises(RecrouteError, match="is a file; name a folder"):
        check_folder(tmp_path / "file")
    with pytest.raises(RecrouteError, match="cannot be made"):
        make_folder(tmp_path / "file")
    with pytest.raises(RecrouteError, match="name a folder"):
        check_folder(Path("-"))
