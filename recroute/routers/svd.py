"""LLM mean plus truncated SVD of the residual, reached from text by ridge regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.routers.base import Instances, Router, Scores, fitted, setting
from recroute.routers.bridge import fit_ridge
from recroute.routers.factorisation import factorise


@dataclass(kw_only=True)
class SVD(Router):
    """Predicts `mean[l] + f(x) . v[l]`: LLM means, LLM factors v, and instance factors f(x) from the text x.

    The factors are the truncated SVD of the scores less the LLM means, with unobserved cells handled by
    `factorise`; f is a ridge regression on the prompt vectors (`fit_ridge`).
    """

    name: ClassVar[str] = "svd"
    kind: ClassVar[str] = "factors"
    needs: ClassVar[str] = "text"

    n_factors: int = setting(4, low=1, help="factors of the residual")
    reg: float | None = setting(None, low=0, help="ridge penalty of the bridge; none: chosen by leave-one-out")

    bias_: NDArray[np.float64] = fitted()
    llm_factors_: NDArray[np.float64] = fitted()
    weight_: NDArray[np.float64] = fitted()
    offset_: NDArray[np.float64] = fitted()

    def _fit(self, train: Dataset) -> None:
        assert train.embeddings is not None
        seen = np.flatnonzero(np.diff(train.interactions.scores.indptr))  # instances with a record
        block = train.interactions.take_instances(seen).dense()
        bias, left, right = factorise(block, self.n_factors, self.seed)
        # left (n, k) is orthonormal and small; scaled so, its error is the error of the scores
        scale = np.linalg.norm(right, axis=0)
        weight, offset = fit_ridge(train.embeddings[seen], left * scale, self.reg)
        self.bias_ = bias
        self.llm_factors_ = right / np.where(scale > 0, scale, 1)
        self.weight_ = weight
        self.offset_ = offset

    def _score(self, instances: Instances, llm_index: NDArray[np.int64]) -> Scores:
        factors = self.vectors(instances) @ self.weight_ + self.offset_  # (b, d) x (d, k) -> (b, k)
        predicted = self.bias_[llm_index] + factors @ self.llm_factors_[llm_index].T  # (b, k) x (k, m)
        return predicted.astype(np.float32)
