from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.special import expit

from recroute.data import Dataset, Precomputed, dataset_from_pairs
from recroute.routers import make_router
from recroute.routers.bradley_terry import Battles, Model, battle_loss, lead_to_score
from recroute.routers.logistic import Cells
from recroute.testing import planted_dataset

RNG = np.random.default_rng(0)
STRENGTH = np.array([-1.5, -0.5, 0.0, 0.5, 1.5])


def some_cells(n: int = 12, m: int = 6) -> tuple[np.ndarray, np.ndarray]:
    observed = (RNG.random((n, m)) < 0.7).astype(np.float64)
    return RNG.choice([0.0, 0.5, 1.0], size=(n, m)) * observed, observed


def test_all_pairs_of_a_row_are_what_the_sum_over_pairs_is() -> None:
    S, observed = some_cells()
    theta = RNG.normal(size=S.shape)
    loss, _ = battle_loss(theta, S, Battles.of(observed, 10, 0))
    expected = 0.0
    for r in range(len(S)):
        seats = np.flatnonzero(observed[r])
        for i, j in combinations(seats, 2):
            result, p = (1 + S[r, i] - S[r, j]) / 2, expit(theta[r, i] - theta[r, j])
            expected -= (result * np.log(p) + (1 - result) * np.log(1 - p)) / (len(seats) - 1)
    np.testing.assert_allclose(loss.sum(), expected, rtol=1e-6)


def test_drawn_opponents_are_fair() -> None:
    battles = Battles.of(np.ones((3, 50)), 4, 0)
    assert (battles.first // 50 == battles.second // 50).all()
    assert (battles.first != battles.second).all()
    np.testing.assert_array_equal(np.bincount(battles.first, minlength=150), 4)
    np.testing.assert_array_equal(np.bincount(battles.second, minlength=150), 4)
    np.testing.assert_allclose(battles.weight.sum(), 3 * 50 / 2)


@pytest.mark.parametrize("n_opponents", [2, 10])
def test_the_gradient_equals_finite_differences(n_opponents: int) -> None:
    S, observed = some_cells()
    battles = Battles.of(observed, n_opponents, 0)
    model = Model.of(Cells(RNG.normal(size=(12, 4)), S, observed, np.zeros(12, dtype=np.int64)), 0.5)
    flat = RNG.normal(size=5 * 6)
    error = check_grad(lambda x: model.objective(x, S, battles)[0], lambda x: model.objective(x, S, battles)[1], flat)
    assert error < 1e-4


def battle_frame(lead: np.ndarray, ties: float = 0.0) -> dict[str, list[str]]:
    """A battle for each row of true coefficients (n, m); a share of them ends in a tie."""
    n, m = lead.shape
    a = RNG.integers(0, m, n)
    b = (a + RNG.integers(1, m, n)) % m
    won = RNG.random(n) < expit(lead[np.arange(n), a] - lead[np.arange(n), b])
    outcome = np.where(RNG.random(n) < ties, "tie", np.where(won, "win", "loss"))
    return {
        "instance_id": [f"q{i}" for i in range(n)],
        "llm_a": [f"llm-{i}" for i in a],
        "llm_b": [f"llm-{i}" for i in b],
        "outcome": outcome.tolist(),
    }


def with_vectors(data: Dataset, X: np.ndarray) -> Dataset:
    return data.with_embeddings(X.astype(np.float32), Precomputed("x"))


def test_the_leaderboard_is_recovered_from_battles_alone() -> None:
    data = dataset_from_pairs(battle_frame(np.tile(STRENGTH, (6000, 1))))
    router = make_router("bradley_terry").fit(with_vectors(data, RNG.normal(size=(6000, 4))))
    np.testing.assert_allclose(router.leaderboard_, STRENGTH, atol=0.2)


def test_the_leaderboard_of_a_prompt_is_recovered_from_battles_alone() -> None:
    X = RNG.normal(size=(8000, 3))
    W = RNG.normal(size=(3, 5))
    W -= W.mean(axis=1, keepdims=True)
    data = with_vectors(dataset_from_pairs(battle_frame(STRENGTH / 2 + X @ W)), X)
    router = make_router("bradley_terry").fit(data)
    np.testing.assert_allclose(router.weight_, W, atol=0.25)
    best = (STRENGTH / 2 + X @ W).argmax(axis=1)
    assert (router.rank(data).llm_index[:, 0] == best).mean() > 0.9


def test_ties_draw_the_coefficients_together_and_keep_their_order() -> None:
    frames = [battle_frame(np.tile(STRENGTH, (6000, 1)), ties) for ties in (0.0, 0.6)]
    boards = [
        make_router("bradley_terry", reg=100).fit(with_vectors(dataset_from_pairs(f), np.ones((6000, 2)))).leaderboard_
        for f in frames
    ]
    assert np.ptp(boards[1]) < 0.6 * np.ptp(boards[0])
    assert (np.diff(boards[1]) > 0).all()


def test_whom_an_llm_met_does_not_count_only_how_it_did() -> None:
    # c beats b, which lost to a every time; a never met c: the plain win rates of a and c are alike
    rows = [("a", "b", "win")] * 30 + [("a", "b", "loss")] * 10 + [("b", "d", "win")] * 30 + [("b", "d", "loss")] * 10
    rows += [("c", "d", "win")] * 30 + [("c", "d", "loss")] * 10
    frame = {key: [row[i] for row in rows] for i, key in enumerate(("llm_a", "llm_b", "outcome"))}
    data = dataset_from_pairs({"instance_id": [f"q{i}" for i in range(len(rows))], **frame})
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
