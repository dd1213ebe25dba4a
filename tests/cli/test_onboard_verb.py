"""recroute onboard: from no answer to a router with the LLM in it, and every way to get it wrong."""

import csv
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.cli.app import run
from recroute.data import Dataset, write_dataset
from recroute.data.sources import simulate
from recroute.routers import load_router, make_router
from recroute.testing.planted import WORDS

NEW = "new [llm]"


@pytest.fixture(scope="module")
def world() -> Dataset:
    data = simulate(n_instances=120, n_llms=21, seed=1)
    prompts = [f'{prompt}\n"quoted", with a comma' for prompt in data.prompts or []]
    instances = data.instances.with_columns(prompt=pl.Series(prompts))
    names = [*data.llm_ids.ids[:20], NEW]
    return Dataset("world", data.interactions, instances, pl.DataFrame({"llm_id": names}))


@pytest.fixture(scope="module")
def router(world: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onboard") / "router"
    make_router("auto").fit(world.take_llms(np.arange(20))).save(path)
    return path


def answer(world: Dataset, anchors: Path, scored: Path) -> Path:
    """The file of anchors with a column score, as a person fills it in."""
    truth = dict(zip(world.instance_ids, world.interactions.dense()[:, 20].tolist(), strict=True))
    with anchors.open(newline="", encoding="utf8") as file:
        rows = list(csv.DictReader(file))
    table = pl.DataFrame(rows).with_columns(score=pl.Series([truth[row["instance_id"]] for row in rows]))
    table.write_csv(scored) if scored.suffix == ".csv" else table.write_ndjson(scored)
    return scored


def go(*arguments: object) -> int:
    return run(["onboard", *(str(argument) for argument in arguments)])


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert go(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("recroute: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_the_whole_way(world: Dataset, router: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    anchors, second, grown, facts = (tmp_path / name for name in ("a.csv", "b.csv", "grown", "facts.json"))
    assert go(router, "--llm", NEW, "--budget", 8, "--out", anchors, "--json", facts) == 0
    assert "after no prompt: expected mean score" in capsys.readouterr().out
    asked = pl.read_csv(anchors)
    assert asked.columns == ["instance_id", "prompt", "task"]
    first = json.loads(facts.read_text("utf8"))
    assert (asked["instance_id"].to_list(), first["strategy"]) == (first["anchors"], "batch")
    assert all('\n"quoted", with a comma' in prompt for prompt in asked["prompt"])

    scored = answer(world, anchors, tmp_path / "scored.csv")
    more = ("--results", scored, "--adaptive", "--budget", 8, "--out", second, "--json", facts)
    assert go(router, "--llm", NEW, *more) == 0
    assert json.loads(facts.read_text("utf8"))["strategy"] == "active"
    assert not set(pl.read_csv(second)["instance_id"]) & set(asked["instance_id"])
    capsys.readouterr()

    assert go(router, "--llm", NEW, "--results", scored, "--out", grown, "--json", facts) == 0
    printed = capsys.readouterr().out
    for part in (
        "after 8 of 120 prompts",
        "90% interval",
        "most similar",
        "of the training prompts",
        "16 more prompts",
    ):
        assert part in printed
    found = json.loads(facts.read_text("utf8"))
    assert found["ci_low"] < found["mean"] < found["ci_high"]
    assert found["next"]["interval_width"] < found["ci_high"] - found["ci_low"]
    assert [task["n_prompts"] for task in found["tasks"]] == np.unique(world.tasks, return_counts=True)[1].tolist()
    assert list(load_router(grown).llm_ids_) == list(world.llm_ids)
    assert run(["route", str(grown), "hello", "--llms", NEW, "--quiet"]) == 0

    assert go(grown, "--remove", NEW, "--out", tmp_path / "back") == 0
    assert "predicted mean score of the choices" in capsys.readouterr().out
    before, after = load_router(router), load_router(tmp_path / "back")
    np.testing.assert_array_equal(after.score(["a", "b"]), before.score(["a", "b"]))


def test_a_prior_is_learned_when_it_is_needed_or_asked_for(world: Dataset, router: Path, tmp_path: Path) -> None:
    before = {file.name: file.read_bytes() for file in router.iterdir()}
    assert "prior.npz" not in before
    assert go(router, "--llm", NEW, "--budget", 8, "--out", tmp_path / "a.csv", "--quiet") == 0
    scored = answer(world, tmp_path / "a.csv", tmp_path / "scored.csv")
    assert go(router, "--llm", NEW, "--results", scored, "--out", tmp_path / "grown", "--quiet") == 0
    assert (tmp_path / "grown" / "prior.npz").exists()
    assert {file.name: file.read_bytes() for file in router.iterdir()} == before  # what it reads it leaves as it is

    write_dataset(world, tmp_path / "data")
    fit = ["fit", str(tmp_path / "data"), "--prior", "--quiet", "--out", str(tmp_path / "router"), "--router"]
    assert run([*fit, "ridge"]) == 0
    assert (tmp_path / "router" / "prior.npz").exists()
    assert run([*fit, "linear"]) == 2
    assert load_router(tmp_path / "router").name == "ridge"


def test_a_jsonl_file_and_blank_scores_will_do(world: Dataset, router: Path, tmp_path: Path) -> None:
    assert go(router, "--llm", NEW, "--budget", 8, "--out", tmp_path / "a.csv", "--quiet") == 0
    scored = answer(world, tmp_path / "a.csv", tmp_path / "scored.jsonl")
    table = pl.read_ndjson(scored)
    some = table.with_columns(score=pl.Series([*table["score"][:6], None, None]))
    some.write_csv(tmp_path / "some.csv")
    for results, n in ((scored, 8), (tmp_path / "some.csv", 6)):
        arguments = ("--out", tmp_path / "grown", "--json", tmp_path / "facts.json", "--quiet")
        assert go(router, "--llm", NEW, "--results", results, *arguments) == 0
        assert json.loads((tmp_path / "facts.json").read_text("utf8"))["n_answers"] == n


def test_metadata_and_another_strategy(router: Path, tmp_path: Path) -> None:
    known = ("--family", "llama", "--n-params-b", 8, "--price-in", 0.1, "--price-out", 0.2, "--strategy", "random")
    for name in ("a.csv", "b.csv"):
        assert go(router, "--llm", NEW, "--budget", 3, "--out", tmp_path / name, "--seed", 5, "--quiet", *known) == 0
    assert (tmp_path / "a.csv").read_text("utf8") == (tmp_path / "b.csv").read_text("utf8")


def test_samples_of_lm_eval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    hashes = [f"{i:016x}" for i in range(60)]
    skill = rng.random(12)
    records = pl.DataFrame(
        [(f"quiz.{hashes[i]}", f"llm-{j}", float(rng.random() < skill[j])) for i in range(50) for j in range(12)],
        schema=["instance_id", "llm_id", "score"],
        orient="row",
    )
    instances = pl.DataFrame({"instance_id": [f"quiz.{h}" for h in hashes[:50]], "task": "quiz"}).with_columns(
        prompt=pl.Series([f"{WORDS[i % 3]} number {i}" for i in range(50)])
    )
    data = Dataset.from_records(records, instances=instances)
    make_router("svd").fit(data).save(tmp_path / "router")
    file = tmp_path / "my__model" / "samples_quiz_2025-01-01T00-00-00.000000.jsonl"
    file.parent.mkdir()
    rows = [
        {"doc_id": i, "doc_hash": hashes[i], "doc": {"question": f"question {i}"}, "filter": "none", "acc": i % 2}
        for i in range(40, 60)
    ]
    file.write_text("\n".join(json.dumps(row) for row in rows), "utf8")
    other = {"model_name": "another/model", "results": {"quiz": {"acc,none": 0.1}}}  # of another run: not asked
    (file.parent / "results_2025-02-02T00-00-00.000000.json").write_text(json.dumps(other), "utf8")
    facts = tmp_path / "facts.json"
    arguments = ("--llm", "my/model", "--results", file, "--out", tmp_path / "grown", "--json", facts)
    assert go(tmp_path / "router", *arguments) == 0
    assert "10 documents that the router was not fitted on were left out" in capsys.readouterr().out
    assert json.loads(facts.read_text("utf8"))["n_answers"] == 10


BAD = {
    "instance_id,score\nnone-such,1\n": "not training prompts of the router: 'none-such'",
    "instance_id,score\n{0},1\n{0},0\n": "occur twice",
    "instance_id,score\n{0},1.5\n": "outside",
    "instance_id,score\n{0},good\n": "not a number",
    "instance_id,score\n{0},\n": "has no scores",
    "instance_id,score\n": "has no scores",
    "": "empty file",
    "instance_id,prompt\n{0},what\n": "column 'score' is missing",
    "id,score\n{0},1\n": "column 'instance_id' is missing",
    "instance_id,llm_id,score\n{0},other,1\n": "no row of",
}


@pytest.mark.parametrize("content", BAD)
def test_bad_results_are_one_line(
    content: str, router: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = load_router(router).training_prompts["instance_id"][0]
    (tmp_path / "bad.csv").write_text(content.format(first), "utf8")
    line = refused(capsys, router, "--llm", NEW, "--results", tmp_path / "bad.csv", "--out", tmp_path / "grown")
    assert BAD[content] in line
    assert not (tmp_path / "grown").exists()


def test_bad_usage_is_one_line(router: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, new = ("--out", tmp_path / "out.csv"), ("--llm", NEW)
    scored = tmp_path / "scored.csv"
    scored.write_text("instance_id,score\n", "utf8")
    known = load_router(router).llm_ids_.ids[0]
    for arguments, part in (
        ((*new, "--budget", 500), "500 anchors cannot be chosen from the 120"),
        (("--llm", known, "--budget", 4), "the router already has"),
        ((*new, "--budget", 4, "--strategy", "activ"), "did you mean 'active'"),
        ((*new,), "--budget"),
        (("--budget", 4), "--llm"),
        ((*new, "--remove", known), "either"),
        (("--remove", known, "--budget", 4), "leave out --budget"),
        (("--remove", "none such"), "unknown llm"),
        ((*new, "--budget", 4, "--adaptive"), "--results"),
        ((*new, "--budget", 4, "--results", scored), "--adaptive"),
        ((*new, "--results", tmp_path / "none.csv"), "no file at"),
    ):
        assert part in refused(capsys, router, *arguments, *out)
    assert "is a folder" in refused(capsys, router, *new, "--budget", 4, "--out", tmp_path)
    assert "was not written by recroute" in refused(capsys, router, "--remove", known, "--out", tmp_path)
    assert "no router at" in refused(capsys, tmp_path / "none", *new, "--budget", 4, *out)
    assert not (tmp_path / "out.csv").exists()
