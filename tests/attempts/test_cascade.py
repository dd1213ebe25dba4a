"""What several attempts reach, by policy."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.attempts.answers import Answers
from recroute.attempts.policies import Order, first_evaluated_of, greedy_set, play
from recroute.attempts.result import Cascade
from recroute.attempts.run import cascade
from recroute.cli.app import run
from recroute.data import Dataset, InteractionMatrix, write_dataset
from recroute.errors import DataError
from recroute.routers import load_router
from recroute.routers.memory.verifier import EXACT, Verifier
from recroute.splits import split_dataset
from recroute.testing import planted_dataset

NAN = np.nan


@pytest.fixture(scope="module")
def found() -> Cascade:
    return cascade(planted_dataset(), ["hierarchy"], seeds=[0, 1], n_resamples=50)


def answers(scores: list[list[float]], verifier: Verifier = EXACT, accept: float = 1.0) -> Answers:
    table = np.array(scores, dtype=np.float32)
    with np.errstate(invalid="ignore"):
        return Answers(table, table, table >= accept, verifier, np.ones_like(table))


def test_attempts_stop_at_the_first_accepted_answer() -> None:
    reached = play(Order(np.array([[0, 1, 2], [2, 1, 0]])), answers([[0, 1, 1], [0, 0.5, 0.2]]), 3)
    np.testing.assert_allclose(reached.score, [[0, 1, 1], [0.2, 0.5, 0.5]])
    np.testing.assert_allclose(reached.calls, [[1, 2, 2], [1, 2, 3]])
    assert reached.cost is not None
    np.testing.assert_allclose(reached.cost, reached.calls)


def test_what_is_asked_at_once_is_called_whole() -> None:
    reached = play(Order(np.array([[1, 0]]), at_once=True), answers([[0, 1]]), 2)
    np.testing.assert_allclose(reached.score, [[1, 1]])
    np.testing.assert_allclose(reached.calls, [[1, 2]])


def test_a_lower_bar_accepts_sooner() -> None:
    order = Order(np.array([[0, 1]]))
    np.testing.assert_allclose(play(order, answers([[0.6, 0.9]], accept=0.5), 2).score, [[0.6, 0.6]])


def test_a_judge_that_errs_may_keep_a_worse_answer() -> None:
    judge = Verifier(0.9, 0.9)
    scores = np.array([[0.0, 1.0], [1.0, 0.0]], dtype=np.float32)
    verdicts = np.array([[1.0, 1.0], [0.0, 0.0]], dtype=np.float32)  # a wrong answer accepted, both rejected
    reached = play(Order(np.array([[0, 1], [0, 1]])), Answers(scores, verdicts, verdicts >= 1, judge), 2)
    np.testing.assert_allclose(reached.score, [[0, 0], [1, 1]])
    np.testing.assert_allclose(reached.calls, [[1, 1], [1, 2]])
    assert reached.cost is None


def test_the_judge_errs_at_its_rates() -> None:
    rng = np.random.default_rng(0)
    scores = (rng.random((4000, 5)) < 0.5).astype(np.float32)
    instances = pl.DataFrame({"instance_id": [f"i{k}" for k in range(4000)], "task": ["t"] * 4000})
    llms = pl.DataFrame({"llm_id": list("abcde")})
    test = Dataset("judged", InteractionMatrix.from_dense(scores), instances, llms)
    judged = Answers.of(test, Verifier(0.9, 0.7), 1.0, seed=0)
    assert judged.verdicts[scores == 1].mean() == pytest.approx(0.9, abs=0.02)
    assert judged.verdicts[scores == 0].mean() == pytest.approx(0.3, abs=0.02)


def test_llms_that_were_not_evaluated_are_passed_over() -> None:
    given = answers([[NAN, 1, 0], [0, NAN, NAN], [NAN, NAN, NAN]])
    order = first_evaluated_of(np.array([[0, 1, 2]]), np.zeros(3, dtype=np.int64), given, 2)
    assert order.tolist() == [[1, 2], [0, -1], [-1, -1]]
    reached = play(Order(order), given, 2)
    np.testing.assert_allclose(reached.score, [[1, 1], [0, 0], [NAN, NAN]])
    np.testing.assert_allclose(reached.calls, [[1, 1], [1, 1], [NAN, NAN]])


def test_a_greedy_set_covers_what_the_best_llms_share() -> None:
    scores = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 0], [0, 0, 1]], dtype=np.float32)
    assert greedy_set(scores, 3).tolist() == [0, 2, 1]


def test_policies_keep_their_order(found: Cascade) -> None:
    for k in (1, 2, 3, 5):
        oracle = found.value("oracle", k)
        assert all(row["value"] <= oracle + 1e-9 for row in found.pooled("score_at_k", n_attempts=k).to_dicts())
    by_policy = found.pooled("score_at_k").group_by("router", "policy", maintain_order=True).agg("value")
    assert all(np.diff(values).min() >= 0 for values in by_policy["value"])
    for policy in ("next", "posterior", "set"):
        assert found.value(policy, 1, router="hierarchy") == found.value("next", 1, router="hierarchy")
    assert found.value("set", 3, metric="calls_at_k", router="hierarchy") == pytest.approx(3)
    assert found.value("oracle", 1, metric="headroom_closed") == pytest.approx(1)
    assert found.value("fixed_order", 1, metric="headroom_closed") == 0


def test_intervals_hold_their_estimate(found: Cascade) -> None:
    rows = found.rows.drop_nulls(["ci_low"]).filter(~pl.col("ci_low").is_nan())
    assert ((rows["ci_low"] <= rows["value"] + 1e-9) & (rows["value"] <= rows["ci_high"] + 1e-9)).all()


def test_the_posterior_is_compared_with_every_line(found: Cascade) -> None:
    pairs = found.comparisons.filter(n_attempts=2)
    assert pairs["baseline"].to_list() == ["next", "fixed_order", "fixed_set", "task_order", "task_set"]
    row = pairs.row(0, named=True)
    apart = found.value("posterior", 2, router="hierarchy") - found.value("next", 2, router="hierarchy")
    assert row["value"] == pytest.approx(apart)
    assert (pairs["p_holm"] >= pairs["p_value"]).all()


def test_pools_grow(rng: np.random.Generator) -> None:
    data = planted_dataset()
    grown = cascade(data, ["best_single"], pool_sizes=[3, 6, 50], attempts=[1, 2], n_resamples=20)
    assert grown.pooled("score_at_k")["pool_size"].unique().sort().to_list() == [3, 6]
    assert any("50 exceeds the 6 LLMs" in note for note in grown.notes)
    slopes = grown.pooled("slope", policy="oracle")
    assert slopes["n_attempts"].to_list() == [1, 2]
    assert slopes["pool_size"].to_list() == [None, None]


def test_cells_may_be_missing(rng: np.random.Generator) -> None:
    data = planted_dataset()
    scores = data.interactions.dense()
    scores[rng.random(scores.shape) < 0.4] = NAN
    gaps = Dataset("gaps", InteractionMatrix.from_dense(scores), data.instances, data.llms)
    reached = cascade(gaps, ["best_single"], attempts=[1, 4], verifier="noisy:.9,.9", n_resamples=20)
    values = reached.pooled("score_at_k")["value"]
    assert values.is_not_nan().all()
    assert values.is_between(0, 1).all()


def test_a_seed_that_was_finished_is_kept_at_an_interrupt() -> None:
    def stop(done: int, of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    reached = cascade(planted_dataset(), ["best_single"], seeds=[0, 1, 2], n_resamples=20, progress=stop)
    assert reached.seeds == [0]
    assert not reached.info["complete"]


def test_the_same_seed_gives_the_same_rows() -> None:
    one, other = (cascade(planted_dataset(), ["knn"], n_resamples=20, verifier="noisy:.8,.8") for _ in range(2))
    assert one.rows.equals(other.rows, null_equal=True)


def test_a_baseline_that_is_asked_for_is_a_router_like_others() -> None:
    asked = cascade(planted_dataset(), ["knn"], attempts=[2], n_resamples=20)
    added = cascade(planted_dataset(), ["best_single"], attempts=[2], n_resamples=20)
    assert set(asked.pooled("score_at_k", router="knn")["policy"]) == {"next", "posterior", "set"}
    assert set(added.pooled("score_at_k", router="knn")["policy"]) == {"next"}


@pytest.mark.parametrize("wrong", [{"pool_sizes": []}, {"groups": []}])
def test_no_pool_is_refused(wrong: dict[str, list[int]]) -> None:
    with pytest.raises(DataError, match="at least one pool size and one group"):
        cascade(planted_dataset(), ["knn"], **wrong)


def test_pools_keep_to_the_llms_that_training_instances_allow() -> None:
    """Test instances tell nothing about the size of a pool."""
    data = planted_dataset()
    scores = data.interactions.dense()
    split = split_dataset(data, kind=None, seed=0)
    scores[data.instance_ids.to_index(list(split.train.instance_ids)), 0] = 0  # not eligible by train, by all it is
    scores[data.instance_ids.to_index(list(split.test.instance_ids)), 0] = 1
    mixed = Dataset("mixed", InteractionMatrix.from_dense(scores), data.instances, data.llms)
    grown = cascade(mixed, ["best_single"], pool_sizes=[3, 6], groups=["all_strong"], attempts=[1], n_resamples=20)
    assert any("6 exceeds the 5 LLMs" in note for note in grown.notes)


@pytest.mark.parametrize("attempts", [[], [2, 2]])
def test_attempts_are_different_whole_numbers(attempts: list[int]) -> None:
    with pytest.raises(DataError, match="give different whole numbers"):
        cascade(planted_dataset(), ["knn"], attempts=attempts)


def test_the_verb_writes_what_it_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(planted_dataset(), tmp_path / "data")
    places = {kind: tmp_path / f"found.{kind}" for kind in ("json", "csv", "html", "png")}
    options = [part for kind, path in places.items() for part in (f"--{kind}", str(path))]
    assert run(["cascade", str(tmp_path / "data"), "--router", "best_single", "--attempts", "1,2", *options]) == 0
    shown = capsys.readouterr().out
    assert "best_single posterior" in shown
    assert "task_set" in shown
    result = json.loads(places["json"].read_text("utf8"))
    row = next(row for row in result["rows"] if row["metric"] == "score_at_k" and row["policy"] == "posterior")
    assert {"router", "policy", "n_attempts", "value", "ci_low", "ci_high", "n_instances"} <= row.keys()
    assert any(row.get("baseline") == "fixed_set" for row in result["rows"])
    page = places["html"].read_text("utf8")
    assert "Paired comparisons" in page
    assert ">LLMs called</h2>" in page
    assert places["png"].read_bytes().startswith(b"\x89PNG")
    assert run(["cascade", str(tmp_path / "data"), "--verifier", "noisy:1"]) == 2
    assert "neither exact nor noisy:TPR,TNR" in capsys.readouterr().err


def test_a_second_attempt_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(planted_dataset(), tmp_path / "data")
    folder, found = str(tmp_path / "router"), tmp_path / "found.json"
    assert run(["fit", str(tmp_path / "data"), "--router", "hierarchy", "--attempts", "--out", folder]) == 0
    loaded = load_router(folder)
    assert loaded.joint_ is not None
    first, second = loaded.llm_ids_.ids[:2]
    asked = ["route", folder, "sum two numbers", "--json", str(found)]
    assert run([*asked, "--tried", f"{first}=0", "--tried", f"{second}=0.2", "--top-k", "2"]) == 0
    routed = json.loads(found.read_text("utf8"))["routes"][0]
    expected = loaded.rank(["sum two numbers"], 2, tried={first: 0, second: 0.2})
    assert routed["llms"] == expected.names[0]
    assert routed["predicted_score"] == pytest.approx(expected.predicted_score[0].tolist())
    assert run([*asked, "--together", "3"]) == 0
    assert (
        json.loads(found.read_text("utf8"))["routes"][0]["llms"] == loaded.choose_set(["sum two numbers"], 3).names[0]
    )
    assert "expected best score so far" in capsys.readouterr().out
    for wrong, said in (
        (["--tried", first], "is not an LLM and its score"),
        (["--tried", f"{first}=2"], "give a number from 0 to 1"),
        (["--together", "2", "--top-k", "2"], "leave out --tried, --explain and --top-k"),
        (["--together", "99"], "a set of 99 does not fit a pool"),
        (["--tried", f"{first}=0", "--explain"], "leave it out, or --tried"),
    ):
        assert run([*asked, *wrong]) == 2
        assert said in capsys.readouterr().err
