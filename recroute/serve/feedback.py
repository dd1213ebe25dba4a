"""The feedback folder: decisions, and the scores and preferences reported for them."""

from __future__ import annotations

import fcntl
import json
import os
import queue
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recroute.errors import RecrouteError
from recroute.serve.decisions import ID, KINDS, Decision, Decisions, head, log
from recroute.serve.errors import ServeError
from recroute.serve.lines import LineLog, Rotation
from recroute.util.files import make_folder

FILES = {"score": "records.jsonl", "preference": "preferences.jsonl"}
MAX_BATCH = 1000  # items written with one flush
LINE_START = re.compile(rf'\{{"decision_id":"({ID})"'.encode())


@dataclass(frozen=True)
class PendingFeedback:
    """Feedback on a decision that waits to be written.

    Parameters
    ----------
    decision_id : str
    kind : str
        One of `KINDS`.
    content : dict
        The fields that are not known from the decision.
    future : Future of bool
        Resolved once the feedback is on disk: whether it was there already.
    """

    decision_id: str
    kind: str
    content: dict[str, Any]
    future: Future[bool]


class FeedbackLog:
    """Appends feedback to `records.jsonl` and `preferences.jsonl`, flushed to disk before it is acknowledged.

    Any number of processes share a folder: each takes feedback on the decisions of all. In each, one thread writes. All
    waiting feedback is written with one flush, so a slow disk limits latency, not throughput. Repeated feedback is kept
    once; different feedback of the same kind on the same decision is refused.

    Parameters
    ----------
    folder : Path
    server : str
        Name of this process, which its decision ids start with.
    max_waiting : int
        Maximum number of items in the queue.
    rotation : Rotation, optional
        Of decisions, records and preferences.

    Raises
    ------
    RecrouteError
        If the folder is not writable, or a version of recroute uses it that does not share folders.
    """

    def __init__(self, folder: Path, server: str, max_waiting: int = 1024, rotation: Rotation | None = None) -> None:
        self.folder = folder
        with ExitStack() as opened:  # closed again if opening one of them fails
            try:
                make_folder(folder)
                opened.callback(os.close, _shared(folder))
                self.decisions = Decisions(folder, server, rotation)
                opened.callback(self.decisions.close)
                self._logs = {kind: LineLog(folder, FILES[kind], rotation) for kind in KINDS}
                for file in self._logs.values():
                    opened.callback(file.close)
                self._indexed = dict.fromkeys(KINDS, 0)  # offset up to which the index knows each log
                for kind in KINDS:
                    with self._logs[kind].locked() as end:
                        pass  # other processes go on while this one reads what is there
                    self._index(kind, end)
            except OSError as error:
                raise RecrouteError(
                    f"feedback folder {folder}: {error.strerror or error}; name a writable folder"
                ) from None
            self._opened = opened.pop_all()
        self._waiting: queue.Queue[PendingFeedback | None] = queue.Queue(max_waiting)
        self._writer = threading.Thread(target=self._write_all, name="feedback", daemon=True)
        self._writer.start()

    def check(self, decision_id: str) -> None:
        """Raise ServeError 404 for an unknown decision, before anything is queued for it."""
        try:
            known = self.decisions.knows(decision_id)
        except OSError as error:
            log.error("decision %s cannot be read: %s", decision_id, error)
            raise ServeError(503, "the decision could not be read from disk; try again later") from None
        if not known:
            raise self._unknown(decision_id)

    def add(self, decision_id: str, kind: str, content: dict[str, Any]) -> Future[bool]:
        """Queue feedback; ServeError 503 if the queue is full.

        The future's result is whether the feedback was there already. Its exception is a ServeError: 404 for an unknown
        decision, 409 if there is different feedback, 422 for an LLM that was not recommended, 503 if writing fails.
        """
        future: Future[bool] = Future()
        try:
            self._waiting.put_nowait(PendingFeedback(decision_id, kind, content, future))
        except queue.Full:
            raise ServeError(
                503, "too much feedback is waiting for the disk; try again soon", {"Retry-After": "1"}
            ) from None
        return future

    def close(self) -> None:
        """Write the waiting feedback, then stop."""
        self._waiting.put(None)
        self._writer.join()
        self._opened.close()

    def _index(self, kind: str, end: int) -> None:
        """Index which decisions have feedback of this kind, from where the index ends: what other processes wrote."""
        if self._indexed[kind] < end:
            for start, line in self._logs[kind].lines(self._indexed[kind], end):
                if (match := LINE_START.match(line)) and self.decisions.knows(match[1].decode()):
                    self.decisions.set_feedback(match[1].decode(), kind, start)
        self._indexed[kind] = end

    def _write_all(self) -> None:
        more = True
        while more:
            items = [self._waiting.get()]
            while len(items) < MAX_BATCH and not self._waiting.empty():
                items.append(self._waiting.get_nowait())
            more = None not in items
            taken = [item for item in items if item is not None and item.future.set_running_or_notify_cancel()]
            while taken:  # one item per decision and kind at a time, so that a second item finds the first
                first = {(item.kind, item.decision_id): item for item in reversed(taken)}
                for kind in KINDS:
                    self._write([item for (item_kind, _), item in first.items() if item_kind == kind], kind)
                taken = [item for item in taken if not item.future.done()]

    def _write(self, items: list[PendingFeedback], kind: str) -> None:
        """Append and flush feedback of one kind, each on a different decision, and resolve its futures."""
        if not items:
            return
        file, lines, new = self._logs[kind], list[bytes](), list[PendingFeedback]()
        with _answered(items, kind), file.locked() as end:
            self._index(kind, end)
            for item in items:
                with _answered([item], kind):
                    if self._is_known(item, file):
                        item.future.set_result(True)
                        continue
                    lines.append(self._line(item))
                    new.append(item)
            if not new:
                return
            start = file.append(b"".join(lines), flush=True)
            for item, line in zip(new, lines, strict=True):
                self.decisions.set_feedback(item.decision_id, kind, start)
                start += len(line)
                item.future.set_result(False)
            self._indexed[kind] = start

    def _is_known(self, item: PendingFeedback, file: LineLog) -> bool:
        """Whether the same feedback is there already; ServeError 409 if there is different feedback."""
        start = self.decisions.feedback(item.decision_id, item.kind)
        if start is None or not file.has(start, head(item.decision_id)):
            return False
        try:
            known = json.loads(file.read(start) or b"")
        except ValueError:  # damaged by another program
            return False
        if any(value is not None and known.get(name) != value for name, value in item.content.items()):
            raise ServeError(
                409, f"decision {item.decision_id} already has a different {item.kind}; the first one is kept"
            )
        return True

    def _unknown(self, decision_id: str) -> ServeError:
        own, maker = (name.partition(".")[0] for name in (self.decisions.server, decision_id))
        if "." in decision_id and maker != own:
            return ServeError(
                404,
                f"no decision {decision_id} in the feedback folder of this server ({own}); server {maker} made it: "
                "give it there, or let servers share one folder",
            )
        return ServeError(404, f"no decision {decision_id}; give the decision_id of an answer of this server")

    def _line(self, item: PendingFeedback) -> bytes:
        decision = self.decisions.get(item.decision_id)
        if decision is None:
            raise self._unknown(item.decision_id)
        if item.kind == "score":
            fields = _record(decision, item.content)
        else:
            fields = {"instance_id": decision.instance_id, **item.content}
        fields = {"decision_id": item.decision_id, **fields, "time": datetime.now(UTC).isoformat()}
        if decision.prompt is not None:
            fields["prompt"] = decision.prompt
        if decision.vector is not None:
            fields |= {"vector": decision.vector.tolist(), "encoder": decision.encoder}
        return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode() + b"\n"


@contextmanager
def _answered(items: Sequence[PendingFeedback], kind: str) -> Iterator[None]:
    """Turn any error into the result of these items, so that no request waits forever and others are still written."""
    try:
        yield
        return
    except ServeError as error:
        problem = error
    except Exception as error:  # noqa: BLE001
        log.error("a %s cannot be written: %r", kind, error)
        problem = ServeError(503, "the feedback could not be written to disk; try again later", {"Retry-After": "10"})
    for item in items:
        if not item.future.done():
            item.future.set_exception(problem)


def _shared(folder: Path) -> int:
    """File descriptor of a lock that keeps out servers of a version that does not share; RecrouteError if one runs."""
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise RecrouteError(f"a server of an earlier version keeps its feedback in {folder}; stop it first") from None
    return handle


def _record(decision: Decision, content: dict[str, Any]) -> dict[str, Any]:
    llm_id = content.get("llm_id") or decision.llms[0]
    if llm_id not in decision.llms:
        raise ServeError(422, f"llm_id {llm_id!r} is not one of the LLMs of this decision; give one of those")
    chosen = llm_id == decision.llms[0]
    record = {"instance_id": decision.instance_id, "llm_id": llm_id, "score": content["score"]}
    record["propensity"] = decision.propensity if chosen else None
    return record if content.get("cost") is None else {**record, "cost": content["cost"]}
