"""Members of a zip archive, compressed with Zstandard too, which Python before 3.14 does not read."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recroute.data.reading import SMALL, SWELL, reading, regular_file
from recroute.errors import DataError
from recroute.util.zstandard import opened_zstandard

ZSTANDARD = 93
HEAD = 30  # bytes of a member's own header; the lengths of its name and its extra field stand at 26 and 28


class Archive:
    """An open archive."""

    def __init__(self, path: Path, opened: zipfile.ZipFile) -> None:
        self.path = path
        self._zip = opened
        self.members = {member.filename: member for member in opened.infolist()}  # the last of a name stands

    def read(self, name: str) -> bytes:
        """What a member holds. Raises DataError for one that is damaged, or announces far more than it can hold."""
        member = self.members[name]
        if member.file_size > max(SMALL, SWELL * member.compress_size):
            raise DataError(f"{self.path}, {name} announces {member.file_size:,} bytes; is it damaged?")
        with reading(self.path, "a zip archive"), _zip_errors():
            if member.compress_type != ZSTANDARD:
                return self._zip.read(member)
            with opened_zstandard(io.BytesIO(self._raw(member))) as stream:
                content = stream.read(member.file_size)
            if zlib.crc32(content) != member.CRC:
                raise ValueError(f"Bad CRC-32 for file {name!r}")
            return content

    def _raw(self, member: zipfile.ZipInfo) -> bytes:
        file = self._zip.fp
        if file is None:
            raise ValueError("it is closed")
        file.seek(member.header_offset)
        head = file.read(HEAD)
        file.seek(int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little"), 1)
        return file.read(member.compress_size)


@contextmanager
def open_zip(path: Path) -> Iterator[Archive]:
    """The archive at `path`. Raises DataError if it is none, or cut off."""
    with reading(path, "a zip archive"), _zip_errors(), zipfile.ZipFile(regular_file(path)) as opened:
        yield Archive(path, opened)


@contextmanager
def _zip_errors() -> Iterator[None]:
    """Turns what is raised of damaged archives, and of encrypted ones, into an error that `reading` knows."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ValueError(str(error)) from None
