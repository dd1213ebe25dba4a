"""How a line gets to disk: append-only logs in parts, which any number of processes share."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recroute.data.feedback import part_path, parts
from recroute.errors import RecrouteError

log = logging.getLogger("recroute.serve")
CHUNK = 1 << 16  # bytes read at once
LATE = 60.0  # seconds after its period a part ends, because clocks of file systems may be behind
UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Rotation:
    """When a log goes on in a new part: once the last one has `n_bytes`, or in the next period of `seconds` (UTC)."""

    n_bytes: int | None = None
    seconds: int | None = None

    @classmethod
    def parse(cls, text: str) -> Rotation:
        """The rotation for a value of --rotate, such as none, 100MB or 1d; otherwise RecrouteError."""
        if text == "none":
            return cls()
        match = re.fullmatch(r"([1-9]\d{0,5})(kB|MB|GB|h|d)", text)
        if match is None:
            raise RecrouteError(
                f"rotate {text!r} is none of: none, a size in kB, MB or GB (100MB), an age in h or d (1d)"
            )
        n = int(match[1]) * UNITS[match[2]]
        return cls(n_bytes=n) if match[2].endswith("B") else cls(seconds=n)

    def is_due(self, part: os.stat_result) -> bool:
        if self.n_bytes is not None:
            return part.st_size >= self.n_bytes
        return self.seconds is not None and (time.time() - LATE) // self.seconds > part.st_mtime // self.seconds


class LineLog:
    """Append-only log of JSON lines, which stays valid when a process that shares it is killed.

    The log is one sequence of bytes. Its parts are the files `NAME.jsonl` and, once rotated, `NAME.OFFSET.jsonl`, with
    the offset in the log of the part's first byte; only the last part is appended to. Who appends holds a lock
    (`flock`) on the last part; a partial last line, which only a process that was killed can leave, is then truncated.
    Appended lines survive a crash of the process, flushed lines one of the machine. Old parts may be removed.

    `locked` and `append` are for one thread at a time, the others for any.

    Examples
    --------
    >>> import tempfile
    >>> log = LineLog(Path(tempfile.mkdtemp()), "records.jsonl")
    >>> with log.locked():
    ...     start = log.append(b'{"score":1}\\n', flush=True)
    >>> log.read(start)
    b'{"score":1}'
    """

    def __init__(self, folder: Path, name: str, rotation: Rotation | None = None) -> None:
        self.folder, self.name, self.rotation = folder, name, rotation or Rotation()
        self._starts = [start for start, _ in parts(folder, name)] or [0]
        self._file = self._open(self._starts[-1])
        with self.locked():
            pass

    @property
    def path(self) -> Path:
        """The last part."""
        return part_path(self.folder, self.name, self._starts[-1])

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Keep other processes from appending; gives the offset at which the next line will start.

        Raises OSError if the last part was removed.
        """
        try:
            while self._has_moved_on():
                pass
            yield self._end
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def append(self, lines: bytes, *, flush: bool = False) -> int:
        """Append whole lines in one write and return their offset; if that fails, raise OSError and write nothing.

        Only inside `locked`.
        """
        start = self._end
        try:
            written = os.write(self._file, lines)
            if written < len(lines):
                raise OSError(f"only {written} of {len(lines)} bytes could be written to {self.path}")
            if flush:
                os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, start - self._starts[-1])
            raise
        self._end += len(lines)
        return start

    def has(self, offset: int, text: bytes) -> bool:
        """Whether a line starts at this offset, with this text."""
        with self._part(offset) as (file, at):
            if file is None:
                return False
            before = b"\n"[:at]  # end of the previous line, if there is one
            return os.pread(file, len(before) + len(text), at - len(before)) == before + text

    def read(self, offset: int) -> bytes | None:
        """The line at this offset, without its newline; None if there is no complete line."""
        content = b""
        with self._part(offset) as (file, at):
            while file is not None and (part := os.pread(file, CHUNK, at + len(content))):
                content += part
                if (end := content.find(b"\n")) >= 0:
                    return content[:end]
        return None

    def lines(self, offset: int, end: int) -> Iterator[tuple[int, bytes]]:
        """The lines from this offset up to that one, with their offsets."""
        found = [(start, path) for start, path in parts(self.folder, self.name) if start < end]
        for i, (start, path) in enumerate(found):
            if i + 1 < len(found) and found[i + 1][0] <= offset:
                continue
            with path.open("rb") as file:
                file.seek(max(0, offset - start))
                at = start + file.tell()
                for line in file:
                    if at >= end:
                        return
                    yield at, line
                    at += len(line)

    def close(self) -> None:
        os.close(self._file)

    def _has_moved_on(self) -> bool:
        """Lock the last part that is known; True if it is not the last, or is full: the next one is known then."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        part = os.fstat(self._file)
        if not part.st_nlink:
            raise FileNotFoundError(errno.ENOENT, "removed while the server runs; restart the server", str(self.path))
        size = self._without_partial_line(part.st_size)
        self._end = self._starts[-1] + size
        following = size > 0 and part_path(self.folder, self.name, self._end).exists()
        if not following and not (size and self.rotation.is_due(part)):
            return False
        opened = self._open(self._end)
        os.close(self._file)  # which unlocks it
        self._file = opened
        self._starts = [*self._starts, self._end]
        return True

    def _without_partial_line(self, size: int) -> int:
        """The size up to the end of the last whole line, behind which the part is truncated."""
        end = size
        while end > 0:
            n = 1 if end == size else min(CHUNK, end)  # nearly always the last byte is that of a whole line
            if (at := os.pread(self._file, n, end - n).rfind(b"\n")) >= 0:
                end += at + 1 - n
                break
            end -= n
        if end < size:
            log.warning("%s: truncated a partial last line of %d bytes", self.path, size - end)
            os.ftruncate(self._file, end)
            os.fsync(self._file)
        return end

    def _open(self, start: int) -> int:
        path = part_path(self.folder, self.name, start)
        is_new = not path.exists()
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        if is_new:
            sync_folder(self.folder)
        return file

    @contextmanager
    def _part(self, offset: int) -> Iterator[tuple[int | None, int]]:
        """The part with this offset, open to read, and the offset in it; None if there is no such part any more.

        Raises OSError if the folder is gone.
        """
        known = self._starts
        if offset >= self._end:  # another process may have gone on in a new part
            known = [start for start, _ in parts(self.folder, self.name)]
        if (i := bisect_right(known, offset)) == 0:
            yield None, 0
            return
        start = known[i - 1]
        try:
            file = os.open(part_path(self.folder, self.name, start), os.O_RDONLY)
        except FileNotFoundError:
            parts(self.folder, self.name)  # raises an error if the folder is gone
            yield None, 0
            return
        try:
            yield file, offset - start
        finally:
            os.close(file)


def sync_folder(folder: Path) -> None:
    """Flush the folder, so that new files survive a crash of the machine."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
