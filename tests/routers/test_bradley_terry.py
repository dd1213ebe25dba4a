from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.special import expit

from recroute.data import Dataset, InteractionMatrix, Precomputed, Preferences, leaderboard
from recroute.routers import make_router
from recroute.routers.battles import Battles, Rows, battle_loss, implied_battles
from recroute.routers.bradley_terry import Axes, Model, lead_to_score
from recroute.testing import drawn_preferences, planted_dataset

STRENGTH = np.array([-1.5, -0.5, 0.0, 0.5, 1.5])


def some_rows(rng: np.random.Generator, n: int = 12, m: int = 6, n_battles: int = 0) -> Rows:
    observed = (rng.random((n, m)) < 0.7).astype(np.float64)
    S = rng.choice([0.0, 0.5, 1.0], size=(n, m)) * observed
    a = rng.integers(0, m, n_battles)
    b = (a + rng.integers(1, m, n_battles)) % m
    outcome = rng.choice([0.0, 0.5, 1.0], n_battles).astype(np.float32)
    fought = Preferences(*(x.astype(np.int32) for x in (rng.integers(0, n, n_battles), a, b)), outcome)
    return Rows(rng.normal(size=(n, 4)), S, observed, np.zeros(n, dtype=np.int64), fought)


def test_all_pairs_of_a_row_and_all_battles_are_what_the_sum_over_them_is(rng: np.random.Generator) -> None:
    rows = some_rows(rng, n_battles=20)
    theta, first_shown = rng.normal(size=rows.S.shape), 0.3
    loss, _ = battle_loss(theta, Battles.of(rows, 10, 0), first_shown)
    expected = 0.0

    def against(result: float, lead: float) -> float:
        return -(result * np.log(expit(lead)) + (1 - result) * np.log(1 - expit(lead)))

    for r in range(len(rows.S)):
        seats = np.flatnonzero(rows.observed[r])
        for i, j in combinations(seats, 2):
            result = (1 + rows.S[r, i] - rows.S[r, j]) / 2
            expected += against(result, theta[r, i] - theta[r, j]) / (len(seats) - 1)
    fought = rows.preferences
    for r, i, j, y in zip(fought.instance_index, fought.llm_a, fought.llm_b, fought.outcome, strict=True):
        expected += against(y, theta[r, i] - theta[r, j] + first_shown)
    np.testing.assert_allclose(loss.sum(), expected, rtol=1e-6)


def test_drawn_opponents_are_fair() -> None:
    first, second, weight = implied_battles(np.ones((3, 50)), 4, 0)
    assert (first // 50 == second // 50).all()
    assert (first != second).all()
    np.testing.assert_array_equal(np.bincount(first, minlength=150), 4)
    np.testing.assert_array_equal(np.bincount(second, minlength=150), 4)
    np.testing.assert_allclose(weight.sum(), 3 * 50 / 2)


@pytest.mark.parametrize("n_opponents", [2, 10])
def test_the_gradient_equals_finite_differences(n_opponents: int, rng: np.random.Generator) -> None:
    rows = some_rows(rng, n_battles=20)
    battles = Battles.of(rows, n_opponents, 0)
    model = Model.of(Axes.of(rows.X), 6, battles, 0.5)
    model = replace(model, basis=model.basis.astype(np.float64))  # finite differences need the digits
    flat = rng.normal(size=5 * 6 + 1)
    error = check_grad(lambda x: model.objective(x, battles)[0], lambda x: model.objective(x, battles)[1], flat)
    assert error < 1e-4


def battle_frame(rng: np.random.Generator, lead: np.ndarray, ties: float = 0.0) -> dict[str, list[str]]:
    """A battle for each row of true coefficients (n, m); a share of them ends in a tie."""
    n, m = lead.shape
    a = rng.integers(0, m, n)
    b = (a + rng.integers(1, m, n)) % m
    won = rng.random(n) < expit(lead[np.arange(n), a] - lead[np.arange(n), b])
    outcome = np.where(rng.random(n) < ties, "tie", np.where(won, "win", "loss"))
    return {
        "instance_id": [f"q{i}" for i in range(n)],
        "llm_a": [f"llm-{i}" for i in a],
        "llm_b": [f"llm-{i}" for i in b],
        "outcome": outcome.tolist(),
    }


def preferred(frame: dict[str, list[str]]) -> Dataset:
    return Dataset.from_records(None, preferences=frame)


def with_vectors(data: Dataset, X: np.ndarray) -> Dataset:
    return data.with_embeddings(X.astype(np.float32), Precomputed("x"))


def test_the_leaderboard_is_recovered_from_battles_alone(rng: np.random.Generator) -> None:
    data = preferred(battle_frame(rng, np.tile(STRENGTH, (6000, 1))))
    router = make_router("bradley_terry").fit(with_vectors(data, rng.normal(size=(6000, 4))))
    np.testing.assert_allclose(router.leaderboard_, STRENGTH, atol=0.2)


@pytest.mark.parametrize("ties", [0.0, 0.5])
def test_without_text_it_is_the_dense_newton_solution(ties: float, rng: np.random.Generator) -> None:
    data = preferred(battle_frame(rng, np.tile(STRENGTH, (3000, 1)), ties))
    router = make_router("bradley_terry", reg=float("inf"), n_epochs=200)
    router.fit(with_vectors(data, np.ones((data.n_instances, 2))))
    board = leaderboard(data.preferences, data.n_llms)
    # L-BFGS stops where the loss falls by less than a millionth of it; from other battles all differ by .05
    np.testing.assert_allclose(router.leaderboard_, board.coefficient, atol=0.01)
    np.testing.assert_allclose(router.first_shown_, board.first_shown, atol=0.01)


def test_the_leaderboard_of_a_prompt_is_recovered_from_battles_alone(rng: np.random.Generator) -> None:
    frame_of = rng.normal(size=(8000, 3))
    W = rng.normal(size=(3, 5))
    W -= W.mean(axis=1, keepdims=True)
    data = preferred(battle_frame(rng, STRENGTH / 2 + frame_of @ W))
    X = frame_of[[int(name[1:]) for name in data.instance_ids]]
    data = with_vectors(data, X)
    router = make_router("bradley_terry").fit(data)
    np.testing.assert_allclose(router.weight_, W, atol=0.25)
    best = (STRENGTH / 2 + X @ W).argmax(axis=1)
    assert (router.rank(data).llm_index[:, 0] == best).mean() > 0.9


def test_ties_draw_the_coefficients_together_and_keep_their_order(rng: np.random.Generator) -> None:
    frames = [battle_frame(rng, np.tile(STRENGTH, (6000, 1)), ties) for ties in (0.0, 0.6)]
    boards = [
        make_router("bradley_terry", reg=100).fit(with_vectors(preferred(f), np.ones((6000, 2)))).leaderboard_
        for f in frames
    ]
    assert np.ptp(boards[1]) < 0.6 * np.ptp(boards[0])
    assert (np.diff(boards[1]) > 0).all()


def test_who_is_called_a_changes_nothing(rng: np.random.Generator) -> None:
    data = drawn_preferences(planted_dataset(), 2000, first_shown=0.2, seed=1)
    data = with_vectors(data, np.eye(3)[np.arange(data.n_instances) % 3])
    a = data.preferences
    swapped = Preferences(a.instance_index, a.llm_b, a.llm_a, 1 - a.outcome)
    shuffled = a.take(rng.permutation(len(a)))
    one, other, third = (
        make_router("bradley_terry").fit(replace(data, preferences=fought)) for fought in (a, swapped, shuffled)
    )
    np.testing.assert_allclose(one.score(data), other.score(data), atol=1e-4)
    np.testing.assert_allclose(one.first_shown_, -other.first_shown_, atol=1e-4)
    np.testing.assert_allclose(one.score(data), third.score(data), atol=1e-3)


def test_being_shown_first_is_not_taken_for_strength(rng: np.random.Generator) -> None:
    # equal LLMs, the first shown preferred; llm-0 is always shown first, llm-1 and llm-2 meet in both orders
    n = 6000
    rest = np.where(rng.random(n) < 0.5, 1, 2)
    a = np.where(rng.random(n) < 0.5, 0, rest)
    b = np.where(a == 0, rest, 3 - rest)
    won = (rng.random(n) < expit(0.8)).astype(np.float32)
    fought = Preferences(*(x.astype(np.int32) for x in (np.arange(n), a, b)), won)
    nothing = InteractionMatrix.from_dense(np.full((n, 3), np.nan))
    data = replace(planted_dataset(n_instances=n, n_llms=3), interactions=nothing, preferences=fought)
    router = make_router("bradley_terry", reg=float("inf")).fit(with_vectors(data, np.ones((n, 2))))
    np.testing.assert_allclose(router.leaderboard_, 0, atol=0.12)
    np.testing.assert_allclose(router.first_shown_, 0.8, atol=0.12)


def test_winner_and_loser_in_two_columns_are_no_order(rng: np.random.Generator) -> None:
    frame = battle_frame(rng, np.tile(STRENGTH, (3000, 1)))
    won = [outcome == "win" for outcome in frame["outcome"]]
    sides = list(zip(frame["llm_a"], frame["llm_b"], strict=True))
    winner_first = {
        "instance_id": frame["instance_id"],
        "llm_a": [a if w else b for (a, b), w in zip(sides, won, strict=True)],
        "llm_b": [b if w else a for (a, b), w in zip(sides, won, strict=True)],
        "outcome": ["win"] * len(won),
    }
    data = preferred(winner_first)
    assert leaderboard(data.preferences, 5).first_shown == 0
    router = make_router("bradley_terry", reg=float("inf")).fit(with_vectors(data, np.ones((3000, 2))))
    np.testing.assert_allclose(router.leaderboard_, STRENGTH, atol=0.3)
    assert router.first_shown_ == 0


def test_the_same_battle_many_times_counts_as_often() -> None:
    columns = {"instance_id": "q", "llm_a": "a", "llm_b": "b"}
    outcomes = ["win", "win", "win", "loss"]
    data = preferred({**{key: [value] * 4 for key, value in columns.items()}, "outcome": outcomes})
    board = leaderboard(data.preferences, 2)
    assert board.coefficient[0] > 10 * board.first_shown > 0  # a was always first, and strength is likelier
    lead = board.coefficient[0] - board.coefficient[1] + board.first_shown
    np.testing.assert_allclose(4 * (0.75 - expit(lead)), 10 * board.first_shown, atol=1e-9)


def test_scores_of_some_prompts_and_battles_on_others_are_learned_from_together() -> None:
    data = planted_dataset(n_instances=400, n_llms=6, noise=0.2)
    battled = drawn_preferences(data, 3000).preferences
    scored = data.interactions.dense()
    scored[100:] = np.nan  # battles are all that is known of the rest
    few = replace(data, interactions=data.interactions.from_dense(scored))
    both = replace(few, preferences=battled)
    test = planted_dataset(n_instances=90, n_llms=6, noise=0.0, seed=1)

    def quality(train: Dataset) -> float:
        choice = make_router("bradley_terry", reg=1.0).fit(train).rank(test).llm_index[:, 0]
        return float(test.interactions.dense()[np.arange(90), choice].mean())

    assert quality(both) > 0.95
    assert quality(both) >= quality(few)


def test_whom_an_llm_met_does_not_count_only_how_it_did() -> None:
    # c beats b, which lost to a every time; a never met c: the plain win rates of a and c are alike
    rows = [("a", "b", "win")] * 30 + [("a", "b", "loss")] * 10 + [("b", "d", "win")] * 30 + [("b", "d", "loss")] * 10
    rows += [("c", "d", "win")] * 30 + [("c", "d", "loss")] * 10
    frame = {key: [row[i] for row in rows] for i, key in enumerate(("llm_a", "llm_b", "outcome"))}
    data = preferred({"instance_id": [f"q{i}" for i in range(len(rows))], **frame})
    board = make_router("bradley_terry").fit(with_vectors(data, np.ones((len(rows), 2)))).leaderboard_
    assert board[0] > board[2] + 0.5
    np.testing.assert_allclose(board[2], board[1], atol=0.3)


def test_without_text_the_order_is_that_of_the_means() -> None:
    data = planted_dataset(n_llms=7, noise=0.3, seed=5)
    router = make_router("bradley_terry", reg=float("inf"), n_opponents=6).fit(data)
    assert not router.weight_.any()
    predicted = router.score(data)[0]
    np.testing.assert_array_equal(np.argsort(predicted), np.argsort(router.llm_mean_))
    np.testing.assert_allclose(predicted, router.llm_mean_, atol=0.02)


def test_the_score_rises_with_the_lead_and_stays_within_bounds() -> None:
    lead = np.linspace(-30, 30, 101)
    for mean in (0.0, 0.2, 0.5, 1.0):
        score = lead_to_score(lead, mean)
        assert (np.diff(score) >= 0).all()
        assert score.min() >= 0
        assert score.max() <= 1
    np.testing.assert_allclose(lead_to_score(np.array([0.0, 0.02]), 0.3), [0.3, 0.31], atol=1e-3)
