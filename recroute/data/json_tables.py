"""Tables as JSON: an object on each line, or one array of objects; each fault in one line with its place."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from recroute.data.delimited import Text, as_utf8, opened_bytes
from recroute.data.reading import DAMAGE, parse_json, refuse_twice
from recroute.errors import DataError

MARK = b"\xef\xbb\xbf"  # of UTF-8, as Windows writes it
FIRST = 100  # lines in which names that stand twice are looked for
KINDS = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}


def open_json(path: Path, notes: list[str]) -> pl.LazyFrame:
    """The table in a file of JSON lines or of one array, whichever it is; guesses are added to `notes`."""
    source = as_utf8(path, notes)
    with opened_bytes(source) as stream:
        start = stream.read(1 << 16)
        begin = start.removeprefix(MARK).lstrip()
        if begin.startswith(b"["):
            return _array(begin + stream.read(), path)
        if start.startswith(MARK):
            source = io.BytesIO(begin + stream.read())
        elif path.suffixes[-1:] == [".json"] or begin.split(b"\n", 1)[0].strip() == b"{":
            _refuse_one_object(start + stream.read(), path)
    return _lines(source, path)


def read_json_lines(content: bytes, source: str) -> pl.DataFrame:
    """The table in JSON lines; DataError with the first line that is none."""
    return _lines(io.BytesIO(content), Path(source)).collect()


def _lines(source: Text, path: Path) -> pl.LazyFrame:
    try:
        frame = pl.scan_ndjson(source, infer_schema_length=None)
        frame.select(pl.all().count()).collect(engine="streaming")
    except DAMAGE as error:
        with opened_bytes(source) as lines:
            reason = _first_bad(lines, "line") or f"its lines do not fit together: {str(error).strip().splitlines()[0]}"
        raise DataError(f"{path.name}, {reason}; fix or remove that line") from None
    with opened_bytes(source) as lines:
        for line in islice(lines, FIRST):
            if line.strip():
                json.loads(line, object_pairs_hook=lambda pairs: refuse_twice([name for name, _ in pairs], path))
    return frame


def _array(content: bytes, path: Path) -> pl.LazyFrame:
    rows = parse_json(content, path.name)
    lines = [json.dumps(row).encode() for row in rows]
    if not lines:
        raise DataError(f"{path.name} is an empty array; one object per row is needed")
    if reason := _first_bad(lines, "row"):
        raise DataError(f"{path.name}, {reason}; fix or remove that row")
    return _lines(io.BytesIO(b"\n".join(lines)), path)


def _refuse_one_object(content: bytes, path: Path) -> None:
    """Raise DataError where all of a file is one object, such as pandas writes if it is not told how."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return
    if len(found) and all(isinstance(value, dict | list) for value in found.values()):
        raise DataError(
            f"{path.name} is one object of {', '.join(map(repr, list(found)[:3]))}, not rows; write an array of rows "
            "(pandas: to_json(orient='records')), or an object on each line"
        )


def _first_bad(lines: Iterable[bytes], called: str) -> str:
    """What is wrong with the first line that does not fit, lines counted from 1; nothing where all are well."""
    kinds: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        where = f"{called} {number}"
        try:
            row = json.loads(line.strip() or b"{}", parse_constant=_refuse_constant)
        except UnicodeDecodeError:
            return f"{where} is not UTF-8"
        except RecursionError:
            return f"{where} is nested too deeply"
        except json.JSONDecodeError as error:
            return f"{where} is not valid JSON: {error.msg.removesuffix(' starting at')} at character {error.pos + 1}"
        except ValueError as error:
            return f"{where} is not valid JSON: {error}"
        if not isinstance(row, dict):
            return f"{where} is not a JSON object"
        for name, value in row.items():
            kind = KINDS.get(type(value), "")
            before = kinds.setdefault(name, kind) if kind else ""
            if kind and kind != before and {kind, before} != {"a number", "a text"}:
                return f"{where} has {kind} for {name!r}, and {before} stands in the lines before"
    return ""


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number there, write null")
