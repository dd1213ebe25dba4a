"""Routers judged by preferences on test, alone and beside scores."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.coldstart import coldstart
from recroute.data import Dataset, InteractionMatrix
from recroute.errors import RecrouteError
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.learning import learning_curve
from recroute.evaluation.run import evaluate, scale
from recroute.metrics import METRICS, Agreement, Outcome
from recroute.metrics.ranking import agreement
from recroute.report.shown import write_html
from recroute.testing import drawn_preferences, planted_dataset
from recroute.tuning import tune

SCORED = planted_dataset()
BATTLED = drawn_preferences(SCORED, 3000, noise=0.0)
FAST = "bradley_terry(reg=1.0)"


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return evaluate(BATTLED, [FAST, "knn"], seeds=(0, 1))


def test_agreement_is_counted_by_hand() -> None:
    predicted = [[0.9, 0.4, 0.4], [0.1, 0.2, 0.3]]
    battles = Agreement.of(
        predicted, row=[0, 0, 0, 1, 1], llm_a=[0, 1, 2, 0, 2], llm_b=[1, 2, 0, 1, 0], outcome=[1, 0, 0.5, 0.8, 1]
    )
    np.testing.assert_array_equal(battles.n_decided, [2, 2])  # one of five is a tie
    np.testing.assert_array_equal(battles.n_agreed, [1 + 0.5, 0 + 1])
    outcome = Outcome.of([[1, 0, 0], [1, 0, 0]], choice=[0, 0], agreement=battles)
    assert agreement(outcome) == (1.5 + 1) / (2 + 2)
    np.testing.assert_allclose(agreement(outcome, np.array([[3.0, 1.0]])), (3 * 1.5 + 1) / (3 * 2 + 2))
    assert agreement(outcome.take(np.array([1]))) == 1 / 2
    assert np.isnan(agreement(Outcome.of([[1, 0]], choice=[0])))


def test_preferences_alone_are_judged_by_agreement(found: Evaluation) -> None:
    assert found.value(FAST, "agreement") > 0.85
    assert 0.3 < found.value("best_single", "agreement") < 0.7
    assert set(found.rows["router"]) == {FAST, "best_single"}
    assert "mean_score" not in set(found.rows["metric"])
    assert any("preferences and no scores: knn, oracle, random, task_best" in note for note in found.notes)
    assert found.sentences()[0].startswith(f"{FAST} beats best_single by")
    row = found.rows.filter(pl.col("seed").is_null(), router=FAST, metric="agreement").row(0, named=True)
    assert row["ci_low"] < row["value"] < row["ci_high"]


def test_preferences_alone_can_be_reported(found: Evaluation, tmp_path: Path) -> None:
    write_html(found, tmp_path / "f.html")
    assert "agreement with decided preferences" in (tmp_path / "f.html").read_text("utf8")
    assert found.plot().get_xlabel() == "agreement with decided preferences"


def test_preferences_alone_have_a_learning_curve(tmp_path: Path) -> None:
    found = learning_curve(BATTLED, [FAST], train_fractions=[0.2, 1], evaluate=evaluate, n_resamples=20)
    assert found.plot().get_ylabel() == "agreement with decided preferences"
    found.write_html(tmp_path / "f.html")
    assert "agreement with decided preferences by training instances" in (tmp_path / "f.html").read_text("utf8")


def test_scores_and_preferences_are_judged_apart() -> None:
    scores = SCORED.interactions.dense()
    scores[::2] = np.nan
    mixed = replace(BATTLED, interactions=InteractionMatrix.from_dense(scores))
    both = evaluate(mixed, [FAST, "knn"], seeds=(0,))
    rows = both.rows.filter(router=FAST)
    n = dict(
        rows.filter(pl.col("metric").is_in(["mean_score", "agreement"])).select("metric", "n_instances").iter_rows()
    )
    assert n["mean_score"] < n["agreement"] <= 24
    for router in ("knn", "best_single", "oracle", "random"):
        assert 0 <= both.value(router, "mean_score") <= 1
    assert both.value("oracle", "any_best") == 1
    assert both.value("oracle", "unobserved_choice") == 0
    assert both.value("oracle", "hit@3") == 1
    assert both.value("knn", "agreement") > 0.5  # learned from scores, judged by battles
    assert "agreement" not in set(both.rows.filter(router="oracle")["metric"])


def test_an_instance_without_scores_counts_in_no_metric_of_scores() -> None:
    table, predicted = [[1, 0, 0, 0], [0, 1, 1, 0]], [[0.3, 0.2, 0.1, 0], [0.4, 0.3, 0.2, 0.1]]
    nan = [float("nan")] * 4
    short = Outcome.of(table, choice=[0, 1], predicted=predicted, best_single=0)
    long = Outcome.of([*table, nan], choice=[0, 1, 1], predicted=[*predicted, [1, 2, 3, 4]], best_single=0)
    of_choices = {"selection_entropy", "choice_entropy", "coverage", "gini"}
    for name, metric in METRICS.items():
        if metric.of != "preferences" and name not in of_choices:
            np.testing.assert_allclose(metric(short, None), metric(long, None), err_msg=name)


@pytest.mark.parametrize("control", ["text", "scores"])
def test_a_shuffled_control_learns_nothing(control: str) -> None:
    shuffled = evaluate(BATTLED, ["auto"], shuffle=control)
    assert shuffled.value("auto", "agreement") < 0.7


@pytest.mark.parametrize("what", ["pool scaling", "coldstart", "tune"])
def test_what_needs_scores_says_so(what: str, tmp_path: Path) -> None:
    run = {
        "pool scaling": lambda data: scale(data, ["auto"]),
        "coldstart": lambda data: coldstart(data, []),
        "tune": lambda data: tune(data, tmp_path / "study", n_trials=1),
    }
    with pytest.raises(RecrouteError, match=f"planted has only preferences, and {what} needs scores; add records"):
        run[what](BATTLED)


def test_a_test_set_with_preferences_in_another_order_is_the_same(found: Evaluation) -> None:
    fought = BATTLED.preferences
    assert fought is not None
    turned: Dataset = replace(BATTLED, preferences=fought.take(np.arange(len(fought))[::-1]))
    assert evaluate(turned, [FAST], seeds=(0, 1)).value(FAST, "agreement") == pytest.approx(
        found.value(FAST, "agreement"), abs=0.02
    )
