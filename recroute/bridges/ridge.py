"""Ridge regression with its penalty chosen in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PENALTIES = np.geomspace(0.1, 1000, 13)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RidgeBridge:
    """Instance factors as a linear function of the prompt vector: `X @ weight + offset`, see `fit_ridge`.

    Parameters
    ----------
    weight : f64 (d, k)
    offset : f64 (k,)
    """

    weight: Array
    offset: Array

    @classmethod
    def fit(cls, X: NDArray[np.floating], Y: NDArray[np.floating], reg: float | None, seed: int) -> RidgeBridge:
        return cls(*fit_ridge(X, Y, reg))

    def __call__(self, X: NDArray[np.floating]) -> Array:
        return X @ self.weight + self.offset  # (b, d) x (d, k) -> (b, k)


def fit_ridge(X: NDArray[np.floating], Y: NDArray[np.floating], reg: float | None = None) -> tuple[Array, Array]:
    """Ridge regression of Y on X with an unpenalised intercept.

    Parameters
    ----------
    X : float (n, d)
        Prompt vectors.
    Y : float (n, k)
        Instance factors; their columns have to be on the scale of the scores, because the penalty is chosen
        by the squared error summed over them.
    reg : float, optional
        Penalty on the squared weights. Default: the one of `PENALTIES` with the least leave-one-out error,
        which ridge regression has in closed form: residual / (1 - leverage).

    Returns
    -------
    weight f64 (d, k), offset f64 (k,) : prediction = X @ weight + offset
    """
    X, Y = np.asarray(X, dtype=np.float64), np.asarray(Y, dtype=np.float64)
    x_mean, y_mean = X.mean(axis=0), Y.mean(axis=0)
    Xc, Yc = X - x_mean, Y - y_mean
    value, Q = np.linalg.eigh(Xc.T @ Xc)  # (d,), (d, d): the same penalty costs one division in this basis
    value = value.clip(min=0)
    basis = Xc @ Q  # (n, d), orthogonal columns of squared length `value`
    target = basis.T @ Yc  # (d, k)
    if reg is None:
        errors = []
        for penalty in PENALTIES:
            leverage = 1 / len(X) + (basis**2) @ (1 / (value + penalty))
            residual = Yc - basis @ (target / (value + penalty)[:, None])
            errors.append(((residual / (1 - leverage).clip(min=1e-6)[:, None]) ** 2).sum())
        reg = float(PENALTIES[int(np.argmin(errors))])
    weight = Q @ (target / (value + reg)[:, None])
    return weight, y_mean - x_mean @ weight
