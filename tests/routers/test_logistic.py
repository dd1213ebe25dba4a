"""The logistic routers' shared parts, and what all four text models of scores promise."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, log_expit
from threadpoolctl import threadpool_limits

from recroute.data import Dataset, InteractionMatrix, Precomputed
from recroute.routers import make_router
from recroute.routers.logistic import Cells, cell_loss, cross_validate, minimise, relative_errors
from recroute.testing import planted_dataset
from recroute.util.state import arrays_of

ROUTERS = ("irt", "embedllm", "kmeans", "bradley_terry")


def cells(n: int = 30, d: int = 4, m: int = 5, seed: int = 0) -> Cells:
    rng = np.random.default_rng(seed)
    observed = (rng.random((n, m)) < 0.7).astype(np.float64)
    observed[:, 0] = 1
    return Cells(rng.normal(size=(n, d)), rng.random((n, m)) * observed, observed, np.arange(n) % 3)


def strong_llm(n: int = 400, m: int = 6) -> Dataset:
    """The last LLM is the best on every prompt, and the vectors say nothing."""
    rng = np.random.default_rng(3)
    scores = (rng.random((n, m)) < np.linspace(0.4, 0.75, m)).astype(np.float32)
    data = replace(planted_dataset(n_instances=n, n_llms=m), interactions=InteractionMatrix.from_dense(scores))
    return data.with_embeddings(rng.normal(size=(n, 16)).astype(np.float32) / 4, Precomputed("noise"))


def test_cell_loss_is_the_logistic_loss_of_observed_cells_even_for_huge_logits() -> None:
    block = cells()
    Z = np.random.default_rng(1).normal(size=block.S.shape) * 5
    loss, residual = cell_loss(Z, block)
    expected = -(block.S * log_expit(Z) + (1 - block.S) * log_expit(-Z)) * block.observed
    np.testing.assert_allclose(loss, expected, atol=1e-12)
    np.testing.assert_allclose(residual, (expit(Z) - block.S) * block.observed, atol=1e-12)
    assert np.isfinite(cell_loss(np.full(block.S.shape, 1e4), block)[0]).all()


def test_relative_errors_ignore_what_moves_all_llms() -> None:
    block = cells()
    P = np.random.default_rng(1).random(block.S.shape)
    shifted = P + np.arange(len(P))[:, None]
    np.testing.assert_allclose(relative_errors(shifted, block), relative_errors(P, block), atol=1e-9)


def test_minimise_finds_the_minimum_of_a_quadratic() -> None:
    target = np.array([1.0, -2.0, 3.0])
    found = minimise(lambda x: (float(((x - target) ** 2).sum()), 2 * (x - target)), np.zeros(3), 50)
    np.testing.assert_allclose(found, target, atol=1e-4)


def test_cross_validation_takes_the_cautious_candidate_unless_another_is_clearly_better() -> None:
    block = cells(n=90)
    noise = np.random.default_rng(0).normal(size=90)

    def errors(fit: Cells, held: Cells, gain: float) -> np.ndarray:
        base = noise[: len(held.X)]
        return np.vstack([np.zeros(len(base)), base - gain])

    assert cross_validate([9.0, 1.0], block, lambda f, h: errors(f, h, 1.0)) == 1.0
    assert cross_validate([9.0, 1.0], block, lambda f, h: errors(f, h, 0.0)) == 9.0


def test_one_prompt_alone_leaves_nothing_to_validate_on() -> None:
    block = replace(cells(), fold=np.zeros(30, dtype=np.int64))
    assert cross_validate([9.0, 1.0], block, lambda f, h: np.zeros((2, 1))) == 9.0


def test_instances_with_the_same_prompt_share_a_fold() -> None:
    data = planted_dataset(n_instances=60)
    twice = data.take_instances(np.tile(np.arange(60), 2))
    block, _ = Cells.of(twice, np.zeros((120, 2), dtype=np.float32), 0)
    np.testing.assert_array_equal(block.fold[:60], block.fold[60:])
    assert set(block.fold) == {0, 1, 2}


@pytest.mark.parametrize("name", ROUTERS)
def test_text_that_says_nothing_leaves_the_best_single_llm(name: str) -> None:
    data = strong_llm()
    router = make_router(name).fit(data)
    assert set(router.rank(data).llm_index[:, 0]) == {5}
    assert abs(float(router.score(data).mean()) - float(data.interactions.scores.data.mean())) < 0.02


@pytest.mark.parametrize("name", ROUTERS)
def test_the_number_of_threads_changes_nothing(name: str) -> None:
    data = planted_dataset(missing=0.1)
    fits = []
    for n_threads in (1, 2):
        with threadpool_limits(limits=n_threads):
            fits.append(make_router(name, seed=4).fit(data))
    one, two = (arrays_of(router) for router in fits)
    for attribute in one:
        np.testing.assert_array_equal(one[attribute], two[attribute])


@pytest.mark.parametrize("name", ROUTERS)
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 3), (2, 2), (12, 1)])
def test_tiny_data_is_no_hurdle(name: str, n: int, m: int) -> None:
    rng = np.random.default_rng(0)
    data = planted_dataset(n_instances=n, n_llms=m)
    data = data.with_embeddings(rng.normal(size=(n, 3)).astype(np.float32), Precomputed("tiny"))
    predicted = make_router(name).fit(data).score(data)
    assert predicted.shape == (n, m)
    assert np.isfinite(predicted).all()


@pytest.mark.parametrize("name", ROUTERS)
def test_an_llm_and_an_instance_without_records_are_no_hurdle(name: str) -> None:
    scores = planted_dataset().interactions.dense()
    scores[:, 2] = np.nan
    scores[7] = np.nan
    data = replace(planted_dataset(), interactions=InteractionMatrix.from_dense(scores))
    assert np.isfinite(make_router(name).fit(data).score(data)).all()


@pytest.mark.parametrize("name", ROUTERS)
def test_vectors_of_any_length_serve(name: str) -> None:
    data = planted_dataset(noise=0.05)
    kind = np.arange(240) % 3
    vectors = np.random.default_rng(0).normal(size=(240, 8)) * 0.1
    vectors[np.arange(240), kind] += 1
    for length in (0.01, 100.0):
        sized = data.with_embeddings((length * vectors).astype(np.float32), Precomputed("sized"))
        choice = make_router(name).fit(sized).rank(sized).llm_index[:, 0]
        assert (choice % 3 == kind).mean() > 0.98
