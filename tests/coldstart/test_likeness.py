"""An LLM whose answers are unlike those of any known LLM is reported; one of a new family is not."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recroute.coldstart import expect
from recroute.coldstart.likeness import RATE, likeness, widened
from recroute.data import Dataset, InteractionMatrix
from recroute.data.sources import simulate
from recroute.routers import make_router

K, N_KNOWN = 48, 60


@pytest.fixture(scope="module")
def world() -> Dataset:
    return simulate(n_instances=250, n_llms=100, seed=3)


@pytest.fixture(scope="module")
def asked(world: Dataset) -> np.ndarray:
    return np.random.default_rng(0).permutation(world.n_instances)[:K]


def unlike(world: Dataset, rows: np.ndarray, answers: np.ndarray, known: np.ndarray) -> bool:
    block = world.interactions.dense()[np.ix_(rows, known)]
    found = likeness(answers, block, world.llms[known], world.tasks[rows])
    assert found is not None
    return found.unlike


def test_an_llm_of_a_new_family_is_seldom_called_unlike(world: Dataset, asked: np.ndarray) -> None:
    family, block = world.llms["family"].to_numpy(), world.interactions.dense()
    called = [
        unlike(world, asked, block[asked, llm], np.flatnonzero(family != family[llm])) for llm in range(world.n_llms)
    ]
    assert np.mean(called) <= RATE


@pytest.mark.parametrize("kind", ["mirrored", "random", "shuffled"])
def test_answers_that_no_llm_gives_are_reported(world: Dataset, asked: np.ndarray, kind: str) -> None:
    rng, known = np.random.default_rng(1), np.arange(N_KNOWN)
    called = []
    for llm in range(N_KNOWN, world.n_llms):
        honest = world.interactions.dense()[asked, llm]
        answers = {"mirrored": 1 - honest, "random": rng.integers(0, 2, K), "shuffled": rng.permutation(honest)}
        called.append(unlike(world, asked, answers[kind].astype(np.float32), known))
    assert np.mean(called) >= 0.8


def test_zeros_on_one_task_are_reported_with_the_task(world: Dataset, asked: np.ndarray) -> None:
    task, known = world.tasks[asked], np.arange(N_KNOWN)
    block = world.interactions.dense()[asked]
    able = [llm for llm in range(N_KNOWN, world.n_llms) if block[task == "code", llm].mean() >= 0.5]
    for llm in able:
        answers = np.where(task == "code", 0, block[:, llm]).astype(np.float32)
        found = likeness(answers, block[:, known], world.llms[known], task)
        assert found is not None
        assert (found.unlike, found.task, found.direction) == (True, "code", "below")
        assert "its scores on code are far below what its other answers imply" in found.sentence("new")
    assert len(able) > 10


def test_few_answers_or_llms_are_no_evidence(world: Dataset, asked: np.ndarray) -> None:
    block, task = world.interactions.dense()[asked], world.tasks[asked]
    known = np.arange(N_KNOWN)
    assert likeness(block[:3, 80], block[:3, known], world.llms[known], task[:3]) is None
    assert likeness(block[:, 80], block[:, :4], world.llms[:4], task) is None
    holes = block[:, known].copy()
    holes[0] = np.nan  # no known LLM has all of the answers
    assert likeness(block[:, 80], holes, world.llms[known], task) is None


def test_of_many_answers_some_are_compared() -> None:
    rng = np.random.default_rng(0)
    easy = np.linspace(0.05, 0.95, 4000)[:, None]
    block = (rng.random((4000, 12)) < easy).astype(np.float32)
    llms, task = pl.DataFrame({"llm_id": [f"llm-{i}" for i in range(11)]}), np.tile(["a", "b"], 2000)
    fine, wrong = (likeness(answers, block[:, :11], llms, task) for answers in (block[:, 11], 1 - block[:, 11]))
    assert fine is not None
    assert wrong is not None
    assert (fine.unlike, wrong.unlike) == (False, True)


def test_known_llms_that_all_answer_alike(world: Dataset, asked: np.ndarray) -> None:
    alike, task = np.tile(np.arange(K)[:, None] % 2, 10).astype(np.float32), world.tasks[asked]
    same, other = (likeness(answers, alike, world.llms[:10], task) for answers in (alike[:, 0], 1 - alike[:, 0]))
    assert same is not None
    assert other is not None
    assert (same.unlike, other.unlike) == (False, True)


def test_widened_intervals_span_the_plain_means() -> None:
    intervals = np.array([[0.4, 0.5], [0.4, 0.5], [0.4, 0.5]])
    wide = widened(intervals, np.zeros(30, dtype=np.float32), np.zeros(30, dtype=np.int64))
    upper = 1.6449**2 / (30 + 1.6449**2)  # Wilson's limit for 0 of 30
    np.testing.assert_allclose(wide, [[0, 0.5], [0, 0.5], [0, 1]], atol=1e-12)
    few = widened(np.array([[0.0, 0.05]]), np.zeros(30, dtype=np.float32), np.zeros(0, dtype=np.int64))
    np.testing.assert_allclose(few, [[0, upper]], atol=1e-4)


def test_onboarding_reports_it_and_widens_the_interval(world: Dataset) -> None:
    router = make_router("best_single").fit(world.take_llms(np.arange(N_KNOWN)))
    new = world.take_llms(np.array([90]))
    rows = np.random.default_rng(0).permutation(world.n_instances)[:K]
    honest = new.take_instances(rows)
    mirrored = replace(honest, interactions=InteractionMatrix.from_dense(1 - honest.interactions.dense()))
    llm = pl.DataFrame({"llm_id": list(new.llm_ids)})
    fine, wrong = (expect(router, results, llm) for results in (honest, mirrored))
    assert (fine.unlike, wrong.unlike) == (False, True)
    line = f"do not trust the expectation for {new.llm_ids.ids[0]}: "
    assert [any(line in said for said in each.document().verdict) for each in (fine, wrong)] == [False, True]
    assert [each.to_dict()["likeness"]["unlike"] for each in (fine, wrong)] == [False, True]
    truth = 1 - new.interactions.dense().mean()
    assert wrong.interval[0] <= truth <= wrong.interval[1]
    assert expect(router, None, llm).likeness is None
