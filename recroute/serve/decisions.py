"""Log of decisions: what was chosen for each prompt, looked up by decision id."""

from __future__ import annotations

import base64
import errno
import json
import logging
import os
import secrets
import struct
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger("recroute.serve")
SLOT = struct.Struct("<q")
KINDS = ("score", "preference")
CHUNK = 1 << 16  # bytes read at once


class LineFile:
    """Append-only file of JSON lines that stays valid after a crash.

    A partial last line left by a crash is truncated when the file is opened. Appended lines survive a crash of the
    process, flushed lines one of the machine. Not thread-safe.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self.size = 0
        self.measure()

    def measure(self) -> int:
        """Current size in bytes, even if another program has changed the file; a partial last line is truncated.

        Raises OSError if the file was removed.
        """
        now = os.fstat(self._file)
        if not now.st_nlink:
            raise FileNotFoundError(errno.ENOENT, "removed while the server runs; restart the server", str(self.path))
        if now.st_size != self.size:
            self.size = now.st_size
            whole = self._end_of_last_line()
            if whole < self.size:
                log.warning("%s: truncated a partial last line of %d bytes", self.path, self.size - whole)
                self._cut(whole)
                os.fsync(self._file)
        return self.size

    def append(self, lines: bytes, *, flush: bool = False) -> int:
        """Append whole lines in one write and return their offset; if that fails, raise OSError and write nothing."""
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
        """Whether a line starts at this offset, with this text."""
        if not 0 <= start < self.size:
            return False
        before = b"\n"[:start]  # end of the previous line, if there is one
        return os.pread(self._file, len(before) + len(text), start - len(before)) == before + text

    def read(self, start: int) -> bytes | None:
        """The line at this offset, without its newline; None if there is no complete line."""
        content = b""
        while 0 <= start + len(content) < self.size:
            part = os.pread(self._file, CHUNK, start + len(content))
            if not part:  # another program has truncated the file
                return None
            content += part
            if (end := content.find(b"\n")) >= 0:
                return content[:end]
        return None

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """All lines with their offsets."""
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


@dataclass(frozen=True, eq=False)
class Decision:
    """One routed prompt.

    Parameters
    ----------
    instance_id : str
    llms : list of str
        The k recommended LLMs, the chosen one first.
    propensity : float, optional
        Probability of this choice; None unless the server explores.
    router_version, time : str
    vector : f32 (d,), optional
        Prompt vector.
    encoder : str, optional
        Name of the encoder of the vector.
    prompt : str, optional
        Text, if prompts are logged.
    """

    instance_id: str
    llms: Sequence[str]
    propensity: float | None
    router_version: str
    time: str
    vector: NDArray[np.float32] | None = None
    encoder: str | None = None
    prompt: str | None = None

    def to_dict(self) -> dict[str, Any]:
        fields = {**vars(self), "llms": list(self.llms)}
        if self.vector is not None:
            fields["vector"] = base64.b64encode(self.vector.astype("<f4").tobytes()).decode()
        return {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Decision:
        vector = fields.get("vector")
        if vector is not None:
            vector = np.frombuffer(base64.b64decode(vector), dtype="<f4")
        return cls(**{**fields, "vector": vector, "propensity": fields.get("propensity")})


class Decisions:
    """The decision log of a folder, and the index of the feedback on each decision.

    A decision id is the offset of its line and a random number, so lookup needs no memory and ids cannot be guessed.
    The index of feedback is a sparse temporary file that each process rebuilds. Decisions are not flushed one by one: a
    crash of the machine, not of the process, may lose those of the last seconds.
    """

    def __init__(self, folder: Path) -> None:
        self._lines = LineFile(folder / "decisions.jsonl")
        self._slots = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed with this object
        self._lock = threading.Lock()

    def add(self, decisions: Sequence[Decision]) -> list[str]:
        """Append decisions in one write and return their ids; OSError if that fails."""
        ids, lines = [], []
        contents = [json.dumps(decision.to_dict(), separators=(",", ":"))[1:] for decision in decisions]
        with self._lock:
            start = self._lines.measure()
            for content in contents:
                ids.append(f"{start:x}-{secrets.token_hex(8)}")
                lines.append(head(ids[-1]) + content.encode() + b"\n")
                start += len(lines[-1])
            self._lines.append(b"".join(lines))
        return ids

    def knows(self, decision_id: str) -> bool:
        """Whether there is a decision with this id; reads the start of one line."""
        return self._lines.has(_start(decision_id), head(decision_id))

    def get(self, decision_id: str) -> Decision | None:
        """The decision with this id; None if there is none or its line is damaged."""
        line = self._lines.read(_start(decision_id)) if self.knows(decision_id) else None
        if line is None:
            return None
        try:
            fields = json.loads(line)
            del fields["decision_id"]
            return Decision.from_dict(fields)
        except (ValueError, TypeError) as error:
            log.error("%s: decision %s is damaged: %s", self._lines.path, decision_id, error)
            return None

    def feedback(self, decision_id: str, kind: str) -> int | None:
        """Offset of the line with a known decision's score or preference; None if it has none.

        The caller checks that the line is still there.
        """
        slot = os.pread(self._slots.fileno(), SLOT.size, _slot(decision_id, kind))
        (place,) = SLOT.unpack(slot.ljust(SLOT.size, b"\0"))
        return place - 1 if place else None

    def set_feedback(self, decision_id: str, kind: str, start: int) -> None:
        """Record the offset of the feedback on a known decision; if the disk is full, the next start records it."""
        try:
            os.pwrite(self._slots.fileno(), SLOT.pack(start + 1), _slot(decision_id, kind))
        except OSError as error:
            log.warning("the %s of decision %s is not in the index: %s", kind, decision_id, error)

    def close(self) -> None:
        self._lines.close()
        self._slots.close()


def head(decision_id: str) -> bytes:
    """Start of each line about the decision."""
    return f'{{"decision_id":"{decision_id}",'.encode()


def _start(decision_id: str) -> int:
    return int(decision_id.partition("-")[0], 16)


def _slot(decision_id: str, kind: str) -> int:
    """Offset in the index: that of the decision's line, plus one slot for the second kind (lines are longer)."""
    return _start(decision_id) + SLOT.size * KINDS.index(kind)
