"""Which trade-off keeps a budget or a quality: arithmetic on a small curve."""

import numpy as np
import pytest

from recroute.errors import RouterError
from recroute.routers.trade_off import Curve, cost_range, trade_offs

CURVE = Curve(np.array([[0.0, 1, 2, 3], [0.4, 0.3, 0.2, 0.1], [0.9, 0.9, 0.8, 0.5]]), 0.8, "USD")


def test_the_best_score_within_the_budget_and_then_the_least_cost() -> None:
    assert CURVE.within(400) == CURVE.within(399) == 1
    assert CURVE.within(200) == 2
    assert CURVE.within(100) == 3
    costly = Curve(np.array([[0.0, 1, 2], [0.4, 0.3, 0.2], [0.6, 0.8, 0.5]]), 0.8, "USD")
    assert costly.within(500) == 1  # a dear LLM that is no better is not chosen


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
    assert CURVE.reaching(1) == 2
    assert CURVE.reaching(1.1) == 1
    assert CURVE.reaching(0.6) == 3


def test_a_trade_off_is_no_greater_than_it_has_to_be() -> None:
    level = Curve(np.array([[0.0, 1, 2, 3], [0.4, 0.2, 0.2, 0.2], [0.8] * 4]), 0.8, "USD")
    assert level.reaching(1) == 1


def test_a_quality_out_of_reach_names_the_most_there_is() -> None:
    with pytest.raises(RouterError, match=r"set at most 1\.125"):
        CURVE.reaching(1.2)


def test_the_most_is_a_share_of_the_best_single_llm() -> None:
    assert CURVE.most == pytest.approx(0.9 / 0.8)


def test_between_points_cost_and_score_are_interpolated() -> None:
    assert CURVE.at(1.5) == pytest.approx((250, 0.85))


def test_a_range_of_costs_is_never_0() -> None:
    assert cost_range(np.array([1.0, 4.0])) == 3
    assert cost_range(np.array([2.0, 2.0])) == 2
    assert cost_range(np.zeros(2)) == 1
