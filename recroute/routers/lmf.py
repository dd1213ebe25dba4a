"""Logistic matrix factorisation (the library implicit)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recroute.data import Dataset
from recroute.routers.base import setting
from recroute.routers.factors import FactorRouter
from recroute.routers.residual import by_id, calibrate
from recroute.routers.three_states import to_outcomes
from recroute.util.numeric import Array


@dataclass(kw_only=True)
class LMF(FactorRouter):
    """Log odds of success against failure, from implicit's LogisticMatrixFactorization.

    implicit's loss has weighted positives and sampled negatives; its gradient is wrong for negative weights, so a
    failure cannot be coded as one. Instead each LLM has two columns, success and failure (`to_outcomes`), and the
    LLM's factors are the difference of the two. An unobserved cell is in neither column. `calibrate` brings the
    products to the scale of scores. The fit runs on one thread, because each of implicit's threads samples its
    negatives from its own generator.
    Source: Johnson, Logistic matrix factorization for implicit feedback data, NIPS workshop 2014.
    """

    name: ClassVar[str] = "lmf"

    n_factors: int = setting(16, low=1, help="number of factors besides the biases")
    alpha: float = setting(1.0, low=0, help="weight of an observed outcome, relative to 1 for a sampled negative")
    learning_rate: float = setting(1.0, low=0, help="step size of AdaGrad")
    factor_reg: float = setting(0.05, low=0, help="penalty on the factors")
    n_epochs: int = setting(30, low=1, help="passes over the outcomes")

    def _factorise(self, train: Dataset) -> tuple[Array, Array, Array]:
        from implicit.cpu.lmf import LogisticMatrixFactorization

        model = LogisticMatrixFactorization(
            factors=self.n_factors,
            learning_rate=self.learning_rate,
            regularization=self.factor_reg,
            iterations=self.n_epochs,
            num_threads=1,
            random_state=self.seed,
        )
        order = by_id(train)
        model.fit(to_outcomes(train.interactions.take_llms(order), self.alpha), show_progress=False)
        factors = model.item_factors.astype(np.float64)  # (2m, k + 2), the last two columns are biases
        contrast = np.empty((train.n_llms, factors.shape[1]))
        contrast[order] = factors[: train.n_llms] - factors[train.n_llms :]
        return calibrate(train, model.user_factors.astype(np.float64), contrast)
