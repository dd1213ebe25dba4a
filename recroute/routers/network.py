"""Feed-forward networks from prompt vectors to scores, trained as in RouterEval; used by `linear` and `mlp`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import saxpy, sger

Vectors = NDArray[np.float32]
Layers = list[tuple[Vectors, Vectors]]  # weight (inputs, outputs) and offset (outputs,) of each layer
DECAY, SQUARE_DECAY, EPSILON = 0.9, 0.999, 1e-8  # Adam's usual constants
LLMS_AT_ONCE = 256  # LLMs are independent, and the arrays of this many fit in the CPU cache
STEPS_AT_ONCE = 64  # steps between rescalings of the moments, which keep them in the range of float32


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

    With hidden layers, parameters are initialised uniformly within 1 / sqrt(inputs), as in PyTorch. Without them the
    loss is convex and parameters start at zero, so the LLMs are independent of each other. All observed cells have the
    same weight.

    Parameters
    ----------
    X : f32 (n, d)
        Prompt vectors.
    scores : f32 (n, m)
        In [0, 1], NaN where unobserved.
    means : f64 (m,)
        Predicted scores of LLMs without any record.
    hidden : sequence of int
        Units of each hidden layer (rectified linear); empty for logistic regressions.
    learning_rate : float
    n_epochs, batch_size : int
    seed : int
        Seed of the initialisation and of the order of the instances.

    Returns
    -------
    list of (weight f32 (inputs, outputs), offset f32 (outputs,))
        One pair for each layer.
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
    layers[-1][1][without_record] = log_odds(means[without_record])  # these offsets get no gradient
    orders = [order_rng.permutation(len(X)) for _ in range(n_epochs)]
    if batch_size == 1 and not hidden:
        adam_batch_of_one(X, scores, *layers[0], learning_rate, np.concatenate(orders))
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
    """Log-odds f64 (m,) of mean scores f64 (m,), clipped to [0.001, 0.999]."""
    p = means.clip(1e-3, 1 - 1e-3)
    return np.log(p / (1 - p))


def log_odds_shares(predicted: Vectors) -> NDArray[np.float64]:
    """Softmax f64 (b, m) of the log-odds of probabilities f32 (b, m), RouterEval's distribution over LLMs."""
    p = predicted.astype(np.float64).clip(1e-7, 1 - 1e-7)
    odds = p / (1 - p)
    return odds / odds.sum(axis=1, keepdims=True)


def _activations(layers: Layers, X: Vectors) -> list[Vectors]:
    """Input, output of each hidden layer, and log-odds (b, m)."""
    values = [X]
    for i, (weight, offset) in enumerate(layers):
        z = values[-1] @ weight + offset  # (b, inputs) x (inputs, outputs)
        values.append(z if i == len(layers) - 1 else np.maximum(z, 0))
    return values


def _gradients(layers: Layers, X: Vectors, scores: Vectors) -> list[Vectors]:
    """Gradients of the loss with respect to weight and offset of each layer, in the order of the layers."""
    values = _activations(layers, X)
    error = _sigmoid(values[-1]) - scores  # (b, m): gradient with respect to the log-odds, NaN where unobserved
    error = np.nan_to_num(error, copy=False, nan=0.0) / np.float32(error.size)
    gradients: list[Vectors] = []
    for i in range(len(layers) - 1, -1, -1):
        gradients[:0] = [values[i].T @ error, error.sum(axis=0)]
        if i:
            error = (error @ layers[i][0].T) * (values[i] > 0)
    return gradients


def _sigmoid(z: NDArray[Any]) -> NDArray[Any]:
    return 1 / (1 + np.exp(-z.clip(-60, 60)))


def adam_batch_of_one(
    X: Vectors, scores: Vectors, weight: Vectors, offset: Vectors, learning_rate: float, order: NDArray[np.int64]
) -> None:
    """Minimise the binary cross-entropy of the observed cells by Adam with batches of one, in place.

    Equal to textbook Adam up to rounding. With prompt vector x and errors e of the LLMs, the gradient is x e' and its
    square x^2 (e^2)'. Both are of rank one, so BLAS updates each moment in a single pass over memory without forming
    the gradient. The decay is applied once every `STEPS_AT_ONCE` steps.

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


class _Adam:
    """The optimiser Adam (Kingma and Ba 2015), updating the parameters in place."""

    def __init__(self, parameters: list[Vectors], learning_rate: float) -> None:
        self.parameters = parameters
        self.learning_rate = learning_rate
        self.mean = [np.zeros_like(array) for array in parameters]
        self.square = [np.zeros_like(array) for array in parameters]
        self.n_steps = 0

    def step(self, gradients: list[Vectors]) -> None:
        """Update the parameters by one step; the gradients are overwritten."""
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
