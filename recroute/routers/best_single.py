"""The LLM that was best on train, for every prompt: what a router has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.routers.base import Instances, Router, Scores
from recroute.routers.instances import n_instances


@dataclass(kw_only=True)
class BestSingle(Router):
    """Predicts the LLM's train mean (`llm_means`) whatever the prompt."""

    name: ClassVar[str] = "best_single"
    kind: ClassVar[str] = "baseline"
    takes_unseen_llms: ClassVar[bool] = True
    learns_from_preferences: ClassVar[bool] = True

    def _fit(self, train: Dataset) -> None:
        pass  # the base class keeps the train means

    def _score(self, instances: Instances, llm_index: NDArray[np.int64]) -> Scores:
        return np.tile(self.llm_mean_[llm_index].astype(np.float32), (n_instances(instances), 1))
