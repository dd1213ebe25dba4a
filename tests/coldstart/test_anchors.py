"""Choosing the prompts to run on an unseen LLM."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recroute.coldstart import STRATEGIES, LLMPrior, select_anchors
from recroute.data import Dataset, InteractionMatrix
from recroute.data.sources import simulate
from recroute.errors import DataError, UnknownNameError
from recroute.routers.memory.batch import batch_order, gains
from recroute.routers.memory.calibrate import ask, n_adaptive


@pytest.fixture(scope="module")
def world() -> Dataset:
    return simulate(n_instances=300, n_llms=60, seed=3)


@pytest.fixture(scope="module")
def prior(world: Dataset) -> LLMPrior:
    return LLMPrior.learn(world.take_llms(np.arange(40)))


@pytest.fixture(scope="module")
def unseen(world: Dataset) -> np.ndarray:
    return world.take_llms(np.arange(40, 60)).interactions.dense()


@pytest.fixture(scope="module")
def skilled() -> Dataset:
    """100 prompts that any LLM solves by chance, and 100 that separate the able from the others, easy to hard."""
    rng = np.random.default_rng(0)
    skill = rng.normal(size=160)
    logit = np.zeros((200, 160))
    logit[100:] = 4 * (skill - np.linspace(-2, 2, 100)[:, None])
    scores = rng.random(logit.shape) < 1 / (1 + np.exp(-logit))
    instances = pl.DataFrame({"instance_id": [f"i{i}" for i in range(200)], "task": "all"})
    llms = pl.DataFrame({"llm_id": [f"llm{i}" for i in range(160)]})
    return Dataset("skilled", InteractionMatrix.from_dense(scores), instances, llms)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_distinct_repeatable_and_new(prior: LLMPrior, unseen: np.ndarray, strategy: str) -> None:
    anchors = select_anchors(prior, 20, strategy=strategy, seed=5)
    assert len(set(anchors.tolist())) == 20
    np.testing.assert_array_equal(anchors, select_anchors(prior, 20, strategy=strategy, seed=5))
    scores = np.full(300, np.nan, dtype=np.float32)
    scores[anchors] = unseen[anchors, 0]
    assert not set(select_anchors(prior, 20, strategy=strategy, scores=scores).tolist()) & set(anchors.tolist())
    assert len(select_anchors(prior, 0, strategy=strategy)) == 0


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "medoids"])
def test_a_shorter_list_is_the_start_of_a_longer_one(prior: LLMPrior, strategy: str) -> None:
    long = select_anchors(prior, 30, strategy=strategy)
    np.testing.assert_array_equal(select_anchors(prior, 12, strategy=strategy), long[:12])


def test_stratified_keeps_the_tasks_shares(prior: LLMPrior) -> None:
    anchors = select_anchors(prior, 60, strategy="stratified")
    expected = np.bincount(prior.task) / prior.n_instances * 60
    assert np.abs(np.bincount(prior.task[anchors], minlength=len(expected)) - expected).max() <= 1


@pytest.mark.parametrize("strategy", ["a_optimal", "d_optimal"])
def test_greedy_updates_equal_a_dense_search(prior: LLMPrior, strategy: str) -> None:
    L, noise, mean = prior.loadings, prior.noise, prior.loadings.mean(axis=0)
    chosen: list[int] = []

    def left(rows: list[int]) -> float:
        cov = np.linalg.inv(np.linalg.inv(prior.cov) + (L[rows].T / noise[rows]) @ L[rows])
        return float(mean @ cov @ mean) if strategy == "a_optimal" else float(np.linalg.slogdet(cov)[1])

    for _ in range(5):
        chosen.append(min((i for i in range(300) if i not in chosen), key=lambda i: left([*chosen, i])))
    np.testing.assert_array_equal(select_anchors(prior, 5, strategy=strategy), chosen)


def test_asking_many_at_once_is_asking_each(prior: LLMPrior, unseen: np.ndarray) -> None:
    assert n_adaptive(prior) == 10
    asked = ask(prior, unseen[:, :3], 13)  # the last three as in a batch
    for j in range(3):
        scores = np.full(300, np.nan, dtype=np.float32)
        for step in range(13):
            (i,) = select_anchors(prior, 1, scores=scores)
            assert i == asked[step, j]
            scores[i] = unseen[i, j]


def test_active_anchors_are_those_that_tell(skilled: Dataset) -> None:
    prior = LLMPrior.learn(skilled.take_llms(np.arange(100)), calibrated=False)
    answers = skilled.take_llms(np.arange(100, 160)).interactions.dense()
    asked = ask(prior, answers, 8)
    assert (asked >= 100).mean() > 0.95  # the first half tells nothing

    def error(asked: np.ndarray) -> float:
        scores = np.full_like(answers, np.nan)
        np.put_along_axis(scores, asked, np.take_along_axis(answers, asked, 0), 0)
        return float(np.abs(prior.posterior(scores).mean - answers.mean(axis=0)).mean())

    draws = [select_anchors(prior, 8, strategy="random", seed=s) for s in range(10)]
    random = np.mean([error(np.repeat(draw[:, None], 60, axis=1)) for draw in draws])
    fixed = error(np.repeat(select_anchors(prior, 8, strategy="a_optimal")[:, None], 60, axis=1))
    assert error(asked) < fixed < 0.8 * random


def order_of(scores: np.ndarray, task: np.ndarray) -> np.ndarray:
    mean = np.nanmean(scores, axis=0)
    left, size, right = np.linalg.svd(np.nan_to_num(scores - mean), full_matrices=False)
    loadings = np.column_stack([np.ones(len(scores)), left[:, :3] * size[:3]])
    vectors = np.column_stack([mean, right[:3].T])
    return batch_order(InteractionMatrix.from_dense(scores), loadings, vectors, np.arange(len(mean)), task, 0)


def test_a_batch_is_chosen_jointly_as_far_as_the_known_llms_tell() -> None:
    rng = np.random.default_rng(0)
    skill = (rng.random((3, 40)) < 0.5).astype(float)
    scores = np.full((90, 40), 0.5)
    scores[:30] = skill[0]  # each group of prompts tells one skill, the largest most of the mean
    scores[30:50] = skill[1]
    scores[50:60] = skill[2]
    task = np.repeat([0, 1, 2], 30)
    order = order_of(scores, task)
    assert sorted(order) == list(range(90))
    assert (order[: 40 // 2] < 60).all()
    assert [int(np.searchsorted([30, 50, 60], i, side="right")) for i in order[:2]] == [0, 1]
    late = order[40 // 2 :][:50]  # one was chosen for every two known LLMs, the others evenly from all tasks
    assert np.bincount(task[late]).min() >= 10
    scores[0, :20] = np.nan  # a gap is filled
    assert sorted(order_of(scores, task)) == list(range(90))


def test_choices_use_the_expectations_that_the_answers_are_weighed_with(prior: LLMPrior) -> None:
    """A gain is the exact reduction of the variance of the mean if an unseen LLM answers like one of the known ones."""
    weights = np.random.default_rng(0).dirichlet(np.ones(len(prior.vectors)))
    gain, variance = gains(np.log(weights)[None], prior.expected, prior.mean_score)
    mean, p = prior.mean_score.astype(np.float64), prior.expected[3].astype(np.float64)
    before = weights @ mean**2 - (weights @ mean) ** 2
    assert variance[0] == pytest.approx(before, rel=1e-3)
    after = 0.0
    for likelihood in (p, 1 - p):
        then = weights * likelihood
        after += then @ mean**2 - (then @ mean) ** 2 / then.sum()
    assert gain[3, 0] == pytest.approx(before - after, rel=1e-3)


def test_a_batch_beats_random_prompts(skilled: Dataset) -> None:
    prior = LLMPrior.learn(skilled.take_llms(np.arange(100)), calibrated=False)
    assert (select_anchors(prior, 16, strategy="batch") >= 100).mean() > 0.9  # the first half tells nothing


def test_a_prior_of_an_older_version_has_no_order(prior: LLMPrior, unseen: np.ndarray) -> None:
    older = replace(prior, order=None, trust=None)
    fixed = select_anchors(older, 20, strategy="a_optimal")
    np.testing.assert_array_equal(select_anchors(older, 20, strategy="batch"), fixed)
    scores = np.full(300, np.nan, dtype=np.float32)
    scores[fixed] = unseen[fixed, 0]
    assert len(set(select_anchors(older, 20, scores=scores).tolist()) - set(fixed.tolist())) == 20


def test_bad_input_is_refused(prior: LLMPrior) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'a_optimal'"):
        select_anchors(prior, 4, strategy="a-optimal")
    with pytest.raises(DataError, match="301 anchors cannot be chosen from the 300"):
        select_anchors(prior, 301)
    with pytest.raises(DataError, match="one number for each of the 300 prompts"):
        select_anchors(prior, 1, scores=np.zeros(4, dtype=np.float32))
