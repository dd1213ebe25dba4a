"""Simulated logs: what a router in production would have logged, from a data set without missing scores."""

from __future__ import annotations

import numpy as np
import polars as pl

from recroute.data import Dataset
from recroute.errors import DataError
from recroute.offpolicy.logs import TEXTS, Logs
from recroute.offpolicy.policy import choice_probabilities
from recroute.routers import Router
from recroute.util.arguments import checked


@checked
def simulate_logs(
    dataset: Dataset, router: Router, *, epsilon: float = 0.0, temperature: float = 0.0, seed: int = 0
) -> Logs:
    """Simulate logs: for each instance one choice, drawn from `choice_probabilities`, its score and its propensity.

    Parameters
    ----------
    dataset : Dataset
        Without missing scores; as in production, the router should not have been fitted on its instances.
    router : Router
        Fitted on the same LLMs.
    epsilon, temperature : float
        How much the router explores, see `choice_probabilities`.
    seed : int
        Seed of the draws.

    Returns
    -------
    Logs, one row per instance.

    Raises
    ------
    DataError
        If a score is missing.
    """
    scores = dataset.interactions.dense()
    if missing := int(np.isnan(scores).sum()):
        raise DataError(f"{dataset.name} lacks {missing} scores; a log can be simulated only where every LLM was run")
    probability = choice_probabilities(router, dataset, epsilon=epsilon, temperature=temperature)
    names = [router.llm_ids_.ids[i] for i in range(len(router.llm_ids_))]
    column = dataset.llm_ids.to_index(names)
    uniform = np.random.default_rng(seed).random(len(probability))
    passed = probability.cumsum(axis=1) > uniform[:, None] * probability.sum(axis=1, keepdims=True)
    choice, rows = passed.argmax(axis=1), np.arange(len(probability))
    table = pl.DataFrame(
        {
            "instance_id": list(dataset.instance_ids),
            "llm_id": [names[i] for i in choice],
            "score": scores[rows, column[choice]],
            "propensity": probability[rows, choice],
        }
    )
    texts = [name for name in TEXTS if name in dataset.instances.columns]
    return Logs(table.hstack(dataset.instances.select(texts)), f"{dataset.name} routed by {router.label}")
