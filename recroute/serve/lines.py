"""A file of JSON lines that only grows, and never holds half a line for longer than a crash."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger("recroute.serve")
CHUNK = 1 << 16


class LineFile:
    """Appends whole lines; a torn last one, left by a crash, is cut off when the file is opened.

    Not for several threads at once. What is appended outlives the process; what is flushed as well, the machine.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self.size = 0
        self.measure()

    def measure(self) -> int:
        """How long the file is, wherever another program has cut it or written to it; a torn last line is cut off.

        Raises OSError if the file was removed.
        """
        now = os.fstat(self._file)
        if not now.st_nlink:
            raise FileNotFoundError(errno.ENOENT, "removed while the server runs; start it again", str(self.path))
        if now.st_size != self.size:
            self.size = now.st_size
            whole = self._end_of_last_line()
            if whole < self.size:
                log.warning("%s: a torn last line of %d bytes is cut off", self.path, self.size - whole)
                self._cut(whole)
                os.fsync(self._file)
        return self.size

    def append(self, lines: bytes, *, flush: bool = False) -> int:
        """Write whole lines in one piece and return where they start; OSError if that fails, and nothing is left."""
        start = self.measure()
        try:
            written = os.write(self._file, lines)
            if written < len(lines):
                raise OSError(f"only {written} of {len(lines)} bytes could be written to {self.path}")
            if flush:
                os.fsync(self._file)
        except OSError:
            self._cut(start)
            raise
        self.size += len(lines)
        return start

    def has(self, start: int, text: bytes) -> bool:
        """Whether a line starts there, and starts so."""
        if not 0 <= start < self.size:
            return False
        before = b"\n"[:start]  # the end of the line before, if there is one
        return os.pread(self._file, len(before) + len(text), start - len(before)) == before + text

    def read(self, start: int) -> bytes | None:
        """The line that starts there, without its end; None if none ends after it."""
        found = b""
        while 0 <= start + len(found) < self.size:
            part = os.pread(self._file, CHUNK, start + len(found))
            if not part:  # another program has cut the file
                return None
            found += part
            if (end := found.find(b"\n")) >= 0:
                return found[:end]
        return None

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Every line with its start."""
        start = 0
        with self.path.open("rb") as content:
            for line in content:
                yield start, line
                start += len(line)

    def close(self) -> None:
        os.close(self._file)

    def _cut(self, size: int) -> None:
        os.ftruncate(self._file, size)
        self.size = size

    def _end_of_last_line(self) -> int:
        end = self.size
        while end > 0:
            start = max(0, end - CHUNK)
            at = os.pread(self._file, end - start, start).rfind(b"\n")
            if at >= 0:
                return start + at + 1
            end = start
        return 0
