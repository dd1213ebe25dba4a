"""Logistic regressions by Adam on one instance at a time, where every gradient is an outer product."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import saxpy, sger

DECAY, SQUARE_DECAY, EPSILON = 0.9, 0.999, 1e-8  # Adam's usual constants

LLMS_AT_ONCE = 256  # no LLM depends on another, and the arrays of so many stay in the cache
STEPS_AT_ONCE = 64  # moments are kept divided by their decay, which must not leave the range of float32

Vectors = NDArray[np.float32]


def descend(
    X: Vectors, scores: Vectors, weight: Vectors, offset: Vectors, learning_rate: float, order: NDArray[np.int64]
) -> None:
    """Minimise the binary cross-entropy of the observed cells, changing the parameters in place.

    The steps are those of Adam on batches of one instance, up to rounding. With x the prompt vector and e the LLMs'
    errors the gradient is x e', its square x^2 (e^2)': both moments are updated by BLAS in one pass over memory each,
    without the gradient ever being made, and the decay of both is one division in `STEPS_AT_ONCE`.

    Parameters
    ----------
    X : f32 (n, d)
    scores : f32 (n, m)
        In [0, 1], NaN where unobserved.
    weight, offset : f32 (d, m), f32 (m,)
    learning_rate : float
    order : int64 (steps,)
        The instance of each step.
    """
    X = np.column_stack([X, np.ones(len(X), dtype=np.float32)])  # the offset is the weight of a constant
    n_llms = scores.shape[1]
    for start in range(0, n_llms, LLMS_AT_ONCE):
        block = slice(start, start + LLMS_AT_ONCE)
        W = np.asfortranarray(np.vstack([weight[:, block], offset[block]]))
        _steps(X, scores[:, block], W, np.float32(1 / n_llms), learning_rate, order)
        weight[:, block], offset[block] = W[:-1], W[-1]


def _steps(
    X: Vectors, scores: Vectors, W: Vectors, share: np.float32, learning_rate: float, order: NDArray[np.int64]
) -> None:
    mean, square, step = (np.zeros_like(W) for _ in range(3))
    flat_W, flat_step = W.reshape(-1, order="A"), step.reshape(-1, order="A")  # views
    for i, row in enumerate(order.tolist()):
        x, since = X[row], i % STEPS_AT_ONCE + 1
        z = (x @ W).clip(-60, 60)
        e = np.nan_to_num(1 / (1 + np.exp(-z)) - scores[row], nan=0.0) * share
        sger((1 - DECAY) / DECAY**since, x, e, a=mean, overwrite_a=1)
        sger((1 - SQUARE_DECAY) / SQUARE_DECAY**since, x * x, e * e, a=square, overwrite_a=1)
        root, correction = SQUARE_DECAY ** (since / 2), np.sqrt(1 - SQUARE_DECAY ** (i + 1))
        np.sqrt(square, out=step)
        step += np.float32(EPSILON * correction / root)
        np.divide(mean, step, out=step)
        rate = learning_rate * correction / (1 - DECAY ** (i + 1)) * DECAY**since / root
        saxpy(flat_step, flat_W, a=-rate)
        if since == STEPS_AT_ONCE:
            mean *= np.float32(DECAY**since)
            square *= np.float32(SQUARE_DECAY**since)
