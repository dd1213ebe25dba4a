"""Pools chosen one at a time and by exchange, against all pools there are."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from recroute.pools import PoolValue, exchange, greedy, ranks, replacements
from recroute.pools.pool_value import MIN_GAIN

ORDER = np.arange(9)


def plain_value(key: NDArray[np.float32], score: NDArray[np.float32], pool: list[int]) -> float:
    return float(score[np.arange(len(score)), np.array(pool)[key[:, pool].argmax(axis=1)]].mean())


def draw(seed: int, *, binary: bool) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    scores = rng.random((40, 9)) * rng.random(9)
    return ((scores > 0.35) if binary else scores).astype(np.float32)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("routed", [True, False])
def test_values_of_all_additions_and_exchanges_are_those_of_the_pools(
    binary: bool, routed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recroute.pools.pool_value.BLOCK_CELLS", 63)  # several blocks, the last one cut
    score = draw(0, binary=binary)
    key = ranks(draw(1, binary=False), score.mean(axis=0)) if routed else score
    value = PoolValue(key, score.astype(np.uint8) if binary else score)
    for pool in ([4], [4, 1], [8, 0, 3]):
        assert value.of(pool) == pytest.approx(plain_value(key, score, pool))
        added, exchanged = value.with_each(pool), value.exchanged(pool)
        for llm in set(range(9)) - set(pool):
            assert added[llm] == pytest.approx(plain_value(key, score, [*pool, llm]))
            for i in range(len(pool)):
                assert exchanged[i, llm] == pytest.approx(plain_value(key, score, [*pool[:i], llm, *pool[i + 1 :]]))
    np.testing.assert_allclose(value.with_each([]), score.mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_greedy_keeps_its_guarantee_and_exchange_reaches_the_best_pool_or_a_local_one(seed: int) -> None:
    score = draw(seed, binary=seed % 2 == 0)
    value = PoolValue(score, score)
    best = max(value.of(list(pool)) for pool in combinations(range(9), 3))
    chosen = greedy(value, 3, ORDER)
    assert len(set(chosen)) == 3
    assert value.of(chosen) >= (1 - 1 / np.e) * best
    exchanged = exchange(value, chosen, ORDER)
    assert value.of(exchanged) >= value.of(chosen)
    assert replacements(value, exchanged).max() <= value.of(exchanged) + MIN_GAIN


def test_exchange_mends_what_greedy_takes_too_early() -> None:
    """LLM 0 is the best single one, but 1 and 2 together solve everything; greedy cannot let 0 go."""
    score = np.zeros((6, 3), dtype=np.uint8)
    score[[0, 1, 3, 4], 0], score[:3, 1], score[3:, 2] = 1, 1, 1
    value = PoolValue(score, score)
    chosen = greedy(value, 2, np.arange(3))
    assert 0 in chosen
    assert value.of(chosen) == pytest.approx(5 / 6)
    assert sorted(exchange(value, chosen, np.arange(3))) == [1, 2]


def test_a_random_solver_is_in_the_oracle_pool_and_not_in_the_routed_one() -> None:
    """LLM 2 solves half of everything at random: the oracle wants it, no router can tell when."""
    rng = np.random.default_rng(0)
    kind = np.arange(400) % 2
    skill = np.where(kind[:, None] == np.array([0, 1]), 0.7, 0.3)
    scores = (rng.random((400, 2)) < skill).astype(np.uint8)
    solver = (scores.sum(axis=1) == 0) | (rng.random(400) < 0.4)  # right where both others fail, by luck
    scores = np.column_stack([scores, solver]).astype(np.uint8)
    predicted = np.column_stack([skill, np.full(400, solver.mean())]).astype(np.float32)
    oracle, routed = PoolValue(scores, scores), PoolValue(ranks(predicted, scores.mean(axis=0)), scores)
    assert 2 in exchange(oracle, greedy(oracle, 2, np.arange(3)), np.arange(3))
    assert sorted(exchange(routed, greedy(routed, 2, np.arange(3)), np.arange(3))) == [0, 1]


def test_what_is_kept_stays_and_equal_gains_go_by_the_order() -> None:
    score = draw(3, binary=True)
    value = PoolValue(score, score)
    worst = int(score.mean(axis=0).argmin())
    chosen = exchange(value, greedy(value, 3, ORDER, keep=[worst]), ORDER, n_kept=1)
    assert chosen[0] == worst
    alike = PoolValue(np.ones((5, 4), np.uint8), np.ones((5, 4), np.uint8))
    assert greedy(alike, 2, np.array([3, 1, 0, 2])) == [3, 1]
    assert exchange(alike, [0, 2], np.arange(4)) == [0, 2]
    assert exchange(alike, [0, 1, 2, 3], np.arange(4)) == [0, 1, 2, 3]


def test_equal_predictions_go_to_the_llm_with_the_higher_mean() -> None:
    predicted = np.array([[0.5, 0.5, 0.2], [0.1, 0.3, 0.3]], dtype=np.float32)
    found = ranks(predicted, np.array([0.9, 0.1, 0.4]))
    assert found.argmax(axis=1).tolist() == [0, 2]
    assert sorted(found[0].tolist()) == [0, 1, 2]
