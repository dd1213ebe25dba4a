"""Servers that share a feedback folder, and logs in parts: who knows which decision, and what is on disk."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from test_hostile import OLD_FIRST, OLD_IDS, OLD_SECOND, n_lines, routed, score

import recroute as rr
from recroute.cli.app import run
from recroute.data.feedback import parts, read_feedback
from recroute.errors import RecrouteError
from recroute.serve.lines import LineLog, Rotation

MakeClient = Callable[..., TestClient]


def test_any_server_takes_feedback_for_decisions_of_the_folder_that_it_shares(
    make_client: MakeClient, tmp_path: Path
) -> None:
    a, b = (make_client(feedback_dir=tmp_path) for _ in range(2))
    ids = routed(a, 2) + routed(b, 2)
    assert [score(client, one).json()["duplicate"] for one in ids for client in (b, a)] == [False, True] * 4
    assert score(b, ids[0], 0.5).status_code == 409
    battle = {"llm_a": "llm-0", "llm_b": "llm-3", "outcome": "win"}
    given = [client.post("/feedback", json={"decision_id": ids[0], "preference": battle}) for client in (b, a, b)]
    assert [answer.json()["duplicate"] for answer in given] == [False, True, True]
    assert read_feedback(tmp_path).n_records == 4
    assert n_lines(tmp_path / "decisions.jsonl") == 4


def test_a_server_with_another_folder_says_who_made_the_decision(make_client: MakeClient, tmp_path: Path) -> None:
    a, b = (make_client(feedback_dir=tmp_path / name) for name in "ab")
    (decision_id,) = routed(a, 1)
    names = [client.get("/healthz").json()["worker"] for client in (a, b)]
    assert decision_id.startswith(f"{names[0]}-")
    answer = score(b, decision_id)
    assert answer.status_code == 404
    own, maker = (name.partition(".")[0] for name in reversed(names))
    assert f"of this server ({own}); server {maker} made it" in answer.json()["error"]


def test_feedback_of_several_servers_is_read_together(make_client: MakeClient, tmp_path: Path) -> None:
    for name in "ab":
        client = make_client(feedback_dir=tmp_path / name, explore="epsilon:0.5")
        assert {score(client, one).status_code for one in routed(client, 20)} == {200}
    logs = rr.read_logs(tmp_path / "a", tmp_path / "b")
    assert (len(logs), logs.source) == (40, "a, b")
    assert read_feedback(tmp_path / "a", tmp_path / "b").n_records == 40
    places = [str(tmp_path / name) for name in "ab"]
    assert run(["off-policy", *places, "--router", "best_single", "--json", str(tmp_path / "out.json"), "--quiet"]) == 0
    assert json.loads((tmp_path / "out.json").read_text("utf8"))["dataset"]["n_instances"] == 40
    with pytest.raises(RecrouteError, match=r"logs .*a is given twice; give it once"):
        rr.read_logs(tmp_path / "a", tmp_path / "b" / ".." / "a")


def test_a_server_of_an_earlier_version_is_not_disturbed(make_client: MakeClient, tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as it does
        with pytest.raises(RecrouteError, match="a server of an earlier version keeps its feedback in"):
            make_client(feedback_dir=tmp_path)
    assert len(routed(make_client(feedback_dir=tmp_path), 1)) == 1


def test_a_log_goes_on_in_parts_and_all_of_them_are_read(make_client: MakeClient, tmp_path: Path) -> None:
    a = make_client(feedback_dir=tmp_path, rotate="2kB", explore="epsilon:0.5")
    b = make_client(feedback_dir=tmp_path, rotate="2kB", explore="epsilon:0.5")
    ids = [one for _ in range(12) for client in (a, b) for one in routed(client, 1)]
    assert [score(client, one).json()["duplicate"] for one in ids for client in (b, a)] == [False, True] * 24
    for name in ("decisions.jsonl", "records.jsonl"):
        found = parts(tmp_path, name)
        assert len(found) > 3
        for (start, path), (following, _) in pairwise(found):
            assert start + path.stat().st_size == following
            assert path.stat().st_size >= 2000
            assert path.read_bytes().endswith(b"\n")
    later = make_client(feedback_dir=tmp_path)  # as after a restart
    assert [score(later, one).json()["duplicate"] for one in ids] == [True] * 24
    assert read_feedback(tmp_path).n_records == len(rr.read_logs(tmp_path)) == 24


def test_decisions_of_a_part_that_was_moved_away_are_unknown(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(feedback_dir=tmp_path, rotate="2kB")
    ids = [routed(client, 1)[0] for _ in range(12)]
    (_, first), (start, _), *_ = parts(tmp_path, "decisions.jsonl")
    first.unlink()
    gone = [int(one.split("-")[1], 16) < start for one in ids]
    assert 0 < sum(gone) < 12
    for server in (client, make_client(feedback_dir=tmp_path)):
        assert [score(server, one).status_code for one in ids] == [404 if one else 200 for one in gone]
    assert routed(client, 1)[0] not in ids


def test_a_folder_of_an_earlier_version_goes_on_in_parts(make_client: MakeClient, tmp_path: Path) -> None:
    (tmp_path / "decisions.jsonl").write_text((OLD_FIRST + OLD_SECOND) * 9, "utf8")  # the first two can be found
    client = make_client(feedback_dir=tmp_path, rotate="2kB")
    new = routed(client, 1)
    assert len(parts(tmp_path, "decisions.jsonl")) == 2
    assert [score(client, one).status_code for one in [*OLD_IDS, *new]] == [200] * 3


def test_a_part_ends_with_its_day(tmp_path: Path) -> None:
    log = LineLog(tmp_path, "lines.jsonl", Rotation.parse("1d"))
    for _ in range(2):
        with log.locked():
            log.append(b"{}\n")
    assert len(parts(tmp_path, "lines.jsonl")) == 1
    os.utime(tmp_path / "lines.jsonl", times=(0, 0))
    with log.locked() as start:
        assert log.append(b"{}\n") == start == 6
    log.close()
    assert [path.stat().st_size for _, path in parts(tmp_path, "lines.jsonl")] == [6, 3]


def test_a_part_that_another_process_ended_is_not_written_to(tmp_path: Path) -> None:
    idle, busy = LineLog(tmp_path, "lines.jsonl"), LineLog(tmp_path, "lines.jsonl", Rotation.parse("1kB"))
    for i in range(30):
        with busy.locked():
            busy.append(json.dumps({"i": i, "x": "x" * 100}).encode() + b"\n")
    with busy.locked() as end, busy.path.open() as last, pytest.raises(BlockingIOError):
        fcntl.flock(last, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with idle.locked() as start:
        assert start == idle.append(b"{}\n") == end
    assert [json.loads(line).get("i") for _, line in busy.lines(0, start + 3)] == [*range(30), None]
    assert [at for at, _ in busy.lines(start, start + 3)] == [start]
    assert len(list(busy.lines(0, start))) == 30
    assert busy.read(start) == b"{}"
    for log in (idle, busy):
        log.close()


WRITE = """
import sys
from pathlib import Path
from recroute.serve.lines import LineLog, Rotation
log, me, n = LineLog(Path(sys.argv[1]), "lines.jsonl", Rotation.parse("100kB")), sys.argv[2], 0
while True:
    with log.locked() as start:
        log.append(b'{"me":"%s","n":%d,"at":%d,"x":"%s"}\\n' % (me.encode(), n, start, b"x" * 5000))
    print(n, flush=True)
    n += 1
"""


def test_nothing_is_torn_or_lost_when_writers_are_killed(tmp_path: Path) -> None:
    writers: list[Any] = []
    for i in range(2):
        command = [sys.executable, "-c", WRITE, str(tmp_path), str(i)]
        writers.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    acknowledged = {}
    for i, writer in enumerate(writers):
        for _ in range(40):
            writer.stdout.readline()
        writer.kill()
        acknowledged[i] = 40 + len(writer.communicate()[0].splitlines())
    with (parts(tmp_path, "lines.jsonl")[-1][1]).open("ab") as file:
        file.write(b'{"torn')
    log = LineLog(tmp_path, "lines.jsonl")
    with log.locked() as end:
        pass
    found = [(at, json.loads(line)) for at, line in log.lines(0, end)]
    log.close()
    assert [at for at, _ in found] == [line["at"] for _, line in found]
    for i, n in acknowledged.items():
        own = [line["n"] for _, line in found if line["me"] == str(i)]
        assert own == list(range(len(own)))
        assert n <= len(own) <= n + 1
    assert len(parts(tmp_path, "lines.jsonl")) > 3


@pytest.mark.parametrize("text", ["", "100", "0MB", "1.5MB", "-1d", "100mb", "1w", "1d 1MB", "9999999GB"])
def test_other_rotations_are_refused(make_client: MakeClient, tmp_path: Path, text: str) -> None:
    with pytest.raises(RecrouteError, match="is none of: none, a size in kB, MB or GB"):
        make_client(feedback_dir=tmp_path, rotate=text)
