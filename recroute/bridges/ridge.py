"""Ridge regression with its penalty chosen by leave-one-out in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.util.memo import Memo
from recroute.util.numeric import Array
from recroute.util.state import array

# Candidates; the infinite penalty predicts the mean of Y, which is right for uninformative text.
PENALTIES = np.append(np.geomspace(0.1, 1000, 13), np.inf)
WIDE = np.append(np.geomspace(0.1, 1e5, 19), np.inf)  # for targets from single records
ROWS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Centred features in the basis of their principal axes.

    Parameters
    ----------
    axes : f64 (d, r)
        `centred features @ axes = basis`.
    basis : f64 (n, r)
        Orthogonal columns that sum to 0.
    value : f64 (r,)
        Squared lengths of the columns of `basis`.
    """

    axes: Array
    basis: Array
    value: Array

    @classmethod
    def of(cls, features: Array) -> Spectrum:
        """Spectrum of centred features f64 (n, d)."""
        value, axes = np.linalg.eigh(features.T @ features)
        return cls(axes, features @ axes, value.clip(min=0))

    def weight(self, Y: Array, reg: float) -> Array:
        """Weights f64 (d, k) of the centred features for centred targets f64 (n, k)."""
        return self.axes @ (self.basis.T @ Y / (self.value + reg)[:, None])

    def errors(self, Y: Array, penalties: Array = PENALTIES) -> Array:
        """Squared leave-one-out error f64 (p, k) for each penalty and each of the centred targets f64 (n, k).

        In closed form as residual / (1 - leverage); the intercept is refitted for each left-out row, too.
        """
        n, k = Y.shape
        shrink = 1 / (self.value[:, None] + penalties)  # (d, p)
        target = self.basis.T @ Y  # (d, k)
        weight = (shrink[:, :, None] * target[:, None, :]).reshape(len(target), -1)  # (d, p * k)
        errors = np.zeros((len(penalties), k))
        for start in range(0, n, ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            basis = self.basis[rows]
            leverage = 1 / n + basis**2 @ shrink  # (rows, p)
            residual = Y[rows, None, :] - (basis @ weight).reshape(len(basis), len(penalties), k)
            errors += ((residual / (1 - leverage).clip(min=1e-6)[:, :, None]) ** 2).sum(axis=0)
        return errors

    def total_errors(self, Y: Array, penalties: Array = PENALTIES) -> Array:
        """`errors` f64 (p,) summed over the targets; of more targets than axes from their products alone."""
        n, k = Y.shape
        if k <= len(self.value):
            return self.errors(Y, penalties).sum(axis=1)
        shrink = 1 / (self.value[:, None] + penalties)  # (d, p)
        target = self.basis.T @ Y  # (d, k)
        gram, errors = target @ target.T, np.zeros(len(penalties))
        for start in range(0, n, ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            basis, own = self.basis[rows], Y[rows]
            leverage = 1 / n + basis**2 @ shrink  # (rows, p)
            squared = (own**2).sum(axis=1)[:, None] - 2 * (basis * (own @ target.T)) @ shrink  # of the residual
            for i, of_penalty in enumerate(shrink.T):
                weighted = basis * of_penalty
                squared[:, i] += np.einsum("id,id->i", weighted @ gram, weighted)
            errors += (squared.clip(min=0) / (1 - leverage).clip(min=1e-6) ** 2).sum(axis=0)
        return errors


AT_ONCE = 1 << 26  # cells of the largest matrix of vectors that is decomposed in memory


@dataclass(frozen=True, eq=False)
class RidgeBridge:
    """Predicts instance factors by a linear function of the prompt vector: `X @ weight + offset`, see `fit_ridge`.

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
        Targets. Their columns must be on the scale of the scores, because the penalty is chosen by the squared error
        summed over columns.
    reg : float, optional
        Penalty on the squared weights (default: the value of `PENALTIES` with the smallest leave-one-out error).

    Returns
    -------
    weight : f64 (d, k)
    offset : f64 (k,)
        The prediction is X @ weight + offset.
    """
    reg = best_penalty(X, Y) if reg is None else reg
    if X.size > AT_ONCE:
        return fit_weighted_ridge(X, Y, np.ones(len(X)), reg)  # in blocks
    rows, target = np.asarray(X, dtype=np.float64), np.asarray(Y, dtype=np.float64)
    x_mean, y_mean = rows.mean(axis=0), target.mean(axis=0)
    weight = _spectrum(rows).weight(target - y_mean, reg)
    return weight, y_mean - x_mean @ weight


def best_penalty(X: NDArray[np.floating], Y: NDArray[np.floating]) -> float:
    """The value of `PENALTIES` with the smallest leave-one-out error, for X float (n, d) and Y float (n, k).

    Of more than `AT_ONCE` numbers in X, every i-th row is used.
    """
    few = slice(None, None, max(1, -(-X.size // AT_ONCE)))
    spectrum, target = _spectrum(np.asarray(X[few], dtype=np.float64)), np.asarray(Y[few], dtype=np.float64)
    return float(PENALTIES[int(np.argmin(spectrum.total_errors(target - target.mean(axis=0))))])


def fit_weighted_ridge(
    X: NDArray[np.floating], Y: NDArray[np.floating], weight: Array, reg: float | None = None
) -> tuple[Array, Array]:
    """`fit_ridge` with a weight f64 (n,) for each row, and by default a penalty of its own for each column of Y.

    Columns that the vectors say nothing of, which many noisy targets are, then get the weighted mean.
    """
    few = slice(None, None, max(1, -(-X.size // AT_ONCE)))
    weight = weight / weight.mean()
    x_mean, y_mean, gram, product = _moments(X, Y, weight)
    penalties = np.full(Y.shape[1], reg)
    if reg is None:
        root = np.sqrt(weight[few, None])
        features, target = (X[few] - x_mean) * root, (Y[few] - y_mean) * root
        penalties = WIDE[Spectrum.of(features).errors(target, WIDE).argmin(axis=0)]
    value, axes = np.linalg.eigh(gram)
    slope = axes @ (axes.T @ product / (value.clip(min=0)[:, None] + penalties))
    return slope, y_mean - x_mean @ slope


def _moments(X: NDArray[np.floating], Y: NDArray[np.floating], weight: Array) -> tuple[Array, Array, Array, Array]:
    """Weighted means of X and Y, and sums of weighted products `X'X` and `X'Y` of the centred rows."""
    starts = range(0, len(X), ROWS_AT_ONCE)
    blocks = [slice(start, start + ROWS_AT_ONCE) for start in starts]
    x_mean = sum(weight[rows] @ X[rows] for rows in blocks) / weight.sum()
    y_mean = weight @ Y / weight.sum()
    gram, product = np.zeros((X.shape[1], X.shape[1])), np.zeros((X.shape[1], Y.shape[1]))
    for rows in blocks:
        centred = X[rows] - x_mean
        weighted = (centred * weight[rows, None]).T
        gram += weighted @ centred
        product += weighted @ (Y[rows] - y_mean)
    return x_mean, y_mean, gram, product


_spectrum = Memo(lambda X: Spectrum.of(X - X.mean(axis=0)), max_cells=1 << 24)
