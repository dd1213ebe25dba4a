"""The feedback folder: decisions, and the records and preferences that came of them."""

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
from recroute.serve.decisions import KINDS, Decision, Decisions, head
from recroute.serve.lines import LineFile, log
from recroute.serve.problems import ServeError
from recroute.util.files import make_folder

FILES = {"score": "records.jsonl", "preference": "preferences.jsonl"}
MOST_AT_ONCE = 1000
OWN_LINE = re.compile(rb'\{"decision_id":"([0-9a-f]{1,13}-[0-9a-f]{16})"')


@dataclass(frozen=True)
class Given:
    """Feedback on a decision: `kind` is that of `KINDS`, `content` what the line says beside what the decision knows.

    `future` gets whether it was there already, once it is on disk.
    """

    decision_id: str
    kind: str
    content: dict[str, Any]
    future: Future[bool]


class FeedbackLog:
    """Appends feedback to `records.jsonl` and `preferences.jsonl`; a line counts once it is flushed to disk.

    One thread writes. All feedback that waits is written and flushed together, so that the disk's pace limits how long
    one waits and not how many are served. The same feedback twice is kept once; other feedback of the same kind on the
    same decision is refused.

    Raises
    ------
    RecrouteError
        If another process has the folder, or it cannot be written.
    """

    def __init__(self, folder: Path, max_waiting: int = 1024) -> None:
        self.folder = folder
        with ExitStack() as opened:  # closed again where something cannot be opened
            try:
                make_folder(folder)
                opened.callback(os.close, _locked(folder))
                self.decisions = Decisions(folder)
                opened.callback(self.decisions.close)
                self._files = {kind: LineFile(folder / FILES[kind]) for kind in KINDS}
                for file in self._files.values():
                    opened.callback(file.close)
                self._remember()
                _sync_folder(folder)
            except OSError as error:
                raise RecrouteError(
                    f"feedback folder {folder}: {error.strerror or error}; name one that can be written"
                ) from None
            self._opened = opened.pop_all()
        self._waiting: queue.Queue[Given | None] = queue.Queue(max_waiting)
        self._writer = threading.Thread(target=self._write_all, name="feedback", daemon=True)
        self._writer.start()

    def check(self, decision_id: str) -> None:
        """ServeError 404 for an unknown decision: asked before anything is queued or reserved for it."""
        try:
            known = self.decisions.knows(decision_id)
        except OSError as error:
            log.error("decision %s cannot be read: %s", decision_id, error)
            raise ServeError(503, "the decision could not be read from disk; try again later") from None
        if not known:
            raise _unknown(decision_id)

    def add(self, decision_id: str, kind: str, content: dict[str, Any]) -> Future[bool]:
        """Put feedback in the queue; ServeError 503 if that is full.

        The result is whether it was there already; or ServeError 404 for an unknown decision, 409 for other feedback
        than there is, 422 for an LLM that was not named, 503 if the disk refuses it.
        """
        future: Future[bool] = Future()
        try:
            self._waiting.put_nowait(Given(decision_id, kind, content, future))
        except queue.Full:
            raise ServeError(
                503, "too much feedback waits for the disk; try again soon", {"Retry-After": "1"}
            ) from None
        return future

    def close(self) -> None:
        """Write what waits, then stop."""
        self._waiting.put(None)
        self._writer.join()
        self._opened.close()

    def _remember(self) -> None:
        """Note which decisions have their feedback already."""
        for kind, file in self._files.items():
            for start, line in file:
                if (found := OWN_LINE.match(line)) and self.decisions.knows(found[1].decode()):
                    self.decisions.set_feedback(found[1].decode(), kind, start)

    def _write_all(self) -> None:
        more = True
        while more:
            given = [self._waiting.get()]
            while len(given) < MOST_AT_ONCE and not self._waiting.empty():
                given.append(self._waiting.get_nowait())
            more = None not in given
            taken = [one for one in given if one is not None and one.future.set_running_or_notify_cancel()]
            while taken:  # one of each decision and kind at once, so that the next finds it written
                first = {(one.kind, one.decision_id): one for one in reversed(taken)}
                for kind in KINDS:
                    self._write([one for (its_kind, _), one in first.items() if its_kind == kind], kind)
                taken = [one for one in taken if not one.future.done()]

    def _write(self, given: list[Given], kind: str) -> None:
        """Append and flush feedback of one kind, each on another decision, and answer it."""
        file, lines, new = self._files[kind], list[bytes](), list[Given]()
        for one in given:
            with _answered([one], file):
                if self._is_known(one, file):
                    one.future.set_result(True)
                    continue
                lines.append(self._line(one))
                new.append(one)
        if not new:
            return
        with _answered(new, file):
            start = file.append(b"".join(lines), flush=True)
            for one, line in zip(new, lines, strict=True):
                self.decisions.set_feedback(one.decision_id, kind, start)
                start += len(line)
                one.future.set_result(False)

    def _is_known(self, given: Given, file: LineFile) -> bool:
        """Whether the same feedback is there already; ServeError 409 if other feedback is."""
        start = self.decisions.feedback(given.decision_id, given.kind)
        if start is None or not file.has(start, head(given.decision_id)):
            return False
        try:
            known = json.loads(file.read(start) or b"")
        except ValueError:  # damaged by another program
            return False
        if any(value is not None and known.get(name) != value for name, value in given.content.items()):
            raise ServeError(
                409, f"decision {given.decision_id} has another {given.kind} already; the first one is kept"
            )
        return True

    def _line(self, given: Given) -> bytes:
        decision = self.decisions.get(given.decision_id)
        if decision is None:
            raise _unknown(given.decision_id)
        if given.kind == "score":
            found = _record(decision, given.content)
        else:
            found = {"instance_id": decision.instance_id, **given.content}
        found = {"decision_id": given.decision_id, **found, "time": datetime.now(UTC).isoformat()}
        if decision.prompt is not None:
            found["prompt"] = decision.prompt
        if decision.vector is not None:
            found |= {"vector": decision.vector.tolist(), "encoder": decision.encoder}
        return json.dumps(found, separators=(",", ":"), allow_nan=False).encode() + b"\n"


@contextmanager
def _answered(given: Sequence[Given], file: LineFile) -> Iterator[None]:
    """Whatever goes wrong is the answer to these and to no others; nobody waits for ever, and the next are written."""
    try:
        yield
        return
    except ServeError as error:
        problem = error
    except Exception as error:  # noqa: BLE001
        log.error("feedback cannot be written to %s: %r", file.path, error)
        problem = ServeError(503, "the feedback could not be written to disk; try again later", {"Retry-After": "10"})
    for one in given:
        if not one.future.done():
            one.future.set_exception(problem)


def _unknown(decision_id: str) -> ServeError:
    return ServeError(404, f"no decision {decision_id}; give the decision_id of an answer of this server")


def _locked(folder: Path) -> int:
    """A handle that keeps other servers out of the folder; RecrouteError if another has it."""
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise RecrouteError(f"another server keeps its feedback in {folder}; give each a folder of its own") from None
    return handle


def _record(decision: Decision, content: dict[str, Any]) -> dict[str, Any]:
    llm_id = content.get("llm_id") or decision.llms[0]
    if llm_id not in decision.llms:
        raise ServeError(422, f"llm_id {llm_id!r} is not among the LLMs named for this decision; give one of those")
    chosen = llm_id == decision.llms[0]
    found = {"instance_id": decision.instance_id, "llm_id": llm_id, "score": content["score"]}
    found["propensity"] = decision.propensity if chosen else None
    return found if content.get("cost") is None else {**found, "cost": content["cost"]}


def _sync_folder(folder: Path) -> None:
    """So that the names of new files outlive the machine, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
