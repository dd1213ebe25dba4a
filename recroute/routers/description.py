"""Reading and validation of `router.json`, the description in a router's folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recroute.data import IdMap
from recroute.data.reading import is_text, read_json
from recroute.errors import DataError, RouterError

FORMAT = 1
FILE = "router.json"
REFIT = "fit the router again"
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Description:
    """Entries of `router.json`.

    Parameters
    ----------
    name : str
        Registry name of the router.
    hyperparameters : dict of str to value
    encoder : dict, optional
        Encoder as returned by `describe_encoder`.
    llm_ids : IdMap
    sha256 : dict of str to str
        SHA-256 of each file.
    evidence : dict of str to str
        File that holds each array of the evidence; empty in folders of older versions.
    """

    name: str
    hyperparameters: dict[str, Any]
    encoder: dict[str, Any] | None
    llm_ids: IdMap
    sha256: dict[str, str]
    evidence: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> Description:
        """Read `router.json` in a router's folder; RouterError if it is missing, damaged or of a later format."""
        file = folder / FILE
        if not file.is_file():
            raise RouterError(f"no router at {folder} ({FILE} is missing); make one with recroute fit")
        try:
            found = read_json(file)
            entries = found if isinstance(found, dict) else {}
            _refuse_later(entries, folder)
            for key, (what, holds) in ENTRIES.items():
                if key not in entries and key != "evidence":
                    raise DataError(f"{key} is missing")
                if key in entries and not holds(entries[key]):
                    raise DataError(f"{key} is {_shown(entries[key])}, not {what}")
            ids = IdMap(tuple(entries["llm_ids"]), kind="llm")
        except DataError as error:
            raise RouterError(f"{file} is damaged: {str(error).removeprefix(str(file) + ' ')}; {REFIT}") from None
        keys = ("name", "hyperparameters", "encoder", "sha256", "evidence")
        return cls(llm_ids=ids, **{key: entries.get(key, {}) for key in keys})


def _refuse_later(entries: Mapping[str, Any], folder: Path) -> None:
    if type(entries.get("format")) is int and entries["format"] > FORMAT:
        version = _shown(entries.get("recroute")).strip("'")
        raise RouterError(f"{folder} was written by recroute {version}; install that version or a later one")


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
    return text if len(text) <= 60 else text[:60] + "..."


def _is_dict_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(is_text(key) and holds(value[key]) for key in value)


def _is_scalar(value: Any) -> bool:
    return is_text(value) or isinstance(value, int | float | bool | None)


def _is_file_name(value: Any) -> bool:
    return is_text(value) and "\0" not in value and Path(value).name == value and value not in ("", ".", "..")


def _are_ids(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(map(is_text, value))


def _are_digests(value: Any) -> bool:
    digests = _is_dict_of(lambda digest: isinstance(digest, str) and DIGEST.fullmatch(digest) is not None)
    return digests(value) and all(map(_is_file_name, value))


ENTRIES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "format": ("a positive whole number", lambda value: type(value) is int and value >= 1),
    "name": ("the name of a router", lambda value: isinstance(value, str) and value.isidentifier()),
    "hyperparameters": ("a mapping of names to values", _is_dict_of(_is_scalar)),
    "encoder": ("the description of an encoder, or null", lambda value: value is None or isinstance(value, dict)),
    "llm_ids": ("a list of LLM ids", _are_ids),
    "sha256": ("a mapping of files in this folder to their SHA-256", _are_digests),
    "evidence": ("a mapping of array names to files", _is_dict_of(is_text)),
}
