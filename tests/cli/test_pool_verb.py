"""recroute pool: files, tables, and one line for every mistake."""

import json
from pathlib import Path

import polars as pl
import pytest

from recroute.cli.app import run
from recroute.data import read_dataset, write_dataset
from recroute.data.sources import simulate
from recroute.splits import split_dataset
from recroute.testing import planted_dataset

ROUTER = ["--router", "task_best"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pool") / "planted"
    write_dataset(planted_dataset(), path)
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run(["pool", *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("recroute: ")
    assert error.count("\n") == 1
    return error


def test_pool_writes_all_its_files_and_a_data_set_to_go_on_with(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {kind: tmp_path / f"pool.{kind}" for kind in ("json", "html", "png", "csv")}
    options = [text for kind, path in files.items() for text in (f"--{kind}", str(path))]
    out = tmp_path / "chosen"
    assert run(["pool", str(folder), "--size", "3", "--keep", "llm-4", *ROUTER, "--out", str(out), *options]) == 0
    printed = capsys.readouterr().out
    assert "where the prompts go" in printed
    assert "of what task_best" in printed
    result = json.loads(files["json"].read_text("utf8"))
    assert result["llms"][0] == "llm-4"
    assert {"router", "group", "pool_size", "seed", "metric", "value", "ci_low", "ci_high", "n_instances"} <= set(
        result["rows"][0]
    )
    assert run(["report", str(files["json"]), "--html", str(tmp_path / "report.html")]) == 2
    assert "write its report with recroute pool --html" in capsys.readouterr().err
    page = files["html"].read_text("utf8")
    assert "<svg" in page
    assert not [address for address in ("http://", "https://", "src=") if address in page.split("</style>")[1]]
    assert files["png"].read_bytes().startswith(b"\x89PNG")
    assert files["csv"].read_text("utf8").startswith("router,group,baseline,pool_size")
    whole, chosen = read_dataset(folder), read_dataset(out)
    assert list(chosen.llm_ids.ids) == result["llms"]
    test, of_whole = (split_dataset(data, seed=3).test.instance_ids.ids for data in (chosen, whole))
    assert test == of_whole  # the same seed leaves the same prompts out
    assert run(["fit", str(out), *ROUTER, "--out", str(tmp_path / "router"), "--quiet"]) == 0


def test_a_budget_is_in_the_cost_that_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planted = planted_dataset()
    write_dataset(planted, tmp_path / "timed")
    records = pl.read_parquet(tmp_path / "timed" / "records.parquet")
    slow = pl.col("llm_id").is_in(["llm-0", "llm-1"])
    records.with_columns(latency_s=pl.when(slow).then(9.0).otherwise(1.0)).write_parquet(
        tmp_path / "timed" / "records.parquet"
    )
    options = ["--cost", "latency_s", "--budget", "2000", "--json", str(tmp_path / "pool.json"), "--quiet"]
    assert run(["pool", str(tmp_path / "timed"), "--size", "3", *ROUTER, *options]) == 0
    assert not {"llm-0", "llm-1"} & set(json.loads((tmp_path / "pool.json").read_text("utf8"))["llms"])
    error = refused(capsys, tmp_path / "timed", *ROUTER, "--keep", "llm-0", *options)
    assert "costs 9000 latency_s per 1,000 prompts" in error


def test_simulated_data_are_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(simulate(n_llms=5, n_instances=80), tmp_path / "sim")
    assert run(["pool", str(tmp_path / "sim"), "--size", "2", "--router", "task_best", "--objective", "oracle"]) == 0
    assert "SIMULATED DATA" in capsys.readouterr().out


def test_mistakes_are_one_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "has no costs; add a column cost" in refused(capsys, folder, *ROUTER, "--budget", "3")
    assert "unknown llm 'gpt'" in refused(capsys, folder, *ROUTER, "--keep", "gpt")
    assert "size 7 is more than the 6 LLMs" in refused(capsys, folder, *ROUTER, "--size", "7")
    assert "did you mean 'oracle'" in refused(capsys, folder, *ROUTER, "--objective", "orakel")
    assert "did you mean 'auto'" in refused(capsys, folder, "--router", "autoo")
    assert "--size" in refused(capsys, folder, "--size", "0")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    assert "name another place" in refused(capsys, folder, *ROUTER, "--out", tmp_path / "mine")
