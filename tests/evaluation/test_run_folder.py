"""A run on disk: what is written comes back, and damage is told in one line."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.data import write_dataset
from recroute.data.sources import simulate
from recroute.errors import RecrouteError
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.run import scale
from recroute.evaluation.run_folder import read_run, write_run
from recroute.experiment.prepare import prepare_split
from recroute.experiment.provenance import file_digests, split_digest


@pytest.fixture(scope="module")
def run() -> Evaluation:
    data = simulate(n_llms=12, n_instances=120)
    return scale(data, ["svd"], pool_sizes=[3, 6], groups=["nested"], seeds=[0, 1], n_resamples=20)


def test_a_run_comes_back_as_it_was(run: Evaluation, tmp_path: Path) -> None:
    write_run(run.with_info(command=["recroute", "scale"]), tmp_path / "run", {"pool_sizes": "3,6"})
    found = read_run(tmp_path / "run")
    assert found.rows.equals(run.rows)
    assert found.comparisons.equals(run.comparisons)
    assert found.choices is not None
    assert found.choices.equals(run.choices)
    assert found.info == {**run.info, "command": ["recroute", "scale"]}
    config = json.loads((tmp_path / "run" / "config.json").read_text("utf8"))
    assert config["options"] == {"pool_sizes": "3,6"}
    assert config["routers"]["svd"]["n_factors"] == 4
    assert "numpy" in json.loads((tmp_path / "run" / "environment.json").read_text("utf8"))


def test_a_result_json_alone_is_a_run_without_choices(run: Evaluation, tmp_path: Path) -> None:
    run.write_json(tmp_path / "run.json")
    found = read_run(tmp_path / "run.json")
    assert found.rows.equals(run.rows)
    assert found.choices is None


def test_choices_give_the_mean_score_again(run: Evaluation) -> None:
    assert run.choices is not None
    means = run.choices.group_by("router", "pool_size", "seed").agg(pl.col("score").mean())
    for row in means.iter_rows(named=True):
        name, size, seed = str(row["router"]), row["pool_size"], row["seed"]
        (value,) = run.rows.filter(router=name, pool_size=size, seed=seed, metric="mean_score")["value"]
        assert row["score"] == pytest.approx(value, abs=1e-6)


def test_choices_name_llms_with_their_score_and_none_where_chance_chooses(run: Evaluation) -> None:
    data = simulate(n_llms=12, n_instances=120)
    assert run.choices is not None
    table = run.choices.with_columns(pl.col("router", "instance_id", "llm_id").cast(pl.String))
    for row in table.filter(router="svd").iter_rows(named=True):
        instance = data.instance_ids.to_index([row["instance_id"]])
        llm = data.llm_ids.to_index([row["llm_id"]])
        observed = data.take_instances(instance).take_llms(llm).interactions.dense()[0, 0]
        assert row["score"] == pytest.approx(observed)
    assert table.filter(router="random")["llm_id"].null_count() == table.filter(router="random").height


def test_an_older_run_is_replaced_and_foreign_folders_are_not(run: Evaluation, tmp_path: Path) -> None:
    write_run(run, tmp_path / "run")
    write_run(run.with_info(complete=False), tmp_path / "run")
    assert read_run(tmp_path / "run").info["complete"] is False
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    with pytest.raises(RecrouteError, match="name another place"):
        write_run(run, tmp_path / "mine")


def test_damage_is_told(run: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(RecrouteError, match="no run at"):
        read_run(tmp_path / "nowhere")
    for text, message in (
        ("{", "is not valid JSON"),
        ("[]", "is not a result"),
        ('{"rows": [{"x": 1}]}', "is not a result"),
    ):
        (tmp_path / "run.json").write_text(text, "utf8")
        with pytest.raises(RecrouteError, match=message):
            read_run(tmp_path / "run.json")
    write_run(run, tmp_path / "run")
    (tmp_path / "run" / "choices.parquet").write_bytes(b"nonsense")
    with pytest.raises(RecrouteError, match=r"choices\.parquet"):
        read_run(tmp_path / "run")


def test_an_interrupted_run_keeps_choices_and_splits_of_what_was_finished() -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    found = scale(
        simulate(n_llms=12, n_instances=120),
        [],
        pool_sizes=[3, 6],
        groups=["nested"],
        seeds=[0, 1, 2],
        n_resamples=20,
        progress=stop,
    )
    assert found.choices is not None
    assert set(found.choices.select("seed", "pool_size").unique().iter_rows()) == {(0, 3), (0, 6), (1, 3)}
    assert list(found.info["splits"]) == ["0", "1"]
    assert found.info["complete"] is False
    assert found.seeds == [0, 1]


def test_digests_see_the_split_the_llms_and_the_files(tmp_path: Path) -> None:
    data = simulate(n_llms=6, n_instances=80)
    first = split_digest(prepare_split(data, seed=0))
    assert first == split_digest(prepare_split(data, seed=0))
    assert first != split_digest(prepare_split(data, seed=1))
    assert first != split_digest(prepare_split(data.take_llms(np.arange(5)), seed=0))
    write_dataset(data, tmp_path / "a")
    write_dataset(dataclasses.replace(data, card={"name": "b"}), tmp_path / "b")
    a, b = file_digests(tmp_path / "a"), file_digests(tmp_path / "b")
    assert {name for name in {*a, *b} if a.get(name) != b.get(name)} == {"card.json"}
    assert list(file_digests(tmp_path / "a" / "records.parquet")) == ["records.parquet"]
