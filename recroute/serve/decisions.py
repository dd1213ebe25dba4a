"""Log of decisions: what was chosen for each prompt, looked up by decision id."""

from __future__ import annotations

import base64
import json
import logging
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

from recroute.serve.lines import LineLog, Rotation

log = logging.getLogger("recroute.serve")
SLOT = struct.Struct("<q")
KINDS = ("score", "preference")
ID = r"(?:[0-9a-f]{6}\.[0-9]{1,3}-)?[0-9a-f]{1,13}-[0-9a-f]{16}"  # earlier ids do not name their server


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

    A decision id is the name of the server that made it, the offset of its line in the log and a random number, so that
    lookup needs no memory, any process that shares the folder finds it, and ids cannot be guessed. The index of
    feedback is a sparse temporary file of this process. Decisions are not flushed one by one: a crash of the machine,
    not of the process, may lose those of the last seconds.
    """

    def __init__(self, folder: Path, server: str, rotation: Rotation | None = None) -> None:
        self.server = server
        self._log = LineLog(folder, "decisions.jsonl", rotation)
        self._slots = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed with this object
        self._lock = threading.Lock()

    def add(self, decisions: Sequence[Decision]) -> list[str]:
        """Append decisions in one write and return their ids; OSError if that fails."""
        ids, lines = [], []
        contents = [json.dumps(decision.to_dict(), separators=(",", ":"))[1:] for decision in decisions]
        with self._lock, self._log.locked() as start:
            for content in contents:
                ids.append(f"{self.server}-{start:x}-{secrets.token_hex(8)}")
                lines.append(head(ids[-1]) + content.encode() + b"\n")
                start += len(lines[-1])
            self._log.append(b"".join(lines))
        return ids

    def knows(self, decision_id: str) -> bool:
        """Whether there is a decision with this id; reads the start of one line."""
        return self._log.has(_start(decision_id), head(decision_id))

    def get(self, decision_id: str) -> Decision | None:
        """The decision with this id; None if there is none or its line is damaged."""
        line = self._log.read(_start(decision_id)) if self.knows(decision_id) else None
        if line is None:
            return None
        try:
            fields = json.loads(line)
            del fields["decision_id"]
            return Decision.from_dict(fields)
        except (ValueError, TypeError) as error:
            log.error("decision %s is damaged: %s", decision_id, error)
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
        self._log.close()
        self._slots.close()


def head(decision_id: str) -> bytes:
    """Start of each line about the decision."""
    return f'{{"decision_id":"{decision_id}",'.encode()


def _start(decision_id: str) -> int:
    return int(decision_id.split("-")[-2], 16)


def _slot(decision_id: str, kind: str) -> int:
    """Offset in the index: that of the decision's line, plus one slot for the second kind (lines are longer)."""
    return _start(decision_id) + SLOT.size * KINDS.index(kind)
