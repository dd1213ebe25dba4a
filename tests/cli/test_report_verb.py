"""recroute report, and the run folder that evaluate and scale write."""

import json
from pathlib import Path

import polars as pl
import pytest

from recroute.cli.app import run
from recroute.data import write_dataset
from recroute.data.sources import simulate
from recroute.testing import planted_dataset


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs on one data set and one on another, as `--out` writes them."""
    place = tmp_path_factory.mktemp("report")
    write_dataset(planted_dataset(), place / "planted")
    write_dataset(simulate(n_llms=5, n_instances=80), place / "other")
    for name, data, router in (("one", "planted", "svd"), ("two", "planted", "ridge"), ("three", "other", "svd")):
        arguments = ["--router", router, "--out", str(place / name), "--quiet"]
        assert run(["evaluate", str(place / data), *arguments]) == 0
    return place


def test_a_run_folder_holds_what_was_asked_and_where_the_data_come_from(runs: Path) -> None:
    assert {file.name for file in (runs / "one").iterdir()} == {
        "choices.parquet",
        "config.json",
        "environment.json",
        "result.json",
    }
    options = json.loads((runs / "one" / "config.json").read_text("utf8"))["options"]
    assert (options["router"], options["baseline"], options["seed"]) == (["svd"], "best_single", 0)
    assert (
        len(json.loads((runs / "one" / "result.json").read_text("utf8"))["dataset"]["sha256"]["records.parquet"]) == 64
    )
    assert pl.read_parquet(runs / "one" / "choices.parquet").height > 0


def test_one_run_and_two_runs_become_a_page(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = ["--html", tmp_path / "r.html", "--png", tmp_path / "r.png", "--csv", tmp_path / "r.csv"]
    assert run(["report", *map(str, [runs / "one", runs / "two", *places])]) == 0
    assert "ridge" in capsys.readouterr().out
    assert ">ridge<" in (tmp_path / "r.html").read_text("utf8")
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    assert {"svd", "ridge"} <= set(pl.read_csv(tmp_path / "r.csv")["router"])
    assert run(["report", str(runs / "one" / "result.json"), "--html", str(tmp_path / "one.html"), "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert ">ridge<" not in (tmp_path / "one.html").read_text("utf8")


def test_runs_on_other_data_are_refused_in_one_line(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    html = tmp_path / "r.html"
    for arguments, message in (
        ([runs / "one", runs / "three", "--html", html], "one and three cannot be compared"),
        ([runs / "one", runs / "one", "--html", html], "named twice"),
        ([runs / "nowhere", "--html", html], "no run at"),
        ([runs / "one", "--html", tmp_path / "no" / "r.html"], "does not exist"),
        ([runs / "one"], "--html"),
    ):
        assert run(["report", *map(str, arguments)]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not html.exists()


def test_scale_writes_a_page_beside_its_tables(runs: Path, tmp_path: Path) -> None:
    sizes = ["--pool-sizes", "2,4", "--groups", "nested", "--quiet"]
    places = ["--html", str(tmp_path / "r.html"), "--csv", str(tmp_path / "r.csv")]
    assert run(["scale", str(runs / "planted"), "--router", "svd", *sizes, *places]) == 0
    assert "As the pool grows" in (tmp_path / "r.html").read_text("utf8")
    assert pl.read_csv(tmp_path / "r.csv").height > 0


def test_a_place_that_is_no_run_is_refused_before_the_work(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", str(runs / "planted"), "--router", "svd", "--out", str(runs / "other")]) == 2
    assert "was not written by recroute" in capsys.readouterr().err
