"""EmbedLLM: a linear head on the elementwise product of LLM vector and projected prompt vector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.routers.base import Prompts, TextRouter, fitted, setting
from recroute.routers.factorisation import truncated_svd
from recroute.routers.logistic import (
    NO_TEXT,
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
from recroute.util.memo import Memo
from recroute.util.numeric import AnyArray, Array, Index

NOISES = (NO_TEXT, 8.0, 4.0, 2.0, 1.0, 0.5)  # candidates for noise
BIAS_PRECISION = 1.0  # of the prior on an LLM's bias around the log odds of its mean


@dataclass(frozen=True, eq=False)
class Penalty:
    """Penalty equivalent to the noise: weight f (m,) of each LLM's squared slopes; and prior mean f (m,) of biases."""

    slope: AnyArray
    bias: AnyArray


def objective(flat: AnyArray, cells: Cells, penalty: Penalty, n_factors: int) -> tuple[float, AnyArray]:
    """Logistic loss under noisy prompt vectors, and its gradient.

    Parameters
    ----------
    flat : f64 (d*k + m*k + k + m,)
        Projection P (d, k), LLM vectors E (m, k), head w (k,) and LLM biases c (m,), concatenated.
    cells : Cells
    penalty : Penalty
    n_factors : int
    """
    X, dtype = cells.X, cells.X.dtype
    P, E, w, c = unpack(flat, _shapes(cells, n_factors), dtype)
    slope_weight, away = penalty.slope.astype(dtype), c - penalty.bias.astype(dtype)
    H = X @ P  # (n, d) x (d, k) -> (n, k)
    V = E * w  # (m, k)
    loss, residual = cell_loss(H @ V.T + c, cells)
    # an LLM's logit has slopes P @ V[l]; their penalty, sum over l of weight[l] * |P @ V[l]|^2, needs no (d, m) matrix
    gram, cost = P.T @ P, V * slope_weight[:, None]  # (k, k), (m, k)
    total = loss.sum(dtype=np.float64) + (((cost @ gram) * V).sum() + BIAS_PRECISION * (away**2).sum()) / 2
    by_v = residual.T @ H + cost @ gram  # (m, k)
    by_p = X.T @ (residual @ V) + P @ (V.T @ cost)  # (d, k)
    gradient = (by_p, by_v * w, (by_v * E).sum(axis=0), residual.sum(axis=0) + BIAS_PRECISION * away)
    return float(total), pack(gradient)


def _shapes(cells: Cells, n_factors: int) -> list[tuple[int, ...]]:
    d, m = cells.X.shape[1], cells.S.shape[1]
    return [(d, n_factors), (m, n_factors), (n_factors,), (m,)]


@dataclass(kw_only=True)
class EmbedLLM(TextRouter):
    """Predicts `sigmoid(w . (P x * e[l]) + c[l])`: projected prompt P x, LLM vector e, linear head w and bias c.

    The source adds Gaussian noise to the prompt vectors during training. Here the noise is integrated out to second
    order, which gives a penalty on the squared slopes of the logits, `P diag(w) e[l]`, weighted by the number and
    uncertainty of the LLM's records. The loss over observed cells is minimised by L-BFGS; graded scores are soft
    labels.

    Unlike `irt` this model has no difficulty term, so an effect of the prompt on all LLMs alike takes up one factor.
    The penalty is on the product of the factors: this is ridge regression of fixed rank, whereas the priors of `irt`
    penalise the nuclear norm and let the data choose the rank up to the limit.
    Source: EmbedLLM, arXiv 2410.02223.
    """

    name: ClassVar[str] = "embedllm"
    kind: ClassVar[str] = "factors"
    takes_unseen_llms: ClassVar[bool] = True

    n_factors: int = setting(4, low=1, help="dimension of the LLM vectors")
    noise: float | None = setting(
        None, low=0, help="noise on the prompt vectors, in standard deviations of an entry; none: by cross-validation"
    )
    n_epochs: int = setting(40, low=1, help="maximum number of L-BFGS iterations")

    centre_: NDArray[np.float32] = fitted("width")
    projection_: NDArray[np.float32] = fitted("width", "n_factors")
    llm_factors_: NDArray[np.float32] = fitted("n_llms", "n_factors")
    head_: NDArray[np.float32] = fitted("n_factors")
    bias_: NDArray[np.float32] = fitted("n_llms")

    def _fit(self, train: Dataset) -> None:
        cells, self.centre_ = Cells.of(train, self.vectors(train), self.seed)
        noise = self.noise
        if noise is None:
            noise = cross_validate(NOISES, cells, self._held_out_errors)
        (parts,) = self._train(cells, [noise])
        self.projection_, self.llm_factors_, self.head_, self.bias_ = (p.astype(np.float32) for p in parts)

    def _held_out_errors(self, fit: Cells, held: Cells) -> AnyArray:
        trained = self._train(fit, NOISES)
        return np.array([relative_errors(sigmoid((held.X @ P * w) @ E.T + c), held) for P, E, w, c in trained])

    def _train(self, cells: Cells, noises: Sequence[float]) -> Iterator[list[AnyArray]]:
        """Fit P, E, w, c for each noise level: L-BFGS, started from a truncated least-squares solution.

        On the principal axes of the prompt vectors the solution is `product / (curvature * value + penalty)`. It is
        truncated in the metric of its Hessian, which loses least of the fit.
        """
        bias = logit(self.llm_mean_)
        p = sigmoid(bias)
        d, m = cells.X.shape[1], len(bias)
        k = min(self.n_factors, m, d)
        curvature = float((cells.observed @ (p * (1 - p))).sum() / cells.observed.sum())
        value, axes = _axes(cells.X)
        _, residual = cell_loss(bias, cells)
        product = -axes.T @ (cells.X.T @ residual)  # (d, m)
        for noise in noises:
            if np.isinf(noise):
                yield [np.zeros((d, k)), np.zeros((m, k)), np.zeros(k), bias]
                continue
            variance = (noise * cells.X.std()) ** 2
            penalty = Penalty(variance * cells.observed.sum(axis=0) * p * (1 - p) + 1e-6, bias)
            root = np.sqrt(value * curvature + penalty.slope.mean())[:, None]
            left, right = truncated_svd(product / root, k)
            length = np.linalg.norm(right, axis=0)
            size = np.sqrt(length) + 1e-3
            start = [axes @ (left / root) * size, right / np.maximum(length, 1e-12) * size, np.ones(k), bias]
            flat = minimise(partial(objective, cells=cells, penalty=penalty, n_factors=k), pack(start), self.n_epochs)
            yield unpack(flat, _shapes(cells, k), cells.X.dtype)

    def factors(self, prompts: Prompts) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Instance factors f32 (b, k), multiplied by the head, and LLM vectors f32 (m, k)."""
        projected = (self.vectors(prompts) - self.centre_) @ self.projection_ * self.head_  # (b, k)
        return projected, self.llm_factors_

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        projected, _ = self.factors(prompts)
        return sigmoid(projected @ self.llm_factors_[llm_index].T + self.bias_[llm_index])


def _principal_axes(X: AnyArray) -> tuple[Array, Array]:
    """Squared lengths f64 (d,) along the principal axes f64 (d, d) of vectors float (n, d), which are not centred."""
    rows = X.astype(np.float64)
    value, axes = np.linalg.eigh(rows.T @ rows)
    return value.clip(min=0), axes


_axes = Memo(_principal_axes, max_cells=1 << 24)
