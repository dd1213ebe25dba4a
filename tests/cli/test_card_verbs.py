"""CARD.md beside every router that a verb writes, and nobody reads it but people."""

import json
from pathlib import Path

import pytest

from recroute.cli.app import run
from recroute.data import write_dataset
from recroute.data.sources import simulate
from recroute.evaluation.run import evaluate
from recroute.routers import load_router


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set, and a router fitted on it."""
    path = tmp_path_factory.mktemp("card")
    write_dataset(simulate(n_instances=150, n_llms=8, seed=1), path / "data")
    fit = ["fit", str(path / "data"), "--router", "svd", "--seed", "2", "--out", str(path / "router"), "--quiet"]
    assert run(fit) == 0
    return path


def test_fit_writes_the_figures_that_evaluate_gives(fitted: Path) -> None:
    card = (fitted / "router" / "CARD.md").read_text(encoding="utf8")
    found = evaluate(simulate(n_instances=150, n_llms=8, seed=1), ["svd"], encoder="tfidf", seeds=[2])
    row = found.rows.filter(router="svd", metric="mean_score").row(0, named=True)
    assert f"**this router**, svd | {row['value']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}]" in card
    assert "SIMULATED DATA" in card


def test_route_works_with_any_card_or_none(fitted: Path, tmp_path: Path) -> None:
    card = fitted / "router" / "CARD.md"
    written = card.read_bytes()
    told = []
    for content in (written, b"\xff\xfe edited", None):
        card.unlink(missing_ok=True)
        if content is not None:
            card.write_bytes(content)
        route = ["route", str(fitted / "router"), "Translate the sign", "--json", str(tmp_path / "r.json"), "--quiet"]
        assert run(route) == 0
        told.append(json.loads((tmp_path / "r.json").read_text("utf8")))
    card.write_bytes(written)
    assert told[0] == told[1] == told[2]


def test_onboard_says_what_changed_since_it_was_measured(fitted: Path, tmp_path: Path) -> None:
    router = load_router(fitted / "router")
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    answers = tmp_path / "answers.csv"
    ids = router.training_prompts["instance_id"].to_list()[:3]
    answers.write_text("instance_id,score\n" + "".join(f"{name},1\n" for name in ids), "utf8")
    quiet = ["--quiet", "--out"]
    assert run(["onboard", str(fitted / "router"), "--llm", "new", "--results", str(answers), *quiet, str(one)]) == 0
    assert run(["onboard", str(one), "--remove", router.llm_ids_.ids[0], *quiet, str(two)]) == 0
    old = (fitted / "router" / "CARD.md").read_text(encoding="utf8")
    card = (two / "CARD.md").read_text(encoding="utf8")
    assert card.endswith(old)
    assert card.index(f"LLM {router.llm_ids_.ids[0]} was taken out") < card.index(
        "LLM new was taken in, from 3 answers"
    )
    assert card.index("LLM new was taken in") < card.index("# Router card")
    (two / "CARD.md").unlink()
    assert run(["onboard", str(two), "--remove", "new", *quiet, str(three)]) == 0
    assert not (three / "CARD.md").exists()
    assert load_router(three).llm_ids_.ids == router.llm_ids_.ids[1:]


def test_tune_writes_how_the_router_was_chosen(fitted: Path, tmp_path: Path) -> None:
    search = ["--router", "knn", "--trials", "1", "--folds", "2", "--pool-sizes", "3", "--groups", "nested"]
    assert run(["tune", str(fitted / "data"), "--out", str(tmp_path / "study"), *search, "--quiet"]) == 0
    card = (tmp_path / "study" / "router" / "CARD.md").read_text(encoding="utf8")
    assert "knn is the best of 1 trials judged on all folds" in card
    assert "**this router**, knn |" in card
