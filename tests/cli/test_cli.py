"""The command line as a person and a program see it: output, exit codes, one line for every mistake."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.cli.app import run
from recroute.data import read_dataset, write_dataset
from recroute.data.sources import simulate
from recroute.testing import planted_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "planted"
    write_dataset(planted_dataset(), path)
    return path


@pytest.fixture(scope="module")
def router(folder: Path) -> Path:
    path = folder.parent / "router"
    assert run(["fit", str(folder), "--router", "svd", "--out", str(path), "--quiet"]) == 0
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that the command prints when it exits with 2."""
    assert run([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("recroute: ")
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    return captured.err


def test_a_saved_router_routes_a_raw_prompt_in_a_new_process(router: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from recroute.cli import main; main()", "route", str(router)]
    result = subprocess.run(
        [*command, "translate the sentence number 5", "--top-k", "2", "--json", str(tmp_path / "r.json")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "llm-1" in result.stdout
    (route,) = json.loads((tmp_path / "r.json").read_text("utf8"))["routes"]
    assert set(route["llms"]) == {"llm-1", "llm-4"}


def test_route_explains_its_choice(router: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["translate the sentence [red]number 5", "--top-k", "2", "--explain", "--json", tmp_path / "r.json"]
    assert run(["route", str(router), *map(str, arguments)]) == 0
    shown = capsys.readouterr().out
    assert "predicted task: translate" in shown
    assert "[red]number 5" in shown
    assert "translate the sentence number" in shown
    (route,) = json.loads((tmp_path / "r.json").read_text("utf8"))["routes"]
    explanation = route["explanation"]
    assert [llm["llm_id"] for llm in explanation["llms"]] == route["llms"]
    assert len(explanation["neighbors"]) == 5
    assert set(explanation["neighbors"][0]["scores"]) == {"llm-1", "llm-4"}


def test_route_reads_files_and_restricts_the_pool(router: Path, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt": "compile the program\u2028now"}\n{"prompt": "multiply"}\n', "utf8")
    arguments = ["--input", tmp_path / "p.jsonl", "--llms", "llm-1,llm-3", "--json", tmp_path / "r.json", "--quiet"]
    assert run(["route", str(router), *map(str, arguments)]) == 0
    routes = json.loads((tmp_path / "r.json").read_text("utf8"))["routes"]
    assert len(routes) == 2
    assert {name for route in routes for name in route["llms"]} <= {"llm-1", "llm-3"}


def test_evaluate_and_scale_write_json_and_print_tables(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--router", "svd", "--json", str(tmp_path / "f.json")]
    assert run(["evaluate", str(folder), *common]) == 0
    assert "best_single" in capsys.readouterr().out
    assert (
        run(
            [
                "scale",
                str(folder),
                *common,
                "--pool-sizes",
                "2,4",
                "--groups",
                "nested",
                "--png",
                str(tmp_path / "g.png"),
            ]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert "m = 4" in out
    assert max(map(len, out.splitlines())) <= 100
    assert {row["pool_size"] for row in json.loads((tmp_path / "f.json").read_text("utf8"))["rows"]} == {
        2,
        4,
        None,
    }
    assert (tmp_path / "g.png").stat().st_size > 10_000


def test_scale_on_own_pools(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = planted_dataset()
    groups = {"all_strong": [1, 2, 3, 4, 5], "all_weak": [0, 1, 2, 3, 4], "strong_to_weak": [0, 2, 3, 4, 5]}
    members = [("arc", group, 5, f"llm-{i}") for group, index in groups.items() for i in index]
    pools = pl.DataFrame(members, schema=["benchmark", "group", "pool_size", "llm_id"], orient="row")
    named = data.instances.with_columns(pl.lit("arc").alias("benchmark"))
    write_dataset(dataclasses.replace(data, instances=named, pools=pools), tmp_path / "arc")
    common = ["--router", "svd", "--groups", "own", "--json", str(tmp_path / "f.json")]
    assert run(["scale", str(tmp_path / "arc"), *common, "--benchmark", "arc"]) == 0
    out = capsys.readouterr().out
    assert "V_B published for arc" in out
    assert "pools came with the data" in out
    result = json.loads((tmp_path / "f.json").read_text("utf8"))
    assert {row["group"] for row in result["rows"]} == {*groups, "mean"}
    assert result["published"]["benchmark"] == "arc"


def test_fit_writes_what_it_fitted_as_json(folder: Path, tmp_path: Path) -> None:
    places = ["--out", str(tmp_path / "r"), "--json", str(tmp_path / "f.json")]
    assert run(["fit", str(folder), "--router", "svd", "--set", "n_factors=2", *places]) == 0
    facts = json.loads((tmp_path / "f.json").read_text("utf8"))
    assert facts["hyperparameters"]["n_factors"] == 2
    assert (facts["router"], facts["n_train"], facts["n_llms"]) == ("svd", 192, 6)


def test_quiet_prints_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", str(folder), "--router", "best_single", "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_describe_and_routers(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "describe", str(folder), "--json", str(tmp_path / "d.json")]) == 0
    facts = json.loads((tmp_path / "d.json").read_text("utf8"))
    assert (facts["n_llms"], facts["n_instances"], facts["density"]) == (6, 240, 1.0)
    assert run(["routers", "--json", str(tmp_path / "r.json")]) == 0
    assert {entry["name"] for entry in json.loads((tmp_path / "r.json").read_text("utf8"))["routers"]} >= {
        "svd",
        "als",
        "knn",
    }
    assert "translate" in capsys.readouterr().out


def test_demo_tells_the_whole_story(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--out", str(tmp_path / "demo"), "--json", str(tmp_path / "demo.json")]) == 0
    out = capsys.readouterr().out
    assert out.count("SIMULATED") >= 2
    assert "pool size m" in out
    assert (tmp_path / "demo" / "growth.png").read_bytes().startswith(b"\x89PNG")
    assert run(["route", str(tmp_path / "demo" / "router"), "Translate the sign at the quay", "--quiet"]) == 0
    assert json.loads((tmp_path / "demo.json").read_text("utf8"))["dataset"]["simulated"] is True
    table = ["data", "import", "table", str(tmp_path / "demo" / "simulated_scores.csv"), str(tmp_path / "mine")]
    assert run([*table, "--quiet"]) == 0
    mine, made = read_dataset(tmp_path / "mine"), read_dataset(tmp_path / "demo" / "dataset")
    made = made.take_instances(made.instance_ids.to_index(list(mine.instance_ids)))
    made = made.take_llms(made.llm_ids.to_index(list(mine.llm_ids)))
    np.testing.assert_array_equal(mine.interactions.dense(), made.interactions.dense())
    assert mine.prompts == made.prompts


def test_llms_of_a_log_are_named_by_the_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for step in ("step1", "step2"):
        folder = tmp_path / "out" / step / "lab__tiny"
        folder.mkdir(parents=True)
        row = {"doc_id": 0, "doc": {"question": "Why?"}, "acc": 1.0}
        (folder / "samples_sums_2025-01-01T00-00-00.1.jsonl").write_text(json.dumps(row), "utf8")
    importing = ["data", "import", "lm-eval", str(tmp_path / "out"), str(tmp_path / "mine")]
    assert run(importing) == 2
    assert "name them by their folders with --name-by folder" in capsys.readouterr().err.replace("\n", " ")
    assert run([*importing, "--name-by", "folder", "--quiet"]) == 0
    assert list(read_dataset(tmp_path / "mine").llm_ids) == ["step1/lab/tiny", "step2/lab/tiny"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"instance_id": ["a"], "llm_id": ["x"]}, "column 'score' is missing"),
        ({"instance_id": ["a"], "llm_id": ["x"], "score": [1.7]}, "score 1.7 for instance 'a', llm 'x'"),
        ({"instance_id": ["a"], "llm_id": ["x"], "score": [float("nan")]}, "bad.parquet holds no score"),
        ({"instance_id": ["a"], "llm_id": ["x"], "score": [float("inf")]}, "score inf"),
        ({"instance_id": ["a", "a"], "llm_id": ["x", "x"], "score": [1.0, 0.0]}, "occur twice"),
        ({"instance_id": [7.5], "llm_id": ["x"], "score": [1.0]}, "instance_id 7.5 in bad.parquet is neither text"),
    ],
)
def test_bad_records_are_one_line(
    table: dict[str, list[object]], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pl.DataFrame(table).write_parquet(tmp_path / "bad.parquet")
    assert message in refused(
        capsys, "evaluate", tmp_path / "bad.parquet", "--router", "best_single", "--json", tmp_path / "o"
    )
    assert message in refused(
        capsys, "fit", tmp_path / "bad.parquet", "--router", "best_single", "--out", tmp_path / "r"
    )
    assert sorted(os.listdir(tmp_path)) == ["bad.parquet"]


def test_damaged_files_are_one_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.csv").touch()
    assert "empty file" in refused(capsys, "data", "describe", tmp_path / "empty.csv")
    cut = (folder / "records.parquet").read_bytes()[:-50]
    (tmp_path / "cut.parquet").write_bytes(cut)
    assert "cannot be read as parquet" in refused(capsys, "data", "describe", tmp_path / "cut.parquet")
    assert "no data set at" in refused(capsys, "data", "describe", tmp_path / "nowhere")


def test_a_damaged_router_is_one_line(router: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in router.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "arrays.npz").write_bytes(b"nonsense")
    assert "damaged" in refused(capsys, "route", copy, "a prompt")
    assert "no router at" in refused(capsys, "route", tmp_path / "nowhere", "a prompt")


def test_usage_errors_are_one_line(
    folder: Path, router: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "did you mean 'svd'" in refused(capsys, "evaluate", folder, "--router", "sdv")
    assert "between 1 and 6" in refused(capsys, "route", router, "a prompt", "--top-k", "7")
    assert "unknown llm 'gpt'" in refused(capsys, "route", router, "a prompt", "--llms", "gpt")
    assert "no prompt" in refused(capsys, "route", router)
    assert "--pool-sizes" in refused(capsys, "scale", folder, "--router", "svd", "--pool-sizes", "3,x")
    assert "did you mean 'nested'" in refused(capsys, "scale", folder, "--router", "svd", "--groups", "nestd")
    assert "did you mean 'own'" in refused(capsys, "scale", folder, "--router", "svd", "--groups", "owm")
    assert "has no pools" in refused(capsys, "scale", folder, "--router", "svd", "--groups", "own")
    assert "unknown benchmark 'arc'" in refused(capsys, "scale", folder, "--router", "svd", "--benchmark", "arc")
    assert "known: train, all" in refused(capsys, "scale", folder, "--router", "svd", "--pool-basis", "test")
    assert "name=value" in refused(capsys, "fit", folder, "--router", "svd", "--set", "3", "--out", tmp_path / "r")
    assert "does not exist" in refused(capsys, "evaluate", folder, "--router", "svd", "--json", tmp_path / "no" / "f")
    assert "No such option" in refused(capsys, "evaluate", folder, "--rooter", "svd")
    assert "No such command" in refused(capsys, "evalute")


def test_an_interrupt_ends_with_130(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("recroute.cli.experiment.read_data", interrupt)
    assert run(["evaluate", str(folder), "--router", "svd"]) == 130
    assert capsys.readouterr().err == "recroute: interrupted\n"


def test_simulated_data_are_marked_when_fitted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(simulate(n_llms=5, n_instances=80), tmp_path / "sim")
    assert run(["fit", str(tmp_path / "sim"), "--router", "best_single", "--out", str(tmp_path / "r")]) == 0
    assert "SIMULATED DATA" in capsys.readouterr().out


def test_tasks_are_held_out_from_the_command_line(folder: Path, tmp_path: Path) -> None:
    arguments = ["--router", "best_single", "--holdout", "task", "--no-headroom", "--json", str(tmp_path / "r.json")]
    assert run(["evaluate", str(folder), *arguments, "--quiet"]) == 0
    result = json.loads((tmp_path / "r.json").read_text("utf8"))
    groups = {row["group"] for row in result["rows"]}
    assert groups == {"task compile", "task multiply", "task translate", "mean"}
    assert result["dataset"]["split"] == "holdout task"
    assert result["headroom"] is None


def test_what_cannot_be_held_out_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, "evaluate", folder, "--router", "svd", "--holdout", "benchmark")
    refused(capsys, "scale", folder, "--router", "svd", "--holdout", "task", "--split", "random")
    refused(capsys, "evaluate", folder, "--router", "svd", "--shuffle", "score")


def test_a_group_of_verbs_alone_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data"]) == 0
    shown = capsys.readouterr().out
    assert run(["data", "--help"]) == 0
    assert capsys.readouterr().out == shown
    assert "doctor" in shown
