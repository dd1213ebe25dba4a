"""Data that need not fit into memory: `data sample`, `fit --engine blocks`, and `refresh --add` and `--remove`."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.cli import app
from recroute.data import Dataset, read_dataset, write_dataset
from recroute.routers import load_router
from recroute.testing import planted_dataset

Go = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Go:
    def go(*arguments: object, code: int = 0) -> str:
        capsys.readouterr()
        assert app.run([str(argument) for argument in arguments]) == code
        return " ".join("".join(capsys.readouterr()).split())

    return go


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder of four pairs of files."""
    write_dataset(planted_dataset(n_instances=600, n_llms=6, noise=0.1), tmp_path / "whole")
    for table in ("records", "instances"):
        rows = pl.read_parquet(tmp_path / "whole" / f"{table}.parquet").cast({"instance_id": pl.String})
        part = rows["instance_id"].str.tail(1).cast(pl.Int64) % 4
        (tmp_path / "logs" / f"{table}.parquet").mkdir(parents=True)
        for i in range(4):
            rows.filter(part == i).write_parquet(tmp_path / "logs" / f"{table}.parquet" / f"{i}.parquet")
    return tmp_path / "logs"


def test_fit_in_blocks_leaves_the_test_prompts_of_the_sample_out(run: Go, logs: Path, tmp_path: Path) -> None:
    said = run("data", "sample", logs, tmp_path / "sample", "--sample", 200, "--test", 50)
    assert "200 prompts to train on and 50 to test on" in said
    sample = read_dataset(tmp_path / "sample")
    router = tmp_path / "router"
    fit = ("fit", logs, "--router", "svd", "--engine", "blocks", "--sample", 200, "--test", 50)
    said = run(*fit, "--out", router, "--json", tmp_path / "fit.json")
    facts = json.loads((tmp_path / "fit.json").read_text(encoding="utf8"))
    assert (facts["n_train"], facts["n_sample"], facts["n_summed"]) == (550, 200, 550)
    assert (facts["n_llms"], facts["dataset"]) == (6, "logs")
    assert "fitted on 550 instances (sample: 200) x 6 LLMs of logs" in said
    trained = sample.instances.filter(pl.col("split") == "train")["instance_id"]
    assert sorted(load_router(router).training_prompts["instance_id"]) == sorted(trained)
    card = (router / "CARD.md").read_text(encoding="utf8")
    assert "hash of the id" in card
    assert "fitted on 550 instances (sample: 200); 0 for validation and 50 for test" in card
    assert "250 instances x 6 LLMs; 350 more training instances are in the router's sums only" in card
    assert "are of sums over all training instances" in card


def test_simulated_data_are_marked_when_read_in_parts(run: Go, logs: Path, tmp_path: Path) -> None:
    (logs / "card.json").write_text(json.dumps({"simulated": True, "licence": "CC BY 4.0"}), encoding="utf8")
    run("data", "sample", logs, tmp_path / "sample", "--sample", 200, "--test", 50)
    assert read_dataset(tmp_path / "sample").card["simulated"] is True
    fit = ("fit", logs, "--router", "svd", "--engine", "blocks", "--sample", 200, "--test", 50)
    assert "(SIMULATED DATA)" in run(*fit, "--out", tmp_path / "router")
    card = (tmp_path / "router" / "CARD.md").read_text(encoding="utf8")
    assert "**SIMULATED DATA" in card
    assert "| licence | CC BY 4.0 |" in card


@pytest.mark.parametrize("name", ["knn", "guarded"])
def test_neighbours_are_said_to_be_those_of_the_sample(run: Go, logs: Path, tmp_path: Path, name: str) -> None:
    fit = ("fit", logs, "--router", name, "--engine", "blocks", "--sample", 200, "--test", 50, "--keep-sums")
    said = run(*fit, "--out", tmp_path / "r", "--json", tmp_path / "r.json")
    facts = json.loads((tmp_path / "r.json").read_text(encoding="utf8"))
    assert (facts["n_train"], facts["n_sample"], facts["n_summed"]) == (200, 200, 550)
    assert "fitted on a sample of 200 of 550 instances x 6 LLMs of logs" in said
    assert "only the LLMs' mean scores are over all training instances" in said
    card = (tmp_path / "r" / "CARD.md").read_text(encoding="utf8")
    assert "fitted on a sample of 200 of 550 instances" in card
    assert "only the LLMs' mean scores are over all training instances" in card
    more = planted_dataset(n_instances=700, n_llms=6, seed=5).take_instances(np.arange(600, 700))
    write_dataset(more, tmp_path / "m")
    said = run("refresh", tmp_path / "r", "--add", tmp_path / "m", "--json", tmp_path / "m.json")
    assert "the router has learned from a sample of 200 of 650 instances" in said
    facts = json.loads((tmp_path / "m.json").read_text(encoding="utf8"))
    assert (facts["n_added"], facts["n_train"], facts["n_sample"], facts["n_summed"]) == (100, 200, 200, 650)


def test_a_sample_of_everything_is_not_mentioned(run: Go, logs: Path, tmp_path: Path) -> None:
    fit = ("fit", logs, "--router", "knn", "--engine", "blocks", "--test", 50)
    said = run(*fit, "--out", tmp_path / "r")
    card = (tmp_path / "r" / "CARD.md").read_text(encoding="utf8")
    assert "fitted on 550 instances x 6 LLMs of logs" in said
    assert "fitted on 550 instances; 0 for validation" in card
    assert "Neighbours are prompts of the sample" not in said + card


def test_prompts_are_added_and_forgotten(run: Go, logs: Path, tmp_path: Path) -> None:
    fit = ("fit", logs, "--router", "ridge", "--engine", "blocks", "--sample", 100, "--test", 20, "--keep-sums")
    run(*fit, "--out", tmp_path / "r1")
    more = planted_dataset(n_instances=40, n_llms=6, seed=5)
    more = Dataset(
        "more", more.interactions, more.instances.with_columns(instance_id="m" + pl.col("instance_id")), more.llms
    )
    write_dataset(more, tmp_path / "more")
    said = run("refresh", tmp_path / "r1", "--add", tmp_path / "more", "--out", tmp_path / "r2")
    assert "40 prompts were added and 0 removed; the router has learned from 620" in said
    run(
        "refresh",
        tmp_path / "r2",
        "--remove",
        tmp_path / "more",
        "--out",
        tmp_path / "r3",
        "--json",
        tmp_path / "r.json",
    )
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf8"))["n_train"] == 580
    prompts = ["translate this sentence", "prove that the sum is even"]
    one, two, three = (load_router(tmp_path / name).score(prompts) for name in ("r1", "r2", "r3"))
    assert np.abs(two - one).max() > 1e-4
    np.testing.assert_allclose(three, one, atol=1e-6)
    assert "Changed on" in (tmp_path / "r3" / "CARD.md").read_text(encoding="utf8")


def test_sums_are_kept_in_memory_too(run: Go, logs: Path, tmp_path: Path) -> None:
    run("fit", logs.parent / "whole", "--router", "hierarchy", "--keep-sums", "--out", tmp_path / "kept")
    run("fit", logs.parent / "whole", "--router", "hierarchy", "--out", tmp_path / "plain")
    prompts = ["translate this sentence", "prove that the sum is even"]
    kept, plain = (load_router(tmp_path / name) for name in ("kept", "plain"))
    np.testing.assert_allclose(kept.score(prompts), plain.score(prompts), atol=1e-6)
    assert kept.kept_sums_ is not None
    assert plain.kept_sums_ is None
    refused = run("refresh", tmp_path / "plain", "--add", logs.parent / "whole", "--out", tmp_path / "r", code=2)
    assert "keeps no sums; fit it again with --keep-sums" in refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--engine", "dask"), "unknown engine 'dask'"),
        (("--engine", "blocks", "--router", "irt"), "irt does not follow from sums"),
        (("--engine", "blocks", "--router", "svd", "--split", "own"), "need all data in memory"),
        (("--engine", "blocks", "--test", "5000"), "leave out fewer"),
        (("--keep-sums", "--router", "als"), "als does not follow from sums"),
    ],
)
def test_what_cannot_be_fitted_so(
    run: Go, logs: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    source = logs if "--engine" in arguments else logs.parent / "whole"
    assert message in run("fit", source, *arguments, "--out", tmp_path / "no", code=2)
    assert not (tmp_path / "no").exists()


def test_refresh_takes_feedback_or_data_sets(run: Go, logs: Path, tmp_path: Path) -> None:
    for more in ((), ("--records", logs, "--add", logs)):
        assert "--add and --remove" in run("refresh", tmp_path / "r", *more, code=2)
