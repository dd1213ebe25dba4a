"""Opening files of strangers: regular ones only, and JSON whatever it holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recroute.errors import DataError


def regular_file(path: Path) -> Path:
    """The path itself, if it can be read to an end: DataError for a folder, a pipe, a device and nothing at all."""
    if path.is_file():
        return path
    if not path.exists():
        raise DataError(f"no file at {path}; name another one")
    what = "a folder" if path.is_dir() else "a pipe or a device"
    raise DataError(f"{path} is {what}, not a regular file; name another one")


def read_json(path: Path) -> Any:
    """What a JSON file holds; DataError if it is no regular file, or no JSON in UTF-8."""
    return parse_json(regular_file(path).read_bytes(), str(path))


def parse_json(content: str | bytes, where: str) -> Any:
    """What JSON holds; DataError naming `where` if it is none, or nested too deeply."""
    try:
        return json.loads(content if isinstance(content, str) else content.decode("utf8"))
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8 ({error.reason}); write the file again") from None
    except RecursionError:
        raise DataError(f"{where} is nested too deeply; mend it") from None
    except ValueError as error:  # also a number of too many digits
        raise DataError(f"{where} is no JSON: {error}; mend it") from None


def is_text(value: object) -> bool:
    """Whether it is text that can be written: no half of a character that takes two."""
    if not isinstance(value, str):
        return False
    try:
        value.encode("utf8")
    except UnicodeEncodeError:
        return False
    return True
