"""What a Parquet file says of itself in its footer, which is written in Thrift's compact protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from recroute.data.reading import reading, refuse_swollen, refuse_twice, regular_file

MAGIC = b"PAR1"
SCHEMA, N_ROWS, ROW_GROUPS = 2, 3, 4  # fields of the footer
NAME, N_CHILDREN = 4, 5  # of an element of the schema
N_BYTES = 2  # of a row group
BINARY, LIST, SET, MAP, STRUCT = 8, 9, 10, 11, 12  # kinds of values


class Footer(NamedTuple):
    """Names of the columns, rows, and bytes of all values without compression."""

    names: list[str]
    n_rows: int
    n_bytes: int


def read_footer(path: Path) -> Footer:
    """The footer of a file. ValueError, LookupError or RecursionError if there is none, or it is damaged."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - 8, 0))
        end = file.read()
        length = int.from_bytes(end[:4], "little")
        if end[4:] != MAGIC or length + 12 > size:
            raise ValueError("it does not end as Parquet does; is it cut off?")
        file.seek(size - 8 - length)
        footer = _Thrift(file.read(length)).value(STRUCT)
    try:
        groups = [int(group[N_BYTES]) for group in footer.get(ROW_GROUPS, ())]
        return Footer(_top(footer[SCHEMA]), int(footer[N_ROWS]), sum(groups))
    except (TypeError, AttributeError):
        raise ValueError("its footer is damaged") from None


def sound_footer(path: Path) -> Footer:
    """The footer of a file; DataError for one that is damaged, announces too much, or has a column twice."""
    with reading(path, "parquet"):
        footer = read_footer(regular_file(path))
        refuse_swollen(path, footer.n_rows, footer.n_bytes)
        refuse_twice(footer.names, path)
        return footer


def _top(schema: list[dict[int, Any]]) -> list[str]:
    """The columns of the table, without what is nested in them: each element is followed by its children."""
    names, inside = [], 0
    for element in schema[1:]:
        if inside == 0:
            names.append(element[NAME].decode("utf8"))
        inside += element.get(N_CHILDREN, 0) - (inside > 0)
    return names


class _Thrift:
    """Values one after the other."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def value(self, kind: int) -> Any:
        """A value: a struct as a dictionary by the number of its fields."""
        if kind == STRUCT:
            return self._struct()
        if kind in (LIST, SET):
            head = self._byte()
            size = self._varint() if head >> 4 == 15 else head >> 4
            return [self.value(head & 15) for _ in range(size)]
        if kind == MAP:
            kinds = self._byte() if (size := self._varint()) else 0
            return [(self.value(kinds >> 4), self.value(kinds & 15)) for _ in range(size)]
        if kind in (4, 5, 6):  # integers
            number = self._varint()
            return (number >> 1) ^ -(number & 1)
        return self._bytes({1: 1, 2: 1, 3: 1, 7: 8}[kind] if kind != BINARY else self._varint())

    def _struct(self) -> dict[int, Any]:
        found: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self.value(4)
            found[number] = head & 15 == 1 if head & 15 in (1, 2) else self.value(head & 15)
        return found

    def _bytes(self, n: int) -> bytes:
        if self.at + n > len(self.content):
            raise ValueError("its footer is damaged")
        self.at += n
        return self.content[self.at - n : self.at]

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _varint(self) -> int:
        number = shift = 0
        while (byte := self._byte()) >= 128:
            number |= (byte & 127) << shift
            shift += 7
        return number | byte << shift
