import numpy as np

from recroute.evaluation.bootstrap import Bootstrap, interval
from recroute.metrics import Outcome, mean_score

IDS = np.array([f"i{i}" for i in range(400)])


def test_the_interval_of_a_mean_is_the_normal_one() -> None:
    scores = (np.random.default_rng(0).random(400) < 0.7).astype(np.float64)
    outcome = Outcome.of(scores[:, None], np.zeros(400), instance_id=IDS)
    low, high = interval(mean_score(outcome, Bootstrap([IDS], seed=0).weights(0, IDS)))
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
    pooled = bootstrap.pool(np.stack([np.full(200, np.nan), np.ones(200)]))
    assert set(pooled[~np.isnan(pooled)]) == {1.0}
