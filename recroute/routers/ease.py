"""Ridge regression from text to scores, smoothed by EASE's item-item weights between LLMs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.bridges.ridge import PENALTIES
from recroute.data import Dataset
from recroute.routers.base import Prompts, TextRouter, fitted, setting
from recroute.routers.residual import residual_scores
from recroute.routers.sums.moments import Moments
from recroute.util.numeric import Array, Index


@dataclass(kw_only=True)
class EASE(TextRouter):
    """Ridge regression of every LLM's scores on the prompt vector, smoothed by EASE's weights between LLMs.

    ``predicted[x] = mean + (x - center) @ W ((1 - smoothing) I + smoothing B)``

    W is fitted to deviations from the LLM means. The instances' ease and the residual of `residual_scores` are
    regressed separately, so an LLM that was not run on a hard task is not mistaken for a strong one; on complete data
    this equals ridge regression of the scores. B is EASE's weight matrix of the training deviations. It predicts each
    LLM from all others (zero diagonal), so smoothing replaces a share of an LLM's own prediction by one from the other
    LLMs' predictions. W is fitted to observed cells only. In B an unobserved cell counts as its expectation from mean
    and ease, because an exact fit would need one matrix inverse per LLM.
    Source: Steck, Embarrassingly shallow autoencoders for sparse data, WWW 2019.
    """

    name: ClassVar[str] = "ease"
    kind: ClassVar[str] = "linear"
    takes_unseen_llms: ClassVar[bool] = True
    sums_over: ClassVar[str] = "pairs"

    reg: float | None = setting(None, low=0, help="penalty of the regression on text; none: chosen by leave-one-out")
    smoothing: float = setting(0.5, low=0, high=1, help="share of a prediction that comes from the other LLMs")
    llm_reg: float = setting(10.0, low=0, help="penalty on the weights between LLMs")

    center_: NDArray[np.float32] = fitted("width")
    weight_: NDArray[np.float32] = fitted("width", "n_llms")

    def _fit(self, train: Dataset) -> None:
        assert train.embeddings is not None
        _, ease, residual = residual_scores(train)
        self.center_ = train.embeddings.mean(axis=0)
        X = (train.embeddings - self.center_).astype(np.float64)
        reg = self.sum_penalty(train)
        weight = regress(X, ease[:, None], reg) + regress(X, residual, reg)  # (d, m)
        # ease included: the residuals of an instance sum to 0, so each would trivially follow from the others
        deviation = ease[:, None] + np.nan_to_num(residual)
        self._smooth(weight, deviation.T @ deviation)

    def _smooth(self, weight: Array, gram: Array) -> None:
        """Set the weights f64 (d, m), smoothed by the Gram matrix f64 (m, m) of the scores' deviations."""
        if self.smoothing > 0:
            weight = (1 - self.smoothing) * weight + self.smoothing * weight @ llm_weights(gram, self.llm_reg)
        self.weight_ = weight.astype(np.float32)

    def sum_penalty(self, train: Dataset) -> float:
        if self.reg is not None:
            return self.reg
        assert train.embeddings is not None
        X = (train.embeddings - train.embeddings.mean(axis=0)).astype(np.float64)
        return choose_penalty(X, residual_scores(train)[2])

    def take_moments(self, moments: Moments, penalty: float) -> None:
        self.center_ = moments.feature_moments()[0].astype(np.float32)
        weight = moments.own_weights(self.llm_mean_, max(penalty, 1e-6))
        self._smooth(weight, moments.deviation_gram(self.llm_mean_))

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        surplus = (self.vectors(prompts) - self.center_) @ self.weight_[:, llm_index]  # (b, d) x (d, m)
        return self.llm_mean_[llm_index] + surplus


def llm_weights(gram: Array, reg: float) -> Array:
    """EASE weights f64 (m, m), with zero diagonal, that predict each LLM's deviations from those of the others.

    Closed-form ridge regression with penalty `reg` under the constraint of a zero diagonal, from the Gram matrix
    f64 (m, m) of the deviations.
    """
    precision = np.linalg.inv(gram + max(reg, 1e-6) * np.eye(len(gram)))
    weights: Array = -precision / np.diag(precision)
    np.fill_diagonal(weights, 0)
    return weights


def regress(X: Array, Y: Array, reg: float) -> Array:
    """Ridge regression without intercept of each column of Y f64 (n, m) on X f64 (n, d), over its observed rows.

    Exact. Columns observed in the same rows share one Gram matrix, such as all LLMs that were not run on some task.
    With cells missing at random there is one Gram matrix per LLM.

    Returns
    -------
    f64 (d, m)
    """
    weight = np.zeros((X.shape[1], Y.shape[1]))
    for columns in same_rows(Y):
        rows = np.flatnonzero(~np.isnan(Y[:, columns[0]]))
        gram = X[rows].T @ X[rows] + max(reg, 1e-6) * np.eye(X.shape[1])
        weight[:, columns] = np.linalg.solve(gram, X[rows].T @ Y[np.ix_(rows, columns)])
    return weight


def same_rows(Y: Array) -> list[NDArray[np.int64]]:
    """Group the columns of Y that are observed (not NaN) in the same rows, largest group first."""
    packed = np.packbits(~np.isnan(Y), axis=0)
    _, group, size = np.unique(packed, axis=1, return_inverse=True, return_counts=True)
    return [np.flatnonzero(group.ravel() == g) for g in np.argsort(-size, kind="stable")]


def choose_penalty(X: Array, Y: Array) -> float:
    """Finite value of `PENALTIES` with the smallest leave-one-out error on the largest group of `same_rows`."""
    from sklearn.linear_model import RidgeCV

    columns = same_rows(Y)[0]
    rows = np.flatnonzero(~np.isnan(Y[:, columns[0]]))
    if len(rows) < 2:
        return float(PENALTIES[-2])
    return float(
        RidgeCV(PENALTIES[:-1], fit_intercept=False, gcv_mode="eigen").fit(X[rows], Y[np.ix_(rows, columns)]).alpha_
    )
