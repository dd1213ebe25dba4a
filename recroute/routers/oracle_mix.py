"""RouterEval's r_o(p): the oracle's choice with probability p, a uniform one otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.routers.base import Prompts, Scores, setting
from recroute.routers.oracle import Oracle
from recroute.routers.random import uniform_noise
from recroute.util.numeric import Index


@dataclass(kw_only=True)
class OracleMix(Oracle):
    """Chooses at random between the two for each instance; evaluation uses the closed form p * max + (1 - p) * mean.

    Source: RouterEval, arXiv 2503.10657, section on r_o(p).
    """

    name: ClassVar[str] = "oracle_mix"
    chooses_by_chance: ClassVar[bool] = True
    p: float = setting(0.5, low=0, high=1, help="probability of the oracle's choice")

    @property
    def label(self) -> str:
        """Name with p, also if p is the default."""
        return f"{self.name}(p={self.p:g})"

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        best = super()._score(prompts, llm_index)
        noise = uniform_noise(self.seed, prompts, [self.llm_ids_.ids[i] for i in llm_index])
        coin = uniform_noise(self.seed, prompts, ["\0coin"])  # "\0coin" cannot be the id of an LLM
        return np.where(coin < self.p, best, noise)

    def distribution(self, predicted: Scores) -> NDArray[np.float64]:
        """Mixture f64 (b, m) of the oracle's distribution and a uniform one; `predicted` are observed scores."""
        return self.p * super().distribution(predicted) + (1 - self.p) / predicted.shape[1]

    def expected_score(self, observed: NDArray[np.float32]) -> NDArray[np.float64]:
        """p * max + (1 - p) * mean over the observed LLMs of each instance, f64 (b,)."""
        mean = np.nanmean(observed, axis=1, dtype=np.float64)
        best = np.nanmax(observed, axis=1).astype(np.float64)
        return self.p * best + (1 - self.p) * mean
