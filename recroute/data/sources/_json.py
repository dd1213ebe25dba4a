"""JSON files and JSON lines, each fault in one line with its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recroute.data.reading import parse_json, regular_file
from recroute.data.sources._pickle import clean_text
from recroute.errors import DataError


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number from 1 and object of each line. Lines end at "\\n" alone: U+2028 occurs inside strings."""
    with regular_file(path).open(encoding="utf8", newline="\n") as file:
        number = 0
        try:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                yield number, _object(line, f"{path}, line {number}")
        except UnicodeDecodeError as error:
            raise DataError(f"{path}, line {number + 1} is not UTF-8 ({error.reason}); write the file again") from None
    if number == 0:
        raise DataError(f"{path} is an empty file; one JSON object per line is needed")


def json_object(path: Path) -> dict[str, Any]:
    """The one object in a JSON file."""
    return _object(regular_file(path).read_bytes(), str(path))


def text(row: dict[str, Any], key: str, where: str) -> str:
    """`row[key]` as text that is not empty."""
    value = row.get(key)
    if value is None or value == "" or isinstance(value, dict | list | bool | float):
        raise DataError(f"{key} {value!r} in {where} is not a name; fix that record"[:300])
    return clean_text(value)


def number(row: dict[str, Any], key: str, where: str) -> float | None:
    """`row[key]` as a number, true and false as 1 and 0; None if it is missing or null."""
    value = row.get(key)
    if value is None:
        return None
    if not isinstance(value, int | float):
        raise DataError(f"{key} {value!r} in {where} is not a number; fix that record"[:300])
    try:
        return float(value)
    except OverflowError:
        raise DataError(f"{key} in {where} is too large a number; fix that record") from None


def prompt_text(value: Any) -> str | None:
    """A prompt, or None where there is none."""
    return clean_text(value) if isinstance(value, str) and value else None


def _object(content: str | bytes, where: str) -> dict[str, Any]:
    found = parse_json(content, where)
    if not isinstance(found, dict):
        raise DataError(f"{where} holds {type(found).__name__}, not an object; is this file of that layout?")
    return found
