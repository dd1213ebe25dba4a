"""The regression of residuals: beside a dense solve, and what its prior makes of much and of little."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from recroute.routers.refresh.posterior import COMMON_LEVEL, OWN_TEXT, PRIOR_ANSWERS, fit_posterior, solve, variances
from recroute.routers.refresh.sums import Sums

M, Q = 4, 3
LEVELS = np.array([0.1, 0.0, 0.2, 0.05])


def observations(seed: int = 0, n: int = 40) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    features = np.column_stack([np.ones(n), rng.normal(size=(n, Q - 1))])
    return features, rng.integers(0, M - 1, n), rng.normal(size=n), rng.uniform(0.1, 0.3, n)


def battles(seed: int = 1, n: int = 25) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, M, n)
    return a, (a + rng.integers(1, M, n)) % M, rng.normal(size=n), rng.uniform(0.2, 0.5, n)


def test_posterior_and_evidence_are_those_of_the_joint_gaussian() -> None:
    features, llm, residual, variance = observations()
    a, b, lead, spread = battles()
    level, text = np.array([0.3, 0, 0.1, 0.2]), 0.5
    found = solve(
        Sums.empty(M, Q).with_answers(features, llm, residual, variance).with_battles(a, b, lead, spread), level, text
    )
    design = np.zeros((len(llm) + len(a), (M + 1) * Q))  # common weights, then each LLM's own
    design[: len(llm), :Q] = features
    for row, (x, j) in enumerate(zip(features, llm, strict=True)):
        design[row, Q * (1 + j) : Q * (2 + j)] = x
    rows = len(llm) + np.arange(len(a))
    design[rows, Q * (1 + a)], design[rows, Q * (1 + b)] = 1, -1
    y, noise = np.concatenate([residual, lead]), np.concatenate([variance, spread])
    prior = np.full((M + 1, Q), OWN_TEXT * text)
    prior[0], prior[0, 0], prior[1:, 0] = text, COMMON_LEVEL, level
    prior = prior.ravel()
    design, y = design / np.sqrt(noise)[:, None], y / np.sqrt(noise)
    covariance = np.eye(len(y)) + (design * prior) @ design.T
    mean = prior * (design.T @ np.linalg.solve(covariance, y))
    expected = mean[:Q] + mean[Q:].reshape(M, Q)
    np.testing.assert_allclose(found.weights, expected, atol=1e-9)
    n = len(y) + PRIOR_ANSWERS
    scale = (y @ np.linalg.solve(covariance, y) + PRIOR_ANSWERS) / n
    assert found.noise == pytest.approx(scale)
    assert found.log_likelihood == pytest.approx(-(np.linalg.slogdet(covariance)[1] + n * np.log(scale)) / 2)


def test_sums_of_parts_are_those_of_the_whole_and_llms_can_be_taken() -> None:
    features, llm, residual, variance = observations()
    a, b, lead, spread = battles()
    whole = Sums.empty(M, Q).with_answers(features, llm, residual, variance).with_battles(a, b, lead, spread)
    parts = Sums.empty(M, Q)
    for half in (slice(None, None, 2), slice(1, None, 2)):
        parts = parts.with_answers(features[half], llm[half], residual[half], variance[half])
        parts = parts.with_battles(a[half], b[half], lead[half], spread[half])
    for name, value in vars(whole).items():
        np.testing.assert_allclose(getattr(parts, name), value, atol=1e-12)
    order = np.array([3, 1, 0, 2])
    again = whole.take_llms(order)
    np.testing.assert_allclose(
        solve(again, LEVELS[order], 0.1).weights, solve(whole, LEVELS, 0.1).weights[order], atol=1e-12
    )
    two: Any = SimpleNamespace(llm_ids=["one", "more"])
    assert again.grown(two).take_llms(np.arange(M)).n_observations == whole.n_observations
    assert whole.take_llms(np.array([0])).pairs.shape == (0, 2)


def test_noise_moves_nothing_and_one_changed_llm_moves_alone() -> None:
    rng = np.random.default_rng(0)
    n, m = 600, 8
    features = np.column_stack([np.ones(n), rng.normal(size=(n, 4))])
    llm, variance = rng.integers(0, m, n), np.full(n, 0.2)
    residual = rng.normal(0, np.sqrt(0.2), n)
    calm = fit_posterior(Sums.empty(m, 5).with_answers(features, llm, residual, variance))
    assert (calm.weights == calm.weights[0]).all()  # no LLM against another
    residual[llm == 2] -= 0.4
    moved = fit_posterior(Sums.empty(m, 5).with_answers(features, llm, residual, variance)).weights[:, 0]
    others = np.delete(moved, 2)
    assert moved[2] - others.mean() == pytest.approx(residual[llm == 2].mean() - residual[llm != 2].mean(), abs=0.04)
    assert np.ptp(others) == 0


def test_what_all_llms_lose_alike_is_common_also_to_one_that_never_answered() -> None:
    rng = np.random.default_rng(0)
    n, m = 400, 5
    llm = rng.choice([0, 1, 2, 3], n, p=[0.85, 0.05, 0.05, 0.05])
    residual = rng.normal(-0.1, np.sqrt(0.2), n)
    found = fit_posterior(Sums.empty(m, 1).with_answers(np.ones((n, 1)), llm, residual, np.full(n, 0.2)))
    assert found.weights[:, 0] == pytest.approx(np.full(m, -0.1), abs=0.05)


def test_answers_make_an_llm_surer() -> None:
    features, llm, residual, variance = observations()
    sums = Sums.empty(M, Q).with_answers(features, llm, residual, variance)
    before, after = variances(sums, solve(sums, np.full(M, 0.3), 0.5), features[:5], np.arange(M))
    assert before.shape == after.shape == (5, M)
    assert (after[:, : M - 1] < before[:, : M - 1]).all()
    np.testing.assert_allclose(after[:, M - 1], before[:, M - 1])  # it never answered
