"""The router in use, and its replacement while the server runs."""

from __future__ import annotations

import hashlib
import logging
import math
import shutil
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from recroute.errors import RecrouteError, RouterError
from recroute.routers import Router, load_router
from recroute.routers.reference import predict_reference
from recroute.util.folders import read_folder

log = logging.getLogger("recroute.serve")
Signature = tuple[tuple[str, int, int, int, int], ...]
PROBE = "What is 12 times 13?"  # a router that cannot route it is refused at loading


@dataclass(frozen=True)
class LoadedRouter:
    """A router in memory, loaded and checked."""

    router: Router
    version: str
    loaded_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class LiveRouter:
    """The router of a folder, replaced as a whole when the folder's content changes.

    A request reads `current` once and uses that router to its end. If the folder is missing, incomplete or damaged, the
    router stays and `error` says why. So it does if the new router cannot predict the cost of the `reference` LLM.
    """

    def __init__(self, folder: Path, reference: str | None = None) -> None:
        self.folder = folder
        self.reference = reference
        self.error: str | None = None
        self._lock = threading.Lock()
        self._last_signature = signature(folder)
        self.current = self._load()

    def is_due(self) -> bool:
        """Whether the folder has changed since the last attempt to load it, successful or not."""
        return signature(self.folder) != self._last_signature

    def reload(self) -> bool:
        """Load the folder's router and use it from now on; False if it is the one in use.

        Raises RouterError, or another RecrouteError, if it cannot be loaded.
        """
        with self._lock:
            now = signature(self.folder)
            if now == self._last_signature and self.error is None:
                return False  # repeated requests do not copy the folder each time
            self._last_signature = now
            try:
                loaded = self._load(self.current)
            except RecrouteError as error:
                self.error = str(error)
                log.warning("reload failed, router %s stays in use: %s", self.current.version, error)
                raise
            self.error = None
            if loaded is self.current:
                return False
            log.info("router %s replaces %s", loaded.version, self.current.version)
            self.current = loaded
            return True

    def _load(self, current: LoadedRouter | None = None) -> LoadedRouter:
        loaded = load_checked(self.folder, current)
        if self.reference is not None:
            predict_reference(loaded.router, [PROBE], self.reference)  # raises if the router cannot
        return loaded


def signature(folder: Path) -> Signature:
    """Name, inode, size and times of each file; empty if there is no folder."""
    try:
        files = [(file.name, file.stat()) for file in sorted(folder.iterdir())]
    except OSError:
        return ()
    return tuple((name, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for name, stat in files)


def load_checked(folder: Path, current: LoadedRouter | None = None) -> LoadedRouter:
    """The router of a folder, read from a copy that nobody changes meanwhile; `current` if it is the same."""
    return read_folder(folder, lambda place: _load_copy(place, folder, current))


def _load_copy(place: Path, folder: Path, current: LoadedRouter | None) -> LoadedRouter:
    """The router of a copy of `place`, or of `place` itself if it cannot be copied."""
    try:
        with tempfile.TemporaryDirectory(prefix="recroute-serve-") as temporary:
            copy = Path(temporary) / folder.name
            shutil.copytree(place, copy)
            return _load_place(copy, folder, current)
    except OSError as error:
        reason, before = _reason(error), signature(place)
    loaded = _load_place(place, folder, current)
    if signature(place) != before:
        raise RouterError(f"{folder} changed while it was read; wait for its writer to end")
    if loaded is not current:
        size = math.ceil(sum(file[2] for file in before) / 1e6)
        log.warning(
            "%s is read in place, because no temporary folder took a copy (%s); to copy it, set TMPDIR to a folder "
            "with %d MB of room",
            *(folder, reason, size),
        )
    return loaded


def _load_place(place: Path, folder: Path, current: LoadedRouter | None) -> LoadedRouter:
    """The router in `place`, which errors call `folder`."""
    try:
        return _load(place, current)
    except OSError as error:
        raise RouterError(f"{folder} cannot be read: {_reason(error)}; check that it is a router") from None
    except RecrouteError as error:
        raise RouterError(str(error).replace(str(place), str(folder))) from None
    except Exception as error:
        log.exception("%s cannot be loaded", folder)
        raise RouterError(f"{folder} cannot be loaded: {error!r}; fit the router again") from None


def _load(copy: Path, current: LoadedRouter | None) -> LoadedRouter:
    description = copy / "router.json"
    version = hashlib.sha256(description.read_bytes()).hexdigest()[:16] if description.is_file() else ""
    if current is not None and current.version == version:
        return current
    router = load_router(copy)  # raises if there is no router.json
    scores = router.score([PROBE])
    if not np.isfinite(scores).all():
        raise RouterError(f"{router.label} in {copy} predicts scores that are not finite; fit it again")
    router.rank([PROBE])  # builds what is built at first use
    with suppress(RouterError):  # a router without training scores has none
        router.score_std([PROBE])  # reads the training scores before the copy is deleted
    return LoadedRouter(router, version)


def _reason(error: OSError) -> str:
    if isinstance(error, shutil.Error):  # a list of source, target and reason
        return str(error.args[0][0][2]) if error.args[0] else "a file was not copied"
    return error.strerror or str(error)
