"""The best LLM of each instance by its observed scores: the upper bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.errors import RouterError
from recroute.routers.base import Prompts, Router, Scores
from recroute.util.numeric import Index


@dataclass(kw_only=True)
class Oracle(Router):
    """Predicts the observed scores; unobserved cells get -inf, so they are chosen only if nothing was observed."""

    name: ClassVar[str] = "oracle"
    kind: ClassVar[str] = "bound"
    needs: ClassVar[str] = "scores"

    def _fit(self, train: Dataset) -> None:
        pass

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        observed = prompts.observed([self.llm_ids_.ids[i] for i in llm_index])
        if observed is None:
            raise RouterError(
                f"{self.name} reads the observed scores of the instances it ranks: it is a bound for evaluation "
                "and cannot route a prompt"
            )
        return np.nan_to_num(observed, nan=-np.inf)

    def distribution(self, predicted: Scores) -> NDArray[np.float64]:
        """Probabilities f64 (b, m) proportional to the observed scores, uniform if all are 0, as in RouterEval."""
        positive = np.maximum(predicted, 0).astype(np.float64)
        total = positive.sum(axis=1, keepdims=True)
        uniform = np.full(predicted.shape, 1 / predicted.shape[1])
        return np.where(total > 0, positive / np.where(total > 0, total, 1), uniform)
