"""`select_anchors`: choice of the most informative prompts to run on an unseen LLM."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from recroute.errors import DataError, UnknownNameError
from recroute.routers.memory.posterior import MIN_NOISE, resemblances
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
        - "active" (default): the prompts most informative about its mean score *given the scores so far*. Run a few
          prompts, then call this function again with their scores.
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
    order = rng.permutation(len(scores))
    return order[np.isnan(scores[order])][:k]


def _stratified(prior: LLMPrior, k: int, scores: Floats, rng: np.random.Generator) -> Index:
    order = _random(prior, int(np.isnan(scores).sum()), scores, rng)
    task = prior.task[order]
    rank = np.empty(len(order))
    for t in np.unique(task):
        rows = np.flatnonzero(task == t)
        rank[rows] = (np.arange(len(rows)) + rng.random()) / len(rows)
    return order[np.argsort(rank, kind="stable")][:k]


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

    return _greedy(prior, k, scores, prior.cov, prior.noise + _quadratic(prior.loadings, prior.cov), gain)


def _a_optimal(prior: LLMPrior, k: int, scores: Floats, rng: np.random.Generator) -> Index:
    return _greedy(prior, k, scores, prior.cov, prior.noise + _quadratic(prior.loadings, prior.cov), _of_mean)


def _active(prior: LLMPrior, k: int, scores: Floats, llm: pl.DataFrame | None) -> Index:
    """Choose the first prompt by its exact effect, the others by that in a Gaussian model with the same moments.

    The score of a prompt is 0 or 1, so observing it reduces the variance of the mean score exactly as linear regression
    on it does, whatever the distribution of the LLM's vector; here it is that of the known LLMs, weighted by
    resemblance.
    """
    weights = resemblances(scores[:, None], prior.expected, prior.log_weights(llm, 1))[0].astype(np.float64)  # (m,)
    away = prior.vectors - weights @ prior.vectors
    p = (prior.expected @ weights.astype(np.float32)).astype(np.float64)
    return _greedy(prior, k, scores, (away.T * weights) @ away, p * (1 - p), _of_mean)


def _of_mean(reached: Array, total: Array) -> Array:
    """Reduction of the variance of the mean score by one more score."""
    return reached**2 / total


def _greedy(
    prior: LLMPrior, k: int, scores: Floats, cov: Array, total: Array, gain: Callable[[Array, Array], Array]
) -> Index:
    """Choose the prompt with the largest gain k times, with a rank-one update of the variances after each.

    Parameters
    ----------
    cov : f64 (1 + k, 1 + k)
        Covariance of the LLM's vector.
    total : f64 (n,)
        Variance of each prompt's score, including noise.
    gain : callable
        Function of `reached` f64 (n,), the covariance of each prompt's score with the mean score, and of `total`.
    """
    L = prior.loadings
    reached = L @ (cov @ L.mean(axis=0))
    closed = ~np.isnan(scores)
    chosen: list[int] = []
    for _ in range(k):
        value = gain(reached, total)
        value[closed] = -np.inf
        i = int(value.argmax())
        chosen.append(i)
        closed[i] = True
        v = cov @ L[i]
        shared = L @ v  # (n,): covariance of every prompt's score with that of prompt i
        cov = cov - np.outer(v, v) / total[i]
        reached = reached - shared * reached[i] / total[i]
        total = np.maximum(total - shared**2 / total[i], MIN_NOISE)
    return np.array(chosen, dtype=np.int64)


def _quadratic(L: Array, cov: Array) -> Array:
    """Diagonal of L cov L', f64 (n,)."""
    return ((L @ cov) * L).sum(axis=1)


_FIXED: dict[str, Callable[[LLMPrior, int, Floats, np.random.Generator], Index]] = {
    "random": _random,
    "stratified": _stratified,
    "medoids": _medoids,
    "d_optimal": _d_optimal,
    "a_optimal": _a_optimal,
}
STRATEGIES = ("active", *_FIXED)
