"""Kernel ridge regression with width and penalty chosen by leave-one-out in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.bridges.ridge import PENALTIES, Spectrum
from recroute.util.memo import Memo
from recroute.util.numeric import Array
from recroute.util.state import array

WIDTHS = (0.5, 1.0, 2.0)  # candidates, in units of the typical distance; for large widths the kernel becomes linear
EXACT_LIMIT = 2000  # largest number of training prompts that are all used as landmarks
N_LANDMARKS = 1000
JITTER = 1e-9  # keeps the kernel matrix regular if prompts are repeated


@dataclass(frozen=True, eq=False)
class KernelBridge:
    """Predicts instance factors by a sum of Gaussian kernels: `gaussian(X, landmarks, width) @ weight + offset`.

    Every training prompt is a landmark; with more than `EXACT_LIMIT` prompts, `N_LANDMARKS` are drawn (Nystroem).
    Source: Williams and Seeger, Using the Nystroem method to speed up kernel machines, NeurIPS 2000.

    Parameters
    ----------
    landmarks : float (p, d)
    weight : f64 (p, k)
    offset : f64 (k,)
    width : f64 ()
    """

    landmarks: NDArray[np.floating] = array("n_landmarks", "width")
    weight: Array = array("n_landmarks", "n_factors")
    offset: Array = array("n_factors")
    width: Array = array(low=1e-9)

    @classmethod
    def fit(cls, X: NDArray[np.floating], Y: NDArray[np.floating], reg: float | None, seed: int) -> KernelBridge:
        """Fit on prompt vectors float (n, d) and instance factors float (n, k).

        The width and, unless `reg` is given, the penalty minimise the leave-one-out error, with the landmarks held
        fixed. The largest candidate penalty is infinite and gives the mean factors.
        """
        rows, target = np.asarray(X, dtype=np.float64), np.asarray(Y, dtype=np.float64)
        mean = target.mean(axis=0)
        penalties = PENALTIES if reg is None else np.array([float(reg)])
        if len(X) <= EXACT_LIMIT:
            landmarks, candidates = X, _exact(rows)
        else:
            drawn = np.sort(np.random.default_rng(seed).choice(len(X), N_LANDMARKS, replace=False))
            landmarks, candidates = X[drawn], _with_landmarks(rows, rows[drawn])
        errors = np.array([one.spectrum.total_errors(target - mean, penalties) for one in candidates])
        best, chosen = np.unravel_index(int(errors.argmin()), errors.shape)
        one = candidates[best]
        weight = one.spectrum.weight(target - mean, float(penalties[chosen]))
        return cls(np.array(landmarks), weight, mean - one.mean @ weight, np.array(one.width))

    def __call__(self, X: NDArray[np.floating]) -> Array:
        rows, landmarks = np.asarray(X, dtype=np.float64), np.asarray(self.landmarks, dtype=np.float64)
        return gaussian(rows, landmarks, float(self.width)) @ self.weight + self.offset  # (b, p) x (p, k) -> (b, k)


def gaussian(X: Array, Z: Array, width: float) -> Array:
    """exp(-|x - z|^2 / (2 width^2)), f64 (b, p), for the rows of f64 (b, d) and f64 (p, d)."""
    squared = (X**2).sum(axis=1)[:, None] + (Z**2).sum(axis=1) - 2 * X @ Z.T
    return np.exp(-squared.clip(min=0) / (2 * width**2))


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A candidate width, with the mean f64 (p,) of the kernel features and their spectrum."""

    width: float
    mean: Array
    spectrum: Spectrum


def _candidates(X: Array, landmarks: Array) -> list[_Candidate]:
    typical = max(float(np.sqrt(2 * X.var(axis=0).sum())), 1e-6)  # root mean squared distance between rows
    return [_candidate(X, landmarks, scale * typical) for scale in WIDTHS]


def _candidate(X: Array, landmarks: Array, width: float) -> _Candidate:
    """Ridge regression on `kernel @ inv(root).T` is kernel ridge, because root @ root.T = kernel of the landmarks."""
    kernel = gaussian(X, landmarks, width)
    root = np.linalg.cholesky(gaussian(landmarks, landmarks, width) + JITTER * np.eye(len(landmarks)))
    features = np.linalg.solve(root, kernel.T).T  # (n, p)
    spectrum = Spectrum.of(features - features.mean(axis=0))
    axes = np.linalg.solve(root.T, spectrum.axes)  # maps from kernel values instead of features
    return _Candidate(width, kernel.mean(axis=0), Spectrum(axes, spectrum.basis, spectrum.value))


_exact = Memo(lambda X: _candidates(X, X), max_cells=1 << 20)
_drawn: Memo[list[_Candidate]] = Memo(
    max_cells=1 << 23
)  # counts the cells of the results, which are much larger than the arrays


def _with_landmarks(X: Array, landmarks: Array) -> list[_Candidate]:
    cells = len(X) * len(landmarks) * len(WIDTHS)
    return _drawn.get([X, landmarks], lambda: _candidates(X, landmarks), cells)
