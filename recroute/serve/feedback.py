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
from recroute.serve.decisions import KINDS, Decision, Decisions, LineFile, head, log
from recroute.serve.errors import ServeError
from recroute.util.files import make_folder

FILES = {"score": "records.jsonl", "preference": "preferences.jsonl"}
MAX_BATCH = 1000  # items written with one flush
LINE_START = re.compile(rb'\{"decision_id":"([0-9a-f]{1,13}-[0-9a-f]{16})"')


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

    One thread writes. All waiting feedback is written with one flush, so a slow disk limits latency, not throughput.
    Repeated feedback is kept once; different feedback of the same kind on the same decision is refused.

    Parameters
    ----------
    folder : Path
    max_waiting : int
        Maximum number of items in the queue.

    Raises
    ------
    RecrouteError
        If another process uses the folder, or it is not writable.
    """

    def __init__(self, folder: Path, max_waiting: int = 1024) -> None:
        self.folder = folder
        with ExitStack() as opened:  # closed again if opening one of them fails
            try:
                make_folder(folder)
                opened.callback(os.close, _locked(folder))
                self.decisions = Decisions(folder)
                opened.callback(self.decisions.close)
                self._files = {kind: LineFile(folder / FILES[kind]) for kind in KINDS}
                for file in self._files.values():
                    opened.callback(file.close)
                self._index()
                _sync_folder(folder)
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
            raise _unknown(decision_id)

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

    def _index(self) -> None:
        """Index which decisions already have feedback."""
        for kind, file in self._files.items():
            for start, line in file:
                if (match := LINE_START.match(line)) and self.decisions.knows(match[1].decode()):
                    self.decisions.set_feedback(match[1].decode(), kind, start)

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
        file, lines, new = self._files[kind], list[bytes](), list[PendingFeedback]()
        for item in items:
            with _answered([item], file):
                if self._is_known(item, file):
                    item.future.set_result(True)
                    continue
                lines.append(self._line(item))
                new.append(item)
        if not new:
            return
        with _answered(new, file):
            start = file.append(b"".join(lines), flush=True)
            for item, line in zip(new, lines, strict=True):
                self.decisions.set_feedback(item.decision_id, kind, start)
                start += len(line)
                item.future.set_result(False)

    def _is_known(self, item: PendingFeedback, file: LineFile) -> bool:
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

    def _line(self, item: PendingFeedback) -> bytes:
        decision = self.decisions.get(item.decision_id)
        if decision is None:
            raise _unknown(item.decision_id)
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
def _answered(items: Sequence[PendingFeedback], file: LineFile) -> Iterator[None]:
    """Turn any error into the result of these items, so that no request waits forever and others are still written."""
    try:
        yield
        return
    except ServeError as error:
        problem = error
    except Exception as error:  # noqa: BLE001
        log.error("feedback cannot be written to %s: %r", file.path, error)
        problem = ServeError(503, "the feedback could not be written to disk; try again later", {"Retry-After": "10"})
    for item in items:
        if not item.future.done():
            item.future.set_exception(problem)


def _unknown(decision_id: str) -> ServeError:
    return ServeError(404, f"no decision {decision_id}; give the decision_id of an answer of this server")


def _locked(folder: Path) -> int:
    """File descriptor of a lock on the folder; RecrouteError if another server holds it."""
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise RecrouteError(f"another server keeps its feedback in {folder}; give each server its own folder") from None
    return handle


def _record(decision: Decision, content: dict[str, Any]) -> dict[str, Any]:
    llm_id = content.get("llm_id") or decision.llms[0]
    if llm_id not in decision.llms:
        raise ServeError(422, f"llm_id {llm_id!r} is not one of the LLMs of this decision; give one of those")
    chosen = llm_id == decision.llms[0]
    record = {"instance_id": decision.instance_id, "llm_id": llm_id, "score": content["score"]}
    record["propensity"] = decision.propensity if chosen else None
    return record if content.get("cost") is None else {**record, "cost": content["cost"]}


def _sync_folder(folder: Path) -> None:
    """Flush the folder, so that new files survive a crash of the machine."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
