"""What a router answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.data import IdMap


@dataclass(frozen=True)
class Ranking:
    """The k best LLMs of each of b instances, best first.

    Parameters
    ----------
    llm_index : int32 (b, k)
        Positions in `llm_ids`.
    predicted_score : f32 (b, k)
    llm_ids : IdMap
        All LLMs of the router.
    """

    llm_index: NDArray[np.int32]
    predicted_score: NDArray[np.float32]
    llm_ids: IdMap

    @property
    def names(self) -> list[list[str]]:
        """The LLMs' ids, b lists of k."""
        return [[self.llm_ids.ids[i] for i in row] for row in self.llm_index]
