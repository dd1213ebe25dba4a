"""`select_anchors`: choice of the most informative prompts to run on an unseen LLM."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from recroute.errors import DataError, UnknownNameError
from recroute.routers.memory.batch import MAX_LLMS, greedy, stratified_order
from recroute.routers.memory.calibrate import n_adaptive
from recroute.routers.memory.posterior import expected_scores
from recroute.routers.memory.prior import LLMPrior
from recroute.util.arguments import checked
from recroute.util.numeric import Array, Floats, Index


@checked
def select_anchors(
    prior: LLMPrior,
    k: int,
    *,
    strategy: str = "active",
    scores: Floats | None = None,
    llm: pl.DataFrame | None = None,
    seed: int = 0,
) -> Index:
    """Choose the next k training prompts to run on an unseen LLM.

    Parameters
    ----------
    prior : LLMPrior
    k : int
    strategy : str
        - "random": random prompts.
        - "stratified": random prompts, with tasks in proportion to their size.
        - "medoids": the most central prompt of each of k clusters.
        - "d_optimal": the prompts most informative about the LLM's whole vector.
        - "a_optimal": the prompts most informative about its mean score.
        - "batch": the prompts that together are most informative about its mean score. Where few LLMs are known, most
          of them are as in "stratified".
        - "active" (default): the first 32 (with few known LLMs one for every four of them) are the most informative
          *given the scores so far*: run a few prompts, then call this function again with their scores. Further ones
          are as in "batch".
    scores : f32 (n,), optional
        Scores of the LLM so far, NaN where it was not run. Prompts that it was run on are not chosen again.
    llm : polars.DataFrame, optional
        One row of metadata of the unseen LLM (family, size, prices), used by "active".
    seed : int
        Seed of "random", "stratified" and "medoids".

    Returns
    -------
    int64 (k,)
        Positions among the training prompts, most informative first. A shorter selection is the start of a longer one,
        except with "medoids".

    Raises
    ------
    UnknownNameError
        If the strategy is unknown.
    DataError
        If fewer than k prompts are left, or `scores` has the wrong shape or type.
    """
    if strategy not in STRATEGIES:
        raise UnknownNameError("strategy", strategy, STRATEGIES)
    n = len(prior.loadings)
    given = np.full(n, np.nan) if scores is None else np.asarray(scores)
    if given.shape != (n,) or given.dtype.kind not in "biuf":
        raise DataError(
            f"scores are {given.dtype} of shape {given.shape}; give one number for each of the {n} prompts, NaN where "
            "not run"
        )
    scores = given.astype(np.float32)
    left = np.flatnonzero(np.isnan(scores))
    if not 0 <= k <= len(left):
        raise DataError(f"{k} anchors cannot be chosen from the {len(left)} remaining prompts; choose fewer")
    if strategy == "active":
        return _active(prior, k, scores, llm)
    return _FIXED[strategy](prior, k, scores, np.random.default_rng(seed))


def _random(prior: LLMPrior, k: int, scores: Floats, rng: np.random.Generator) -> Index:
    return _left(rng.permutation(len(scores)), scores)[:k]


def _stratified(prior: LLMPrior, k: int, scores: Floats, rng: np.random.Generator) -> Index:
    return _left(stratified_order(prior.task, rng), scores)[:k]


def _batch(prior: LLMPrior, k: int, scores: Floats, rng: np.random.Generator) -> Index:
    if prior.order is None:  # saved by an older version
        return _a_optimal(prior, k, scores, rng)
    return _left(prior.order, scores)[:k]


def _left(order: Index, scores: Floats) -> Index:
    """Those prompts of an order that have no score yet."""
    return order[np.isnan(scores[order])]


def _medoids(prior: LLMPrior, k: int, scores: Floats, rng: np.random.Generator) -> Index:
    from sklearn.cluster import KMeans

    left = np.flatnonzero(np.isnan(scores))
    if k == 0:
        return left[:0]
    scale = np.linalg.cholesky(prior.cov + 1e-9 * np.eye(len(prior.cov)))
    points = prior.loadings[left] @ scale  # scaled so that distances are differences in expected scores
    clusters = KMeans(k, n_init=1, random_state=int(rng.integers(2**31))).fit(points)
    distance = clusters.transform(points)  # (n, k)
    chosen: list[int] = []
    for c in np.argsort(-np.bincount(clusters.labels_, minlength=k), kind="stable"):  # large clusters first
        distance[chosen] = np.inf
        chosen.append(int(distance[:, c].argmin()))
    return left[chosen]


def _d_optimal(prior: LLMPrior, k: int, scores: Floats, rng: np.random.Generator) -> Index:
    def gain(reached: Array, total: Array) -> Array:
        return total / prior.noise  # factor by which one more score reduces the determinant of the covariance

    return greedy(prior.loadings @ _root(prior.cov), prior.noise, k, ~np.isnan(scores), gain)


def _a_optimal(prior: LLMPrior, k: int, scores: Floats, rng: np.random.Generator) -> Index:
    return greedy(prior.loadings @ _root(prior.cov), prior.noise, k, ~np.isnan(scores))


def _active(prior: LLMPrior, k: int, scores: Floats, llm: pl.DataFrame | None) -> Index:
    """The first prompts by the scores so far, the others in the order of a batch.

    The first prompt is chosen by its exact effect, the next by that in a Gaussian model with the same moments: the
    score of a prompt is 0 or 1, so observing it reduces the variance of the mean score exactly as linear regression on
    it does, whatever the distribution of the LLM's vector; here it is that of the known LLMs, weighted by resemblance.
    """
    n_seen = int((~np.isnan(scores)).sum())
    n_first = min(k, max(n_adaptive(prior) - n_seen, 0))
    weights = prior.resemblances(scores[:, None], llm)[0]  # (m,)
    likely = np.sort(np.argsort(-weights, kind="stable")[:MAX_LLMS])
    weights = weights[likely] / weights[likely].sum()
    expected, mean_score = expected_scores(prior.loadings, prior.vectors[likely]), prior.mean_score[likely]
    p, root = expected @ weights, np.sqrt(weights)
    features = (expected - p[:, None]) * root
    noise = p * (1 - p) - np.einsum("nm,nm->n", features, features)  # so that the variance of a score is p (1 - p)
    target = root * (mean_score - weights @ mean_score)
    first = greedy(features, noise, n_first, ~np.isnan(scores), target=target)
    if n_first == k or prior.order is None:
        return first
    scores = scores.copy()
    scores[first] = 0
    return np.concatenate([first, _left(prior.order, scores)[: k - n_first]])


def _root(cov: Array) -> Array:
    """Matrix R with `R @ R.T` equal to a covariance, which may be singular."""
    values, vectors = np.linalg.eigh(cov)
    return vectors * np.sqrt(np.maximum(values, 0))


_FIXED: dict[str, Callable[[LLMPrior, int, Floats, np.random.Generator], Index]] = {
    "random": _random,
    "stratified": _stratified,
    "medoids": _medoids,
    "d_optimal": _d_optimal,
    "a_optimal": _a_optimal,
    "batch": _batch,
}
STRATEGIES = ("active", *_FIXED)
