"""The best LLM of each instance, read off its observed scores: the upper bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.routers.base import Instances, Router, Scores


@dataclass(kw_only=True)
class Oracle(Router):
    """Predicts the observed score; unobserved cells get -inf and are chosen only if nothing was observed."""

    name: ClassVar[str] = "oracle"
    kind: ClassVar[str] = "bound"
    needs: ClassVar[str] = "scores"

    def _fit(self, train: Dataset) -> None:
        pass

    def _score(self, instances: Instances, llm_index: NDArray[np.int64]) -> Scores:
        return np.nan_to_num(self.observed(instances, llm_index), nan=-np.inf)

    def distribution(self, predicted: Scores) -> NDArray[np.float64]:
        """Shares in proportion to the observed scores, uniform where all are 0, f64 (b, m) (RouterEval's)."""
        positive = np.maximum(predicted, 0).astype(np.float64)
        total = positive.sum(axis=1, keepdims=True)
        uniform = np.full(predicted.shape, 1 / predicted.shape[1])
        return np.where(total > 0, positive / np.where(total > 0, total, 1), uniform)
