"""What Arrow's stream format and file format say of a table before its values, written as FlatBuffers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MAGIC = b"ARROW1"  # a file begins and ends with it
GOES_ON = b"\xff\xff\xff\xff"  # stands before the length of a message, but in streams of old
SCHEMA, DICTIONARY, BATCH = 1, 2, 3  # kinds of messages


class Table:
    """A table of FlatBuffers: fields by number, each of which may be missing."""

    def __init__(self, content: bytes, at: int) -> None:
        self.content, self.at = content, at
        self._fields = at - self.number("<i", at)

    def number(self, form: str, at: int) -> int:
        if not 0 <= at <= len(self.content) - struct.calcsize(form):
            raise ValueError("a message of it is damaged")
        return int(struct.unpack_from(form, self.content, at)[0])

    def place(self, field: int) -> int:
        """Where the value of a field stands; 0 if it is missing."""
        entry = 4 + 2 * field
        offset = self.number("<H", self._fields + entry) if entry < self.number("<H", self._fields) else 0
        return self.at + offset if offset else 0

    def inner(self, at: int) -> Table:
        return Table(self.content, at + self.number("<I", at))

    def vector(self, field: int) -> tuple[int, int]:
        """Where the first element of a vector stands, and how many there are."""
        if not (at := self.place(field)):
            return 0, 0
        start = at + self.number("<I", at)
        return start + 4, self.number("<I", start)


def is_file(path: Path) -> bool:
    """Whether the content is in the file format, by its first bytes."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def column_names(path: Path) -> list[str]:
    """The names of the columns of a file or a stream. ValueError if it is damaged."""
    schema = _schema_of_file(path) if is_file(path) else _schema_of_stream(path)
    first, n = schema.vector(1)
    names = []
    for at in range(first, first + 4 * n, 4):
        field = schema.inner(at)
        start = field.place(0)
        start += field.number("<I", start)
        names.append(schema.content[start + 4 : start + 4 + field.number("<I", start)].decode("utf8"))
    return names


def _schema_of_file(path: Path) -> Table:
    """As it stands in the footer; its size and the mark of the format are the end of the file."""
    with path.open("rb") as file:
        end = file.seek(0, 2) - len(MAGIC) - 4
        file.seek(max(end, 0))
        length, mark = int.from_bytes(file.read(4), "little"), file.read()
        if mark != MAGIC or not 8 <= length <= end:
            raise ValueError("it does not end as Arrow does; is it cut off?")
        file.seek(end - length)
        content = file.read(length)
    footer = Table(content, struct.unpack_from("<I", content)[0])
    return footer.inner(footer.place(1))


def _schema_of_stream(path: Path) -> Table:
    with path.open("rb") as file:
        kind, schema, _ = next(_messages(file), (0, None, 0))
    if schema is None or kind != SCHEMA:
        raise ValueError("it does not begin as Arrow does")
    return schema


def n_announced(path: Path) -> int:
    """The most rows that a column of a stream is said to have in one batch. ValueError if the stream is damaged."""
    most = 0
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        for kind, header, body in _messages(file):
            if not 0 <= body <= size - file.tell():
                raise ValueError("it is cut off")
            if kind in (DICTIONARY, BATCH):
                most = max(most, _length(header if kind == BATCH else header.inner(header.place(1)), body))
            file.seek(body, 1)
    return most


def _length(batch: Table, body: int) -> int:
    """The rows of a batch, by what is said of it and of its columns. ValueError for a buffer that is not in it."""
    lengths = [batch.number("<q", at) if (at := batch.place(0)) else 0]
    first, n = batch.vector(1)
    for at in range(first, first + 16 * n, 16):
        lengths += batch.number("<q", at), batch.number("<q", at + 8)
    first, n = batch.vector(2)
    for at in range(first, first + 16 * n, 16):
        offset, length = batch.number("<q", at), batch.number("<q", at + 8)
        if min(offset, length) < 0 or offset + length > body:
            raise ValueError("a batch of it is damaged")
    if min(lengths) < 0:
        raise ValueError("a batch of it is damaged")
    return max(lengths)


def _messages(file: BinaryIO) -> Iterator[tuple[int, Table, int]]:
    """Kind, header and size of the body of each message; the file then stands at the body."""
    while start := file.read(4):
        length = int.from_bytes(file.read(4) if start == GOES_ON else start, "little")
        if length == 0:
            return
        content = file.read(length)
        if len(content) < length or length < 8:
            raise ValueError("it is cut off")
        message = Table(content, struct.unpack_from("<I", content)[0])
        if not (header := message.place(2)):
            raise ValueError("a message of it is damaged")
        kind, body = message.place(1), message.place(3)
        yield (
            content[kind] if kind else 0,
            message.inner(header),
            message.number("<q", body) if body else 0,
        )
