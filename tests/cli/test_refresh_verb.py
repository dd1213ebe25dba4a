"""recroute refresh: from a feedback folder to a router that has learned from it."""

import json
from pathlib import Path

import numpy as np
import pytest

from recroute.cli.app import run
from recroute.data import Dataset
from recroute.routers import load_router, make_router
from recroute.testing import planted_dataset


@pytest.fixture(scope="module")
def world() -> Dataset:
    return planted_dataset(n_instances=240)


@pytest.fixture
def router(world: Dataset, tmp_path: Path) -> Path:
    make_router("svd").fit(world.take_instances(np.arange(0, 120))).save(tmp_path / "router")
    return tmp_path / "router"


@pytest.fixture
def feedback(world: Dataset, router: Path, tmp_path: Path) -> Path:
    """The router's own choices, of which one LLM always fails."""
    later, fitted = world.take_instances(np.arange(120, 240)), load_router(router)
    names = [names[0] for names in fitted.rank(later).names]
    scores = later.interactions.dense()[np.arange(120), later.llm_ids.to_index(names)]
    folder = tmp_path / "feedback"
    folder.mkdir()
    with (folder / "records.jsonl").open("w", encoding="utf8") as file:
        for i, (name, prompt) in enumerate(zip(names, later.prompts or [], strict=True)):
            score = 0.0 if name == names[0] else float(scores[i])
            row = {"instance_id": f"p{i}", "llm_id": name, "score": score, "propensity": None, "decision_id": f"d{i}"}
            file.write(json.dumps({**row, "prompt": prompt}) + "\n")
        file.write('{"instance_id": "torn')
    return folder


def go(*arguments: object) -> int:
    return run(["refresh", *(str(argument) for argument in arguments)])


def test_the_router_is_replaced_and_the_table_shows_the_drift(
    router: Path, feedback: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load_router(router)
    assert go(router, "--records", feedback, "--json", tmp_path / "facts.json") == 0
    shown = capsys.readouterr().out
    assert "120 scores and 0 preferences" in shown
    assert "the last line is torn" in shown
    facts = json.loads((tmp_path / "facts.json").read_text("utf8"))
    assert facts["router"] == load_router(router).label != before.label
    assert facts["n_records"] == sum(row["n_answers"] for row in facts["llms"]) == 120
    assert facts["choices_changed"] > 0.1
    drifted = min(facts["llms"], key=lambda row: row["observed"])
    assert drifted["observed"] == 0
    assert drifted["ci_high"] < drifted["predicted"]
    assert drifted["refreshed"] < drifted["predicted"]


def test_the_same_feedback_again_changes_nothing(
    router: Path, feedback: Path, world: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert go(router, "--records", feedback, "--out", tmp_path / "new") == 0
    assert load_router(router).name == "svd"  # with --out the old one stays
    once = load_router(tmp_path / "new").score(world)
    capsys.readouterr()
    assert go(tmp_path / "new", "--records", feedback, "--json", tmp_path / "facts.json") == 0
    assert "nothing new" in capsys.readouterr().out
    assert json.loads((tmp_path / "facts.json").read_text("utf8"))["n_records"] == 0
    np.testing.assert_array_equal(load_router(tmp_path / "new").score(world), once)


def test_the_folders_of_several_servers_are_taken_in_together(
    router: Path, feedback: Path, world: Dataset, tmp_path: Path
) -> None:
    rows = (feedback / "records.jsonl").read_text("utf8").splitlines(keepends=True)[:120]
    parts = [tmp_path / "a", tmp_path / "b"]
    for part, lines in zip(parts, (rows[:50], rows[50:]), strict=True):
        part.mkdir()
        (part / "records.jsonl").write_text("".join(lines), "utf8")
    assert go(router, "--records", feedback, "--out", tmp_path / "of one") == 0
    several = ["--records", parts[0], "--records", parts[1]]
    assert go(router, *several, "--out", tmp_path / "of both", "--json", tmp_path / "facts.json") == 0
    assert json.loads((tmp_path / "facts.json").read_text("utf8"))["n_records"] == 120
    of_one, of_both = (load_router(tmp_path / name).score(world) for name in ("of one", "of both"))
    np.testing.assert_array_equal(of_both, of_one)


def test_bad_feedback_is_one_line_and_the_router_stays(
    router: Path, feedback: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {file.name: file.read_bytes() for file in router.iterdir()}
    with (feedback / "records.jsonl").open("a", encoding="utf8") as file:
        file.write('"}\n' + json.dumps({"instance_id": "x", "llm_id": "unheard of", "score": 1}) + "\n")
    assert go(router, "--records", feedback) == 2
    file_of_one = tmp_path / "one.jsonl"
    file_of_one.write_text(
        json.dumps({"instance_id": "x", "llm_id": "unheard of", "score": 1, "prompt": "hi"}) + "\n",
        "utf8",
    )
    assert go(router, "--records", file_of_one) == 2
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 2
    assert "'unheard of'" in shown[1]
    assert "recroute onboard" in shown[1]
    assert {file.name: file.read_bytes() for file in router.iterdir()} == before
    assert not list(tmp_path.glob(".router*"))
