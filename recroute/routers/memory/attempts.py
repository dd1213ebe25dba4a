"""Second attempts: LLMs ranked by what others scored on the same prompt, and sets of LLMs to ask at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from recroute.data import Prompts
from recroute.errors import DataError, RouterError
from recroute.routers.core import RouterCore
from recroute.routers.memory.joint import Belief, Verifier
from recroute.routers.memory.remembering import RememberingRouter
from recroute.routers.ranking import Ranking
from recroute.util.numeric import Floats, Index
from recroute.util.threads import one_thread

Tried = Mapping[str, float] | Sequence[Mapping[str, float]]


def belief_of(router: RememberingRouter, prompts: Prompts) -> Belief:
    """What a fitted router believes of all LLMs' scores on the prompts, before any attempt."""
    if router.needs == "scores" or router.chooses_by_chance:
        raise RouterError(f"{router.label} predicts no scores that an attempt could change; take another router")
    joint, predicted = router.joint, router.predicted_score(prompts)
    with one_thread(prompts.n, joint.factors.size):
        return joint.belief(predicted)


def rank_tried(
    router: RememberingRouter, prompts: Prompts, k: int, llm_index: Index, tried: Tried, verifier: str
) -> Ranking:
    """See `Router.rank`."""
    judge, (llm, score) = Verifier.of(verifier), read_tried(router, tried, prompts.n)
    n_left = len(llm_index) - int(np.isin(llm, llm_index).sum(axis=1).max(initial=0))
    if not 1 <= k <= n_left:
        raise RouterError(f"k={k} LLMs are wanted, and {n_left} of the pool are not tried yet; choose a smaller k")
    belief = belief_of(router, prompts)
    with one_thread(prompts.n, belief.joint.factors.size):
        for column in range(llm.shape[1]):
            belief = belief.observed(np.maximum(llm[:, column], 0), score[:, column], judge)
        expected = belief.expected(llm_index)
    if (price := prices(router, prompts, llm_index)) is not None:
        expected = expected - price
    expected[(llm[:, :, None] == llm_index).any(axis=1)] = -np.inf
    best = router.choose(expected, llm_index, k)
    return Ranking(llm_index[best].astype(np.int32), np.take_along_axis(expected, best, axis=1), router.llm_ids_)


def choose_set(router: RememberingRouter, prompts: Prompts, k: int, llm_index: Index) -> Ranking:
    """See `Router.choose_set`."""
    if not 1 <= k <= len(llm_index):
        raise RouterError(f"a set of {k} does not fit a pool of {len(llm_index)} LLMs; choose a smaller one")
    belief = belief_of(router, prompts)
    price = prices(router, prompts, llm_index)
    with one_thread(prompts.n, belief.joint.factors.size):
        columns, maximum = belief.choose_set(k, llm_index, price)
    return Ranking(llm_index[columns].astype(np.int32), maximum, router.llm_ids_)


def prices(router: RouterCore, prompts: Prompts, llm_index: Index) -> Floats | None:
    """What a router that weighs cost takes off the predicted scores, f32 (b, m); None for any other."""
    if type(router).predicted_score is RouterCore.predicted_score:
        return None
    return router.predicted_score(prompts, llm_index) - router.score(prompts, llm_index)


def read_tried(router: RouterCore, tried: Tried, n: int) -> tuple[Index, Floats]:
    """Positions int (n, t), -1 where there are fewer, and scores f32 (n, t), NaN there, of what was tried."""
    each = [tried] * n if isinstance(tried, Mapping) else list(tried)
    if len(each) != n or not all(isinstance(of_prompt, Mapping) for of_prompt in each):
        raise DataError(f"tried is one mapping from LLM id to score, or one for each of the {n} prompts")
    most = max((len(of_prompt) for of_prompt in each), default=0)
    llm, score = np.full((n, most), -1, dtype=np.int64), np.full((n, most), np.nan, dtype=np.float32)
    for row, of_prompt in enumerate(each):
        if of_prompt:
            llm[row, : len(of_prompt)] = router.llm_index(list(of_prompt))
            score[row, : len(of_prompt)] = [_score(name, value) for name, value in of_prompt.items()]
    return llm, score


def _score(llm: str, value: float) -> float:
    if isinstance(value, bool | int | float | np.number) and 0 <= value <= 1:
        return float(value)
    raise DataError(f"the tried score of {llm!r} is {value!r}; give a number from 0 to 1")
