"""Many unseen LLMs asked at once, each its own prompts, one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.util.numeric import Floats

if TYPE_CHECKING:
    from recroute.routers.memory.prior import LLMPrior


def ask(prior: LLMPrior, answers: Floats, k: int, llms: pl.DataFrame | None = None) -> NDArray[np.int64]:
    """The prompts that strategy "active" asks when it hears every answer before it asks on.

    The same choices as `select_anchors(prior, 1, scores=...)` k times over for each LLM, in matrix products.

    Parameters
    ----------
    prior : LLMPrior
    answers : f32 (n, j)
        What j LLMs would score, NaN where they cannot be asked.
    k : int
        At most the number of answers of every LLM.
    llms : polars.DataFrame, optional
        j rows: what is known of the LLMs beside their scores.

    Returns
    -------
    int64 (k, j)
    """
    n_unseen = answers.shape[1]
    vectors, expected = prior.vectors.astype(np.float32), prior.expected
    loadings = prior.loadings.astype(np.float32)
    right, wrong = np.log(expected), np.log1p(-expected)
    mean_score = vectors @ loadings.mean(axis=0)  # (m,)
    log_posterior = prior.log_weights(llms, n_unseen)
    closed = np.isnan(answers)
    asked = np.empty((k, n_unseen), dtype=np.int64)
    everyone = np.arange(n_unseen)
    for step in range(k):
        weights = np.exp(log_posterior - log_posterior.max(axis=1, keepdims=True)).astype(np.float32)
        weights /= weights.sum(axis=1, keepdims=True)
        deviation = weights * (mean_score - (weights @ mean_score)[:, None])  # (j, m)
        reached = loadings @ (deviation @ vectors).T  # (n, k) x (k, j)
        p = expected @ weights.T  # (n, m) x (m, j)
        gain = reached**2 / (p * (1 - p))
        gain[closed] = -np.inf
        chosen = gain.argmax(axis=0)
        closed[chosen, everyone] = True
        asked[step] = chosen
        score = answers[chosen, everyone][:, None]
        log_posterior = log_posterior + score * right[chosen] + (1 - score) * wrong[chosen]
    return asked
