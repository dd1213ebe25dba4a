"""Learning curves: what they are fitted on, when a training set is enough, and what a person sees."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.cli.app import run
from recroute.data import Dataset, write_dataset
from recroute.errors import DataError, UnknownNameError
from recroute.evaluation.learning import LearningCurve, learning_curve
from recroute.evaluation.run import evaluate, scale
from recroute.evaluation.run_folder import read_run
from recroute.experiment.prepare import prepare_split
from recroute.routers import make_router
from recroute.splits import split_dataset, take_train_fraction
from recroute.testing import planted_dataset

OPTIONS = {"pool_sizes": [3, 6], "groups": ["nested"], "n_resamples": 50, "seeds": [0, 1]}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return planted_dataset(n_instances=300)


@pytest.fixture(scope="module")
def found(data: Dataset) -> LearningCurve:
    return learning_curve(data, ["ridge"], train_fractions=[1, 0.1, 0.03], headroom=False, **OPTIONS)


def test_rows_carry_the_fraction_and_the_number_of_training_instances(found: LearningCurve) -> None:
    sizes = found.rows.select("train_fraction", "n_train").unique().sort("n_train").rows()
    assert sizes == [(0.03, 7), (0.1, 24), (1.0, 240)]
    assert found.comparisons.select("train_fraction", "n_train").unique().sort("n_train").rows() == sizes


def test_the_whole_is_what_scale_says(found: LearningCurve, data: Dataset) -> None:
    whole = scale(data, ["ridge"], headroom=False, **OPTIONS).rows
    assert found.rows.filter(train_fraction=1).drop("train_fraction", "n_train").equals(whole)


def test_pools_and_test_instances_are_the_same_at_every_size(found: LearningCurve) -> None:
    bounds = found.rows.filter(pl.col("router").is_in(["oracle", "random"]), metric="mean_score")
    spread = bounds.group_by("router", "group", "pool_size", "seed").agg(pl.col("value").n_unique())
    assert spread["value"].to_list() == [1] * spread.height


def test_routers_and_encoders_see_the_fraction_only(data: Dataset) -> None:
    found = evaluate(data, ["svd"], train_fraction=0.1, n_resamples=50, headroom=False)
    parts = take_train_fraction(split_dataset(data, seed=0), 0.1)
    fitted = make_router("svd").fit(parts.train)  # has no vectors: the router fits TF-IDF on its own prompts
    choice = fitted.rank(parts.test).llm_index[:, 0]
    scores = parts.test.interactions.dense()
    assert found.value("svd", "mean_score") == pytest.approx(scores[np.arange(len(scores)), choice].mean(), abs=1e-6)
    assert found.info["splits"]["0"] != evaluate(data, ["svd"], n_resamples=50, headroom=False).info["splits"]["0"]
    assert prepare_split(data).test.instance_ids == parts.test.instance_ids


def made_up(values: dict[str, list[tuple[float, float, float]]]) -> LearningCurve:
    """A curve of routers with (difference, lower end, p) at 10, 20, ... training instances."""
    rows = [
        {"router": router, "baseline": "best_single", "group": "all", "pool_size": 4, "metric": "mean_score"}
        | {"value": value, "ci_low": low, "p_value": p, "n_train": 10 * (i + 1), "train_fraction": 0.1 * (i + 1)}
        for router, points in values.items()
        for i, (value, low, p) in enumerate(points)
    ]
    return LearningCurve(pl.DataFrame({"metric": ["mean_score"]}), {"notes": [], "seeds": [0]}, pl.DataFrame(rows))


def test_enough_is_corrected_for_every_look() -> None:
    curve = made_up(
        {
            "a": [(0.1, 0.01, 0.04), (0.1, 0.05, 0.001), (0.1, 0.05, 0.001)],  # Holm: .04 is the 4th of 6, times 3
            "b": [(0.1, 0.05, 0.001), (0.0, -0.1, 0.9), (0.1, 0.05, 0.001)],  # ahead, then not: a lucky start
            "c": [(-0.1, -0.2, 0.001), (0.0, -0.1, 0.9), (0.0, -0.1, 0.9)],
        }
    )
    rows = curve.enough().select("router", "n_train", "n_train_clear").rows()
    assert rows == [("a", 10, 20), ("b", 10, 30), ("c", None, None)]
    assert curve.sentences() == [
        "a beats best_single from 20 training instances on (uncorrected interval above 0 at 10)",
        "b beats best_single from 30 training instances on (uncorrected interval above 0 at 10)",
        "c beats best_single at no training size",
    ]


def test_planted_text_is_enough_and_shuffled_scores_never_are(found: LearningCurve, data: Dataset) -> None:
    assert found.enough().filter(router="ridge")["n_train_clear"][0] is not None
    nothing = learning_curve(data, ["ridge"], train_fractions=[0.1, 1], headroom=False, shuffle="scores", **OPTIONS)
    assert nothing.enough().filter(router="ridge")["n_train_clear"][0] is None


def test_unknown_settings_and_other_experiments_are_refused(data: Dataset) -> None:
    with pytest.raises(UnknownNameError, match="setting 'pool_size' of learning_curve: did you mean 'pool_sizes'"):
        learning_curve(data, ["ridge"], pool_size=[3])
    with pytest.raises(UnknownNameError, match="setting 'pool_sizes' of learning_curve"):
        learning_curve(data, ["ridge"], evaluate=evaluate, pool_sizes=[3])
    with pytest.raises(DataError, match=r"give recroute\.scale or recroute\.evaluate"):
        learning_curve(data, ["ridge"], evaluate=print)


def test_no_fraction_is_refused(data: Dataset) -> None:
    with pytest.raises(DataError, match="at least one training fraction"):
        learning_curve(data, ["ridge"], train_fractions=[])


def test_table_picture_and_page(found: LearningCurve, tmp_path: Path) -> None:
    axes = found.plot("lift")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["7", "24", "240"]
    assert axes.get_xlabel() == "training instances"
    found.write_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf8")
    for head in ("7", "24", "240", "ahead from"):
        assert f">{head}</button>" in page
    assert "Holm" in page
    assert page.count("<svg") == 2


def test_the_verb_writes_curves(data: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(data, tmp_path / "data")
    command = ["scale", str(tmp_path / "data"), "--router", "ridge", "--groups", "nested", "--pool-sizes", "6"]
    files = {kind: str(tmp_path / f"curve.{kind}") for kind in ("json", "html", "png", "csv")}
    places = [part for kind, path in files.items() for part in (f"--{kind}", path)]
    assert run([*command, "--train-fractions", ".1,1", *places, "--out", str(tmp_path / "run"), "--no-headroom"]) == 0
    assert "ahead" in capsys.readouterr().out  # the heading "ahead from", perhaps in two lines
    result = json.loads(Path(files["json"]).read_text("utf8"))
    assert {row["train_fraction"] for row in result["rows"]} == {0.1, 1.0}
    assert {row["n_train"] for row in result["rows"]} == {24, 240}
    assert set(pl.read_parquet(tmp_path / "run" / "choices.parquet")["train_fraction"]) == {0.1, 1.0}
    with pytest.raises(DataError, match="is a result of scale --train-fractions"):
        read_run(tmp_path / "run")
    assert run([*command, "--train-fractions", "a few"]) == 2
    assert "not a list of numbers" in capsys.readouterr().err
