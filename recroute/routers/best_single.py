"""The LLM with the best training mean, for every prompt: the baseline that a router has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.routers.base import Prompts, Router
from recroute.util.numeric import Index


@dataclass(kw_only=True)
class BestSingle(Router):
    """Predicts each LLM's training mean (`llm_means`), whatever the prompt."""

    name: ClassVar[str] = "best_single"
    kind: ClassVar[str] = "baseline"
    takes_unseen_llms: ClassVar[bool] = True
    learns_from_preferences: ClassVar[bool] = True
    sums_over: ClassVar[str] = "scores"

    def _fit(self, train: Dataset) -> None:
        pass  # the base class sets llm_mean_

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        return self.llm_mean_[llm_index]
