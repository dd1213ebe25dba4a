"""Writers at the same place, readers beside them, and what a killed writer leaves: with names exchanged and without."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recroute.data import Dataset, read_dataset, write_dataset
from recroute.errors import RecrouteError
from recroute.evaluation.run_folder import read_run
from recroute.routers import load_router, make_router
from recroute.util import folders
from recroute.util.folders import new_folder, read_folder, recover

FILES = ("mark", "a", "b")


@pytest.fixture(params=["exchange", "two renames"], autouse=True)
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test in the way of Linux, and in that of other systems and of file systems without the call."""
    if request.param == "two renames":
        monkeypatch.setattr(folders, "_exchanged", lambda *_: False)


def write(path: Path, text: str) -> None:
    with new_folder(path, "mark") as folder:
        for name in FILES:
            (folder / name).write_text(text, "utf8")


def read(path: Path) -> set[str]:
    return {(path / name).read_text("utf8") for name in FILES}


def test_readers_beside_two_writers_find_one_whole_folder(tmp_path: Path) -> None:
    path, stop = tmp_path / "thing", threading.Event()
    write(path, "old")

    def write_on(name: str) -> int:
        turn = 0
        while not stop.is_set() or turn < 20:
            write(path, f"{name}{(turn := turn + 1)}")
        return turn

    def read_on() -> None:
        for _ in range(150):
            assert len(read_folder(path, read)) == 1

    with ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(write_on, name) for name in "xy"]
        reading = [pool.submit(read_on) for _ in range(2)]
        ends = [future.exception() for future in reading]
        stop.set()
        turns = [future.result() for future in writing]
    assert ends == [None, None]
    assert read(path) in ({f"x{turns[0]}"}, {f"y{turns[1]}"})
    assert os.listdir(tmp_path) == ["thing"]


def test_a_folder_replaced_in_the_middle_is_read_again(tmp_path: Path) -> None:
    write(path := tmp_path / "thing", "old")
    turns: list[str] = []

    def read_slowly(place: Path) -> tuple[str, str]:
        first = (place / "a").read_text("utf8")
        if not turns:
            write(path, "new")
        turns.append(first)
        return first, (place / "b").read_text("utf8")

    assert read_folder(path, read_slowly) == ("new", "new")
    assert turns == ["old", "new"]


def test_an_error_of_a_folder_that_stays_is_raised(tmp_path: Path) -> None:
    write(path := tmp_path / "thing", "old")
    turns: list[Path] = []

    def damaged(place: Path) -> None:
        turns.append(place)
        raise RecrouteError("damaged")

    for place in (path, tmp_path / "nothing"):
        with pytest.raises(RecrouteError, match="damaged"):
            read_folder(place, damaged)
    assert turns == [path] * 2 + [tmp_path / "nothing"] * 2


def test_a_folder_moved_away_and_back_within_a_tick_of_the_clock_is_read_again(tmp_path: Path) -> None:
    write(path := tmp_path / "thing", "old")
    turns: list[Path] = []

    def read_beside_a_writer(place: Path) -> set[str]:
        turns.append(place)
        if len(turns) > 1:
            return read(place)
        place.rename(tmp_path / ".thing.previous-01234567")
        try:
            return read(place)
        finally:
            recover(path)

    assert read_folder(path, read_beside_a_writer) == {"old"}


def test_a_folder_replaced_for_ever_ends_in_one_line(tmp_path: Path) -> None:
    write(path := tmp_path / "thing", "old")
    with pytest.raises(RecrouteError, match="replaced again and again"):
        read_folder(path, lambda _: write(path, "new"))


def test_a_writer_who_comes_between_wins_until_the_other_ends(tmp_path: Path) -> None:
    with new_folder(path := tmp_path / "thing", "mark") as folder:
        write(path, "in between")
        assert read(path) == {"in between"}
        assert folder.is_dir()  # what a living writer has not finished is not removed by another
        for name in FILES:
            (folder / name).write_text("last", "utf8")
    assert read(path) == {"last"}
    assert os.listdir(tmp_path) == ["thing"]


def test_what_is_put_there_meanwhile_and_is_not_ours_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "thing"

    def write_late() -> None:
        with new_folder(path, "mark") as folder:
            (folder / "mark").write_text("new", "utf8")
            path.mkdir()
            (path / "thesis").write_text("three years", "utf8")

    with pytest.raises(RecrouteError, match="was not written by recroute"):
        write_late()
    assert (path / "thesis").read_text("utf8") == "three years"
    assert os.listdir(tmp_path) == ["thing"]


def save_router(data: Dataset, path: Path) -> None:
    make_router("best_single").fit(data).save(path)


READERS: list[tuple[Callable[[Dataset, Path], None], Callable[[Path], object]]] = [
    (write_dataset, read_dataset),
    (save_router, load_router),
]


@pytest.mark.parametrize(("save", "load"), READERS, ids=["dataset", "router"])
@pytest.mark.parametrize("left", [".thing.previous", ".thing.previous-01234567"])  # the first by earlier commits
def test_readers_only_read(
    planted: Dataset,
    tmp_path: Path,
    save: Callable[[Dataset, Path], None],
    load: Callable[[Path], object],
    left: str,
) -> None:
    save(planted, path := tmp_path / "thing")
    path.rename(tmp_path / left)
    (tmp_path / ".thing.new-abcdef01").mkdir()
    before = sorted(os.listdir(tmp_path))
    tmp_path.chmod(0o555)
    try:
        load(path)
    finally:
        tmp_path.chmod(0o755)
    assert sorted(os.listdir(tmp_path)) == before
    save(planted, path)
    assert os.listdir(tmp_path) == ["thing"]


def test_what_killed_writers_left_is_mended_by_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "thing"
    write(tmp_path / "older", "older")
    write(tmp_path / "newer", "newer")
    os.utime(tmp_path / "older", ns=(1, 1))
    (tmp_path / "older").rename(tmp_path / ".thing.previous-ffffffff")
    (tmp_path / "newer").rename(tmp_path / ".thing.previous-00000000")
    (tmp_path / ".thing.new-0123abcd").mkdir()
    others = [".thing.new", ".thing.new-long.new-0123abcd", "thing.new-0123abcd", ".thing.previous-other"]
    for name in others:
        (tmp_path / name).mkdir()
    assert read_folder(path, read) == {"newer"}
    recover(path)
    assert read(path) == {"newer"}
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "thing"])


def test_a_reader_of_nothing_says_so(tmp_path: Path) -> None:
    for load in (read_dataset, load_router, read_run):
        with pytest.raises(RecrouteError, match=r"no (data set|router|run) at"):
            load(tmp_path / "nothing")  # type: ignore[operator]
