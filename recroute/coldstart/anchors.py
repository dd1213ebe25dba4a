"""Which prompts to run on an unseen LLM: those that tell most about it."""

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
    """The next k training prompts to run on an unseen LLM.

    Parameters
    ----------
    prior : LLMPrior
    k : int
    strategy : str
        - "random": any prompts.
        - "stratified": any prompts, each task in proportion to its size at every length.
        - "medoids": the prompt most central in each of k clusters of prompts.
        - "d_optimal": the prompts that tell most about all of the LLM's vector.
        - "a_optimal": those that tell most about its mean score.
        - "active" (default): those that tell most about its mean score *given the scores so far*; so run a few,
          call again, and the next ones suit this LLM.
    scores : f32 (n,), optional
        What is known of the LLM so far, NaN where it was not run. Those prompts are not chosen again.
    llm : polars.DataFrame, optional
        One row: family, size, prices of the unseen LLM, for "active".
    seed : int
        For "random", "stratified" and "medoids".

    Returns
    -------
    int64 (k,) positions among the training prompts, most telling first. A shorter list is the start of a longer one,
    except for "medoids".

    Raises
    ------
    UnknownNameError
        If the strategy is unknown.
    DataError
        If fewer than k prompts are left, or `scores` does not fit.
    """
    if strategy not in STRATEGIES:
        raise UnknownNameError("strategy", strategy, STRATEGIES)
    n = len(prior.loadings)
    given = np.full(n, np.nan) if scores is None else np.asarray(scores)
    if given.shape != (n,) or given.dtype.kind not in "biuf":
        raise DataError(
            f"scores are {given.dtype} of the shape {given.shape}; give one for each of the {n} prompts, NaN where not "
            "run"
        )
    scores = given.astype(np.float32)
    left = np.flatnonzero(np.isnan(scores))
    if not 0 <= k <= len(left):
        raise DataError(f"{k} anchors cannot be chosen from the {len(left)} prompts that are left; ask for fewer")
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
    points = prior.loadings[left] @ scale  # distances between prompts are differences between LLMs' expected scores
    found = KMeans(k, n_init=1, random_state=int(rng.integers(2**31))).fit(points)
    distance = found.transform(points)  # (n, k)
    chosen: list[int] = []
    for c in np.argsort(-np.bincount(found.labels_, minlength=k), kind="stable"):  # large clusters first
        distance[chosen] = np.inf
        chosen.append(int(distance[:, c].argmin()))
    return left[chosen]


def _d_optimal(prior: LLMPrior, k: int, scores: Floats, rng: np.random.Generator) -> Index:
    def gain(reached: Array, total: Array) -> Array:
        return total / prior.noise  # one more score shrinks the determinant of the covariance by this factor

    return _greedy(prior, k, scores, prior.cov, prior.noise + _quadratic(prior.loadings, prior.cov), gain)


def _a_optimal(prior: LLMPrior, k: int, scores: Floats, rng: np.random.Generator) -> Index:
    return _greedy(prior, k, scores, prior.cov, prior.noise + _quadratic(prior.loadings, prior.cov), _of_mean)


def _active(prior: LLMPrior, k: int, scores: Floats, llm: pl.DataFrame | None) -> Index:
    """The first by its exact effect, the rest by that of the Gaussian with the same moments.

    The score of prompt i is 0 or 1, so that knowing it leaves of the mean score's variance what the linear regression
    on it leaves: exact for any distribution of the LLM's vector, here the known LLMs' weighted by resemblance.
    """
    weights = resemblances(scores[:, None], prior.expected, prior.log_weights(llm, 1))[0].astype(np.float64)  # (m,)
    away = prior.vectors - weights @ prior.vectors
    p = (prior.expected @ weights.astype(np.float32)).astype(np.float64)
    return _greedy(prior, k, scores, (away.T * weights) @ away, p * (1 - p), _of_mean)


def _of_mean(reached: Array, total: Array) -> Array:
    """By how much one more score shrinks the variance of the mean score."""
    return reached**2 / total


def _greedy(
    prior: LLMPrior, k: int, scores: Floats, cov: Array, total: Array, gain: Callable[[Array, Array], Array]
) -> Index:
    """The prompt of the largest gain, k times; variances learn of each by a rank-one update.

    Parameters
    ----------
    cov : f64 (1 + k, 1 + k)
        Of the LLM's vector.
    total : f64 (n,)
        Variance of each prompt's score, its noise included.
    gain : of `reached` f64 (n,), the covariance of each prompt's score with the mean score, and `total`
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
        shared = L @ v  # (n,) covariance of every prompt's score with that of prompt i
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
