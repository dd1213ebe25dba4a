import numpy as np
import pytest

from recroute.evaluation.bootstrap import Bootstrap, interval
from recroute.metrics import Outcome, mean_score

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
