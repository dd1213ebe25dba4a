"""Attempts that are worth their cost, and the target that decides what cost counts."""

import numpy as np
import polars as pl
import pytest

from recroute.attempts.answers import Answers
from recroute.attempts.policies import play
from recroute.attempts.priced import Priced, priced_set
from recroute.attempts.result import Cascade
from recroute.attempts.run import cascade
from recroute.attempts.target import Target
from recroute.errors import DataError
from recroute.routers.memory.joint import Belief, JointScores
from recroute.routers.memory.verifier import EXACT, Verifier
from recroute.routers.trade_off import Curve
from recroute.testing import planted_dataset

COSTS = planted_dataset(costs=True, noise=0.25)


def belief_in(table: list[list[float]]) -> Belief:
    """Components of equal weight in which the LLMs have these expected scores."""
    expected = np.array(table, dtype=np.float32)
    (c, m), mean = expected.shape, expected.mean(axis=0)
    none = np.zeros((m, 0), np.float32), np.zeros((c, 0), np.float32)
    joint = JointScores(mean, np.eye(m, dtype=np.float32), expected - mean, mean, *none, np.ones(m, dtype=np.float32))
    return Belief(joint, np.zeros((1, m), dtype=np.float32), np.full((1, c), 1 / c, dtype=np.float32))


def priced(table: list[list[float]], price: list[float], left: int, verifier: Verifier = EXACT, **more: bool) -> Priced:
    prices = np.array([price], dtype=np.float32)
    return Priced(
        belief=belief_in(table), scores=np.zeros_like(prices), verifier=verifier, price=prices, left=left, **more
    )


def failed(policy: Priced, llm: int) -> Priced:
    policy.see(np.array([llm]), np.zeros(1, dtype=np.float32))
    return policy


def test_a_cheap_llm_goes_first_if_another_attempt_is_left() -> None:
    table, price = [[0.3, 0.7]], [0.01, 0.1]
    assert priced(table, price, left=1).choose(0).tolist() == [1]  # .7 - .1 against .3 - .01
    assert priced(table, price, left=2).choose(0).tolist() == [0]  # .29 + .7 * .6 against .6 + .3 * .29
    assert failed(priced(table, price, left=1), 0).choose(1).tolist() == [1]


def test_nothing_is_asked_that_is_not_worth_its_price() -> None:
    table = [[0.3, 0.7]]
    assert priced(table, [0.9, 0.9], left=2).choose(0).tolist() == [1]  # the first attempt is made
    assert failed(priced(table, [0.1, 0.75], left=1), 0).choose(1).tolist() == [-1]
    half = priced(table, [0.1, 0.4], left=1)
    half.see(np.array([0]), np.array([0.5], dtype=np.float32))  # keeps .5, so the gain is .7 * .5
    assert half.choose(1).tolist() == [-1]


def test_a_verdict_counts_only_for_a_policy_that_learns() -> None:
    table = [[0.9, 0.9, 0.1], [0.1, 0.1, 0.5]]  # the first two do well on the same prompts
    price = [0.0, 0.0, 0.0]
    assert failed(priced(table, price, left=1), 0).choose(1).tolist() == [2]
    assert failed(priced(table, price, left=1, learns=False), 0).choose(1).tolist() == [1]


def test_a_second_opinion_on_a_rejected_answer_is_worth_less_where_the_judge_errs() -> None:
    table, judge = [[0.8, 0.8]], Verifier(0.6, 0.9)
    kept = 0.8 * 0.4 / (0.8 * 0.4 + 0.2 * 0.9)  # chance that the rejected answer is right
    gain = 0.8 * 0.6 - (0.8 * 0.6 + 0.2 * 0.1) * kept
    for price, llm in ((gain - 0.01, 1), (gain + 0.01, -1)):
        assert failed(priced(table, [0.0, price], left=1, verifier=judge), 0).choose(1).tolist() == [llm]


def test_a_set_grows_while_it_is_worth_it() -> None:
    table = [[0.6, 0.5, 0.5]]
    scores = np.zeros((1, 3), dtype=np.float32)
    answers = Answers(scores, scores, scores > 0, EXACT, np.ones_like(scores))
    gains = {0.15: [[0, 1, -1]], 0.25: [[0, -1, -1]], 0.01: [[0, 1, 2]]}  # a second adds .2, a third .1
    for price, members in gains.items():
        order = priced_set(belief_in(table), answers, np.arange(3), np.full((1, 3), price, dtype=np.float32), 3)
        assert order.order.tolist() == members


def test_llms_that_were_not_evaluated_are_never_asked() -> None:
    policy = priced([[0.9, 0.5]], [0.0, 0.0], left=2)
    policy.scores = np.array([[np.nan, 0.0]], dtype=np.float32)
    policy.__post_init__()
    answers = Answers(policy.scores, policy.scores, policy.scores > 0, EXACT, np.ones((1, 2), dtype=np.float32))
    assert play(policy, answers, 2).calls.tolist() == [[1, 1]]


def test_a_target_is_met_on_the_curve_or_as_nearly_as_can_be() -> None:
    curve = Curve(np.array([[0.0, 1.0, 2.0], [0.004, 0.002, 0.001], [0.8, 0.7, 0.4]]), 0.75, "USD")
    for target, mixture, met in (
        (Target(3.0, None), (1.0, 0.0, 0.5), True),
        (Target(0.5, None), (2.0, 2.0, 1.0), False),
        (Target(None, 0.7 / 0.75), (1.0, 1.0, 1.0), True),
        (Target(None, 2.0), (0.0, 0.0, 1.0), False),
    ):
        assert target.mixture(curve) == pytest.approx(mixture)
        assert target.met(curve) == met


@pytest.fixture(scope="module", params=["exact", "noisy:.9,.9"])
def at_budgets(request: pytest.FixtureRequest) -> list[Cascade]:
    options = {"seeds": [0, 1], "n_resamples": 50, "attempts": [1, 3], "verifier": request.param}
    return [cascade(COSTS, ["hierarchy"], budget=budget, **options) for budget in (1.3, 2.5)]


def test_a_larger_budget_is_spent_on_a_higher_score(at_budgets: list[Cascade]) -> None:
    small, large = at_budgets
    for policy in ("next", "posterior", "set"):
        costs = [found.value(policy, 3, metric="cost_at_k") for found in at_budgets]
        assert costs[0] < costs[1]
        assert costs[0] < 1.3e-3 * 1.25  # it is met on validation instances
        assert small.value(policy, 3) < large.value(policy, 3)
    assert small.info["budget"] == 1.3
    assert small.info["cost_unit"] == "USD"
    pairs = small.comparisons.filter(n_attempts=3)
    assert pairs["baseline"].to_list() == ["next", "next"]
    assert set(pairs["metric"]) == {"score_at_k", "cost_at_k"}
    assert "a budget of 1.3 USD for 1,000 prompts" in str(small.document().facts)
    assert any("cost" in line and "USD per 1,000 prompts" in line for line in small.sentences())


def test_less_quality_costs_less() -> None:
    found = [
        cascade(COSTS, ["best_single"], quality=share, attempts=[2], n_resamples=20).value(
            "posterior", 2, metric="cost_at_k"
        )
        for share in (0.5, 1.5)
    ]
    assert found[0] < found[1]


def test_a_target_that_is_out_of_reach_is_noted() -> None:
    found = cascade(COSTS, ["best_single"], budget=0.01, attempts=[1], n_resamples=20)
    assert any("misses the budget of 0.01 for 1,000 prompts" in note for note in found.notes)
    assert found.pooled("cost_at_k")["value"].is_not_nan().all()


def test_routers_without_expected_scores_have_no_policy_that_weighs_cost() -> None:
    found = cascade(COSTS, ["random", "best_single"], budget=2, attempts=[1], n_resamples=20)
    assert any(note.startswith("random has no policy that weighs cost: ") for note in found.notes)
    assert set(found.rows.filter(pl.col("policy") == "posterior")["router"]) == {"best_single"}


def test_a_target_needs_costs_and_is_one() -> None:
    with pytest.raises(DataError, match="planted has no costs; add a column cost"):
        cascade(planted_dataset(), ["knn"], quality=1)
    with pytest.raises(DataError, match="budget and quality are given; give only one of them"):
        cascade(COSTS, ["knn"], quality=1, budget=1)
