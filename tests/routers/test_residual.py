import numpy as np

from recroute.data import Dataset, InteractionMatrix
from recroute.routers.residual import calibrate, common_scale, projections, residual_scores
from recroute.testing import planted_dataset


def dataset(block: np.ndarray) -> Dataset:
    planted = planted_dataset(n_instances=len(block), n_llms=block.shape[1])
    return Dataset("block", InteractionMatrix.from_dense(block), planted.instances, planted.llms)


def test_mean_ease_and_residual_add_up_and_the_residual_is_centred_both_ways(rng: np.random.Generator) -> None:
    block = rng.random((30, 5)).astype(np.float32)
    mean, ease, residual = residual_scores(dataset(block))
    np.testing.assert_allclose(mean + ease[:, None] + residual, block, atol=1e-6)
    np.testing.assert_allclose(residual.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(residual.mean(axis=1), 0, atol=1e-6)


def test_an_unobserved_residual_stays_unobserved_and_an_instance_without_records_is_average(
    rng: np.random.Generator,
) -> None:
    block = rng.random((30, 5))
    block[3], block[4, 2] = np.nan, np.nan
    _, ease, residual = residual_scores(dataset(block))
    np.testing.assert_array_equal(np.isnan(residual), np.isnan(block))
    assert ease[3] == 0


def test_calibration_recovers_scores_from_factors_of_another_scale(rng: np.random.Generator) -> None:
    U, V = rng.normal(size=(60, 2)), rng.normal(size=(8, 2))
    U, V = U - U.mean(axis=0), V - V.mean(axis=0)
    skill, ease = rng.uniform(0.4, 0.6, 8), rng.normal(size=60) * 0.05
    truth = skill + (ease - ease.mean())[:, None] + 0.02 * U @ V.T
    bias, instance, llm = calibrate(dataset(truth), 300 * U + 7, 0.1 * V - 4)
    np.testing.assert_allclose(bias + instance @ llm.T, truth, atol=1e-5)


def test_unobserved_cells_do_not_pull_the_scale(rng: np.random.Generator) -> None:
    U, V = rng.normal(size=(40, 2)), rng.normal(size=(6, 2))
    residual = np.where(rng.random((40, 6)) < 0.5, np.nan, 0.3 * U @ V.T)
    np.testing.assert_allclose(common_scale(residual, U, V), 0.3)


def test_the_projection_of_a_complete_row_is_its_factors_and_of_few_records_their_factors_on_average(
    rng: np.random.Generator,
) -> None:
    axes = np.linalg.qr(rng.normal(size=(6, 2)))[0]
    bias, factors = rng.uniform(0.4, 0.6, 6), 0.1 * rng.normal(size=(4, 2))
    truth = bias + factors @ axes.T
    found, counts = projections(InteractionMatrix.from_dense(truth), bias, axes)
    np.testing.assert_allclose(found, factors, atol=1e-6)
    assert counts.tolist() == [6] * 4
    often = np.repeat(truth, 15, axis=0)  # each pair of LLMs once
    pairs = np.array([[one, other] for one in range(6) for other in range(one)])
    observed = np.zeros((15, 6))
    np.put_along_axis(observed, pairs, 1, axis=1)
    few = np.where(np.tile(observed, (4, 1)) > 0, often, np.nan)
    found, counts = projections(InteractionMatrix.from_dense(few), bias, axes)
    np.testing.assert_allclose(found.reshape(4, 15, 2).mean(axis=1), factors, atol=1e-6)
    assert counts.tolist() == [2] * 60
