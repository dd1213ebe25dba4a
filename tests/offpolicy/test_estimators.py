"""Estimators against hand arithmetic, and their expectation over every log that could have been."""

import itertools

import numpy as np
import pytest

from recroute.offpolicy.estimators import ESTIMATORS, Estimate, estimates, ips, snips
from recroute.offpolicy.overlap import Overlap

SCORES = np.array([[1.0, 0.0, 0.5], [0.2, 0.9, 0.0]])
LOGGING = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])
TARGET = np.array([[0.0, 1.0, 0.0], [0.2, 0.3, 0.5]])
MODEL = np.array([[0.7, 0.1, 0.4], [0.9, 0.3, 0.8]])  # a bad one
TRUTH = (0.0 + 0.2 * 0.2 + 0.3 * 0.9) / 2


def every_log(model: np.ndarray) -> list[tuple[float, dict[str, Estimate]]]:
    """Each log of two rows with its probability and the estimates from it."""
    found, rows = [], np.arange(2)
    for choice in itertools.product(range(3), repeat=2):
        taken = np.array(choice)
        weight = TARGET[rows, taken] / LOGGING[rows, taken]
        found.append((LOGGING[rows, taken].prod(), estimates(weight, SCORES[rows, taken], taken, model, TARGET)))
    return found


@pytest.mark.parametrize("name", ["ips", "dr"])
@pytest.mark.parametrize("model", [MODEL, np.zeros((2, 3)), SCORES])
def test_the_mean_over_every_possible_log_is_the_truth(name: str, model: np.ndarray) -> None:
    assert sum(p * found[name].value for p, found in every_log(model)) == pytest.approx(TRUTH)


def test_a_perfect_model_makes_every_log_say_the_truth() -> None:
    assert [found["dr"].value for _, found in every_log(SCORES)] == pytest.approx([TRUTH] * 9)


def test_a_model_of_zeros_leaves_inverse_propensity() -> None:
    for _, found in every_log(np.zeros((2, 3))):
        assert found["dr"].value == pytest.approx(found["ips"].value)


def test_the_squared_standard_error_of_a_mean_is_its_variance_over_every_log() -> None:
    """With rows of one distribution (all instances alike) it is unbiased: sum p * se^2 = sum p * (value - truth)^2."""
    logging, target, score = np.array([0.7, 0.3]), np.array([0.4, 0.6]), np.array([1.0, 0.5])
    truth, error, squared = 0.4 * 1.0 + 0.6 * 0.5, 0.0, 0.0
    for choice in itertools.product(range(2), repeat=3):
        taken = np.array(choice)
        found = ips(target[taken] / logging[taken], score[taken])
        error += logging[taken].prod() * found.standard_error**2
        squared += logging[taken].prod() * (found.value - truth) ** 2
    assert error == pytest.approx(squared)


def test_snips_is_a_weighted_mean_and_does_not_mind_another_zero_point() -> None:
    weight, score = np.array([4.0, 1.0, 0.0]), np.array([0.5, 1.0, 0.3])
    found = snips(weight, score)
    assert found.value == pytest.approx((4 * 0.5 + 1 * 1.0) / 5)
    assert snips(weight, score + 7).value == pytest.approx(found.value + 7)
    assert snips(weight, score + 7).standard_error == pytest.approx(found.standard_error)
    assert found.influence == pytest.approx(np.array([4 * -0.1, 0.4, 0.0]) * 3 / 5)
    assert np.isnan(snips(np.zeros(3), score).value)


def test_intervals_are_centred_and_differences_paired() -> None:
    score = np.array([0.0, 1.0, 1.0, 0.0])
    found = ips(np.ones(4), score)
    assert found.standard_error == pytest.approx(np.sqrt(1 / 3 / 4))  # sample variance 1/3 of four rows
    assert found.interval == pytest.approx((0.5 - 1.959964 * np.sqrt(1 / 12), 0.5 + 1.959964 * np.sqrt(1 / 12)))
    assert found.minus(snips(np.ones(4), score)).standard_error == pytest.approx(0, abs=1e-12)


def test_intervals_cover_the_truth_at_about_their_rate() -> None:
    """2,000 logs of 1,000 rows that are worth 280; the share covered is then uncertain by half a point."""
    rng = np.random.default_rng(0)
    chance = rng.random((50, 4))
    logging = 0.8 / 4 + 0.2 * np.eye(4)[rng.integers(0, 4, 50)]
    target = np.eye(4)[chance.argmax(axis=1)]
    truth = (target * chance).sum(axis=1).mean()
    covered = dict.fromkeys(ESTIMATORS, 0)
    for _ in range(2000):
        x = rng.integers(0, 50, 1000)
        taken = (logging[x].cumsum(axis=1) > rng.random(1000)[:, None]).argmax(axis=1)
        score = (rng.random(1000) < chance[x, taken]).astype(float)
        weight = target[x, taken] / logging[x, taken]
        for name, found in estimates(weight, score, taken, np.full((1000, 4), 0.5), target[x]).items():
            covered[name] += found.interval[0] <= truth <= found.interval[1]
    assert all(0.93 < count / 2000 < 0.965 for count in covered.values()), covered


def overlap(weight: list[float], target: list[list[float]], logged: list[bool]) -> Overlap:
    return Overlap.of(np.array(weight), np.array(target), np.array(logged))


def test_overlap_by_hand() -> None:
    found = overlap([2.0, 1.0, 0.0], [[1, 0], [0.5, 0.5], [0, 1]], [True, False])
    assert found.effective_n == pytest.approx(9 / 5)
    assert found.largest_weight == pytest.approx(2 / 3)
    assert found.mean_weight == pytest.approx(1)
    assert found.never_logged == pytest.approx((0 + 0.5 + 1) / 3)


def test_good_overlap_is_not_warned_of() -> None:
    assert overlap([1.0] * 400, [[1.0, 0.0]] * 400, [True, True]).warnings("x") == []


@pytest.mark.parametrize(
    ("weight", "never", "said"),
    [
        ([1.0] * 40, 0.0, "little overlap"),
        ([1.0] * 400 + [100.0], 0.0, "little overlap"),
        ([1.0, 0.0] * 400, 0.0, "could not have been logged"),
        ([1.0, 0.0] * 400, 0.5, "never logged"),
        ([1.5] * 400, 0.0, "propensities are too small"),
        ([0.0] * 400, 0.0, "are worth 0 of its own"),
    ],
)
def test_doubtful_overlap_is_warned_of(weight: list[float], never: float, said: str) -> None:
    warned = overlap(weight, [[1 - never, never]] * len(weight), [True, False]).warnings("ridge")
    assert any(said in line and line.startswith("ridge: ") for line in warned), warned
    if never:
        assert not any("could not have been logged" in line for line in warned)  # that share is explained already
