"""Alternating least squares of implicit feedback (the library implicit), reached from text by ridge regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.data import Dataset
from recroute.routers.base import Instances, Router, Scores, fitted, setting
from recroute.routers.bridge import fit_ridge
from recroute.routers.three_states import to_confidence


@dataclass(kw_only=True)
class ALS(Router):
    """Predicts `f(x) . v[l]` with instance and LLM factors from implicit's AlternatingLeastSquares.

    Scores are coded by `to_confidence`; f is a ridge regression on the prompt vectors (`fit_ridge`). The fit
    runs on one thread, because implicit's threads sum in no fixed order.
    Source: Hu, Koren and Volinsky, Collaborative filtering for implicit feedback datasets, ICDM 2008.
    """

    name: ClassVar[str] = "als"
    kind: ClassVar[str] = "factors"
    needs: ClassVar[str] = "text"

    n_factors: int = setting(16, low=1, help="factors")
    alpha: float = setting(10.0, low=1, help="weight of an observed answer against 1 for an unobserved cell")
    factor_reg: float = setting(0.1, low=0, help="penalty on the factors")
    n_epochs: int = setting(15, low=1, help="rounds of alternating least squares")
    reg: float | None = setting(None, low=0, help="ridge penalty of the bridge; none: chosen by leave-one-out")

    llm_factors_: NDArray[np.float64] = fitted()
    weight_: NDArray[np.float64] = fitted()
    offset_: NDArray[np.float64] = fitted()

    def _fit(self, train: Dataset) -> None:
        from implicit.cpu.als import AlternatingLeastSquares

        assert train.embeddings is not None
        seen = np.flatnonzero(np.diff(train.interactions.scores.indptr))
        coded = to_confidence(train.interactions.take_instances(seen), self.alpha)
        with threadpool_limits(limits=1, user_api="blas"):  # the import above may have loaded a BLAS of its own
            model = AlternatingLeastSquares(
                factors=min(self.n_factors, len(seen), train.n_llms),
                regularization=self.factor_reg,
                alpha=1.0,  # the coding carries the weights
                iterations=self.n_epochs,
                num_threads=1,
                random_state=self.seed,
            )
            model.fit(coded, show_progress=False)
        # Orthonormal LLM factors put the instance factors on the scale of the scores: U V' = (U R') Q' for V = Q R.
        Q, R = np.linalg.qr(model.item_factors.astype(np.float64))
        weight, offset = fit_ridge(train.embeddings[seen], model.user_factors @ R.T, self.reg)
        self.llm_factors_ = Q
        self.weight_ = weight
        self.offset_ = offset

    def _score(self, instances: Instances, llm_index: NDArray[np.int64]) -> Scores:
        factors = self.vectors(instances) @ self.weight_ + self.offset_  # (b, d) x (d, k) -> (b, k)
        return (factors @ self.llm_factors_[llm_index].T).astype(np.float32)  # (b, k) x (k, m) -> (b, m)
