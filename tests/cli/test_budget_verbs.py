"""Cost on the command line: frontier, --budget, --quality and --cost, and the line for each mistake."""

import json
from pathlib import Path

import polars as pl
import pytest

from recroute.cli.app import run
from recroute.data import write_dataset
from recroute.testing import planted_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("budget") / "planted"
    write_dataset(planted_dataset(costs=True), path)
    return path


@pytest.fixture(scope="module")
def router(folder: Path) -> Path:
    """Weighs cost; LLMs cost 1 or 2 USD per 1,000 prompts."""
    path = folder.parent / "router"
    assert run(["fit", str(folder), "--router", "knn", "--budget", "1.5", "--out", str(path), "--quiet"]) == 0
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("recroute: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_frontier_prints_tables_and_writes_json_page_and_picture(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = [f"--{kind}={tmp_path / f'f.{kind}'}" for kind in ("json", "html", "png", "csv")]
    assert run(["frontier", str(folder), "--router", "knn", "--router", "task_best", *outputs]) == 0
    shown = capsys.readouterr().out
    assert "what quality costs" in shown
    assert "AIQ: knn" in shown
    assert all((tmp_path / f"f.{kind}").stat().st_size for kind in ("html", "png", "csv"))
    result = json.loads((tmp_path / "f.json").read_text("utf8"))
    assert result["command"][0] == "recroute"
    assert result["dataset"]["cost_unit"] == "USD"
    assert {row["metric"] for row in result["rows"]} >= {"aiq", "cost_at_quality@95", "cost_at_quality@100"}
    assert {row["baseline"] for row in result["rows"] if "baseline" in row} >= {"zero", "best_single"}


def test_quiet_prints_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["frontier", str(folder), "--router", "task_best", "--quiet"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_fit_with_a_budget_says_what_to_expect(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["fit", str(folder), "--router", "knn", "--quality", "1.0", "--out", str(tmp_path / "r")]
    assert run([*arguments, "--json", str(tmp_path / "f.json")]) == 0
    assert "USD per 1,000, mean score" in capsys.readouterr().out
    facts = json.loads((tmp_path / "f.json").read_text("utf8"))
    assert facts["router"] == "budgeted"
    assert facts["hyperparameters"]["router"] == "knn"
    assert facts["expected"]["cost"] < 1.5
    assert facts["expected"]["score"] >= facts["expected"]["best_single"]


def test_route_takes_another_budget_by_the_saved_curve(router: Path, tmp_path: Path) -> None:
    costs = []
    for budget in ("1.05", "9"):
        out = tmp_path / f"{budget}.json"
        prompt = "translate the sentence number 5"
        assert run(["route", str(router), prompt, "--budget", budget, "--json", str(out), "--quiet"]) == 0
        (found,) = json.loads(out.read_text("utf8"))["routes"]
        costs += found["predicted_cost"]
        assert found["llms"][0] in ("llm-0", "llm-1", "llm-2", "llm-3", "llm-4", "llm-5")
    assert costs[0] < 0.0015


def test_evaluate_within_a_budget_spends_less(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "e.json"
    arguments = ["evaluate", str(folder), "--router", "knn", "--quality", "1.0", "--no-headroom"]
    assert run([*arguments, "--json", str(out)]) == 0
    assert "cost of" in capsys.readouterr().out
    rows = json.loads(out.read_text("utf8"))["rows"]
    spent = {row["router"]: row["value"] for row in rows if row["metric"] == "mean_cost"}
    assert spent["budgeted(router=knn,quality=1.0)"] < 0.8 * spent["knn"]


def test_a_column_that_a_person_names_is_the_cost(folder: Path, tmp_path: Path) -> None:
    records = pl.read_parquet(folder / "records.parquet").with_columns(seconds=pl.col("cost") * 2000)
    records.drop("cost").write_csv(tmp_path / "records.csv")
    out = tmp_path / "f.json"
    arguments = ["frontier", str(tmp_path / "records.csv"), "--router", "best_single", "--json", str(out), "--quiet"]
    assert run([*arguments, "--cost", "seconds"]) == 0
    result = json.loads(out.read_text("utf8"))
    assert result["dataset"]["cost_unit"] == "seconds"
    cheapest = min(row["value"] for row in result["rows"] if row["metric"] == "mean_cost")
    assert 1.8 < cheapest < 2.2


def test_mistakes_are_one_line(folder: Path, router: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit = ["fit", folder, "--router", "knn", "--out", tmp_path / "x"]
    line = refused(capsys, *fit, "--budget", "0.5")
    assert "a budget of 0.5 USD per 1,000 prompts is below the cheapest choice; set at least" in line
    assert not (tmp_path / "x").exists()
    assert "give only one of them" in refused(capsys, *fit, "--budget", "5", "--quality", "0.9")
    assert "set at least" in refused(capsys, "route", router, "a prompt", "--budget", "0.5")
    assert "column 'speed' is missing" in refused(capsys, "frontier", folder, "--cost", "speed")


def test_data_without_costs_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(planted_dataset(), tmp_path / "free")
    for arguments in (["frontier"], ["evaluate", "--budget", "2"], ["fit", "--budget", "2", "--out", tmp_path / "x"]):
        verb, *rest = arguments
        line = refused(capsys, verb, tmp_path / "free", "--router", "knn", *rest)
        assert "has no costs; add a column cost, or name one with --cost" in line


def test_a_router_fitted_without_a_budget_knows_none(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["fit", str(folder), "--router", "knn", "--out", str(tmp_path / "r"), "--quiet"]) == 0
    line = refused(capsys, "route", tmp_path / "r", "a prompt", "--budget", "2")
    assert "fit it again with --budget or --quality" in line


def test_route_compares_costs_with_a_reference(
    router: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = ["multiply the integers number 7", "compile the program number 7"]
    assert run(["route", str(router), *prompts, "--reference", "llm-4", "--json", str(tmp_path / "r.json")]) == 0
    routes = json.loads((tmp_path / "r.json").read_text("utf8"))["routes"]
    assert [route["reference"]["llm_id"] for route in routes] == ["llm-4"] * 2
    cost = sum(route["predicted_cost"][0] for route in routes)
    alone = sum(route["reference"]["predicted_cost"] for route in routes)
    shown = capsys.readouterr().out
    assert f"predicted cost of these prompts: {cost:.4g}, with llm-4 alone: {alone:.4g}" in shown
    assert "leave it out, or --tried" in refused(
        capsys, "route", router, "x", "--reference", "llm-4", "--tried", "llm-0=0"
    )
