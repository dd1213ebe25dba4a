"""Multidimensional item response theory with parameters predicted from text: IRT-Router."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.bridges.ridge import PENALTIES
from recroute.data import Dataset
from recroute.routers.base import Prompts, TextRouter, fitted, setting
from recroute.routers.logistic import (
    Cells,
    cell_loss,
    cross_validate,
    logit,
    minimise,
    pack,
    relative_errors,
    sigmoid,
    unpack,
)
from recroute.util.numeric import AnyArray, Index

SHARES = (1.0, 0.6, 0.35, 0.2, 0.1, 0.04)  # candidates for reg
BIAS_PRECISION = 1.0  # of the prior on an LLM's bias around the log odds of its mean


@dataclass(frozen=True, eq=False)
class Prior:
    """Precisions of the Gaussian priors, and the prior mean f (m,) of the LLMs' biases."""

    factors: float
    difficulty: float
    bias: AnyArray


def objective(flat: AnyArray, cells: Cells, prior: Prior, n_factors: int) -> tuple[float, AnyArray]:
    """Negative log posterior and its gradient.

    Parameters
    ----------
    flat : f64 (d*k + m*k + d + m,)
        Discrimination map A (d, k), abilities T (m, k), difficulty map b (d,) and LLM biases c (m,), concatenated.
    cells : Cells
    prior : Prior
    n_factors : int
        k; 0 fits difficulty and biases only.
    """
    X, dtype = cells.X, cells.X.dtype
    A, T, b, c = unpack(flat, _shapes(cells, n_factors), dtype)
    discrimination = X @ A  # (n, d) x (d, k) -> (n, k)
    loss, residual = cell_loss(discrimination @ T.T - (X @ b)[:, None] + c, cells)
    away = c - prior.bias.astype(dtype)
    penalty = prior.factors * ((A**2).sum() + (T**2).sum()) + prior.difficulty * (b**2).sum()
    penalty += BIAS_PRECISION * (away**2).sum()
    gradient = (
        X.T @ (residual @ T) + prior.factors * A,
        residual.T @ discrimination + prior.factors * T,
        prior.difficulty * b - X.T @ residual.sum(axis=1),
        residual.sum(axis=0) + BIAS_PRECISION * away,
    )
    return float(loss.sum(dtype=np.float64) + penalty / 2), pack(gradient)


def _shapes(cells: Cells, n_factors: int) -> list[tuple[int, ...]]:
    d, m = cells.X.shape[1], cells.S.shape[1]
    return [(d, n_factors), (m, n_factors), (d,), (m,)]


@dataclass(kw_only=True)
class IRT(TextRouter):
    """Predicts `sigmoid(a(x) . t[l] - b(x) + c[l])`: ability t and bias c of the LLM, discrimination a, difficulty b.

    a and b are linear in the prompt vector x. All parameters have Gaussian priors, and the posterior mode over the
    observed cells is found by L-BFGS; graded scores are soft labels. Together the priors of a and t penalise the
    nuclear norm of the map from x to the LLMs, so `n_factors` is an upper limit and the penalty chooses the rank. `reg`
    is that penalty as a share of the smallest one that removes the text altogether; by default it is chosen by
    cross-validation on the training data. The precision of b comes from ridge regression of the prompts' mean
    residuals, chosen by leave-one-out. Difficulty affects all LLMs alike: it calibrates the scores but does not change
    the choice.
    Source: IRT-Router, arXiv 2506.01048 (where abilities come from a description of the LLM).
    """

    name: ClassVar[str] = "irt"
    kind: ClassVar[str] = "factors"
    takes_unseen_llms: ClassVar[bool] = True

    n_factors: int = setting(8, low=1, help="maximum number of ability dimensions")
    reg: float | None = setting(
        None, low=0, high=1, help="penalty, as a share of the one that removes the text; none: by cross-validation"
    )
    n_epochs: int = setting(60, low=1, help="maximum number of L-BFGS iterations")

    centre_: NDArray[np.float32] = fitted("width")
    discrimination_: NDArray[np.float32] = fitted("width", "n_factors")
    ability_: NDArray[np.float32] = fitted("n_llms", "n_factors")
    difficulty_: NDArray[np.float32] = fitted("width")
    bias_: NDArray[np.float32] = fitted("n_llms")

    def _fit(self, train: Dataset) -> None:
        cells, self.centre_ = Cells.of(train, self.vectors(train), self.seed)
        reg = self.reg
        if reg is None:
            reg = cross_validate(SHARES, cells, self._held_out_errors)
        path = [share for share in SHARES if share > reg] if reg < 1 else []
        parts = self._path(cells, [*path[-1:], reg])[-1]
        self.discrimination_, self.ability_, self.difficulty_, self.bias_ = (p.astype(np.float32) for p in parts)

    def _held_out_errors(self, fit: Cells, held: Cells) -> AnyArray:
        errors = []
        for A, T, b, c in self._path(fit, SHARES):
            predicted = sigmoid((held.X @ A) @ T.T - (held.X @ b)[:, None] + c)
            errors.append(relative_errors(predicted, held))
        return np.array(errors)

    def _path(self, cells: Cells, shares: tuple[float, ...] | list[float]) -> list[list[AnyArray]]:
        """Fit A, T, b, c for a decreasing sequence of penalties, each started from the previous solution."""
        bias = logit(self.llm_mean_)
        difficulty = _difficulty_precision(cells, bias)
        start = pack([np.zeros(cells.X.shape[1]), bias])
        base = Prior(0, difficulty, bias)
        start = minimise(lambda flat: objective(flat, cells, base, 0), start, self.n_epochs, 1e-9)
        *_, b, c = unpack(start, _shapes(cells, 0), cells.X.dtype)
        _, residual = cell_loss(c - (cells.X @ b)[:, None], cells)
        # the largest singular value of the gradient at zero factors is the smallest penalty that keeps them at zero
        left, value, right = np.linalg.svd(-cells.X.T @ residual, full_matrices=False)  # (d, m)
        k = min(self.n_factors, len(value))
        size = np.sqrt(value[:k] / max(float(value[0]), 1e-12)) * 0.1
        flat = pack([left[:, :k] * size, right[:k].T * size, b, c])
        fits = []
        for share in shares:
            if share >= 1:  # the exact solution
                fits.append([np.zeros((len(b), k)), np.zeros((len(c), k)), b, c])
                continue
            prior = Prior(max(share * float(value[0]), 1e-6), difficulty, bias)
            flat = minimise(lambda flat, p=prior: objective(flat, cells, p, k), flat, self.n_epochs)  # type: ignore[misc]
            fits.append(unpack(flat, _shapes(cells, k), cells.X.dtype))
        return fits

    def factors(self, prompts: Prompts) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Discriminations f32 (b, k) of the instances and abilities f32 (m, k) of the LLMs."""
        return (self.vectors(prompts) - self.centre_) @ self.discrimination_, self.ability_

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        X = self.vectors(prompts) - self.centre_
        a, b = X @ self.discrimination_, X @ self.difficulty_  # (b, k), (b,)
        return sigmoid(a @ self.ability_[llm_index].T - b[:, None] + self.bias_[llm_index])


def _difficulty_precision(cells: Cells, bias: AnyArray) -> float:
    """Prior precision of the difficulty: the ridge penalty that predicts the prompts' mean residuals best.

    The logistic loss has curvature p (1 - p) per cell, squared error has 1, so the penalty of the ridge regression over
    rows is multiplied by the mean curvature of a row.
    """
    from sklearn.linear_model import RidgeCV

    p = sigmoid(bias)
    deviation = ((cells.S - p) * cells.observed).sum(axis=1) / cells.observed.sum(axis=1)
    if len(deviation) < 3:
        return float(len(bias))
    size = max(float((cells.X**2).sum(axis=1).mean()), 1e-12)
    ridge = RidgeCV(alphas=PENALTIES[:-1] * size).fit(cells.X.astype(np.float64), deviation)
    return float(ridge.alpha_ * (cells.observed @ (p * (1 - p))).mean())
