"""Decisions on disk: what was chosen for each prompt, found by its id alone."""

from __future__ import annotations

import base64
import json
import os
import secrets
import struct
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.serve.lines import LineFile, log

SLOT = struct.Struct("<q")
KINDS = ("score", "preference")


@dataclass(frozen=True, eq=False)
class Decision:
    """One routed prompt.

    Parameters
    ----------
    instance_id : str
    llms : list of str
        The k LLMs that were named, the chosen one first.
    propensity : float, optional
        None where the server does not explore.
    router_version, time : str
    vector : f32 (d,), optional
        The prompt as the router reads it, and `encoder`, the name of that space.
    prompt : str, optional
        Where prompts are logged.
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
        found = {**vars(self), "llms": list(self.llms)}
        if self.vector is not None:
            found["vector"] = base64.b64encode(self.vector.astype("<f4").tobytes()).decode()
        return {name: value for name, value in found.items() if value is not None}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Decision:
        vector = found.get("vector")
        if vector is not None:
            vector = np.frombuffer(base64.b64decode(vector), dtype="<f4")
        return cls(**{**found, "vector": vector, "propensity": found.get("propensity")})


class Decisions:
    """An id holds where its line starts, so that nothing is kept in memory; and chance, so that nobody guesses one.

    Where each decision's feedback stands is in a temporary file, mostly holes, made anew by each process. Decisions are
    not flushed one by one: those of the last seconds may go with the machine, not with the process.
    """

    def __init__(self, folder: Path) -> None:
        self._lines = LineFile(folder / "decisions.jsonl")
        self._slots = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  as long as this
        self._lock = threading.Lock()

    def add(self, decisions: Sequence[Decision]) -> list[str]:
        """Write them in one piece and return their ids; OSError if that fails."""
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
        """Whether there is a decision of that id; a look at the start of one line."""
        return self._lines.has(_start(decision_id), head(decision_id))

    def get(self, decision_id: str) -> Decision | None:
        """The decision of that id; None if there is none, or its line is damaged."""
        line = self._lines.read(_start(decision_id)) if self.knows(decision_id) else None
        if line is None:
            return None
        try:
            found = json.loads(line)
            del found["decision_id"]
            return Decision.from_dict(found)
        except (ValueError, TypeError) as error:
            log.error("%s: decision %s is damaged: %s", self._lines.path, decision_id, error)
            return None

    def feedback(self, decision_id: str, kind: str) -> int | None:
        """Where the line of the known decision's score or preference may start; None if it has none."""
        found = os.pread(self._slots.fileno(), SLOT.size, _slot(decision_id, kind))
        (place,) = SLOT.unpack(found.ljust(SLOT.size, b"\0"))
        return place - 1 if place else None

    def set_feedback(self, decision_id: str, kind: str, start: int) -> None:
        """Note where it starts, of a known decision; a note that a full disk refuses is made at the next start."""
        try:
            os.pwrite(self._slots.fileno(), SLOT.pack(start + 1), _slot(decision_id, kind))
        except OSError as error:
            log.warning("that decision %s has its %s is not noted: %s", decision_id, kind, error)

    def close(self) -> None:
        self._lines.close()
        self._slots.close()


def head(decision_id: str) -> bytes:
    """How each line that is about the decision starts."""
    return f'{{"decision_id":"{decision_id}",'.encode()


def _start(decision_id: str) -> int:
    return int(decision_id.partition("-")[0], 16)


def _slot(decision_id: str, kind: str) -> int:
    """Where the decision's line starts, and a number further for the second kind: a line is longer than both."""
    return _start(decision_id) + SLOT.size * KINDS.index(kind)
