"""Ridge regression with its penalty chosen in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.bridges.spectrum import PENALTIES, ROWS_AT_ONCE, Spectrum
from recroute.util.memo import Memo
from recroute.util.numeric import Array
from recroute.util.state import array

AT_ONCE = 1 << 26  # numbers in the vectors that are decomposed in one piece


@dataclass(frozen=True, eq=False)
class RidgeBridge:
    """Instance factors as a linear function of the prompt vector: `X @ weight + offset`, see `fit_ridge`.

    Parameters
    ----------
    weight : f64 (d, k)
    offset : f64 (k,)
    """

    weight: Array = array("width", "n_factors")
    offset: Array = array("n_factors")

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
        which ridge regression has in closed form.

    Returns
    -------
    weight f64 (d, k), offset f64 (k,) : prediction = X @ weight + offset
    """
    if X.size > AT_ONCE:
        return _fit_in_blocks(X, Y, reg)
    rows, target = np.asarray(X, dtype=np.float64), np.asarray(Y, dtype=np.float64)
    x_mean, y_mean = rows.mean(axis=0), target.mean(axis=0)
    spectrum = _spectrum(rows)
    if reg is None:
        reg = float(PENALTIES[int(np.argmin(spectrum.errors(target - y_mean)))])
    weight = spectrum.weight(target - y_mean, reg)
    return weight, y_mean - x_mean @ weight


def _fit_in_blocks(X: NDArray[np.floating], Y: NDArray[np.floating], reg: float | None) -> tuple[Array, Array]:
    """The same from the moments of all rows, for vectors that are too many to be held in double precision.

    The penalty does not depend on the number of rows, and is chosen on every i-th of them.
    """
    n, d = X.shape
    if reg is None:
        few = slice(None, None, -(-X.size // AT_ONCE))
        spectrum, target = _spectrum(np.asarray(X[few], dtype=np.float64)), np.asarray(Y[few], dtype=np.float64)
        reg = float(PENALTIES[int(np.argmin(spectrum.errors(target - target.mean(axis=0))))])
    x_mean, y_mean = X.mean(axis=0, dtype=np.float64), Y.mean(axis=0, dtype=np.float64)
    gram, product = np.zeros((d, d)), np.zeros((d, Y.shape[1]))
    for start in range(0, n, ROWS_AT_ONCE):
        rows = X[start : start + ROWS_AT_ONCE] - x_mean
        gram += rows.T @ rows
        product += rows.T @ (Y[start : start + ROWS_AT_ONCE] - y_mean)
    value, axes = np.linalg.eigh(gram)
    weight = axes @ (axes.T @ product / (value.clip(min=0) + reg)[:, None])
    return weight, y_mean - x_mean @ weight


_spectrum = Memo(lambda X: Spectrum.of(X - X.mean(axis=0)), max_cells=1 << 24)
