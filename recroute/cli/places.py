"""Places that a person named: refused before the work is done where they cannot be written or would harm an input."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from recroute.errors import RecrouteError
from recroute.util.files import check_file, is_stdout, resolved
from recroute.util.folders import check_folder, check_new_folder

OWN_SUFFIXES = (".parquet", ".npz", ".npy", ".jsonl", ".md")  # in a folder of recroute's that is read
OWN_NAMES = ("card.json", "scores.json", "router.json", "config.json", "environment.json")
OURS = ("records.parquet", "preferences.parquet", "router.json", "records.jsonl", "environment.json")


def check_places(
    *files: Path | None,
    folders: Mapping[Path, str] | None = None,
    into: Path | None = None,
    inputs: Iterable[str | Path | None] = (),
) -> None:
    """Refuse outputs that cannot be written, that are the same, or that an input would be lost to.

    `folders` are new folders, each with the file by which an older one is known; `into` is one that files are added
    to. `inputs` are paths; those that are texts are routers, which may be files, but no folders.
    """
    folders = folders or {}
    written = [path for path in files if path is not None]
    for path in written:
        check_file(path)
    for path, marker in folders.items():
        check_new_folder(path, marker)
    if into is not None:
        check_folder(into)
    known: dict[str, Path] = {}
    for path in (*written, *folders):
        if not is_device(path) and known.setdefault(_key(path), path) is not path:
            raise RecrouteError(f"{path} is named for two outputs; name a place for each")
    for source in [Path(name) for name in inputs if name is not None and _is_there(name)]:
        for path in written:
            if _key(path) in map(_key, _files_of(source)) or _reads_all(source, path):
                raise RecrouteError(
                    f"{path} is read by this command, and writing it would destroy it; name another file"
                )
        for path in folders:
            if resolved(source).is_relative_to(resolved(path)):
                raise RecrouteError(f"{path} is read by this command and would be replaced; name another folder")


def _is_there(name: str | Path) -> bool:
    return Path(name).is_file() if isinstance(name, str) else name.exists()


def is_device(path: Path) -> bool:
    """Whether a path is a device such as a terminal, which any number of outputs may go to."""
    return path.exists() and stat.S_ISCHR(path.stat().st_mode)


def _key(path: Path) -> str:
    """What two names of one place have in common."""
    if is_stdout(path):
        return "-"
    if path.is_file():
        found = path.stat()
        return f"{found.st_dev} {found.st_ino}"
    return str(resolved(path))


def _files_of(source: Path) -> Iterator[Path]:
    """The files that a command reads when it is given this path, as far as their names tell."""
    if not source.is_dir():
        yield source
        return
    for path in source.iterdir():
        if path.name in OWN_NAMES or path.suffix in OWN_SUFFIXES:
            yield path


def _reads_all(source: Path, path: Path) -> bool:
    """Whether a path is any file in a folder of another layout than recroute's."""
    foreign = source.is_dir() and not any((source / name).exists() for name in OURS)
    return foreign and path.exists() and resolved(path).is_relative_to(resolved(source))
