import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recroute.experiment.bootstrap import Bootstrap, Products, interval, interval_around
from recroute.metrics import Outcome
from recroute.metrics.quality import mean_score
from recroute.metrics.spread import entropy_bits
from recroute.util.numeric import known_mean

IDS = np.array([f"i{i}" for i in range(400)])


def test_the_interval_of_a_mean_is_the_normal_one() -> None:
    scores = (np.random.default_rng(0).random(400) < 0.7).astype(np.float64)
    outcome = Outcome.of(scores[:, None], np.zeros(400), instance_id=IDS)
    low, high = interval(mean_score(outcome, Bootstrap([IDS], seed=0).weights(0, IDS)), 400)
    width = 1.96 * scores.std() / 20
    np.testing.assert_allclose([low, high], [scores.mean() - width, scores.mean() + width], atol=0.006)


def test_an_instance_of_two_seeds_has_one_weight() -> None:
    bootstrap = Bootstrap([IDS[:10], IDS[5:15]], seed=0, n_resamples=20)
    first, second = bootstrap.weights(0, IDS[:10]), bootstrap.weights(1, IDS[5:15])
    np.testing.assert_array_equal(first[:, 5:], second[:, :5])


def test_weights_follow_the_instances_that_are_left() -> None:
    bootstrap = Bootstrap([IDS[:10]], seed=0, n_resamples=20)
    np.testing.assert_array_equal(bootstrap.weights(0, IDS[[2, 7]]), bootstrap.weights(0, IDS[:10])[:, [2, 7]])


def test_pooling_leaves_nan_out() -> None:
    bootstrap = Bootstrap([IDS[:3], IDS[3:6]], seed=0, n_resamples=200)
    pooled = bootstrap.pool(np.array([np.nan, 1.0]), np.stack([np.full(200, np.nan), np.ones(200)]))
    assert set(pooled) == {1.0}


def test_seeds_that_differ_as_their_instances_make_them_are_not_drawn_again() -> None:
    rng = np.random.default_rng(0)
    bootstrap = Bootstrap([IDS[:3]] * 4, seed=0)
    values = np.array([-0.1, 0.0, 0.0, 0.1])
    replicates = values[:, None] + 0.1 * rng.normal(size=(4, 1000))
    np.testing.assert_allclose(bootstrap.pool(values, replicates), replicates.mean(axis=0))


def test_what_seeds_differ_beyond_is_drawn_with_its_full_variance() -> None:
    bootstrap = Bootstrap([IDS[:3]] * 4, seed=0, n_resamples=20_000)
    values = np.array([-3.0, -1.0, 1.0, 3.0])
    pooled = bootstrap.pool(values, np.repeat(values[:, None], 20_000, axis=1))
    assert pooled.var() == pytest.approx(values.var(ddof=1) / 4, rel=0.03)


def test_few_instances_give_the_interval_of_student() -> None:
    low, high = interval(np.random.default_rng(0).normal(size=200_000), 10)
    assert high == pytest.approx(2.262 * np.sqrt(10 / 9), abs=0.03)
    assert low == pytest.approx(-high, abs=0.05)


def shares_of(counts: np.ndarray) -> np.ndarray:
    return counts / counts.sum(axis=-1, keepdims=True)


def test_where_replicates_are_not_biased_the_interval_is_that_of_percentiles() -> None:
    replicates = 0.5 + 0.1 * np.random.default_rng(0).normal(size=1000)
    replicates += 0.5 - replicates.mean()
    assert interval_around(0.5, replicates, 100) == interval(replicates, 100)


def test_the_interval_of_an_entropy_is_moved_against_its_bias_and_holds_it() -> None:
    counts = np.array([60, 30, 15, 8, 4, 2])
    value = float(entropy_bits(shares_of(counts)[None])[0])
    drawn = np.random.default_rng(0).multinomial(counts.sum(), shares_of(counts), size=1000)
    replicates = entropy_bits(shares_of(drawn))
    (low, high), (plain_low, plain_high) = interval_around(value, replicates, 119), interval(replicates, 119)
    assert replicates.mean() < value
    assert plain_low < low < value < plain_high < high
    assert high <= replicates.max()


def test_without_an_interval_that_would_hold_the_truth_there_is_none() -> None:
    many = np.full(200, 1 / 200)  # of 200 LLMs 60 prompts show a few
    counts = np.random.default_rng(0).multinomial(60, many)
    value = float(entropy_bits(shares_of(counts)[None])[0])
    replicates = entropy_bits(shares_of(np.random.default_rng(1).multinomial(60, shares_of(counts), size=1000)))
    assert np.isnan(interval_around(value, replicates, 60)).all()
    for nothing in (interval_around(np.nan, replicates, 60), interval_around(0.5, np.full(5, np.nan), 60)):
        assert np.isnan(nothing).all()


def test_rounding_leaves_the_estimate_inside() -> None:
    for value in (0.3, 1e-300, 1e6, -0.7):
        low, high = interval_around(value, np.full(50, value * (1 + 1e-15)), 10)
        assert low <= value <= high


@settings(max_examples=200, deadline=None)
@given(
    value=st.floats(-2, 2),
    replicates=st.lists(st.floats(-2, 2) | st.just(float("nan")), max_size=40),
    n_instances=st.integers(1, 50),
)
def test_an_interval_holds_its_estimate_or_there_is_none(
    value: float, replicates: list[float], n_instances: int
) -> None:
    low, high = interval_around(value, np.array(replicates, dtype=np.float64), n_instances)
    assert low <= value <= high or np.isnan([low, high]).all()


def test_products_that_are_remembered_stand_for_the_weights() -> None:
    rng = np.random.default_rng(0)
    weights, values = rng.integers(0, 3, (50, 20)).astype(np.float32), rng.random((20, 2))
    products = Products(weights)
    for _ in range(2):
        np.testing.assert_allclose(known_mean(values, products), known_mean(values, weights))
    assert products @ values is products @ values.copy()
