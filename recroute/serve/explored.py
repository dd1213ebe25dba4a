"""A ranking that explores: the router's own, with the explorer's choice in front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recroute.data import Prompts
from recroute.errors import RouterError
from recroute.routers import Ranking, Router
from recroute.serve.explore import Explorer


def explored(
    router: Router, prompts: Prompts, k: int, llms: Sequence[str] | None, explorer: Explorer, rng: np.random.Generator
) -> tuple[Ranking, list[float]]:
    """The k LLMs of each prompt, the first chosen by the explorer, the others the router's best of the rest.

    Returns
    -------
    Ranking (b, k), and the propensities of the first, b floats.

    Raises
    ------
    RouterError
        If k does not fit the pool, or the router cannot say what its scores may be off by where that is asked.
    """
    index = router.llm_index(llms)
    if not 1 <= k <= len(index):
        raise RouterError(f"k={k} does not fit a pool of {len(index)} LLMs; choose k between 1 and {len(index)}")
    predicted = router.score(prompts, index)
    best = router.choose(predicted, index, k)
    allowed = _affordable(router, prompts, index, best[:, 0])

    def deviation() -> NDArray[np.float32]:
        return router.score_std(prompts, index, reducible=True)  # what a further answer cannot tell is not explored

    chosen, propensity = explorer.choose(predicted, best[:, 0], allowed, deviation, rng)
    for row, column in zip(best, chosen.tolist(), strict=True):
        row[1:] = row[row != column][: k - 1]
        row[0] = column
    ranking = Ranking(index[best].astype(np.int32), np.take_along_axis(predicted, best, axis=1), router.llm_ids_)
    return ranking, propensity.tolist()


def _affordable(
    router: Router, prompts: Prompts, index: NDArray[np.int64], best: NDArray[np.integer]
) -> NDArray[np.bool_]:
    """Which LLMs may be explored, bool (b, m).

    Of a router that weighs cost, those that cost no more than a prompt may cost in the mean, or than the router's own
    choice costs: so exploring does not break the budget.
    """
    if (cost := router.predicted_cost(prompts, index)) is None:
        return np.ones((prompts.n, len(index)), dtype=bool)
    own = np.take_along_axis(cost, best[:, None], axis=1)
    return np.asarray(cost <= np.maximum(own, router.cost_limit()))
