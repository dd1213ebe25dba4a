"""One repository of the Hugging Face hub: its listing, and its files, resumed where they broke off."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from recroute.errors import DataError

TIMEOUT = 30.0  # seconds without an answer or a byte
TRIES = 5
PAUSE = 1.0  # seconds before the second try, doubled before each further one
CHUNK = 1 << 20
MUCH = 1 << 25  # bytes; a try that got so far does not count
NEXT_PAGE = re.compile(r'<([^>]+)>\s*;\s*rel="next"')
BROKEN = (
    OSError,
    http.client.HTTPException,
)  # of the network; what the disk raises becomes a DataError where it happens


@dataclass(frozen=True)
class RemoteFile:
    """A file of the listing: its SHA-256 for large files, the hash of its Git blob for small ones."""

    path: str
    size: int
    sha256: str | None
    git_sha1: str | None

    def fits(self, path: Path) -> bool:
        """Whether the file at `path` has the hash of this one."""
        with path.open("rb") as content:
            if self.sha256 is not None:
                return _digest(hashlib.sha256(), content) == self.sha256.removeprefix("sha256:")
            start = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
            return self.git_sha1 is None or _digest(start, content) == self.git_sha1


def part_of(target: Path) -> Path:
    """Where an unfinished file stands."""
    return target.parent / f"{target.name}.part"


class Hub:
    """One repository of the hub."""

    def __init__(self, endpoint: str, repository: str) -> None:
        if urllib.parse.urlsplit(endpoint).scheme not in ("http", "https"):
            raise DataError(f"HF_ENDPOINT {endpoint!r} is not an http address; unset or fix it")
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
        part = part_of(target)
        part.parent.mkdir(parents=True, exist_ok=True)
        resumed = part.exists()
        self._receive(url, part, file, report)
        if not file.fits(part) and resumed:  # what lay there was of another version: once more from the start
            part.unlink()
            self._receive(url, part, file, report)
        if not file.fits(part):
            part.unlink()
            raise DataError(f"{url} sent other bytes than its hash promises; try again later, nothing was kept")
        part.replace(target)

    def _receive(self, url: str, part: Path, file: RemoteFile, report: Callable[[int], None]) -> None:
        """Append to `part` until it has the file's size."""
        attempt = 0
        while attempt < TRIES:
            if attempt:
                time.sleep(PAUSE * 2 ** (attempt - 1))
            before = _size(part)
            try:
                self._append(url, part, file.size, report)
            except BROKEN as error:
                reason = error
            else:
                if _size(part) == file.size:
                    return
                reason = ConnectionError(f"broke off at {_size(part):,} of {file.size:,} bytes")
            attempt = 1 if _size(part) - before >= MUCH else attempt + 1
        raise DataError(f"{url}: {_reason(reason)}, {TRIES} times; run the command again to go on from there")

    def _append(self, url: str, part: Path, size: int, report: Callable[[int], None]) -> None:
        start = _size(part)
        if start >= size:
            start = 0
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self._open(url, headers) as answer:
            resumes = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")
            if start and not resumes:
                start = 0  # the server sends all of it
            with _opened(part, "ab" if start else "wb") as target:
                while chunk := answer.read(CHUNK):
                    start += len(chunk)
                    if start > size:
                        part.unlink()
                        raise DataError(f"{url} sends more than the {size:,} bytes it announced; nothing was kept")
                    _write(target, chunk, part)
                    report(start)

    def _open(self, url: str, headers: dict[str, str] | None = None) -> Any:
        request = urllib.request.Request(url, headers={"User-Agent": "recroute", **(headers or {})})
        if (token := os.environ.get("HF_TOKEN")) and _host(url) == _host(self.endpoint):  # a listing may name others
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        try:
            return self.opener.open(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            error.close()
            if (error.code >= 500 or error.code in (408, 429)) and "/resolve/" in url:
                raise ConnectionError(f"answers {error.code}") from None  # worth another try
            raise DataError(f"{url} answers {error.code} {error.reason}; {_mend(error.code)}") from None
        except BROKEN as error:
            if "/resolve/" in url:
                raise
            raise DataError(f"{url} cannot be reached: {_reason(error)}; check the connection and try again") from None


class _SameHostToken(urllib.request.HTTPRedirectHandler):
    """Redirects stay on http and https; the token travels with them on the same host only."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urllib.parse.urlsplit(newurl).scheme not in ("http", "https"):
            raise DataError(f"{req.full_url} redirects to {newurl[:100]!r}, which is not an http address; not followed")
        found = super().redirect_request(req, fp, code, msg, headers, newurl)
        token = req.unredirected_hdrs.get("Authorization")
        if found is not None and token is not None and _host(newurl) == _host(req.full_url):
            found.add_unredirected_header("Authorization", token)
        return found


def _host(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _opened(part: Path, mode: str) -> io.FileIO:
    try:
        return io.FileIO(part, mode)  # unbuffered: whatever stops us, all that was received is there
    except OSError as error:
        raise DataError(f"{part} cannot be written: {error.strerror}; choose another folder") from None


def _write(target: io.FileIO, chunk: bytes, part: Path) -> None:
    rest = memoryview(chunk)
    try:
        while rest:
            rest = rest[target.write(rest) :]
    except OSError as error:
        mend = "make room, and run the command again to go on from there"
        raise DataError(f"{part} cannot be written: {error.strerror}; {mend}") from None


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


def _digest(start: Any, content: BinaryIO) -> str:
    while chunk := content.read(CHUNK):
        start.update(chunk)
    return start.hexdigest()


def _mend(code: int) -> str:
    if code in (401, 403):
        return "the data are gated: accept their terms on the hub and set HF_TOKEN"
    if code == 404:
        return "the data set may have moved: look for it on the hub, or set HF_ENDPOINT"
    return "try again later"


def _reason(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    return " ".join(str(reason).split()) or type(error).__name__
