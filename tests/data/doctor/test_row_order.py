"""LLMs whose rows are in rank order: found, mended, and nobody else accused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recroute.data import Dataset, InteractionMatrix, read_dataset
from recroute.data.doctor import diagnose
from recroute.data.doctor._order import LOST, Order, rank_order
from recroute.data.doctor.row_order import check_row_order
from recroute.data.sources import simulate
from recroute.errors import DataError

NAN = float("nan")


@pytest.fixture(scope="module")
def pool() -> Dataset:
    return simulate(n_llms=60, n_instances=400, seed=1)


def with_scores(data: Dataset, scores: np.ndarray) -> Dataset:
    return replace(data, interactions=InteractionMatrix.from_dense(scores))


def scrambled(data: Dataset, llms: list[int], orders: list[Order]) -> Dataset:
    """The data set with the rows of some LLMs as a data-parallel run writes them."""
    scores = data.interactions.dense().copy()
    task = np.unique(data.tasks, return_inverse=True)[1].astype(np.int64)
    for j, order in zip(llms, orders, strict=True):
        rows = np.flatnonzero(~np.isnan(scores[:, j])) if order.observed_only else np.arange(len(scores))
        true = order.true_rows(rows, task)
        padding = scores[rows[: np.count_nonzero(true == LOST)], j]
        scores[rows, j] = scores[true, j]
        scores[rows[true == LOST], j] = padding  # the first documents, answered again
    return with_scores(data, scores)


def accused(data: Dataset) -> set[str]:
    return {llm for f in check_row_order(data) if f.check == "row_order" for llm in f.llms}


def untold(data: Dataset) -> set[str]:
    return {llm for f in check_row_order(data) if f.check == "row_order_unknown" for llm in f.llms}


def test_rank_order_is_what_ranks_write() -> None:
    assert rank_order(10, 4).tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 3, 7]
    assert rank_order(3, 8).tolist() == [0, 1, 2]
    assert rank_order(10, 4, padded=True).tolist() == [0, 4, 8, 1, 5, 9, 2, 6, LOST, 3]  # not 7
    assert rank_order(8, 4, padded=True).tolist() == rank_order(8, 4).tolist()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(2, 9), st.booleans(), st.booleans())
def test_an_order_stays_in_its_stretch_and_loses_padding_only(
    tasks: list[int], width: int, by_task: bool, padded: bool
) -> None:
    task = np.array(tasks, dtype=np.int64)
    at = Order(width, by_task, True, padded).places(task)
    kept = at != LOST
    assert len(set(at[kept].tolist())) == np.count_nonzero(kept)
    assert padded or kept.all()
    for t in np.unique(task) if by_task else (None,):
        rows = np.flatnonzero(task == t) if by_task else np.arange(len(task))
        assert at[rows].tolist() == [
            LOST if i == LOST else rows[i] for i in rank_order(len(rows), width, padded=padded).tolist()
        ]


@pytest.mark.parametrize("by_task", [True, False])
@pytest.mark.parametrize(("incomplete", "observed_only"), [(False, True), (True, True), (True, False)])
def test_llms_in_rank_order_are_found_and_restored(
    pool: Dataset, by_task: bool, incomplete: bool, observed_only: bool
) -> None:
    if incomplete:  # every second LLM lacks a task
        scores = pool.interactions.dense().copy()
        scores[np.ix_(pool.tasks == pool.tasks[0], np.arange(0, 60, 2))] = NAN
        pool = with_scores(pool, scores)
    llms = [5, 17, 32, 48]
    orders = [Order(width, by_task, observed_only) for width in (2, 4, 8, 16)]
    ill = scrambled(pool, llms, orders)
    found = diagnose(ill)
    by_order = {f.values["width"]: f for f in found.findings if f.check == "row_order"}
    assert {width: f.llms for width, f in by_order.items()} == {
        order.width: (pool.llm_ids.ids[j],) for j, order in zip(llms, orders, strict=True)
    }
    np.testing.assert_array_equal(found.fixed().interactions.dense(), pool.interactions.dense())


def test_padded_ranks_are_found_and_answers_to_padding_left_out(pool: Dataset) -> None:
    llms, orders = [5, 17], [Order(7, True, True, padded=True), Order(6, False, True, padded=True)]
    found = diagnose(scrambled(pool, llms, orders))
    named = {f.values["width"]: f.llms for f in found.findings if f.check == "row_order"}
    assert named == {7: (pool.llm_ids.ids[5],), 6: (pool.llm_ids.ids[17],)}
    fixed, sound = found.fixed().interactions.dense(), pool.interactions.dense()
    seen = ~np.isnan(fixed)
    np.testing.assert_array_equal(fixed[seen], sound[seen])
    assert 1 <= np.count_nonzero(~seen[:, 17]) < 6
    assert seen[:, [j for j in range(60) if j not in llms]].all()


@pytest.mark.parametrize("widths", [(8,), (2, 3, 4, 6, 8)], ids=["in one order", "in several"])
def test_most_llms_in_rank_order(pool: Dataset, widths: tuple[int, ...]) -> None:
    """They agree with one another, and still those are found that are out of order."""
    rng = np.random.default_rng(2)
    llms = rng.choice(60, 35, replace=False).tolist()
    orders = [Order(int(rng.choice(widths)), True, True, padded=bool(rng.random() < 0.5)) for _ in llms]
    named = accused(scrambled(pool, llms, orders))
    assert named <= {pool.llm_ids.ids[j] for j in llms}
    assert len(named) >= 33


def test_llm_with_a_task_it_never_solves_is_not_accused(pool: Dataset) -> None:
    """The scores that are all alike tell nothing, however many they are."""
    rng = np.random.default_rng(0)
    tasks = ["hard"] * 340 + ["coin"] * 60
    scores = pool.interactions.dense().copy()
    scores[:340, :20], scores[340:, :20] = 0, rng.random((60, 20)) < 0.5
    scores[340:, 20:40] = scores[340:, :20]  # and others that share their luck
    data = replace(with_scores(pool, scores), instances=pool.instances.with_columns(task=pl.Series(tasks)))
    assert accused(data) == set()


def test_sound_data_are_not_accused_and_there_is_nothing_to_fix(pool: Dataset) -> None:
    found = diagnose(pool)
    assert not {f.check for f in found.findings} & {"row_order", "row_order_unknown", "unrelated_scores"}
    with pytest.raises(DataError, match=r"there is nothing to fix"):
        found.fixed()


def test_shuffled_rows_are_unrelated_but_in_no_known_order(pool: Dataset) -> None:
    scores = pool.interactions.dense().copy()
    good = int(np.argsort(scores.mean(axis=0))[30])
    scores[:, good] = np.random.default_rng(0).permutation(scores[:, good])
    found = {f.check: f for f in check_row_order(with_scores(pool, scores))}
    assert "row_order" not in found
    assert found["unrelated_scores"].llms == (pool.llm_ids.ids[good],)


def test_order_of_constant_and_short_columns_is_said_to_be_unknown(pool: Dataset) -> None:
    scores = pool.interactions.dense().copy()
    scores[:, 7], scores[:, 8] = 0, 1
    scores[np.random.default_rng(0).permutation(400)[30:], 9] = NAN
    scores[:, 10] = 0
    scores[3, 10] = 1
    scores[:, 11] = np.random.default_rng(1).random(400) < 0.5
    scores[:, 12] = NAN  # nothing there: nothing to say
    ill = scrambled(with_scores(pool, scores), [7, 8, 9, 10, 11], [Order(4, False, True)] * 5)
    assert untold(ill) - {pool.llm_ids.ids[11]} == {pool.llm_ids.ids[j] for j in (7, 8, 9, 10)}
    assert accused(ill) == set()


@pytest.mark.realdata
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("by_task", [True, False])
def test_tenth_of_openllm1_in_rank_order(real: Path, by_task: bool, seed: int) -> None:
    """All affected LLMs of those with every cell, nobody else, and the original again. All 6,349: tests/benchmarks."""
    whole = read_dataset(real / "openllm1").take_covered(1.0)
    rng = np.random.default_rng(seed)
    llms = rng.choice(whole.n_llms, whole.n_llms // 10, replace=False).tolist()
    orders = [Order(int(width), by_task, True) for width in rng.choice([2, 4, 8], len(llms))]
    ill = scrambled(whole, llms, orders)
    diagnosis = diagnose(ill)
    named = {llm for f in diagnosis.findings if f.check == "row_order" for llm in f.llms}
    assert named == {whole.llm_ids.ids[j] for j in llms}
    np.testing.assert_array_equal(diagnosis.fixed().interactions.dense(), whole.interactions.dense())


def test_a_lone_llm_has_nobody_to_agree_with(pool: Dataset) -> None:
    assert accused(pool.take_llms(np.array([3]))) == set()
    assert accused(pool.take_instances(np.arange(1))) == set()
