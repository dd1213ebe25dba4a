"""A small neural network with early stopping and shrinkage on held-out prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.util.numeric import Array
from recroute.util.state import array

N_HIDDEN = 64
PENALTIES = (10.0, 100.0, 300.0)  # relative to the sum of squared errors of a batch of 200 rows
MAX_PENALTY = 1e6  # stands for infinity, which sklearn does not accept
MAX_EPOCHS = 300
PATIENCE = 15
HELD_OUT = 8  # one of this many rows is held out

Layers = tuple[Array, Array, Array, Array]


@dataclass(frozen=True, eq=False)
class MLPBridge:
    """Predicts instance factors by a network: `relu(X @ hidden_weight + hidden_offset) @ weight + offset`.

    Parameters
    ----------
    hidden_weight : f64 (d, h)
    hidden_offset : f64 (h,)
    weight : f64 (h, k)
    offset : f64 (k,)
    """

    hidden_weight: Array = array("width", "n_hidden")
    hidden_offset: Array = array("n_hidden")
    weight: Array = array("n_hidden", "n_factors")
    offset: Array = array("n_factors")

    @classmethod
    def fit(cls, X: NDArray[np.floating], Y: NDArray[np.floating], reg: float | None, seed: int) -> MLPBridge:
        """Fit on prompt vectors float (n, d) and instance factors float (n, k).

        An eighth of the rows, drawn by seed, is held out. The penalty on the squared weights (`reg`, or one of
        `PENALTIES`) and the epoch are those with the smallest held-out error. The network's deviation from the mean
        factors is then multiplied by the share in [0, 1] that fits the held-out rows best, so uninformative text gives
        about the mean.
        """
        rows, target = np.asarray(X, dtype=np.float64), np.asarray(Y, dtype=np.float64)
        x_mean, y_mean = rows.mean(axis=0), target.mean(axis=0)
        # one scale for all columns, which keeps their proportions
        x_scale, y_scale = (max(float(np.sqrt(A.var(axis=0).mean())), 1e-12) for A in (rows, target))
        order = np.random.default_rng(seed).permutation(len(X))
        n_held = max(len(X) // HELD_OUT, 1)
        held, kept = order[:n_held], np.sort(order[n_held:] if len(X) > 1 else order)
        Z, T = (rows - x_mean) / x_scale, (target - y_mean) / y_scale
        penalties = PENALTIES if reg is None else (reg,)
        trials = [_stopped_early(Z[kept], T[kept], Z[held], T[held], penalty, seed) for penalty in penalties]
        _, (hidden_weight, hidden_offset, weight, offset) = min(trials, key=lambda trial: trial[0])
        predicted = _forward(Z[held], (hidden_weight, hidden_offset, weight, offset))
        share = float(np.clip((predicted * T[held]).sum() / max(float((predicted**2).sum()), 1e-12), 0, 1))
        hidden_weight = hidden_weight / x_scale
        return cls(
            hidden_weight,
            hidden_offset - x_mean @ hidden_weight,
            weight * share * y_scale,
            offset * share * y_scale + y_mean,
        )

    def __call__(self, X: NDArray[np.floating]) -> Array:
        return _forward(X, (self.hidden_weight, self.hidden_offset, self.weight, self.offset))


def _forward(X: NDArray[np.floating], layers: Layers) -> Array:
    hidden_weight, hidden_offset, weight, offset = layers
    hidden = (X @ hidden_weight + hidden_offset).clip(min=0)  # (b, d) x (d, h)
    return hidden @ weight + offset  # (b, h) x (h, k) -> (b, k)


def _stopped_early(X: Array, Y: Array, X_held: Array, Y_held: Array, reg: float, seed: int) -> tuple[float, Layers]:
    """Smallest squared error on the held-out rows over the epochs, and the layers that have it."""
    from sklearn.neural_network import MLPRegressor

    network: Any = MLPRegressor(hidden_layer_sizes=(N_HIDDEN,), alpha=min(reg, MAX_PENALTY), random_state=seed)
    target = Y[:, 0] if Y.shape[1] == 1 else Y  # sklearn warns of a single column
    least, best, since = np.inf, None, 0
    for _ in range(MAX_EPOCHS):
        network.partial_fit(X, target)  # one epoch
        layers = (network.coefs_[0], network.intercepts_[0], network.coefs_[1], network.intercepts_[1])
        error = float(((_forward(X_held, layers) - Y_held) ** 2).sum())
        if error < least:
            least, best, since = error, tuple(layer.copy() for layer in layers), 0
        elif (since := since + 1) == PATIENCE:
            break
    assert best is not None  # because the error of the first epoch is finite
    return least, best
