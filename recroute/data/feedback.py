"""Feedback: scores and preferences that came in after a router was fitted, for answers to routed prompts."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.folder import read_records
from recroute.data.json_tables import read_json_lines
from recroute.data.preferences import PAIR_COLUMNS, pair_table
from recroute.data.reading import regular_file
from recroute.data.records import Records
from recroute.data.schema import ID_COLUMNS, as_table, text_column
from recroute.errors import DataError
from recroute.util.arguments import checked

RECORDS, PREFERENCES = "records.jsonl", "preferences.jsonl"
TEXTS = ("prompt", "task", "encoder", "decision_id")  # what a row may have besides, and may lack
DECISION = "decision_id"


@dataclass(frozen=True, eq=False)
class Feedback:
    """Rows of feedback; a prompt may occur in many, because a service routes it again.

    Parameters
    ----------
    records : polars.DataFrame, optional
        `instance_id str, llm_id str, score f32 in [0, 1]` and, of the prompt, `prompt str`, or `vector` (list of
        float) and `encoder str` (the name of the space the vector is of), or `task str`, whatever the router reads.
        Of the rows with one `decision_id str` the first counts. Other columns are left out.
    preferences : polars.DataFrame, optional
        `instance_id, llm_a, llm_b, outcome` as `pair_table` takes them, and of the prompt the same.
    source : str
        What messages call it.
    notes : tuple of str
        What was left out, and why.

    Raises
    ------
    DataError
        If there is no row, and for what `Records` and `pair_table` refuse.
    """

    records: pl.DataFrame | None = None
    preferences: pl.DataFrame | None = None
    source: str = "feedback"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        notes = list(self.notes)
        records, preferences = (
            None if table is None else as_table(table, self.source) for table in (self.records, self.preferences)
        )
        if records is not None and records.height:
            checked = Records(records, self._name(RECORDS)).table.select([*ID_COLUMNS, "score"])
            records = _once(_beside(checked, records, self._name(RECORDS)), [DECISION], RECORDS, notes)
        if preferences is not None and preferences.height:
            checked = pair_table(preferences, self._name(PREFERENCES))
            whole = _beside(checked, preferences, self._name(PREFERENCES))
            preferences = _once(whole, [DECISION, "llm_a", "llm_b"], PREFERENCES, notes)
        object.__setattr__(self, "records", records if records is not None and records.height else None)
        object.__setattr__(self, "preferences", preferences if preferences is not None and preferences.height else None)
        object.__setattr__(self, "notes", tuple(notes))
        if self.records is None and self.preferences is None:
            raise DataError(f"{self.source} has no feedback yet; one score or preference is needed")

    def _name(self, file: str) -> str:
        return self.source if self.records is None or self.preferences is None else f"{self.source}, {file}"

    @property
    def n_records(self) -> int:
        return 0 if self.records is None else self.records.height

    @property
    def n_preferences(self) -> int:
        return 0 if self.preferences is None else self.preferences.height

    @property
    def decisions(self) -> NDArray[np.uint64]:
        """A number for each row's decision, uint64 (k,), by which it is known again; rows without one are left out."""
        found = [_numbers(table) for table in (self.records, self.preferences) if table is not None]
        numbers = np.concatenate(found)
        return numbers[numbers > 0]

    def without(self, decisions: NDArray[np.uint64]) -> Feedback | None:
        """The rows of other decisions than these, see `decisions`; None if there is none."""
        records, preferences = (
            table if table is None else table.filter(~np.isin(_numbers(table), decisions))
            for table in (self.records, self.preferences)
        )
        left = sum(0 if table is None else table.height for table in (records, preferences))
        if left == self.n_records + self.n_preferences:
            return self
        note = (
            f"{self.n_records + self.n_preferences - left} rows were taken in by an earlier refresh; they are left out"
        )
        return None if left == 0 else Feedback(records, preferences, self.source, (*self.notes, note))


@checked
def read_feedback(path: str | Path, *more: str | Path) -> Feedback:
    """Read the folder that a service writes, or a file of records or of preferences; or several of these.

    Parameters
    ----------
    path, *more : str or Path
        A folder with `records.jsonl`, `preferences.jsonl` or both, and their further parts if they were rotated; or a
        file (.jsonl, .csv, .parquet) of either, told by its columns. A last line that a crash has torn is left out,
        with a note, and so is one of several places that has no feedback yet.

    Raises
    ------
    DataError
        If there is no feedback, its content is not what `Feedback` asks for, or a place is given twice.
    """
    paths, notes = different([path, *more], "feedback"), list[str]()
    found = []
    for place in paths:
        tables = _tables(place, notes)
        if tables or len(paths) == 1:
            found.append(Feedback(tables.get("records"), tables.get("preferences"), place.name))
        else:
            notes.append(f"{place} has no feedback yet")
    if len(found) == 1:
        return replace(found[0], notes=(*notes, *found[0].notes))
    return Feedback(
        records=joined(one.records for one in found),
        preferences=joined(one.preferences for one in found),
        source=", ".join(place.name for place in paths),
        notes=(*notes, *(note for one in found for note in one.notes)),
    )


def different(places: Iterable[str | Path], what: str) -> list[Path]:
    """The places as paths; DataError if one is given twice."""
    paths = [Path(one) for one in places]
    for i, place in enumerate(paths):
        if place.resolve() in [before.resolve() for before in paths[:i]]:
            raise DataError(f"{what} {place} is given twice; give it once")
    return paths


def part_path(folder: Path, name: str, start: int) -> Path:
    """Path of the part of a log whose first byte has this offset in the log.

    >>> part_path(Path("feedback"), "records.jsonl", 0).name, part_path(Path("feedback"), "records.jsonl", 255).name
    ('records.jsonl', 'records.00000000000ff.jsonl')
    """
    return folder / (name if start == 0 else name.replace(".jsonl", f".{start:013x}.jsonl"))


def parts(folder: Path, name: str) -> list[tuple[int, Path]]:
    """The parts of a log that are in a folder, in order, each with the offset of its first byte in the log."""
    pattern = re.compile(re.escape(name).replace(r"\.jsonl", r"(?:\.([0-9a-f]{13}))?\.jsonl"))
    found = [(file, match) for file in os.listdir(folder) if (match := pattern.fullmatch(file))]
    return sorted((int(match[1] or "0", 16), folder / file) for file, match in found)


def _tables(path: Path, notes: list[str]) -> dict[str, pl.DataFrame]:
    """The tables of one place by kind, "records" and "preferences", as they are on disk."""
    found: dict[str, pl.DataFrame] = {}
    for files in _logs(path):
        table = joined([_read(file, notes) for file in files])
        if table is not None:
            found["preferences" if set(PAIR_COLUMNS) <= set(table.columns) else "records"] = table
    return found


def _logs(path: Path) -> list[list[Path]]:
    """The files of each table of one place: those of a log in a folder are its parts."""
    logs = [[path]] if path.is_file() else []
    if path.is_dir():
        logs = [found for name in (RECORDS, PREFERENCES) if (found := [part for _, part in parts(path, name)])]
    if not logs:
        what = f"has neither {RECORDS} nor {PREFERENCES}" if path.is_dir() else "does not exist"
        raise DataError(f"{path} {what}; name the folder that recroute serve wrote, or a file of records")
    return logs


def read_feedback_records(path: Path) -> pl.DataFrame | None:
    """The records of a file or of a service's folder, unchecked, without a last line that is torn; None if none yet.

    Raises DataError if they cannot be read.
    """
    files = [part for _, part in parts(path, RECORDS)] if path.is_dir() else [path]
    return joined([_read(file, []) for file in files])


def _read(path: Path, notes: list[str]) -> pl.DataFrame | None:
    """The table of a file, None where it has no row yet."""
    if path.suffix != ".jsonl":
        return read_records(path)
    content = whole_lines(path, notes)
    if not content.strip():
        return None
    return read_json_lines(content, path.name)


def joined(tables: Iterable[pl.DataFrame | None]) -> pl.DataFrame | None:
    """One table of all rows, None where there is none; DataError if the columns do not fit together."""
    found = [table for table in tables if table is not None]
    try:
        return pl.concat(found, how="diagonal_relaxed") if found else None
    except pl.exceptions.PolarsError:
        name = next(name for name in found[0].columns if len({str(one.schema.get(name)) for one in found}) > 1)
        kinds = ", ".join(dict.fromkeys(str(one.schema[name]) for one in found if name in one.columns))
        raise DataError(
            f"{name} is of several kinds ({kinds}); write it alike everywhere, or read each alone"
        ) from None


def whole_lines(path: Path, notes: list[str]) -> bytes:
    """The content of a file of JSON lines but for a last line that is torn, which is noted."""
    content = regular_file(path).read_bytes()
    end = content.rfind(b"\n") + 1
    if (last := content[end:]).strip():
        try:
            json.loads(last)
        except (ValueError, RecursionError):
            notes.append(f"{path.name}: the last line is torn ({len(last)} bytes without an end); it is left out")
            return content[:end]
    return content


def _beside(checked: pl.DataFrame, given: pl.DataFrame, source: str) -> pl.DataFrame:
    """The checked columns, and those of the others that tell of the prompt."""
    more = given.select([name for name in TEXTS if name in given.columns and given.schema[name] != pl.Null])
    for name in more.columns:
        text_column(more.drop_nulls(name), name, source)
    if "vector" in given.columns and given.schema["vector"] != pl.Null:
        kind = given.schema["vector"]
        if not isinstance(kind, pl.List | pl.Array) or not kind.inner.is_numeric():
            raise DataError(f"vector is {kind} in {source}, not a list of numbers; write it as one")
        more = more.with_columns(given["vector"].cast(pl.List(pl.Float32)))
    return checked.hstack(more)


def _numbers(table: pl.DataFrame) -> NDArray[np.uint64]:
    """A hash of each row's decision, and of the LLMs that battled, uint64 (n,); 0 where it has none."""
    if DECISION not in table.columns:
        return np.zeros(table.height, dtype=np.uint64)
    names = table.select(name for name in (DECISION, "llm_a", "llm_b") if name in table.columns)
    return np.array([0 if row[0] is None else _number(row) for row in names.iter_rows()], dtype=np.uint64)


def _number(row: tuple[str, ...]) -> int:
    return int.from_bytes(hashlib.blake2b("\0".join(row).encode(), digest_size=8).digest(), "little") | 1


def _once(table: pl.DataFrame, key: Sequence[str], file: str, notes: list[str]) -> pl.DataFrame:
    """One row for each decision; rows without one all count."""
    if DECISION not in table.columns:
        return table
    first = table.select(pl.struct(key).is_first_distinct() | pl.col(DECISION).is_null()).to_series()
    if twice := int((~first).sum()):
        notes.append(f"{file}: {twice} rows repeat a decision; the first of each counts")
    return table.filter(first)
