"""One table in many files: partitions, shards, and what `save_to_disk` of Hugging Face's datasets writes."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl

from recroute.data.reading import read_json
from recroute.data.schema import LABELS
from recroute.data.tables import SUFFIXES, kind_of, open_table, reading_table
from recroute.errors import DataError

NOTHING = "__HIVE_DEFAULT_PARTITION__"
SHARD = re.compile(r"(train|validation|valid|val|dev|test)-\d{5}-of-\d{5}")  # as on the Hugging Face hub


def open_tables(path: Path, notes: list[str], known: Collection[str] = ()) -> pl.LazyFrame:
    """The table in a file, see `open_table`, or in a folder.

    A folder holds files of one kind with the same columns: partitions, whose folders say the value of a column
    (`llm_id=a/`), shards, or the Arrow files of `save_to_disk`. Hidden files, and those that begin with "_", do not
    count.

    Raises
    ------
    DataError
        If there is no table, or files that are not of one table.
    """
    if not path.is_dir():
        return open_table(path, notes, known)
    parts = _saved_parts(path) if (path / "dataset_dict.json").is_file() else {None: path}
    frames = []
    for split, folder in parts.items():
        for file in _files(folder, path):
            frames.append(_part(file, file.relative_to(folder), split, notes, known))
    _refuse_other_columns(frames)
    if len(frames) > 1:
        notes.append(f"{len(frames)} files of {path.name} are read as one table")
    with reading_table(path):
        frame = pl.concat([frame for _, frame in frames], how="vertical_relaxed")
        frame.collect_schema()
    return frame


def _saved_parts(path: Path) -> dict[str | None, Path]:
    """The folders of the splits of a dictionary of data sets."""
    told = read_json(path / "dataset_dict.json")
    splits = told.get("splits") if isinstance(told, dict) else None
    if not isinstance(splits, list) or not splits or not all(isinstance(split, str) for split in splits):
        raise DataError(f"{path / 'dataset_dict.json'} does not name the splits; save the data set again")
    return {str(split): path / str(split) for split in splits}


def _files(folder: Path, whole: Path) -> list[Path]:
    """The files of one table, in the order in which they are to be read."""
    found = [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not any(part[0] in "._" for part in file.relative_to(folder).parts)
    ]
    tables = [file for file in found if kind_of(file) in SUFFIXES and not _says_what_is_there(file)]
    if (folder / "state.json").is_file():
        tables = _saved_files(folder) or [file for file in tables if file.suffix == ".arrow"]
    if not tables:
        raise DataError(f"{whole} is a folder without a table; name one ({', '.join(SUFFIXES)})")
    if len({kind_of(file) for file in tables}) > 1:
        names = ", ".join(file.name for file in tables[:3])
        raise DataError(f"{whole} is a folder of several tables ({names}); name the table in it")
    return tables


def _says_what_is_there(file: Path) -> bool:
    """Whether a file describes the others, as those that lie beside shards do."""
    return file.suffix == ".json" or (file.suffix == ".txt" and file.stem.lower() in ("readme", "license", "notes"))


def _saved_files(folder: Path) -> list[Path]:
    """The files that `state.json` names in their order; those that the folder holds where it names none."""
    state = read_json(folder / "state.json")
    files = state.get("_data_files") if isinstance(state, dict) else None
    names: list[Any] = [file.get("filename") for file in files or [] if isinstance(file, dict)]
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or not (folder / name).is_file():
            raise DataError(f"{folder / 'state.json'} names the file {name!r}, which is not there; save it again")
    return [folder / name for name in names]


def _part(
    file: Path, place: Path, split: str | None, notes: list[str], known: Collection[str]
) -> tuple[Path, pl.LazyFrame]:
    """A file with the columns that its place tells."""
    told = dict(part.split("=", 1) for part in place.parts[:-1] if "=" in part)
    told = {unquote(name): unquote(value) for name, value in told.items()}
    if split is None and (shard := SHARD.match(file.name)):
        split = shard[1]
    new: list[str] = []
    frame = open_table(file, new, known)
    notes += [note for note in new if note not in notes]
    there = frame.collect_schema().names()
    for name, value in told.items():
        if name in there:
            _refuse_other_value(frame, name, value, file)
    values = {name: None if value == NOTHING else value for name, value in told.items() if name not in there}
    if split is not None and "split" not in there:
        values.setdefault("split", split)
    return file, frame.with_columns(pl.lit(value, pl.String).alias(name) for name, value in values.items())


def _refuse_other_value(frame: pl.LazyFrame, name: str, value: str, file: Path) -> None:
    """Raise DataError where a file's own column says another name than the folder it lies in."""
    if name not in LABELS:
        return
    own = pl.col(name).cast(pl.String)
    with reading_table(file):
        other = frame.select(own.filter(own != value).first()).collect(engine="streaming").item()
    if other is not None:
        raise DataError(f"{file} lies in {name}={value}, but says {other!r} in its column {name}; fix one of them")


def _refuse_other_columns(frames: list[tuple[Path, pl.LazyFrame]]) -> None:
    (first, frame), *others = frames
    names = frame.collect_schema().names()
    for file, other in others:
        if set(there := other.collect_schema().names()) != set(names):
            differ = sorted({*names} ^ {*there})
            raise DataError(
                f"{first} and {file.name} are not of one table: only one of them has a column {differ[0]!r}; name one"
            )
