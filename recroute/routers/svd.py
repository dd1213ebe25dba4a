"""LLM means plus truncated SVD of the residual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recroute.bridges.ridge import RidgeBridge, best_penalty
from recroute.data import Dataset
from recroute.errors import RouterError
from recroute.routers.base import setting
from recroute.routers.factorisation import factorise
from recroute.routers.factors import FactorRouter
from recroute.routers.subspace import leading_factors
from recroute.routers.sums.moments import Moments
from recroute.util.numeric import Array


@dataclass(kw_only=True)
class SVD(FactorRouter):
    """LLM means plus the truncated SVD of the centred scores; `factorise` imputes unobserved cells."""

    name: ClassVar[str] = "svd"
    sums_over: ClassVar[str] = "pairs"
    bridges_scores: ClassVar[bool] = True

    n_factors: int = setting(4, low=1, help="number of factors")

    def _factorise(self, train: Dataset) -> tuple[Array, Array, Array]:
        return factorise(train.interactions, self.n_factors, self.seed)

    def sum_penalty(self, train: Dataset) -> float:
        if self.bridge != "ridge":
            raise RouterError(f"svd with bridge={self.bridge} does not follow from sums; use bridge=ridge")
        assert train.embeddings is not None
        return best_penalty(train.embeddings, self.instance_factors_) if self.reg is None else self.reg

    def take_moments(self, moments: Moments, penalty: float) -> None:
        mean = self.llm_mean_
        _, factors = leading_factors(moments.covariance(mean), self.llm_factors_.shape[1])
        own = self.reg is None and not moments.is_complete  # a penalty of its own for each factor
        weight = moments.shared_weights(mean, factors, None if own else penalty)
        centre, _ = moments.feature_moments()
        turned = self.instance_factors_ @ (self.llm_factors_.T @ factors) + (self.bias_ - mean) @ factors
        self.instance_factors_ = turned.astype(np.float32)
        self.bias_, self.llm_factors_ = mean, factors
        self.bridge_ = RidgeBridge(weight, -centre @ weight)
