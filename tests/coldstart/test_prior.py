"""The prior of unseen LLMs and what scores make of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.coldstart import LLMPrior
from recroute.data import Dataset, InteractionMatrix
from recroute.data.sources import simulate
from recroute.errors import DataError
from recroute.routers.memory.calibrate import learned_trust
from recroute.routers.memory.posterior import locate


@pytest.fixture(scope="module")
def world() -> Dataset:
    return simulate(n_instances=300, n_llms=60, seed=3)


@pytest.fixture(scope="module")
def prior(world: Dataset) -> LLMPrior:
    return LLMPrior.learn(world.take_llms(np.arange(40)))


@pytest.fixture(scope="module")
def unseen(world: Dataset) -> np.ndarray:
    return world.take_llms(np.arange(40, 60)).interactions.dense()


def test_one_known_llm_is_the_dense_solve() -> None:
    rng = np.random.default_rng(0)
    L, z, noise = rng.normal(size=(30, 3)), rng.normal(size=(1, 3)), rng.uniform(0.1, 1, 30)
    scores = rng.normal(size=(30, 2)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.5] = np.nan
    cov = np.diag([1.0, 0.5, 2.0])
    mean, covariance = locate(scores, np.ones((2, 1), dtype=np.float32), L, z, cov, noise)
    for j in range(2):
        rows = ~np.isnan(scores[:, j])
        H = L[rows]
        gain = cov @ H.T @ np.linalg.inv(H @ cov @ H.T + np.diag(noise[rows]))
        np.testing.assert_allclose(mean[j], z[0] + gain @ (scores[rows, j] - H @ z[0]), atol=1e-8)
        np.testing.assert_allclose(covariance[j], cov - gain @ H @ cov, atol=1e-8)


def test_without_scores_the_prior_is_left(prior: LLMPrior) -> None:
    nothing = prior.posterior(np.full((prior.n_instances, 1), np.nan, dtype=np.float32))
    np.testing.assert_allclose(nothing.vectors[0], prior.vectors.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(nothing.resemblance, 1 / 40, rtol=1e-5)
    assert nothing.interval[0, 0] < nothing.mean[0] < nothing.interval[0, 1]


def test_more_scores_less_error_and_narrower_intervals(world: Dataset, unseen: np.ndarray) -> None:
    prior = LLMPrior.learn(world.take_llms(np.arange(40)), calibrated=False)
    order = np.random.default_rng(1).permutation(prior.n_instances)
    errors, widths = [], []
    for k in (0, 8, 32, 128):
        scores = np.full_like(unseen, np.nan)
        scores[order[:k]] = unseen[order[:k]]
        found = prior.posterior(scores)
        errors.append(np.abs(found.mean - unseen.mean(axis=0)).mean())
        widths.append(np.diff(found.interval, axis=1).mean())
    assert errors == sorted(errors, reverse=True)
    assert widths == sorted(widths, reverse=True)


def test_an_llm_run_on_everything_has_its_own_scores(prior: LLMPrior, unseen: np.ndarray) -> None:
    found = prior.posterior(unseen)
    np.testing.assert_array_equal(found.columns, unseen)
    np.testing.assert_allclose(found.mean, unseen.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(np.diff(found.interval, axis=1), 0, atol=1e-6)
    assert not found.variance.any()
    for t, name in enumerate(prior.task_names):
        rows = prior.task == list(prior.task_names).index(name)
        np.testing.assert_allclose(found.task_mean[:, t], unseen[rows].mean(axis=0), atol=1e-6)


def test_a_copy_of_a_known_llm_is_recognised(prior: LLMPrior, world: Dataset) -> None:
    known = world.take_llms(np.arange(40)).interactions.dense()
    scores = np.full((prior.n_instances, 40), np.nan, dtype=np.float32)
    scores[::2] = known[::2]
    assert (prior.posterior(scores).resemblance.argmax(axis=1) == np.arange(40)).mean() > 0.8


def test_llms_do_not_influence_each_other(prior: LLMPrior, unseen: np.ndarray) -> None:
    scores = np.where(np.random.default_rng(0).random(unseen.shape) < 0.1, unseen, np.nan).astype(np.float32)
    together, alone = prior.posterior(scores), prior.posterior(scores[:, 3:4])
    np.testing.assert_allclose(together.columns[:, 3], alone.columns[:, 0], atol=1e-5)
    np.testing.assert_allclose(together.interval[3], alone.interval[0], atol=1e-5)


def test_unobserved_cells_and_determinism(world: Dataset) -> None:
    block = world.interactions.dense()
    block[np.random.default_rng(0).random(block.shape) < 0.3] = np.nan
    block[7] = np.nan
    holes = replace(world, interactions=InteractionMatrix.from_dense(block))
    one, two = LLMPrior.learn(holes), LLMPrior.learn(holes)
    assert np.isfinite(one.loadings).all()
    assert np.isfinite(one.noise).all()
    np.testing.assert_array_equal(one.loadings, two.loadings)
    full = LLMPrior.learn(world)
    nothing = np.full((world.n_instances, 1), np.nan, dtype=np.float32)
    assert abs(one.posterior(nothing).mean - full.posterior(nothing).mean) < 0.03


def test_intervals_are_measured_on_known_llms(prior: LLMPrior, world: Dataset) -> None:
    assert prior.answers[0] == 0
    assert prior.scale.shape == (len(prior.answers), 2)
    model = LLMPrior.learn(world.take_llms(np.arange(40)), calibrated=False)
    nothing = np.full((prior.n_instances, 1), np.nan, dtype=np.float32)
    wide, plain = (np.diff(p.posterior(nothing).interval)[0, 0] for p in (prior, model))
    assert wide == pytest.approx(plain * prior.scale[0, 0])


def test_the_surprise_of_answers_is_added_as_far_as_it_is_trusted(prior: LLMPrior, unseen: np.ndarray) -> None:
    scores = np.where(np.random.default_rng(0).random(unseen.shape) < 0.2, unseen, np.nan).astype(np.float32)
    plain, half, whole = (replace(prior, trust=np.full(len(prior.answers), share)) for share in (0, 0.5, 1))
    before = plain.surprise(scores, plain.posterior(scores).vectors)
    assert np.abs(before).max() > 0.005
    np.testing.assert_allclose(half.surprise(scores, half.posterior(scores).vectors), before / 2, atol=1e-6)
    np.testing.assert_allclose(whole.surprise(scores, whole.posterior(scores).vectors), 0, atol=1e-6)
    assert np.corrcoef(whole.posterior(scores).mean - plain.posterior(scores).mean, before)[0, 1] > 0.9


def test_answers_on_one_task_surprise_little_about_the_others(prior: LLMPrior, unseen: np.ndarray) -> None:
    rows = prior.task == 0
    scores = np.where(rows[:, None], unseen, np.nan).astype(np.float32)
    vectors = np.tile(prior.vectors.mean(axis=0), (unseen.shape[1], 1))
    away = (unseen - prior.loadings @ vectors.T)[rows].mean(axis=0)
    np.testing.assert_allclose(prior.surprise(scores, vectors), away * rows.mean(), atol=1e-6)


def test_trust_is_what_would_have_helped_known_llms() -> None:
    added = np.random.default_rng(0).normal(size=200)
    error = -0.6 * added
    assert learned_trust(np.stack([error, added, np.ones(200)])) == pytest.approx(0.6)
    assert learned_trust(np.stack([added, added, np.ones(200)])) == 0
    assert learned_trust(np.stack([error, 0 * added, np.ones(200)])) == 0
    assert learned_trust(np.stack([-2 * added, added, np.ones(200)])) == 1


def test_few_known_llms_do_not_overrule_many_answers() -> None:
    """Each of 40 tasks is of an ability of its own, so that 12 known LLMs hardly tell what an unseen one can do."""
    rng = np.random.default_rng(1)
    chance = np.repeat(rng.uniform(0.1, 0.9, 60) + rng.normal(0, 0.3, (40, 60)), 10, axis=0).clip(0.05, 0.95)
    scores = rng.random(chance.shape) < chance
    instances = pl.DataFrame({"instance_id": [f"i{i}" for i in range(400)], "task": np.repeat(np.arange(40), 10)})
    llms = pl.DataFrame({"llm_id": [f"llm{i}" for i in range(60)]})
    data = Dataset("abilities", InteractionMatrix.from_dense(scores), instances.cast({"task": pl.String}), llms)
    prior = LLMPrior.learn(data.take_llms(np.arange(12)))
    assert prior.trust is not None
    assert prior.trust[-1] > 0.5
    answers = data.take_llms(np.arange(12, 60)).interactions.dense()
    seen = np.where(np.arange(400)[:, None] % 4 == 0, answers, np.nan).astype(np.float32)
    errors = [np.abs(p.posterior(seen).mean - answers.mean(axis=0)).mean() for p in (prior, replace(prior, trust=None))]
    assert errors[0] < 0.95 * errors[1]


@pytest.mark.parametrize("n_llms", [4, 5])
def test_few_llms_are_enough(world: Dataset, n_llms: int) -> None:
    few = LLMPrior.learn(world.take_llms(np.arange(n_llms)))
    assert np.isfinite(few.scale).all()
    assert (few.scale > 0).all()


def test_save_and_load(prior: LLMPrior, unseen: np.ndarray, tmp_path: Path) -> None:
    prior.save(tmp_path / "prior.npz")
    again = LLMPrior.load(tmp_path / "prior.npz")
    np.testing.assert_array_equal(again.posterior(unseen[:, :2]).mean, prior.posterior(unseen[:, :2]).mean)
    np.testing.assert_array_equal(again.order, prior.order)
    older = {name: array for name, array in np.load(tmp_path / "prior.npz").items() if name not in ("trust", "order")}
    np.savez(tmp_path / "older.npz", **older)
    assert LLMPrior.load(tmp_path / "older.npz").trust is None
    (tmp_path / "other.npz").write_bytes(b"no archive")
    with pytest.raises(DataError, match="is not a valid prior"):
        LLMPrior.load(tmp_path / "other.npz")


def test_bad_input_is_refused(prior: LLMPrior, world: Dataset) -> None:
    with pytest.raises(DataError, match="row for each of 300 prompts"):
        prior.posterior(np.zeros((5, 1), dtype=np.float32))
    bad = np.full((300, 1), np.nan, dtype=np.float32)
    bad[4] = 1.7
    with pytest.raises(DataError, match=r"score 1.7 for instance .* outside"):
        prior.posterior(bad)
    with pytest.raises(DataError, match="at least 4"):
        LLMPrior.learn(world.take_llms(np.arange(3)))


def test_llms_that_all_answer_alike_have_a_posterior(prior: LLMPrior) -> None:
    alike = replace(prior, vectors=np.tile(prior.vectors[:1], (len(prior.vectors), 1)))
    found = alike.posterior(np.full((prior.n_instances, 1), np.nan, dtype=np.float32))
    assert np.isfinite(found.mean).all()
    assert np.isfinite(found.interval).all()
