"""A feed-forward network from prompt vectors to the LLMs' scores, trained as RouterEval trains its two."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.routers.one_by_one import DECAY, EPSILON, SQUARE_DECAY, descend

Vectors = NDArray[np.float32]
Layers = list[tuple[Vectors, Vectors]]  # weight (inputs, outputs) and offset (outputs,) of each layer


def fit_network(
    X: Vectors,
    scores: Vectors,
    means: NDArray[np.float64],
    hidden: Sequence[int],
    *,
    learning_rate: float,
    n_epochs: int,
    batch_size: int,
    seed: int,
) -> Layers:
    """Minimise the binary cross-entropy of the observed cells with Adam.

    With hidden layers every layer starts uniform within 1 / sqrt(inputs), as PyTorch's do. Without them the loss is
    convex and the start is zero, so that no LLM depends on another. Every observed cell has the same weight, an
    unobserved one none.

    Parameters
    ----------
    X : f32 (n, d)
        Prompt vectors.
    scores : f32 (n, m)
        In [0, 1], NaN where unobserved.
    means : f64 (m,)
        What an LLM without a single record is predicted to score.
    hidden : sequence of int
        Units of each hidden layer (rectified linear); none makes the m outputs logistic regressions.
    learning_rate : float
    n_epochs, batch_size : int
    seed : int
        Of the start and of the order of the instances.

    Returns
    -------
    weight f32 (inputs, outputs) and offset f32 (outputs,) of each layer
    """
    rng, order_rng = (np.random.default_rng([seed, stream]) for stream in (0, 1))
    sizes = [X.shape[1], *hidden, scores.shape[1]]
    layers: Layers = []
    for n_in, n_out in pairwise(sizes):
        reach = n_in**-0.5 if hidden else 0.0
        weight = rng.uniform(-reach, reach, (n_in, n_out)).astype(np.float32)
        layers.append((weight, rng.uniform(-reach, reach, n_out).astype(np.float32)))
    without_record = np.isnan(scores).all(axis=0)
    layers[-1][0][:, without_record] = 0
    layers[-1][1][without_record] = log_odds(means[without_record])  # no gradient ever moves these
    orders = [order_rng.permutation(len(X)) for _ in range(n_epochs)]
    if batch_size == 1 and not hidden:
        descend(X, scores, *layers[0], learning_rate, np.concatenate(orders))
        return layers
    adam = _Adam([array for layer in layers for array in layer], learning_rate)
    for order in orders:
        for start in range(0, len(X), batch_size):
            batch = order[start : start + batch_size]
            adam.step(_gradients(layers, X[batch], scores[batch]))
    return layers


def predict(layers: Layers, X: Vectors) -> NDArray[np.float64]:
    """Probability of success f64 (b, m) for prompt vectors f32 (b, d)."""
    return _sigmoid(_activations(layers, X)[-1].astype(np.float64))


def log_odds(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds f64 (m,) of mean scores f64 (m,), finite also for 0 and 1."""
    p = means.clip(1e-3, 1 - 1e-3)
    return np.log(p / (1 - p))


def log_odds_shares(predicted: Vectors) -> NDArray[np.float64]:
    """Softmax f64 (b, m) of the log-odds of probabilities f32 (b, m), as RouterEval takes it of its outputs."""
    p = predicted.astype(np.float64).clip(1e-7, 1 - 1e-7)
    odds = p / (1 - p)
    return odds / odds.sum(axis=1, keepdims=True)


def _activations(layers: Layers, X: Vectors) -> list[Vectors]:
    """The input, each hidden layer's output, and the log-odds (b, m)."""
    values = [X]
    for i, (weight, offset) in enumerate(layers):
        z = values[-1] @ weight + offset  # (b, inputs) x (inputs, outputs)
        values.append(z if i == len(layers) - 1 else np.maximum(z, 0))
    return values


def _gradients(layers: Layers, X: Vectors, scores: Vectors) -> list[Vectors]:
    """Gradients of the loss by weight and offset of each layer, in the order of the layers."""
    values = _activations(layers, X)
    error = _sigmoid(values[-1]) - scores  # (b, m): the gradient by the log-odds, NaN where unobserved
    error = np.nan_to_num(error, copy=False, nan=0.0) / np.float32(error.size)
    found: list[Vectors] = []
    for i in range(len(layers) - 1, -1, -1):
        found[:0] = [values[i].T @ error, error.sum(axis=0)]
        if i:
            error = (error @ layers[i][0].T) * (values[i] > 0)
    return found


def _sigmoid(z: NDArray[Any]) -> NDArray[Any]:
    return 1 / (1 + np.exp(-z.clip(-60, 60)))


class _Adam:
    """Adam (Kingma and Ba 2015), changing the parameters in place."""

    def __init__(self, parameters: list[Vectors], learning_rate: float) -> None:
        self.parameters = parameters
        self.learning_rate = learning_rate
        self.mean = [np.zeros_like(array) for array in parameters]
        self.square = [np.zeros_like(array) for array in parameters]
        self.n_steps = 0

    def step(self, gradients: list[Vectors]) -> None:
        """One step down; the gradients are overwritten."""
        self.n_steps += 1
        correction = np.sqrt(1 - SQUARE_DECAY**self.n_steps)
        rate = np.float32(self.learning_rate * correction / (1 - DECAY**self.n_steps))
        floor = np.float32(EPSILON * correction)
        for array, mean, square, g in zip(self.parameters, self.mean, self.square, gradients, strict=True):
            mean += np.float32(1 - DECAY) * (g - mean)
            np.multiply(g, g, out=g)
            g -= square
            g *= np.float32(1 - SQUARE_DECAY)
            square += g
            np.sqrt(square, out=g)
            g += floor
            np.divide(mean, g, out=g)
            g *= rate
            array -= g
