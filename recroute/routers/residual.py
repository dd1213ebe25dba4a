"""What LLM means and instance difficulty leave of the scores, and factors of it put on the scale of scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, llm_means
from recroute.util.numeric import Array


def by_id(train: Dataset) -> NDArray[np.int64]:
    """Positions int (m,) of the LLMs in alphabetical order of their ids.

    For models that start from random factors and draw cells at random: in this order their result does not depend
    on the order in which the LLMs came.
    """
    return np.argsort(np.array(train.llm_ids.ids), kind="stable")


def residual_scores(train: Dataset) -> tuple[Array, Array, Array]:
    """Split scores into LLM mean, instance difficulty and residual: `score[i,l] = mean[l] + ease[i] + residual[i,l]`.

    Parameters
    ----------
    train : Dataset

    Returns
    -------
    mean f64 (m,)
        `llm_means`: comparable where LLMs were evaluated on different instances.
    ease f64 (n,)
        How much better than their means the LLMs do on the instance; 0 where none was observed.
    residual f64 (n, m)
        NaN where unobserved; what decides which LLM to choose, because the other two parts do not depend on both.
    """
    mean = llm_means(train)
    deviation = train.interactions.dense() - mean
    n_observed = train.interactions.instance_counts
    ease = np.nansum(deviation, axis=1) / np.maximum(n_observed, 1)
    return mean, ease, deviation - ease[:, None]


def calibrate(train: Dataset, instance_factors: Array, llm_factors: Array) -> tuple[Array, Array, Array]:
    """Put factors of a ranking or a link function on the scale of scores.

    The products `u . v` of such a model have an arbitrary scale, and what depends on the instance alone or on the
    LLM alone is not theirs to tell. So they are centred both ways and get one common scale, the least-squares one of
    the observed residuals on them; LLM means become the biases, and instance difficulty one more factor that all
    LLMs load on with 1.

    Parameters
    ----------
    train : Dataset
    instance_factors : f64 (n, k)
    llm_factors : f64 (m, k)

    Returns
    -------
    biases f64 (m,), instance factors f64 (n, 1 + k), LLM factors f64 (m, 1 + k)
    """
    mean, ease, residual = residual_scores(train)
    U = instance_factors - instance_factors.mean(axis=0)
    V = llm_factors - llm_factors.mean(axis=0)
    scale = common_scale(residual, U, V)
    return mean, np.column_stack([ease, scale * U]), np.column_stack([np.ones(len(V)), V])


def common_scale(residual: Array, instance_factors: Array, llm_factors: Array) -> float:
    """The factor that brings `instance_factors @ llm_factors.T` closest to the observed residuals f64 (n, m)."""
    product = np.where(np.isnan(residual), 0, instance_factors @ llm_factors.T)  # (n, k) x (k, m)
    return float((np.nan_to_num(residual) * product).sum() / max((product**2).sum(), 1e-12))
