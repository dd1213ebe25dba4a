"""From a file of battles to a routed prompt and an evaluation, by the command line alone."""

import json
from pathlib import Path

import polars as pl
import pytest

from recroute.cli.app import run
from recroute.testing import drawn_preferences, planted_dataset


@pytest.fixture(scope="module")
def battles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As Arena writes them."""
    data = drawn_preferences(planted_dataset(noise=0.0), 2500, noise=0.05)
    assert data.preferences is not None
    table = data.preferences.to_frame(data.instance_ids, data.llm_ids)
    winner = table["outcome"].replace_strict({1.0: "model_a", 0.0: "model_b", 0.5: "tie"}, return_dtype=pl.String)
    prompts = dict(zip(data.instance_ids, data.prompts or [], strict=True))
    path = tmp_path_factory.mktemp("pairs") / "arena.csv"
    pl.DataFrame(
        {
            "model_a": table["llm_a"],
            "model_b": table["llm_b"],
            "winner": winner,
            "prompt": table["instance_id"].replace_strict(prompts),
        }
    ).write_csv(path)
    return path


def test_battles_to_a_router(battles: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = battles.parent

    def call(*arguments: object) -> str:
        assert run([str(argument) for argument in arguments]) == 0
        return capsys.readouterr().out

    out = call("data", "import", "table", battles, folder / "d", "--pairs", "--json", folder / "i.json")
    assert "240 instances x 6 LLMs, 2,500 preferences" in out
    assert json.loads((folder / "i.json").read_text("utf8"))["n_preferences"] == 2500
    assert "2,500" in call("data", "describe", folder / "d")
    assert "duplicate" not in call("data", "doctor", folder / "d")
    call("fit", folder / "d", "--out", folder / "r")
    assert "llm-1" in call("route", folder / "r", "translate the sentence number 5", "--top-k", "2")
    out = call("evaluate", folder / "d", "--router", "bradley_terry(reg=1.0)", "--json", folder / "e.json")
    assert "agreement" in out
    assert "bradley_terry(reg=1.0) beats best_single by" in out
    rows = json.loads((folder / "e.json").read_text("utf8"))["rows"]
    assert {"agreement"} <= {row["metric"] for row in rows}


def test_what_cannot_be_done_with_battles_is_one_line(
    battles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "import", "table", str(battles), str(tmp_path / "d"), "--pairs", "--quiet"]) == 0
    for arguments in (
        ["fit", str(tmp_path / "d"), "--router", "knn", "--out", str(tmp_path / "r")],
        ["scale", str(tmp_path / "d")],
        ["data", "import", "table", str(battles), str(tmp_path / "other")],
        ["data", "import", "routerbench", str(battles), str(tmp_path / "other"), "--pairs"],
    ):
        assert run(arguments) == 2
        err = capsys.readouterr().err
        assert err.startswith("recroute: ")
        assert err.count("\n") == 1
    assert not (tmp_path / "other").exists()
