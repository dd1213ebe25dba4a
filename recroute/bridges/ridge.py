"""Ridge regression with its penalty chosen in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.bridges.spectrum import PENALTIES, Array, Spectrum
from recroute.memo import Memo


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
        which ridge regression has in closed form.

    Returns
    -------
    weight f64 (d, k), offset f64 (k,) : prediction = X @ weight + offset
    """
    rows, target = np.asarray(X, dtype=np.float64), np.asarray(Y, dtype=np.float64)
    x_mean, y_mean = rows.mean(axis=0), target.mean(axis=0)
    spectrum = _spectrum(rows)
    if reg is None:
        reg = float(PENALTIES[int(np.argmin(spectrum.errors(target - y_mean)))])
    weight = spectrum.weight(target - y_mean, reg)
    return weight, y_mean - x_mean @ weight


_spectrum = Memo(lambda X: Spectrum.of(X - X.mean(axis=0)), max_cells=1 << 24)
