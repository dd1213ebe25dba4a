"""Which trade-off keeps a budget or a quality: arithmetic on a small curve."""

import numpy as np
import pytest

from recroute.data import Prompts
from recroute.errors import RouterError
from recroute.routers.trade_off import Curve, Mixture, cost_range, trade_offs

CURVE = Curve(np.array([[0.0, 1, 2, 3], [0.4, 0.3, 0.2, 0.1], [0.9, 0.9, 0.8, 0.5]]), 0.8, "USD")


def alone(trade_off: float) -> Mixture:
    return Mixture(trade_off, trade_off, 1.0)


def test_the_best_score_within_the_budget_and_then_the_least_cost() -> None:
    assert CURVE.within(400) == CURVE.within(300) == alone(1)  # what costs more is no better
    assert CURVE.within(200) == alone(2)
    assert CURVE.within(100) == alone(3)
    costly = Curve(np.array([[0.0, 1, 2], [0.4, 0.3, 0.2], [0.6, 0.8, 0.5]]), 0.8, "USD")
    assert costly.within(500) == alone(1)  # a dear LLM that is no better is not chosen


def test_between_two_trade_offs_the_prompts_are_shared_out() -> None:
    mixed = CURVE.within(250)
    assert mixed[:2] == (2, 1)
    assert mixed.share == pytest.approx(0.5)
    assert CURVE.at(mixed) == pytest.approx((250, 0.85))
    assert CURVE.at(CURVE.reaching(0.7 / 0.8)) == pytest.approx((100 + 100 * 2 / 3, 0.7))
    below = Curve(np.array([[0.0, 1, 2], [0.4, 0.2, 0.1], [0.9, 0.6, 0.5]]), 0.9, "USD")
    assert below.within(250)[:2] == (2, 0)  # the one between them is below their line
    assert below.at(below.within(250)) == pytest.approx((250, 0.7))


def test_a_prompt_always_gets_the_same_trade_off() -> None:
    prompts = Prompts.of([f"number {i}" for i in range(2000)])
    drawn = Mixture(1.0, 3.0, 0.25).of(prompts)
    assert drawn.shape == (2000, 1)
    assert np.mean(drawn == 1) == pytest.approx(0.25, abs=0.04)
    np.testing.assert_array_equal(Mixture(1.0, 3.0, 0.25).of(prompts.take(np.arange(5, 9))), drawn[5:9])
    assert (Mixture(1.0, 3.0, 0.25).of(prompts, seed=1) != drawn).any()
    assert (alone(2).of(prompts) == 2).all()


@pytest.mark.parametrize("m", [2, 5])
def test_trade_offs_lie_where_choices_change(m: int, rng: np.random.Generator) -> None:
    cost = np.tile(np.geomspace(0.004, 0.48, m), (500, 1))
    predicted = np.tile(np.linspace(0.5, 0.8, m), (500, 1)) + rng.normal(0, 1e-4, (500, m))  # all prompts are alike
    found = trade_offs(predicted, cost)
    assert found[0] == 0
    assert (np.diff(found) > 0).all()
    choices = [(predicted - weight * cost).argmax(axis=1) for weight in found]
    assert (choices[0] == predicted.argmax(axis=1)).all()
    assert (choices[-1] == 0).all()
    spent = np.array([cost[np.arange(500), choice].mean() for choice in choices])
    step = (cost[0, 1:] - cost[0, :-1]).max() / 500  # of one prompt
    assert (spent[:-1] <= 1.05 * spent[1:] + step).all()
    assert len(found) <= 200


def test_an_llm_that_must_not_be_chosen_has_no_trade_off() -> None:
    predicted, cost = np.array([[0.2, 0.9, 0.8]] * 3), np.array([[1.0, 3.0, 2.0]] * 3)
    assert trade_offs(predicted, cost).tolist() == pytest.approx([0, 0.35, 0.9])
    predicted[:, 0] = np.nan
    assert trade_offs(predicted, cost).tolist() == pytest.approx([0, 0.15])
    assert trade_offs(predicted, np.ones((3, 3))).tolist() == [0]


def test_a_budget_below_the_cheapest_choice_names_the_least_that_is_enough() -> None:
    with pytest.raises(RouterError, match="set at least 100"):
        CURVE.within(99)


def test_the_cheapest_trade_off_that_keeps_the_quality() -> None:
    assert CURVE.reaching(1) == alone(2)
    assert CURVE.at(CURVE.reaching(1.1)) == pytest.approx((280, 0.88))
    assert CURVE.reaching(0.6) == alone(3)


def test_a_trade_off_is_no_greater_than_it_has_to_be() -> None:
    level = Curve(np.array([[0.0, 1, 2, 3], [0.4, 0.2, 0.2, 0.2], [0.8] * 4]), 0.8, "USD")
    assert level.reaching(1) == alone(1)


def test_a_quality_out_of_reach_names_the_most_there_is() -> None:
    with pytest.raises(RouterError, match=r"set at most 1\.125"):
        CURVE.reaching(1.2)


def test_the_most_is_a_share_of_the_best_single_llm() -> None:
    assert CURVE.most == pytest.approx(0.9 / 0.8)


def test_between_points_cost_and_score_are_interpolated() -> None:
    assert CURVE.at(alone(1.5)) == pytest.approx((250, 0.85))


def test_a_range_of_costs_is_never_0() -> None:
    assert cost_range(np.array([1.0, 4.0])) == 3
    assert cost_range(np.array([2.0, 2.0])) == 2
    assert cost_range(np.zeros(2)) == 1
