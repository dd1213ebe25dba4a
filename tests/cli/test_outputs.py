"""Where results go: standard output is a file like another, files come before the screen, and no input is lost."""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recroute.cli.app import run
from recroute.data import Dataset, write_dataset
from recroute.routers import make_router
from recroute.testing import planted_dataset

Refused = Callable[..., str]


def strict(text: str) -> Any:
    """JSON without NaN and Infinity, which no other language reads."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in {text[:200]}")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return planted_dataset(costs=True)


@pytest.fixture
def folder(data: Dataset, tmp_path: Path) -> Path:
    write_dataset(data, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def router(data: Dataset, tmp_path: Path) -> Path:
    make_router("svd", n_factors=2).fit(data).save(tmp_path / "router")
    return tmp_path / "router"


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Refused:
    """The one line of a command that exits with 2 and changes nothing; it runs in the temporary folder."""
    monkeypatch.chdir(tmp_path)

    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def run_refused(line: str) -> str:
        before = contents()
        assert run(line.split()) == 2
        assert contents() == before
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        return captured.err

    return run_refused


VERBS = (
    "data describe data",
    "data doctor data",
    "data import table table.csv new",
    "routers",
    "env",
    "fit data --router svd --out new",
    "route router größe日本 --explain",
    "onboard router --llm näher --budget 2 --out anchors.csv",
    "onboard router --llm näher --results answers.csv --out new",
    "onboard router --remove llm-1 --out new",
    "refresh router --records more.csv --out new",
    "evaluate data --router best_single --html e.html --csv e.csv",
    "scale data --router best_single --pool-sizes 2,3 --groups nested",
    "scale data --router best_single --pool-sizes 3 --groups nested --train-fractions .5,1",
    "frontier data --router best_single",
    "pool data --router best_single --size 2 --out new",
    "coldstart data --router best_single --anchors 0,2 --seeds 1 --pool-size 3",
    "cascade data --router best_single --attempts 1,2",
    "route router größe日本 --tried llm-1=0",
    "off-policy logs.csv --router best_single --dataset data",
)


def write_tables(data: Dataset, folder: Path) -> None:
    ids = data.instance_ids.ids
    records = pl.DataFrame({"instance_id": ids, "llm_id": "llm-1", "score": 1.0})
    records.write_csv(folder / "table.csv")
    records.with_columns(propensity=0.5).write_csv(folder / "logs.csv")
    records.head(9).select("instance_id", "score").write_csv(folder / "answers.csv")
    records.with_columns(prompt=pl.Series(data.prompts)).write_csv(folder / "more.csv")


@pytest.mark.parametrize("line", VERBS)
def test_a_stream_without_our_signs_loses_nothing(
    data: Dataset,
    folder: Path,
    router: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
) -> None:
    write_tables(data, tmp_path)
    monkeypatch.chdir(tmp_path)
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="ascii"))
    assert run([*line.split(), "--json", "result.json"]) == 0
    assert strict((tmp_path / "result.json").read_text(encoding="utf8"))
    assert printed.getvalue().decode("ascii").strip()


@pytest.mark.parametrize("line", [VERBS[0], VERBS[3], VERBS[6], VERBS[11]])
def test_json_to_standard_output_stands_there_alone(
    folder: Path,
    router: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([*line.split(), "--json", "-"]) == 0
    captured = capsys.readouterr()
    assert strict(captured.out)
    assert captured.err.strip()  # what a person reads
    assert not (tmp_path / "-").exists()


def test_a_table_to_standard_output_stands_there_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", str(folder), "--router", "best_single", "--csv", "-"]) == 0
    table = pl.read_csv(io.StringIO(capsys.readouterr().out))
    assert {"router", "metric", "value"} <= set(table.columns)


def test_links_and_pipes_are_written_to(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("old", "utf8")
    (tmp_path / "link.json").symlink_to("old.json")
    (tmp_path / "link").symlink_to("made")
    for _ in range(2):  # made, and replaced
        places = ["--out", str(tmp_path / "link"), "--json", str(tmp_path / "link.json")]
        assert run(["fit", str(folder), "--router", "best_single", *places, "--quiet"]) == 0
        assert strict((tmp_path / "old.json").read_text("utf8"))["router"] == "best_single"
        assert (tmp_path / "made" / "router.json").is_file()
    assert sorted(os.listdir(tmp_path)) == ["data", "link", "link.json", "made", "old.json"]
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("evaluate data --json a --csv ./a", "a is named for two outputs"),
        ("evaluate data --json - --csv -", "- is named for two outputs"),
        ("evaluate data --json data/records.parquet", "data/records.parquet is read by this command"),
        ("evaluate link --html data/card.json", "data/card.json is read by this command"),
        ("evaluate data --json nowhere/a.json", "nowhere does not exist"),
        ("evaluate data --router best.toml --png best.toml", "best.toml is read by this command"),
        ("data import table foreign new --json foreign/deep/a.json", "foreign/deep/a.json is read by this command"),
        ("data describe data --json data", "data is a folder"),
        ("data doctor data --fix link", "link is read by this command and would be replaced"),
        ("pool data --out data", "data is read by this command and would be replaced"),
        ("route router hi --json router/router.json", "router/router.json is read by this command"),
        ("route router --input best.toml --json best.toml", "best.toml is read by this command"),
        ("refresh router --records best.toml --json best.toml", "best.toml is read by this command"),
        ("onboard router --llm a --budget 2 --out a.csv --json a.csv", "a.csv is named for two outputs"),
        ("fit data --out best.toml", "best.toml exists and was not written by recroute"),
        ("fit data --out best.toml/new", "best.toml/new: Not a directory"),
        ("fit data --out -", "name a folder"),
    ],
)
def test_an_output_that_would_do_harm_is_refused(
    folder: Path, router: Path, tmp_path: Path, refused: Refused, line: str, said: str
) -> None:
    (tmp_path / "link").symlink_to("data")
    (tmp_path / "best.toml").write_text('router = "best_single"', "utf8")
    (tmp_path / "foreign" / "deep").mkdir(parents=True)
    (tmp_path / "foreign" / "deep" / "a.json").write_text("{}", "utf8")
    (folder / "card.json").write_text("{}", "utf8")
    assert said in refused(line)


def test_a_result_may_stand_beside_what_is_read(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    evaluate = ["evaluate", "data", "--router", "best_single"]
    for _ in range(2):  # the second time it is there
        assert run([*evaluate, "--out", "run", "--json", "data/result.json", "--quiet"]) == 0
        assert run(["report", "run", "--html", "run/report.html", "--quiet"]) == 0
        assert run(["fit", "data", "--router", "best_single", "--out", "best_single", "--quiet"]) == 0
