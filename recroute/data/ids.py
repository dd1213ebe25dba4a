"""External ids to positions and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.errors import DataError, UnknownNameError
from recroute.util.arguments import as_index


class IdMap:
    """Ids in a fixed order, each at one position 0..n-1.

    Kept as a column of text: a Python string for each id, and a dictionary of them, are made when they are asked for.

    Parameters
    ----------
    ids : tuple of str, or polars.Series of text
        Distinct ids; their order is the order of rows or columns.
    kind : str
        What the ids name ("instance" or "llm"), for messages.

    Raises
    ------
    DataError
        If an id is no string, cannot be written as UTF-8, or occurs twice.

    Examples
    --------
    >>> llms = IdMap(("llama", "qwen"), kind="llm")
    >>> llms.to_index(["qwen"])
    array([1], dtype=int32)
    """

    def __init__(self, ids: Iterable[str] | pl.Series, kind: str = "id") -> None:
        self.kind = kind
        if isinstance(ids, pl.Series) and ids.dtype == pl.String and not ids.null_count():
            self.column = ids
        else:
            self.ids = self._as_texts(ids)
            self.column = pl.Series(self.ids, dtype=pl.String)
        if self.column.n_unique() != len(self.column):
            twice = self.column.filter(self.column.is_duplicated())[0]
            raise DataError(f"{kind}_id {twice!r} occurs twice; keep one row for each id")

    def _as_texts(self, given: Any) -> tuple[str, ...]:
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise DataError(f"{self.kind} ids are {given!r}; give a tuple of texts")
        ids = tuple(given)
        for value in ids:
            if not isinstance(value, str):
                raise DataError(f"{self.kind}_id {value!r} is {type(value).__name__}, not text; write ids as text")
            if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
                raise DataError(f"{self.kind}_id {value!r} holds half a character, which UTF-8 lacks; write it anew")
        return ids

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The ids as Python strings."""
        return tuple(self.column.to_list())

    @cached_property
    def _index(self) -> dict[str, int]:
        return {value: i for i, value in enumerate(self.ids)}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IdMap):
            return NotImplemented
        return self.kind == other.kind and len(self) == len(other) and bool((self.column == other.column).all())

    def __hash__(self) -> int:
        return hash((self.kind, len(self), *self.column[:1]))

    def __repr__(self) -> str:
        first = ", ".join(map(repr, self.column[:3]))
        return f"IdMap({len(self):,} {self.kind} ids: {first}{', ...' * (len(self) > 3)})"

    def __len__(self) -> int:
        return len(self.column)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __contains__(self, value: object) -> bool:
        return value in self._index

    def position(self, value: str) -> int:
        """Position of one id; KeyError if it is unknown."""
        return self._index[value]

    def places(self, column: pl.Series) -> pl.Series:
        """Position int32 of each id in a column of text, null for an unknown one; no Python string is made."""
        known = pl.DataFrame({"id": self.column}).with_row_index("place")
        found = pl.DataFrame({"id": column}).join(known, on="id", how="left", maintain_order="left")
        return found["place"].cast(pl.Int32)

    def to_index(self, ids: Iterable[str]) -> NDArray[np.int32]:
        """Positions of `ids`, int32, a lone one counts as a list of one; UnknownNameError for an unknown id."""
        if isinstance(ids, str):
            ids = (ids,)
        try:
            return np.fromiter((self._index[i] for i in ids), dtype=np.int32)
        except KeyError as missing:
            raise UnknownNameError(self.kind, str(missing.args[0]), self.ids) from None
        except TypeError:  # no list, or what no text can equal
            raise DataError(f"{self.kind} ids are not a list of texts; give one") from None

    def take(self, index: NDArray[np.integer]) -> IdMap:
        """The ids at these positions, in this order."""
        index = as_index(index, len(self), f"{self.kind} ids")
        return IdMap(self.column[index], kind=self.kind)
