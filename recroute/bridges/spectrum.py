"""Penalised least squares in the basis where every penalty costs one division."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recroute.util.numeric import Array

# The last one is the mean of Y: what text that says nothing has to come to.
PENALTIES = np.append(np.geomspace(0.1, 1000, 13), np.inf)
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
        """The spectrum of centred features f64 (n, d)."""
        value, axes = np.linalg.eigh(features.T @ features)
        return cls(axes, features @ axes, value.clip(min=0))

    def weight(self, Y: Array, reg: float) -> Array:
        """Weights f64 (d, k) of the centred features for centred targets f64 (n, k)."""
        return self.axes @ (self.basis.T @ Y / (self.value + reg)[:, None])

    def errors(self, Y: Array, penalties: Array = PENALTIES) -> Array:
        """Squared leave-one-out error summed over centred targets f64 (n, k), for each penalty: f64 (p,).

        The intercept is left out with the row. In closed form: residual / (1 - leverage).
        """
        n, k = Y.shape
        shrink = 1 / (self.value[:, None] + penalties)  # (d, p)
        target = self.basis.T @ Y  # (d, k)
        weight = (shrink[:, :, None] * target[:, None, :]).reshape(len(target), -1)  # (d, p * k)
        errors = np.zeros(len(penalties))
        for start in range(0, n, ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            basis = self.basis[rows]
            leverage = 1 / n + basis**2 @ shrink  # (rows, p)
            residual = Y[rows, None, :] - (basis @ weight).reshape(len(basis), len(penalties), k)
            errors += ((residual / (1 - leverage).clip(min=1e-6)[:, :, None]) ** 2).sum(axis=(0, 2))
        return errors
