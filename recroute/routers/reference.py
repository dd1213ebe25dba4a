"""Predicted score and cost of one reference LLM, with which the choices of a router that weighs cost are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.data.prompts import Instances
from recroute.errors import RouterError, argument
from recroute.routers.base import Router


@dataclass(frozen=True, eq=False)
class Reference:
    """An LLM that answers all b prompts, in the router's prediction.

    Parameters
    ----------
    llm_id : str
    predicted_score, predicted_cost : f32 (b,)
        The cost is in the cost unit of the training data.
    """

    llm_id: str
    predicted_score: NDArray[np.float32]
    predicted_cost: NDArray[np.float32]

    def to_dicts(self) -> list[dict[str, Any]]:
        """For each prompt: `llm_id, predicted_score, predicted_cost`."""
        both = zip(self.predicted_score.tolist(), self.predicted_cost.tolist(), strict=True)
        return [{"llm_id": self.llm_id, "predicted_score": score, "predicted_cost": cost} for score, cost in both]


def predict_reference(router: Router, instances: Instances, llm_id: str | None = None) -> Reference | None:
    """The reference of these instances: the LLM named, or the one with the highest mean score on train.

    Returns None if the router does not weigh cost and no LLM is named.

    Raises
    ------
    RouterError
        If an LLM is named and the router does not weigh cost.
    UnknownNameError
        If the router does not know the LLM.
    """
    prompts = router.prompts(instances)
    if not router.weighs_cost:
        if llm_id is None:
            return None
        mend = f"fit it with {argument('budget')} or {argument('quality')}"
        raise RouterError(f"{router.name} predicts no costs to compare with {llm_id}; {mend}")
    name = router.llm_ids_.ids[int(np.nanargmax(router.llm_mean_))] if llm_id is None else llm_id
    score, cost = router.predicted_score(prompts, [name]), router.predicted_cost(prompts, [name])
    assert cost is not None
    return Reference(name, score[:, 0], cost[:, 0])
