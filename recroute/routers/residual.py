"""Residual scores after removing LLM means and instance difficulty, and calibration of factors to their scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, InteractionMatrix, llm_means
from recroute.data.cells import indicators
from recroute.util.numeric import Array


def by_id(train: Dataset) -> NDArray[np.int64]:
    """Positions int (m,) of the LLMs in alphabetical order of their ids.

    Models with random initialisation or sampling use this order, so their result does not depend on the order of the
    LLMs in the data.
    """
    return np.argsort(np.array(train.llm_ids.ids), kind="stable")


def residual_scores(train: Dataset) -> tuple[Array, Array, Array]:
    """Split scores into LLM mean, instance difficulty and residual: `score[i,l] = mean[l] + ease[i] + residual[i,l]`.

    Parameters
    ----------
    train : Dataset

    Returns
    -------
    mean : f64 (m,)
        `llm_means`, which are comparable between LLMs evaluated on different instances.
    ease : f64 (n,)
        Mean deviation of the observed scores from the LLMs' means; 0 if nothing was observed.
    residual : f64 (n, m)
        NaN where unobserved. Only this part determines which LLM is best on which instance.
    """
    mean = llm_means(train)
    deviation = train.interactions.dense() - mean
    n_observed = train.interactions.instance_counts
    ease = np.nansum(deviation, axis=1) / np.maximum(n_observed, 1)
    return mean, ease, deviation - ease[:, None]


def calibrate(train: Dataset, instance_factors: Array, llm_factors: Array) -> tuple[Array, Array, Array]:
    """Bring factors of a ranking loss or a link function to the scale of scores.

    The products `u . v` of such a model have an arbitrary scale and do not determine effects of the instance alone or
    the LLM alone. So both factors are centred and multiplied by one number, the least-squares coefficient of the
    observed residuals on the products. LLM means become the biases, and instance difficulty becomes an additional
    factor with loading 1 for all LLMs.

    Parameters
    ----------
    train : Dataset
    instance_factors : f64 (n, k)
    llm_factors : f64 (m, k)

    Returns
    -------
    biases : f64 (m,)
    instance_factors : f64 (n, 1 + k)
    llm_factors : f64 (m, 1 + k)
    """
    mean, ease, residual = residual_scores(train)
    U = instance_factors - instance_factors.mean(axis=0)
    V = llm_factors - llm_factors.mean(axis=0)
    scale = common_scale(residual, U, V)
    return mean, np.column_stack([ease, scale * U]), np.column_stack([np.ones(len(V)), V])


def projections(matrix: InteractionMatrix, bias: Array, llm_factors: Array) -> tuple[Array, Array]:
    """Unbiased estimates f64 (n, k) of the instances' factors from their own records, and their weights f64 (n,).

    The mean of (score - bias) v over an instance's records, divided by its expectation for a factor of 1 over LLMs
    drawn in proportion to their records. It is noisy where records are few, and not shrunk towards 0, so a regression
    on it is one of the scores through the LLM factors. The weight is the number of records. With every cell observed
    it is the projection on orthonormal LLM factors.

    Parameters
    ----------
    matrix : InteractionMatrix (n, m)
    bias : f64 (m,)
    llm_factors : f64 (m, k)
    """
    scores, counts = matrix.scores, matrix.instance_counts.astype(np.float64)
    total = scores @ llm_factors - indicators(scores) @ (bias[:, None] * llm_factors)  # (n, m) x (m, k)
    expected = (llm_factors.T * (matrix.llm_counts / matrix.n_observed)) @ llm_factors
    return (total / np.maximum(counts, 1)[:, None]) @ np.linalg.pinv(expected), counts


def common_scale(residual: Array, instance_factors: Array, llm_factors: Array) -> float:
    """Least-squares coefficient of the observed residuals f64 (n, m) on `instance_factors @ llm_factors.T`."""
    product = np.where(np.isnan(residual), 0, instance_factors @ llm_factors.T)  # (n, k) x (k, m)
    return float((np.nan_to_num(residual) * product).sum() / max((product**2).sum(), 1e-12))
