"""LLM means plus truncated SVD of the residual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from recroute.data import Dataset
from recroute.routers.base import setting
from recroute.routers.factorisation import factorise
from recroute.routers.factors import FactorRouter
from recroute.util.numeric import Array


@dataclass(kw_only=True)
class SVD(FactorRouter):
    """LLM means plus the truncated SVD of the centred scores; `factorise` imputes unobserved cells."""

    name: ClassVar[str] = "svd"

    n_factors: int = setting(4, low=1, help="number of factors")

    def _factorise(self, train: Dataset) -> tuple[Array, Array, Array]:
        return factorise(train.interactions, self.n_factors, self.seed)
