"""Bounds and invariances of every metric, for any scores."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recroute.metrics import METRICS, Outcome, Spending, predictions, spread
from recroute.metrics.calibration import auc
from recroute.metrics.quality import best_single_ratio, effective_p, lift, mean_score, oracle, random, regret

GRADES = st.sampled_from([0.0, 0.25, 0.5, 1.0])
TABLES = hnp.arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 5)), elements=GRADES)


def outcome(table: np.ndarray, seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    table = table.copy()
    table[:, 1:][rng.random(table[:, 1:].shape) < 0.2] = np.nan  # the first LLM has seen everything
    n, m = table.shape
    spent = Spending(rng.random(n), rng.random((n, 3)), rng.random((n, 3)), 1 + rng.random(n))
    return Outcome.of(
        table,
        rng.integers(0, m, n),
        train_best=0,
        best_single=0,
        predicted=rng.integers(0, 4, (n, m)) / 3,  # with many ties
        spending=spent,
    )


@given(TABLES, st.integers(0, 5))
def test_order_of_the_instances_does_not_matter(table: np.ndarray, seed: int) -> None:
    found = outcome(table, seed)
    order = np.random.default_rng(1).permutation(len(table))
    turned = found.take(order)
    for metric in METRICS.values():
        np.testing.assert_allclose(metric(found, None), metric(turned, None), atol=1e-12)


@given(TABLES, st.integers(0, 5))
def test_whole_weights_equal_repeated_instances(table: np.ndarray, seed: int) -> None:
    found = outcome(table, seed)
    weights = np.random.default_rng(2).integers(1, 4, len(table))
    repeated = found.take(np.repeat(np.arange(len(table)), weights))
    for metric in METRICS.values():
        if metric.formula is auc:  # its resamples are of first order
            continue
        np.testing.assert_allclose(metric(found, weights[None].astype(float)), metric(repeated, None), atol=1e-12)


@given(TABLES, st.integers(0, 5))
def test_complete_data_keep_the_bounds(table: np.ndarray, seed: int) -> None:
    choice = np.random.default_rng(seed).integers(0, table.shape[1], len(table))
    found = Outcome.of(table, choice)
    assert 0 <= mean_score(found)[0] <= oracle(found)[0] + 1e-12
    assert random(found)[0] <= oracle(found)[0] + 1e-12
    assert -1e-12 <= regret(found)[0] <= 1
    assert np.isnan(effective_p(found)[0]) or effective_p(found)[0] <= 1 + 1e-9


@given(TABLES)
def test_the_best_single_llm_has_ratio_one_and_no_lift(table: np.ndarray) -> None:
    found = Outcome.of(table, np.full(len(table), table.mean(axis=0).argmax()))
    assert lift(found)[0] == 0
    assert np.isnan(best_single_ratio(found)[0]) or best_single_ratio(found)[0] == pytest.approx(1)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_a_formula_and_an_example(name: str) -> None:
    doc = METRICS[name].description
    assert "Range" in doc
    assert ">>>" in doc


def test_a_resample_in_which_nothing_weighs_has_no_spread() -> None:
    found = Outcome.of([[1, 0], [0, 1]], choice=[0, 1])
    weights = np.array([[0.0, 0.0], [1.0, 1.0]])
    np.testing.assert_array_equal(spread.choice_entropy(found, weights), [np.nan, 1.0])
    np.testing.assert_array_equal(spread.gini(found, weights), [np.nan, 0.0])


def test_a_large_pool_is_judged_in_blocks_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    scores = np.where(rng.random((30, 20)) < 0.2, np.nan, rng.integers(0, 3, (30, 20)) / 2)
    scores[3] = np.nan
    predicted_scores = rng.integers(-1, 6, (30, 20)) / 5
    whole = Outcome.of(scores, predicted_scores.argmax(axis=1), predicted=predicted_scores).predictions
    monkeypatch.setattr(predictions, "CELLS_IN_CACHE", 70)
    parts = Outcome.of(scores, predicted_scores.argmax(axis=1), predicted=predicted_scores).predictions
    assert whole is not None
    assert parts is not None
    for field in fields(whole):
        np.testing.assert_allclose(getattr(parts, field.name), getattr(whole, field.name), rtol=1e-12)
