"""LLM mean plus ridge regression of the residual on the text, one penalty for all LLMs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.bridges import fit_ridge
from recroute.bridges.ridge import best_penalty
from recroute.data import Dataset
from recroute.routers.base import VIEWS, Prompts, TextRouter, fitted, setting
from recroute.routers.sums.moments import Moments
from recroute.util.numeric import Array, Index


@dataclass(kw_only=True)
class Ridge(TextRouter):
    """Predicts `mean[l] + (x - mean x) . w[l]`, shrunk towards the LLM's mean by a penalty chosen by leave-one-out.

    An unobserved cell counts as the LLM's mean, which has the effect of additional shrinkage.
    """

    name: ClassVar[str] = "ridge"
    kind: ClassVar[str] = "shrinkage"
    takes_unseen_llms: ClassVar[bool] = True
    sums_over: ClassVar[str] = "scores"

    views: str = setting("all", choices=VIEWS, help="prompt vectors to read: the main ones, TF-IDF, or all")
    reg: float | None = setting(None, low=0, help="penalty; none: chosen by leave-one-out")

    weight_: Array = fitted("width", "n_llms")
    offset_: Array = fitted("n_llms")

    def _fit(self, train: Dataset) -> None:
        assert train.embeddings is not None
        self.weight_, self.offset_ = fit_ridge(train.embeddings, self._residual(train), self.reg)

    def _residual(self, train: Dataset) -> Array:
        return np.nan_to_num(train.interactions.dense() - self.llm_mean_)

    def sum_penalty(self, train: Dataset) -> float:
        assert train.embeddings is not None
        return best_penalty(train.embeddings, self._residual(train)) if self.reg is None else self.reg

    def take_moments(self, moments: Moments, penalty: float) -> None:
        t = len(moments.tasks)
        centre, gram = moments.feature_moments()
        product = moments.cross(self.llm_mean_)
        mean = (moments.score - moments.seen * self.llm_mean_)[:t].sum(axis=0) / moments.n
        value, axes = np.linalg.eigh(gram)
        self.weight_ = axes @ ((axes.T @ product) / (value.clip(min=0) + penalty)[:, None])
        self.offset_ = mean - centre @ self.weight_

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        residual = self.vectors(prompts) @ self.weight_[:, llm_index] + self.offset_[llm_index]  # (b, d) x (d, m)
        return self.llm_mean_[llm_index] + residual
