"""External ids to positions and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.errors import DataError, UnknownNameError
from recroute.util.arguments import as_index


@dataclass(frozen=True, repr=False)
class IdMap:
    """Ids in a fixed order, each at one position 0..n-1.

    Parameters
    ----------
    ids : tuple of str
        Distinct ids; their order is the order of rows or columns.
    kind : str
        What the ids name ("instance" or "llm"), for messages.

    Raises
    ------
    DataError
        If an id is no string or occurs twice.

    Examples
    --------
    >>> llms = IdMap(("llama", "qwen"), kind="llm")
    >>> llms.to_index(["qwen"])
    array([1], dtype=int32)
    """

    ids: tuple[str, ...]
    kind: str = "id"
    _index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given: Any = self.ids
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise DataError(f"{self.kind} ids are {given!r}; give a tuple of texts")
        ids = tuple(given)
        for value in ids:
            if not isinstance(value, str):
                raise DataError(f"{self.kind}_id {value!r} is {type(value).__name__}, not text; write ids as text")
        index = {value: i for i, value in enumerate(ids)}
        if len(index) != len(ids):
            twice = next(value for i, value in enumerate(ids) if index[value] != i)
            raise DataError(f"{self.kind}_id {twice!r} occurs twice; keep one row for each id")
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "_index", index)

    def __repr__(self) -> str:
        first = ", ".join(map(repr, self.ids[:3]))
        return f"IdMap({len(self.ids):,} {self.kind} ids: {first}{', ...' * (len(self.ids) > 3)})"

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __contains__(self, value: object) -> bool:
        return value in self._index

    def position(self, value: str) -> int:
        """Position of one id; KeyError if it is unknown."""
        return self._index[value]

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
        index = as_index(index, len(self.ids), f"{self.kind} ids")
        return IdMap(tuple(self.ids[i] for i in index), kind=self.kind)
