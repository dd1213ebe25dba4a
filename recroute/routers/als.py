"""Alternating least squares on implicit feedback (the library implicit)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from threadpoolctl import threadpool_limits

from recroute.data import Dataset
from recroute.routers.base import setting
from recroute.routers.factors import FactorRouter
from recroute.routers.three_states import to_confidence
from recroute.util.numeric import Array


@dataclass(kw_only=True)
class ALS(FactorRouter):
    """Instance and LLM factors from implicit's AlternatingLeastSquares, on scores coded by `to_confidence`.

    The fit runs on one thread, because the order in which implicit's threads sum is not fixed.
    Source: Hu, Koren and Volinsky, Collaborative filtering for implicit feedback datasets, ICDM 2008.
    """

    name: ClassVar[str] = "als"
    bridges_scores: ClassVar[bool] = True

    n_factors: int = setting(16, low=1, help="number of factors")
    alpha: float = setting(10.0, low=1, help="weight of an observed answer, relative to 1 for an unobserved cell")
    factor_reg: float = setting(0.1, low=0, help="penalty on the factors")
    n_epochs: int = setting(15, low=1, help="rounds of alternating least squares")

    def _factorise(self, train: Dataset) -> tuple[Array, Array, Array]:
        from implicit.cpu.als import AlternatingLeastSquares

        with threadpool_limits(limits=1, user_api="blas"):  # the import above may have loaded another BLAS
            model = AlternatingLeastSquares(
                factors=min(self.n_factors, train.n_instances, train.n_llms),
                regularization=self.factor_reg,
                alpha=1.0,  # the coding carries the weights
                iterations=self.n_epochs,
                num_threads=1,
                random_state=self.seed,
            )
            model.fit(to_confidence(train.interactions, self.alpha), show_progress=False)
        return np.zeros(train.n_llms), model.user_factors.astype(np.float64), model.item_factors.astype(np.float64)
