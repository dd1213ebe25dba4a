"""The router that answers now, and how another takes its place."""

from __future__ import annotations

import hashlib
import logging
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
from recroute.util.folders import read_folder

log = logging.getLogger("recroute.serve")
Signature = tuple[tuple[str, int, int, int, int], ...]
PROBE = "What is 12 times 13?"  # a router that cannot read it is refused before it answers anybody


@dataclass(frozen=True)
class Loaded:
    """A router in memory, whole and checked."""

    router: Router
    version: str
    loaded_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class LiveRouter:
    """The router of a folder, replaced as a whole when the folder's content is another.

    Who answers a request takes `current` once and keeps to it. A folder that is away, half written or damaged leaves
    the router as it is, and `error` says why.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.error: str | None = None
        self._lock = threading.Lock()
        self._tried = signature(folder)
        self.current = load_checked(folder)

    def is_due(self) -> bool:
        """Whether the folder is not what it was when it was last tried; a failure is not tried over and over."""
        return signature(self.folder) != self._tried

    def reload(self) -> bool:
        """Load what the folder holds now and swap; False where that is the router there is.

        Raises RouterError, or another RecrouteError, if it cannot be loaded.
        """
        with self._lock:
            now = signature(self.folder)
            if now == self._tried and self.error is None:
                return False  # whoever asks over and over does not have it copied each time
            self._tried = now
            try:
                found = load_checked(self.folder, self.current)
            except RecrouteError as error:
                self.error = str(error)
                log.warning("reload failed, router %s goes on: %s", self.current.version, error)
                raise
            self.error = None
            if found is self.current:
                return False
            log.info("router %s takes the place of %s", found.version, self.current.version)
            self.current = found
            return True


def signature(folder: Path) -> Signature:
    """Name, inode, size and times of each file; empty where there is no folder."""
    try:
        files = [(file.name, file.stat()) for file in sorted(folder.iterdir())]
    except OSError:
        return ()
    return tuple((name, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for name, stat in files)


def load_checked(folder: Path, current: Loaded | None = None) -> Loaded:
    """The router of a folder, read from a copy of it, so that nobody can change it in between; or `current`."""
    return read_folder(folder, lambda place: _load_copy(place, folder, current))


def _load_copy(place: Path, folder: Path, current: Loaded | None) -> Loaded:
    with tempfile.TemporaryDirectory(prefix="recroute-serve-") as temporary:
        copy = Path(temporary) / folder.name
        try:
            shutil.copytree(place, copy)
        except (OSError, shutil.Error) as error:
            raise RouterError(f"{folder} cannot be read: {_reason(error)}; see that it is a router") from None
        try:
            return _load(copy, current)
        except RecrouteError as error:
            raise RouterError(str(error).replace(str(copy), str(folder))) from None
        except Exception as error:
            log.exception("%s cannot be loaded", folder)
            raise RouterError(f"{folder} cannot be loaded: {error!r}; fit the router again") from None


def _load(copy: Path, current: Loaded | None) -> Loaded:
    description = copy / "router.json"
    version = hashlib.sha256(description.read_bytes()).hexdigest()[:16] if description.is_file() else ""
    if current is not None and current.version == version:
        return current
    router = load_router(copy)  # says so if there is no router.json
    scores = router.score([PROBE])
    if not np.isfinite(scores).all():
        raise RouterError(f"{router.label} in {copy} predicts scores that are not finite; fit it again")
    router.rank([PROBE])  # what is built at first use is built here
    with suppress(RouterError):  # it keeps no evidence, and says so when it is asked
        router.score_std([PROBE])  # reads the evidence, whose files go with the copy
    return Loaded(router, version)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "a file went away while it was read"
