"""Another router takes over while requests come in; a folder that is no router does not."""

import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from recroute.errors import RouterError
from recroute.routers import Router, load_router, make_router
from recroute.serve.live import LiveRouter
from recroute.testing import planted_dataset

MakeClient = Callable[..., TestClient]
Eventually = Callable[[Callable[[], object]], None]
PROMPTS = [f"{words} number 7" for words in ("multiply the integers", "translate the sentence", "compile the program")]


@pytest.fixture(scope="module")
def routers() -> list[Router]:
    """Two that answer alike to nothing: each has LLMs of its own."""
    found = []
    for i in range(2):
        data = planted_dataset(seed=i)
        data = data.take_llms(list(range(3 * i, 3 * i + 3)))  # llm-0 to llm-2, llm-3 to llm-5
        found.append(make_router("svd", n_factors=2, seed=i).fit(data))
    return found


def answer(client: TestClient) -> tuple[str, str]:
    """The version, and all that the answer says, in one text."""
    response = client.post("/route", json={"prompt": PROMPTS, "k": 3})
    assert response.status_code == 200, response.text
    return response.json()["router_version"], json.dumps(response.json()["routes"], sort_keys=True)


def test_reload_under_load_fails_no_request_and_mixes_no_versions(
    make_client: MakeClient, routers: list[Router], tmp_path: Path, eventually: Eventually
) -> None:
    folder = tmp_path / "router"
    routers[0].save(folder)
    client = make_client(router_dir=folder, poll=0.02, threads=2)
    expected = dict([answer(client)])
    seen: list[tuple[str, str]] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            seen.append(answer(client))

    with ThreadPoolExecutor(4) as pool:
        under_load = [pool.submit(load) for _ in range(4)]
        for turn in range(1, 9):
            before = answer(client)[0]
            routers[turn % 2].save(folder)
            if turn % 3 == 0:
                assert client.post("/reload").status_code == 200
            eventually(lambda before=before: seen and seen[-1][0] != before)
        stop.set()
        for one in under_load:
            one.result()  # raises what went wrong in it
    routers[1].save(folder)
    client.post("/reload")
    expected |= dict([answer(client)])
    assert len(expected) == 2
    assert {version for version, _ in seen} == set(expected)
    assert all(text == expected[version] for version, text in seen)


def test_the_server_finds_a_new_router_by_itself(
    make_client: MakeClient, routers: list[Router], tmp_path: Path, eventually: Eventually
) -> None:
    folder = tmp_path / "router"
    routers[0].save(folder)
    client = make_client(router_dir=folder, poll=0.02)
    before = client.get("/healthz").json()["router_version"]
    routers[1].save(folder)
    eventually(lambda: client.get("/healthz").json()["router_version"] != before)
    assert client.get("/llms").json()["llms"][0]["llm_id"] == "llm-3"
    assert client.post("/reload").json()["changed"] is False


def _damage(folder: Path) -> None:
    with (folder / "arrays.npz").open("r+b") as file:
        file.truncate(100)


def _half(folder: Path) -> None:
    (folder / "arrays.npz").unlink()


def _no_json(folder: Path) -> None:
    (folder / "router.json").write_text("{", "utf8")


def _odd_json(folder: Path) -> None:
    description = json.loads((folder / "router.json").read_text("utf8"))
    (folder / "router.json").write_text(json.dumps({**description, "sha256": [], "hyperparameters": 3}), "utf8")


def _unknown(folder: Path) -> None:
    description = json.loads((folder / "router.json").read_text("utf8"))
    (folder / "router.json").write_text(json.dumps({**description, "name": "nonsense"}), "utf8")


@pytest.mark.parametrize("spoil", [_damage, _half, _no_json, _odd_json, _unknown, shutil.rmtree])
def test_a_folder_that_cannot_be_loaded_leaves_the_old_router(
    make_client: MakeClient,
    routers: list[Router],
    tmp_path: Path,
    spoil: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "router"
    routers[0].save(folder)
    client = make_client(router_dir=folder)
    before = answer(client)
    routers[1].save(folder)
    spoil(folder)
    refused = client.post("/reload")
    assert refused.status_code == 409
    assert str(tmp_path) not in refused.json()["error"]
    assert answer(client) == before
    health = client.get("/healthz").json()
    assert (health["status"], health["reload_error"]) == ("stale", refused.json()["error"])
    assert any("reload failed" in record.message for record in caplog.records)
    shutil.rmtree(folder, ignore_errors=True)
    routers[1].save(folder)
    assert client.post("/reload").json()["changed"] is True
    assert client.get("/healthz").json()["status"] == "ok"
    assert answer(client)[0] != before[0]


def test_a_folder_copied_piece_by_piece_is_taken_when_it_is_whole(routers: list[Router], tmp_path: Path) -> None:
    folder, new = tmp_path / "router", tmp_path / "new"
    routers[0].save(folder)
    routers[1].save(new)
    live = LiveRouter(folder)
    before = live.current
    assert not live.is_due()
    files = sorted(new.iterdir(), key=lambda file: file.name != "router.json")  # the description first
    for file in files[:-1]:
        shutil.copy(file, folder / file.name)
        assert live.is_due()
        with pytest.raises(RouterError):
            live.reload()
        assert live.current is before
        assert not live.is_due()  # a failure is tried again only when something has changed
    shutil.copy(files[-1], folder / files[-1].name)
    for file in folder.iterdir():
        if not (new / file.name).exists():
            file.unlink()
    assert live.reload()
    assert live.current.router.llm_ids_.ids == routers[1].llm_ids_.ids


def test_a_router_may_be_replaced_while_its_folder_is_read(routers: list[Router], tmp_path: Path) -> None:
    """Saves in a row: every load is of one whole router, and no save is disturbed."""
    folder = tmp_path / "router"
    routers[0].save(folder)
    live = LiveRouter(folder)
    stop = threading.Event()

    def save() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            routers[turn % 2].save(folder)

    with ThreadPoolExecutor(1) as pool:
        saving = pool.submit(save)
        for _ in range(15):
            live.reload()
            loaded = live.current.router
            assert loaded.llm_ids_.ids in (routers[0].llm_ids_.ids, routers[1].llm_ids_.ids)
            same = routers[0] if loaded.llm_ids_.ids == routers[0].llm_ids_.ids else routers[1]
            assert loaded.rank(PROMPTS).predicted_score.tolist() == same.rank(PROMPTS).predicted_score.tolist()
        stop.set()
        saving.result()
    load_router(folder)


def test_a_router_that_cannot_read_a_prompt_is_refused(make_client: MakeClient, tmp_path: Path) -> None:
    make_router("task_best").fit(planted_dataset()).save(tmp_path / "router")
    with pytest.raises(RouterError, match="reads the task"):
        make_client(router_dir=tmp_path / "router")


def test_a_router_whose_writer_was_killed_is_served_from_where_it_is(routers: list[Router], tmp_path: Path) -> None:
    routers[0].save(tmp_path / "router")
    (tmp_path / "router").rename(tmp_path / ".router.previous-01234567")
    live = LiveRouter(tmp_path / "router")
    assert live.current.router.llm_ids_.ids == routers[0].llm_ids_.ids
    assert [path.name for path in tmp_path.iterdir()] == [".router.previous-01234567"]
    routers[1].save(tmp_path / "router")
    assert live.is_due()
    assert live.reload()
    assert live.current.router.llm_ids_.ids == routers[1].llm_ids_.ids


def _no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))


def _no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        target.mkdir()
        raise shutil.Error([(str(source / "arrays.npz"), str(target), "[Errno 28] No space left on device")])

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("recroute.serve.live.shutil.copytree", full)


@pytest.mark.parametrize(("spoil", "why"), [(_no_folder, "No such file"), (_no_room, "No space left on device")])
def test_a_router_that_cannot_be_copied_is_read_in_place(
    routers: list[Router],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Path, pytest.MonkeyPatch], None],
    why: str,
) -> None:
    folder = tmp_path / "router"
    routers[0].save(folder)
    spoil(tmp_path, monkeypatch)
    live = LiveRouter(folder)
    shutil.rmtree(folder)  # all is in memory
    assert live.current.router.score_std(PROMPTS).shape == (3, 3)
    (line,) = [record.getMessage() for record in caplog.records]
    assert why in line
    assert "set TMPDIR to a folder with 1 MB of room" in line
    assert [path.name for path in tmp_path.iterdir()] == []  # no half copy is left
    routers[1].save(folder)
    assert live.reload()
    assert live.current.router.llm_ids_.ids == routers[1].llm_ids_.ids
    routers[0].save(folder)
    _half(folder)
    with pytest.raises(RouterError, match=r"arrays\.npz"):
        live.reload()


def test_a_folder_that_changes_while_it_is_read_in_place_is_not_taken(
    routers: list[Router], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    routers[0].save(tmp_path / "router")
    _no_folder(tmp_path, monkeypatch)

    def load(place: Path) -> Router:
        with (place / "arrays.npz").open("ab") as file:
            file.write(b"x")
        return routers[0]

    monkeypatch.setattr("recroute.serve.live.load_router", load)
    with pytest.raises(RouterError, match="changed while it was read"):
        LiveRouter(tmp_path / "router")
