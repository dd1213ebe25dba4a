"""Answers that a recorded check accepts or rejects."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.attempts.answers import Answers, verdict_rates
from recroute.attempts.policies import Order, play
from recroute.attempts.run import cascade
from recroute.cli.app import run
from recroute.data import Dataset, read_dataset, write_dataset
from recroute.data.folder import read_verdicts
from recroute.errors import DataError
from recroute.routers.memory.verifier import Verifier
from recroute.testing import planted_dataset


def table_of(data: Dataset, verdicts: np.ndarray) -> pl.DataFrame:
    """The records of a complete data set with these verdicts (n, m)."""
    rows, columns = np.indices(verdicts.shape).reshape(2, -1)
    ids = {"instance_id": np.array(data.instance_ids.ids)[rows], "llm_id": np.array(data.llm_ids.ids)[columns]}
    found = pl.DataFrame({**ids, "score": data.interactions.dense().ravel(), "verdict": verdicts.ravel()})
    return found.with_columns(pl.col("verdict").fill_nan(None))


@pytest.fixture
def checked() -> Dataset:
    """Answers of six LLMs; the check passes 90% of the right and 20% of the wrong ones."""
    data = planted_dataset()
    scores, rng = data.interactions.dense(), np.random.default_rng(3)
    verdicts = (rng.random(scores.shape) < np.where(scores == 1, 0.9, 0.2)).astype(np.float32)
    return data.with_verdicts(table_of(data, verdicts))


def test_the_score_of_the_answer_that_passed_counts() -> None:
    data = planted_dataset(n_instances=30, noise=0.0).take_instances(np.array([0, 3]))  # llm-0 and llm-3 solve them
    verdicts = np.zeros((2, 6), dtype=np.float32)
    verdicts[0, 1] = 1  # a wrong answer passes
    verdicts[1, 1] = np.nan
    judged = data.with_verdicts(table_of(data, verdicts))
    answers = Answers.recorded(judged, verdict_rates_of_planted())
    assert np.isnan(answers.scores[1, 1])  # no verdict, so nobody can tell what would have happened
    reached = play(Order(np.array([[1, 0], [2, 0]])), answers, 2)
    assert reached.score.tolist() == [[0, 0], [0, 0]]  # the second is the fallback, the first LLM's answer
    assert reached.calls.tolist() == [[1, 1], [1, 2]]


def verdict_rates_of_planted() -> Verifier:
    data = planted_dataset()
    return verdict_rates(data.with_verdicts(table_of(data, data.interactions.dense())))


def test_error_rates_are_those_of_training_answers(checked: Dataset) -> None:
    judge = verdict_rates(checked)
    assert judge.accepts_right == pytest.approx(0.9, abs=0.03)
    assert judge.rejects_wrong == pytest.approx(0.8, abs=0.03)
    assert not verdict_rates_of_planted().exact  # no check is taken to be right on answers it has not seen
    assert checked.verdicts is not None
    upside_down = checked.with_verdicts(table_of(checked, 1 - checked.verdicts.dense()))
    with pytest.raises(DataError, match="carry no information; is 1 a check that passed"):
        verdict_rates(upside_down)


def test_a_cascade_by_verdicts_is_like_one_by_a_judge_with_their_rates(checked: Dataset) -> None:
    options = {"attempts": [1, 3], "seeds": [0, 1], "n_resamples": 20}
    found = cascade(checked, ["best_single"], verifier="verdict", **options)
    alike = cascade(checked, ["best_single"], verifier="noisy:.9,.8", **options)
    for policy in ("posterior", "fixed_order"):
        assert found.value(policy, 3) == pytest.approx(alike.value(policy, 3), abs=0.15)
        assert found.value(policy, 3) > found.value(policy, 1)
    with pytest.raises(DataError, match="planted has no verdicts; give them with its method with_verdicts"):
        cascade(planted_dataset(), ["best_single"], verifier="verdict")


def test_verdicts_follow_instances_and_llms_and_are_written_with_the_records(checked: Dataset, tmp_path: Path) -> None:
    part = checked.take_instances(np.array([5, 2])).take_llms(np.array([4, 1, 0]))
    assert part.verdicts is not None
    assert checked.verdicts is not None
    np.testing.assert_array_equal(part.verdicts.dense(), checked.verdicts.dense()[np.ix_([5, 2], [4, 1, 0])])
    write_dataset(checked, tmp_path / "data")
    again = read_dataset(tmp_path / "data")
    assert again.verdicts is None  # they are read where they are asked for
    with_them = read_verdicts(again, tmp_path / "data").verdicts
    assert with_them is not None
    np.testing.assert_array_equal(with_them.dense(), checked.verdicts.dense())


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ({"verdict": [1.0, 0.5]}, r"verdict 0.5 \(verdicts, row 1\) is neither 1 \(the check passed\) nor 0"),
        ({"verdict": [1.0, 7.0]}, "verdict 7 for instance 'i0001'.* is neither 1"),
        ({"passed": [1.0, 0.0]}, "column 'verdict' is missing"),
        ({"verdict": ["good", "bad"]}, "verdict"),
    ],
)
def test_what_is_no_verdict_is_refused(column: dict[str, list[object]], said: str) -> None:
    table = pl.DataFrame({"instance_id": ["i0000", "i0001"], "llm_id": ["llm-0", "llm-0"], **column})
    with pytest.raises(DataError, match=said):
        planted_dataset().with_verdicts(table)


def test_verdicts_may_be_true_or_missing_or_of_answers_that_the_data_set_lacks() -> None:
    table = {"instance_id": ["i0000", "i0001", "new"], "llm_id": ["llm-0"] * 3, "verdict": [True, None, False]}
    verdicts = planted_dataset().with_verdicts(table).verdicts
    assert verdicts is not None
    assert verdicts.n_observed == 1
    assert verdicts.dense()[0, 0] == 1


def test_the_verb_reads_the_column_of_a_folder_or_a_table(checked: Dataset, tmp_path: Path) -> None:
    write_dataset(checked, tmp_path / "data")
    pl.read_parquet(tmp_path / "data" / "records.parquet").write_csv(tmp_path / "table.csv")
    values = []
    for source in ("data", "table.csv"):
        options = ["--router", "best_single", "--attempts", "2", "--verifier", "verdict", "--quiet"]
        assert run(["cascade", str(tmp_path / source), *options, "--json", str(tmp_path / "found.json")]) == 0
        result = json.loads((tmp_path / "found.json").read_text("utf8"))
        assert result["verifier"] == "verdict"
        values += [row["value"] for row in result["rows"] if row.get("policy") == "oracle"][:1]
    assert values[0] > 0.8


def test_the_verb_says_that_the_column_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(planted_dataset(), tmp_path / "data")
    assert run(["cascade", str(tmp_path / "data"), "--router", "best_single", "--verifier", "verdict"]) == 2
    assert "column 'verdict' is missing in records.parquet" in capsys.readouterr().err
