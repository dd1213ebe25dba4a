"""Second attempts: LLMs ranked by what others scored on the same prompt, and sets of LLMs to ask at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from recroute.data import Dataset, InteractionMatrix, Prompts
from recroute.errors import DataError, RouterError, either
from recroute.routers.core import RouterCore
from recroute.routers.memory.joint import Belief, JointScores
from recroute.routers.memory.remembering import RememberingRouter
from recroute.routers.memory.verifier import Verifier
from recroute.routers.ranking import Ranking
from recroute.routers.subspace import EXACT_LIMIT
from recroute.routers.sums.moments import Moments
from recroute.splits import make_folds
from recroute.util.numeric import Array, Floats, Index, evenly
from recroute.util.threads import one_thread

N_FOLDS = 5
MIN_PROMPTS, MAX_PROMPTS = 20, 4000
Tried = Mapping[str, float] | Sequence[Mapping[str, float]]


def joint_of(router: RememberingRouter) -> JointScores:
    """See `Router.joint`."""
    if router.joint_ is None:
        router.joint_ = learn_joint(router)
    return router.joint_


def check_learned(router: RememberingRouter) -> None:
    """Raise RouterError unless the joint distribution was learned: learning it takes too long for a request."""
    if router.joint_ is None:
        fit = either("fit it with --attempts", "read router.joint before you save it")
        raise RouterError(f"this router was not fitted for second attempts; {fit}, or leave out tried")


def learn_joint(router: RememberingRouter) -> JointScores:
    """Learn from the scores that a fitted router keeps, and what it predicts for training prompts held out from it.

    At most 4,000 prompts are kept. Raises RouterError if the router keeps no scores, or too few.
    """
    background = router.remembered()
    if (evidence := background.evidence) is None:
        raise RouterError(f"this {router.name} router was saved by an older version without scores; fit it again")
    llms = pl.DataFrame({"llm_id": list(router.llm_ids_)}).join(background.llms, on="llm_id", how="left")
    train = Dataset("the training prompts", evidence.scores, background.prompts, llms)
    if evidence.vectors is not None and router.encoder_ is not None:
        train = train.with_embeddings(np.asarray(evidence.vectors), router.encoder_)
    if train.n_instances < MIN_PROMPTS:
        raise RouterError(
            f"{router.name} keeps {train.n_instances} training prompts; what LLMs' scores say about each other is "
            f"learned from at least {MIN_PROMPTS}"
        )
    predicted, scorer = np.empty((train.n_instances, train.n_llms), dtype=np.float32), router.scorer()
    for fold in make_folds(train, N_FOLDS, router.seed):
        predicted[fold.index] = replace(scorer).fit(fold.parts.train).predicted_score(fold.parts.test)
    rows = evenly(train.n_instances, MAX_PROMPTS)
    with threadpool_limits(1, user_api="blas"):
        covariance = None if train.interactions.is_complete else _covariance(router, train.interactions, predicted)
        return JointScores.learn(train.interactions.take_instances(rows).dense(), predicted[rows], covariance)


def _covariance(router: RememberingRouter, scores: InteractionMatrix, predicted: Floats) -> Array | None:
    """Covariance f64 (m, m) of the deviations of scores from what was predicted f32 (n, m) without them.

    It follows from the sums that a router keeps: the covariance of all scores less that of the predictions, since these
    are uncorrelated with their errors. None for more than 2,000 LLMs.
    """
    m = predicted.shape[1]
    if m > EXACT_LIMIT:
        return None
    if (kept := router.kept_sums_) is not None and len(kept.moments.products):
        covariance = kept.moments.covariance(kept.moments.llm_means())
        return covariance - np.asarray(np.cov(predicted, rowvar=False), dtype=np.float64)
    rows, llms = scores.coordinates()
    deviations = InteractionMatrix.from_coordinates(
        rows, llms, scores.scores.data - predicted[rows, llms], scores.shape
    )
    return Moments.of_pairs(deviations).covariance(np.zeros(m))


def belief_of(router: RememberingRouter, prompts: Prompts, predicted: Floats | None = None) -> Belief:
    """A fitted router's belief about all LLMs' scores on the prompts, before any attempt.

    `predicted` are its predicted scores f32 (b, m) of all LLMs, where they are known already.
    """
    if router.needs == "scores" or router.chooses_by_chance:
        raise RouterError(f"{router.label} predicts no scores that an attempt could change; take another router")
    joint = joint_of(router)
    predicted = router.predicted_score(prompts) if predicted is None else predicted
    with one_thread(prompts.n, joint.factors.size):
        return joint.belief(predicted, router.change_since_fit(prompts))


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


def choose_set(
    router: RememberingRouter, prompts: Prompts, k: int, llm_index: Index, tried: Tried | None = None
) -> Ranking:
    """See `Router.choose_set`."""
    llm, score = read_tried(router, {} if tried is None else tried, prompts.n)
    n_left = len(llm_index) - int(np.isin(llm, llm_index).sum(axis=1).max(initial=0))
    if not 1 <= k <= n_left:
        raise RouterError(f"a set of {k} does not fit a pool of {n_left} LLMs; choose a smaller one")
    belief = belief_of(router, prompts)
    price = prices(router, prompts, llm_index)
    with one_thread(prompts.n, belief.joint.factors.size):
        for column in range(llm.shape[1]):
            belief = belief.observed(np.maximum(llm[:, column], 0), score[:, column])
        best = None
        if llm.shape[1]:
            best = np.nan_to_num(score).max(axis=1, keepdims=True)
            closed = (llm[:, :, None] == llm_index).any(axis=1)
            price = np.where(closed, np.float32(np.inf), np.float32(0) if price is None else price)
        columns, maximum = belief.choose_set(k, llm_index, price, best)
    return Ranking(llm_index[columns].astype(np.int32), maximum, router.llm_ids_)


def prices(router: RouterCore, prompts: Prompts, llm_index: Index) -> Floats | None:
    """What a router that weighs cost takes off the predicted scores, f32 (b, m); None for any other."""
    if not router.weighs_cost:
        return None
    return router.predicted_score(prompts, llm_index) - router.score(prompts, llm_index)


def read_tried(router: RouterCore, tried: Tried, n: int) -> tuple[Index, Floats]:
    """Positions int (n, t), -1 where there are fewer, and scores f32 (n, t), NaN there, of what was tried."""
    each = [tried] * n if isinstance(tried, Mapping) else list(tried) if isinstance(tried, Sequence) else []
    if len(each) != n or not all(isinstance(of_prompt, Mapping) for of_prompt in each):
        raise DataError(f"tried is one mapping from LLM id to score, or one for each of the {n} prompts")
    most = max((len(of_prompt) for of_prompt in each), default=0)
    llm, score = np.full((n, most), -1, dtype=np.int64), np.full((n, most), np.nan, dtype=np.float32)
    for row, of_prompt in enumerate(each):
        if of_prompt:
            llm[row, : len(of_prompt)] = router.llm_index(list(of_prompt))
            score[row, : len(of_prompt)] = [read_score(name, value) for name, value in of_prompt.items()]
    return llm, score


def read_score(llm: str, value: float) -> float:
    """The score of a tried LLM; DataError if it is not a number from 0 to 1."""
    if isinstance(value, bool | int | float | np.number) and 0 <= value <= 1:
        return float(value)
    raise DataError(f"the tried score of {llm!r} is {value!r}; give a number from 0 to 1")
