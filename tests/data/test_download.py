"""The downloader against a server on this machine that breaks off, refuses and lies."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from recroute.cli.app import run
from recroute.data import hub as module
from recroute.data.download import download
from recroute.errors import DataError, RecrouteError, UnknownNameError

LARGE, SMALL = bytes(range(256)) * 4096, b"# card\n"


class Hub:
    """What the server holds and how it behaves."""

    def __init__(self) -> None:
        self.files = {"data/large.bin": LARGE, "README.md": SMALL}
        self.listed = {path: self.entry(path, content) for path, content in self.files.items()}
        self.break_after: list[int] = []  # bytes after which the next answers break off
        self.ignore_range = False
        self.listing: bytes | None = None
        self.status: dict[str, int] = {}
        self.next_host = ""  # of the second page of the listing
        self.redirect: str | None = None
        self.busy: list[int] = []  # what the next requests for content are answered with
        self.requests: list[tuple[str, str | None, str | None]] = []

    @staticmethod
    def entry(path: str, content: bytes) -> dict[str, Any]:
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        found: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": blob}
        if len(content) > 1000:
            found["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
        return found


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            state.requests.append((path, self.headers.get("Range"), self.headers.get("Authorization")))
            if "/tree/main" in path:
                return self.listing(query)
            name = path.partition("/resolve/main/")[2] or path.partition("/cdn/")[2]
            if (status := state.status.get(name)) is not None:
                return self.send_error(status)
            if state.busy and "/resolve/" in path:
                return self.send_error(state.busy.pop(0))
            if state.redirect and "/cdn/" not in path:
                self.send_response(302)
                self.send_header("Location", f"http://{state.redirect}:{self.server.server_port}/cdn/{name}")  # type: ignore[attr-defined]
                return self.end_headers()
            return self.content(state.files[name])

        def listing(self, query: str) -> None:
            entries = list(state.listed.values())
            page = [{"type": "directory", "path": "data"}, entries[0]] if "cursor" not in query else entries[1:]
            body = state.listing if state.listing is not None else json.dumps(page).encode()
            self.send_response(state.status.get("listing", 200))
            if "cursor" not in query and len(entries) > 1:
                host = f"http://{state.next_host}:{self.server.server_port}" if state.next_host else ""  # type: ignore[attr-defined]
                self.send_header("Link", f'<{host}{self.path}&cursor=2>; rel="next"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def content(self, body: bytes) -> None:
            start = 0
            if (wanted := self.headers.get("Range")) and not state.ignore_range:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            stop = len(body) if not state.break_after else start + state.break_after.pop(0)
            with contextlib.suppress(ConnectionError):  # who does not like the answer hangs up
                self.wfile.write(body[start:stop])

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(module, "PAUSE", 0.0)
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def loads(hub: Hub) -> list[tuple[str, str | None, str | None]]:
    return [request for request in hub.requests if "/resolve/" in request[0]]


def test_files_of_both_hash_kinds_arrive_and_are_kept(hub: Hub, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = download("embedllm", tmp_path / "d", progress=lambda done, total: seen.append((done, total)))
    assert names(tmp_path / "d") == ["README.md", "data/large.bin"]
    assert (tmp_path / "d/data/large.bin").read_bytes() == LARGE
    assert found.n_kept == 0
    assert seen[-1] == (len(LARGE) + len(SMALL),) * 2
    again = download("embedllm", tmp_path / "d")
    assert (again.n_kept, len(loads(hub))) == (2, 2)


def test_broken_connection_goes_on_where_it_broke_off(hub: Hub, tmp_path: Path) -> None:
    hub.break_after = [100_000, 200_000]
    download("embedllm", tmp_path, only=["data/*"])
    assert [request[1] for request in loads(hub)] == [None, "bytes=100000-", "bytes=300000-"]
    assert (tmp_path / "data/large.bin").read_bytes() == LARGE


def test_server_that_never_gets_through_leaves_a_part_for_the_next_run(hub: Hub, tmp_path: Path) -> None:
    hub.break_after = [1000] * module.TRIES
    with pytest.raises(DataError, match=r"broke off at 5,000 of 1,048,576 bytes, 5 times; run the command again"):
        download("embedllm", tmp_path, only=["data/*"])
    assert names(tmp_path) == ["data/large.bin.part"]
    download("embedllm", tmp_path, only=["data/*"])
    assert loads(hub)[-1][1] == "bytes=5000-"
    assert names(tmp_path) == ["data/large.bin"]


def test_server_that_ignores_ranges_sends_all_again(hub: Hub, tmp_path: Path) -> None:
    hub.break_after, hub.ignore_range = [100_000], True
    download("embedllm", tmp_path, only=["data/*"])
    assert (tmp_path / "data/large.bin").read_bytes() == LARGE


def test_part_of_another_version_is_thrown_away(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/large.bin.part").write_bytes(b"x" * 5000)
    download("embedllm", tmp_path, only=["data/*"])
    assert [request[1] for request in loads(hub)] == ["bytes=5000-", None]
    assert (tmp_path / "data/large.bin").read_bytes() == LARGE


def test_damaged_file_is_loaded_again(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(b"# carb\n")
    download("embedllm", tmp_path, only=["README.md"])
    assert (tmp_path / "README.md").read_bytes() == SMALL


@pytest.mark.parametrize("name", ["data/large.bin", "README.md"])
def test_wrong_bytes_are_refused(hub: Hub, tmp_path: Path, name: str) -> None:
    hub.files[name] = bytes(reversed(hub.files[name]))
    with pytest.raises(DataError, match=r"sent other bytes than its hash promises"):
        download("embedllm", tmp_path, only=[name])
    assert names(tmp_path) == []


def test_longer_body_is_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.files["data/large.bin"] = LARGE * 8
    with pytest.raises(DataError, match=r"sends more than the 1,048,576 bytes it announced"):
        download("embedllm", tmp_path, only=["data/*"])
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("where", "status", "message"),
    [
        ("README.md", 404, "answers 404 Not Found; the data set may have moved"),
        ("README.md", 403, "answers 403 Forbidden; the data are gated: accept their terms"),
        ("README.md", 503, "answers 503, 5 times; run the command again"),
        ("listing", 404, "answers 404 Not Found; the data set may have moved"),
    ],
)
def test_refusals_are_one_line(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str, status: int, message: str
) -> None:
    hub.status[where] = status
    assert run(["data", "download", "embedllm", "--to", str(tmp_path / "d"), "--only", "README.md"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("recroute: http://127.0.0.1")
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("listing", [b"", b"<html>", b'{"error": 1}', b"[1]", b'[{"type": "file"}]'])
def test_malformed_listing(hub: Hub, tmp_path: Path, listing: bytes) -> None:
    hub.listing = listing
    with pytest.raises(DataError, match=r"sends no listing of files"):
        download("embedllm", tmp_path)


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "a\\..\\x", "c:x", "a\0b"])
def test_listed_paths_stay_in_the_folder(hub: Hub, tmp_path: Path, path: str) -> None:
    hub.listed["x"] = hub.entry(path, SMALL)
    with pytest.raises(DataError, match=r"leads out of the folder"):
        download("embedllm", tmp_path / "d")
    assert names(tmp_path) == []


@pytest.mark.parametrize(("host", "token"), [("localhost", None), ("127.0.0.1", "Bearer secret")])
def test_redirect_is_followed_and_the_token_stays_at_home(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, token: str | None
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    hub.redirect = host
    download("embedllm", tmp_path)
    assert {request[2] for request in hub.requests if "/cdn/" not in request[0]} == {"Bearer secret"}
    assert {request[2] for request in hub.requests if "/cdn/" in request[0]} == {token}


def test_token_does_not_follow_the_listing_to_another_host(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    hub.next_host = "localhost"
    download("embedllm", tmp_path)
    listings = [request[2] for request in hub.requests if "/tree/main" in request[0]]
    assert listings == ["Bearer secret", None]


def test_busy_server_is_asked_again_also_in_the_middle(hub: Hub, tmp_path: Path) -> None:
    hub.break_after, hub.busy = [100_000], [429]
    (tmp_path / "data").mkdir()
    (tmp_path / "data/large.bin.part").write_bytes(LARGE[:5000])
    hub.busy += [503]
    download("embedllm", tmp_path, only=["data/*"])
    assert [request[1] for request in loads(hub)] == ["bytes=5000-"] * 3 + ["bytes=105000-"]
    assert (tmp_path / "data/large.bin").read_bytes() == LARGE


def test_tries_that_get_far_do_not_count(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MUCH", 50_000)
    hub.break_after = [60_000] * 12
    download("embedllm", tmp_path, only=["data/*"])
    assert (tmp_path / "data/large.bin").read_bytes() == LARGE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk_is_one_line(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/large.bin.part").symlink_to("/dev/full")
    assert run(["data", "download", "embedllm", "--to", str(tmp_path), "--only", "data/*"]) == 2
    error = capsys.readouterr().err
    assert "large.bin.part cannot be written: No space left on device; make room" in error
    assert error.count("\n") == 1
    assert len(loads(hub)) == 1  # not tried again


def test_interruption_keeps_the_part(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 4096)

    def interrupt(done: int, total: int) -> None:
        if done > 10_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download("embedllm", tmp_path, only=["data/*"], progress=interrupt)
    assert names(tmp_path) == ["data/large.bin.part"]


def test_gigabytes_are_asked_for(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub.listed["huge"] = {"type": "file", "path": "huge", "size": 3_000_000_000, "oid": "0" * 40}
    asked: list[int] = []
    with pytest.raises(DataError, match=r"3.0 GB were declined"):
        download("embedllm", tmp_path, only=["huge"], confirm=lambda n: bool(asked.append(n)))
    assert asked == [3_000_000_000]
    assert run(["data", "download", "embedllm", "--to", str(tmp_path), "--only", "huge"]) == 2
    assert "say --yes" in capsys.readouterr().err


def test_too_little_disk(hub: Hub, tmp_path: Path) -> None:
    hub.listed["huge"] = {"type": "file", "path": "huge", "size": 10**18, "oid": "0" * 40}
    with pytest.raises(DataError, match=r"needs 1000000000\.0 GB and .* has less free"):
        download("embedllm", tmp_path)


def test_unknown_names(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'routerbench'"):
        download("routerbenhc", tmp_path)
    with pytest.raises(
        DataError, match=r"no file of RZ412/EmbedLLM is called \*\.pkl; there: data/large\.bin, README\.md$"
    ):
        download("embedllm", tmp_path, only=["README.md", "*.pkl"])
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(RecrouteError, match=r"cannot be reached: .*refused; check the connection"):
        download("embedllm", tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    with pytest.raises(DataError, match=r"is not an http address"):
        download("embedllm", tmp_path)
