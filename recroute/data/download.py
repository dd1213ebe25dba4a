"""Fetching public data sets: resumed where they broke off, checked by size and hash, never half there."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from recroute.errors import DataError, UnknownNameError

ENDPOINT = "https://huggingface.co"
TIMEOUT = 30.0  # seconds without an answer or a byte
TRIES = 5
PAUSE = 1.0  # seconds before the second try, doubled before each further one
CHUNK = 1 << 20
ASK_FROM = 10**9  # bytes
NEXT_PAGE = re.compile(r'<([^>]+)>\s*;\s*rel="next"')
BROKEN = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError)


@dataclass(frozen=True)
class PublicDataset:
    """A data set on the Hugging Face hub.

    Parameters
    ----------
    repository : str
    layout : str
        What to import it with.
    holds : str
        Half a line on what there is.
    """

    repository: str
    layout: str
    holds: str


DATASETS = {
    "routereval": PublicDataset("linggm/RouterEval", "routereval", "router_dataset, leaderboard scores, embeddings"),
    "embedllm": PublicDataset("RZ412/EmbedLLM", "embedllm", "train.csv, val.csv, test.csv, model_order.csv"),
    "routerbench": PublicDataset("withmartian/routerbench", "routerbench", "0-shot and 5-shot pickles"),
}


@dataclass(frozen=True)
class RemoteFile:
    """A file of the listing: its SHA-256 for large files, the hash of its Git blob for small ones."""

    path: str
    size: int
    sha256: str | None
    git_sha1: str | None


@dataclass(frozen=True)
class Downloaded:
    """Files that are there now, and how many of them were there before."""

    files: tuple[Path, ...]
    n_kept: int


def download(
    name: str,
    to: str | Path,
    *,
    only: Sequence[str] = (),
    confirm: Callable[[int], bool] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Downloaded:
    """Fetch a public data set.

    A file that is there with the right size and hash is kept. What was received of a file stays in `FILE.part`, and
    the next call goes on from there. The environment variables HF_ENDPOINT (another address of the hub) and HF_TOKEN
    (for gated data) are respected.

    Parameters
    ----------
    name : {"routereval", "embedllm", "routerbench"}
    to : str or Path
        Folder; made if it is not there.
    only : list of str
        Patterns such as "router_dataset*"; default: every file.
    confirm : callable, optional
        Asked with the number of bytes if they are a gigabyte or more.
    progress : callable, optional
        Called with the bytes done and the bytes in all.

    Raises
    ------
    UnknownNameError
        For a data set that is not known.
    DataError
        If the hub cannot be reached, has no such file, sends other bytes than it announced, or the disk is full.
    """
    if name not in DATASETS:
        raise UnknownNameError("data set", name, DATASETS)
    to = Path(to)
    hub = _Hub(os.environ.get("HF_ENDPOINT", ENDPOINT).rstrip("/"), DATASETS[name].repository)
    files = _chosen(hub.files(), only, hub)
    to.mkdir(parents=True, exist_ok=True)
    waiting = [file for file in files if not _is_there(file, to / file.path)]
    total = sum(file.size for file in waiting)
    n_bytes = total - sum(_part(to / file.path).stat().st_size for file in waiting if _part(to / file.path).exists())
    if n_bytes > shutil.disk_usage(to).free:
        raise DataError(f"{name} needs {n_bytes / 1e9:.1f} GB and {to} has less free; choose files with --only")
    if n_bytes >= ASK_FROM and confirm is not None and not confirm(n_bytes):
        raise DataError(f"{name} was not loaded: {n_bytes / 1e9:.1f} GB were declined; choose files with --only")
    done = 0
    for file in waiting:
        before = done

        def report(received: int, before: int = before) -> None:
            if progress is not None:
                progress(before + received, total)

        hub.fetch(file, to / file.path, report)
        done += file.size
    return Downloaded(tuple(to / file.path for file in files), len(files) - len(waiting))


class _Hub:
    """One repository of the hub."""

    def __init__(self, endpoint: str, repository: str) -> None:
        if urllib.parse.urlsplit(endpoint).scheme not in ("http", "https"):
            raise DataError(f"HF_ENDPOINT {endpoint!r} is no http address; unset or mend it")
        self.endpoint, self.repository = endpoint, repository
        self.opener = urllib.request.build_opener(_SameHostToken())

    def files(self) -> Iterator[RemoteFile]:
        """The listing, page after page."""
        url: str | None = f"{self.endpoint}/api/datasets/{self.repository}/tree/main?recursive=true"
        while url is not None:
            with self._open(url) as answer:
                page, link = answer.read(), answer.headers.get("Link", "")
            yield from _listing(page, url)
            following = NEXT_PAGE.search(link)
            url = urllib.parse.urljoin(url, following[1]) if following else None

    def fetch(self, file: RemoteFile, target: Path, report: Callable[[int], None]) -> None:
        """Load one file; what a broken connection leaves is continued, what is wrong is thrown away."""
        url = f"{self.endpoint}/datasets/{self.repository}/resolve/main/{urllib.parse.quote(file.path)}"
        part = _part(target)
        part.parent.mkdir(parents=True, exist_ok=True)
        resumed = part.exists()
        self._receive(url, part, file, report)
        if not _hash_fits(file, part) and resumed:  # what lay there was of another version: once more from the start
            part.unlink()
            self._receive(url, part, file, report)
        if not _hash_fits(file, part):
            part.unlink()
            raise DataError(f"{url} sent other bytes than its hash promises; try again later, nothing was kept")
        part.replace(target)

    def _receive(self, url: str, part: Path, file: RemoteFile, report: Callable[[int], None]) -> None:
        """Append to `part` until it has the file's size."""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(PAUSE * 2 ** (attempt - 1))
            try:
                self._append(url, part, file.size, report)
            except BROKEN as error:
                reason = error
                continue
            if part.stat().st_size == file.size:
                return
            reason = ConnectionError(f"broke off at {part.stat().st_size:,} of {file.size:,} bytes")
        raise DataError(f"{url}: {_reason(reason)}, {TRIES} times; run the command again to go on from there")

    def _append(self, url: str, part: Path, size: int, report: Callable[[int], None]) -> None:
        start = part.stat().st_size if part.exists() else 0
        if start >= size:
            start = 0
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self._open(url, headers) as answer:
            resumes = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")
            if start and not resumes:
                start = 0  # the server sends all of it
            with part.open("ab" if start else "wb") as target:
                while chunk := answer.read(CHUNK):
                    start += len(chunk)
                    if start > size:
                        target.close()
                        part.unlink()
                        raise DataError(f"{url} sends more than the {size:,} bytes it announced; nothing was kept")
                    target.write(chunk)
                    report(start)

    def _open(self, url: str, headers: dict[str, str] | None = None) -> Any:
        request = urllib.request.Request(url, headers={"User-Agent": "recroute", **(headers or {})})
        if token := os.environ.get("HF_TOKEN"):
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        try:
            return self.opener.open(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code >= 500 and "Range" not in request.headers and "/resolve/" in url:
                raise ConnectionError(f"answers {error.code}") from None  # worth another try
            raise DataError(f"{url} answers {error.code} {error.reason}; {_mend(error.code)}") from None
        except BROKEN as error:
            if "/resolve/" in url:
                raise
            raise DataError(f"{url} cannot be reached: {_reason(error)}; check the connection and try again") from None


class _SameHostToken(urllib.request.HTTPRedirectHandler):
    """Redirects stay on http and https; the token, an unredirected header, does not travel with them."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urllib.parse.urlsplit(newurl).scheme not in ("http", "https"):
            raise DataError(f"{req.full_url} redirects to {newurl[:100]!r}, which is no http address; not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _listing(page: bytes, url: str) -> Iterator[RemoteFile]:
    try:
        entries = json.loads(page)
        for entry in entries:
            if entry["type"] != "file":
                continue
            lfs = entry.get("lfs") or {}
            size = lfs.get("size", entry["size"])
            yield RemoteFile(_safe(entry["path"], url), int(size), lfs.get("oid"), entry.get("oid"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{url} sends no listing of files; try again later, or set HF_ENDPOINT") from None


def _safe(path: str, url: str) -> str:
    """`path` if it stays below the folder it is loaded to."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or any(c in path for c in "\\\0:"):
        raise DataError(f"{url} lists {path!r}, which leads out of the folder; nothing was loaded")
    return path


def _chosen(files: Iterator[RemoteFile], only: Sequence[str], hub: _Hub) -> list[RemoteFile]:
    listed = list(files)
    chosen = [file for file in listed if not only or any(fnmatch(file.path, pattern) for pattern in only)]
    if not chosen:
        there = ", ".join(file.path for file in listed[:5]) or "nothing"
        raise DataError(f"no file of {hub.repository} is called {' or '.join(only) or 'anything'}; there: {there}, ...")
    return chosen


def _part(target: Path) -> Path:
    return target.parent / f"{target.name}.part"


def _is_there(file: RemoteFile, target: Path) -> bool:
    return target.is_file() and target.stat().st_size == file.size and _hash_fits(file, target)


def _hash_fits(file: RemoteFile, path: Path) -> bool:
    with path.open("rb") as content:
        if file.sha256 is not None:
            return _digest(hashlib.sha256(), content) == file.sha256.removeprefix("sha256:")
        start = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
        return file.git_sha1 is None or _digest(start, content) == file.git_sha1


def _digest(start: Any, content: BinaryIO) -> str:
    while chunk := content.read(CHUNK):
        start.update(chunk)
    found: str = start.hexdigest()
    return found


def _mend(code: int) -> str:
    if code in (401, 403):
        return "the data are gated: accept their terms on the hub and set HF_TOKEN"
    if code == 404:
        return "the data set may have moved: look for it on the hub, or set HF_ENDPOINT"
    return "try again later"


def _reason(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    return " ".join(str(reason).split()) or type(error).__name__
