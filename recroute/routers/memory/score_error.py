"""Standard error of predicted scores, estimated from the scores of near training prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.data import Prompts
from recroute.data.cells import CELLS_AT_ONCE
from recroute.data.prompts import Instances
from recroute.errors import RouterError
from recroute.routers.memory.evidence import Evidence
from recroute.routers.memory.remembering import RememberingRouter
from recroute.util.numeric import Array, Floats

Nearest = tuple[NDArray[np.int64], Floats]  # rows (b, k) of training prompts and their cosines
Predict = Callable[[NDArray[np.int64], NDArray[np.int64]], Floats]
EPSILON = 0.01  # lower bound of mean scores and variances used as divisors
N_NEAR = 100  # neighbours of a prompt
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # candidate kernel widths, in mean distances to the ten nearest prompts
STRENGTHS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # candidate weights of an LLM's mean, in near prompts
RIDGES = (0.03, 0.1, 0.3, 1.0)  # candidate penalties of the regression on other LLMs, in mean variances
FAR_SHARE = 0.1  # share of the training prompts that count as far from the others
N_ROWS, N_LLMS = 800, 200  # sample that the parameters are learned from


@dataclass(frozen=True)
class ScoreError:
    """Error variance of a router's predictions, from a Beta model of each LLM's expected score.

    A training prompt with cosine c to the prompt has the kernel weight ``exp((c - 1) / width)``. Let n be the sum of
    the weights of those that the LLM was run on. The predicted score p counts like `trust` prompts if n is at least
    `enough`, as it is for most prompts; for smaller n it counts for less, down to `strength`. `trust` is chosen such
    that p deviates from the scores of near prompts as much as observed, `strength` is the weight of an LLM's mean. Let
    m be the weighted mean of near scores and p. The error variance is the sum of

    - ``(p - m)**2``;
    - ``spread m (1 - m) / (1 + max(n, trust))``, the uncertainty of m. The maximum is used, not the sum, because the
      router was fitted on the same scores;
    - ``spread m (1 - m) share``, the deviation of the prompt from similar ones. `share` is the part of the variance
      between prompts that other LLMs' scores predict. The rest is noise of a single answer, which is not an error of
      the prediction.
    """

    evidence: Evidence
    width: float
    enough: float
    strength: float
    trust: float
    spread: float
    share: float

    @classmethod
    def learn(cls, evidence: Evidence, llm_mean: Array, predict: Predict) -> ScoreError:
        """Learn the parameters from training prompts, each predicted from the others.

        Parameters
        ----------
        evidence : Evidence
        llm_mean : f64 (m,)
        predict : callable
            Maps positions of training prompts int (b,) and LLMs int (p,) to the router's predictions f32 (b, p).
        """
        matrix, rng = evidence.scores, np.random.default_rng(0)
        rows = np.sort(rng.permutation(matrix.n_instances)[:N_ROWS])
        llms = np.sort(rng.permutation(np.flatnonzero(matrix.llm_counts))[:N_LLMS])
        scores, observed = matrix.take_instances(rows).take_llms(llms).block(slice(None))
        prior = np.broadcast_to(llm_mean[llms].clip(EPSILON, 1 - EPSILON), scores.shape)
        if evidence.vectors is None:
            spread, share = _spread_and_share(scores, prior, observed)
            return cls(evidence, 1.0, 0.0, 0.0, 0.0, spread, share)
        known, seen = matrix.take_llms(llms).block(slice(None))
        near, distance = _others(evidence, rows)
        unit = max(float(distance[:, :10].mean()), 1e-6)
        candidates = []
        for width in (w * unit for w in WIDTHS):
            weights = kernel_weights(near, distance, width, len(known))
            total, count = weights @ known, weights @ seen
            for strength in STRENGTHS:
                mean = (total + strength * prior) / (count + strength)
                candidates.append((float(((scores - mean) ** 2 * observed).sum()), width, strength, mean))
        _, width, strength, mean = min(candidates, key=lambda each: each[0])
        spread, share = _spread_and_share(scores, mean, observed)
        weights = kernel_weights(near, distance, width, len(known))
        total, count = weights @ known, weights @ seen
        some = np.maximum(count, 1)
        scale = spread * mean * (1 - mean) * (count >= 1)
        noise = scale * (weights.power(2) @ seen) / some**2
        gap = (predict(rows, llms).clip(0, 1) - total / some) ** 2 * (count >= 1) - noise
        apart = gap.sum() / scale.sum() if scale.any() else 1.0
        trust = float(np.clip(1 / max(apart, EPSILON) - 1, strength, N_NEAR))
        enough = max(float(np.quantile(np.asarray(weights.sum(axis=1)), FAR_SHARE)), EPSILON)
        return cls(evidence, width, enough, strength, trust, spread, share)

    def variance(
        self, predicted: Floats, nearest: Nearest | None, llm_index: NDArray[np.int64], *, reducible: bool
    ) -> Array:
        """Error variance f64 (b, m) of predictions f32 (b, m), given the nearest training prompts (None without text).

        `reducible` leaves out the part that scores of other prompts cannot reduce.
        """
        predicted = predicted.clip(0, 1).astype(np.float64)
        share = 0.0 if reducible else self.share
        if nearest is None:
            mean = predicted.clip(EPSILON, 1 - EPSILON)
            count = self.evidence.scores.llm_counts[llm_index]
            return np.asarray(self.spread * mean * (1 - mean) * (share + 1 / (1 + count)))
        near, similarity = nearest
        rows, place = np.unique(near, return_inverse=True)
        weights = kernel_weights(place.reshape(near.shape), 1 - similarity, self.width, len(rows))
        known = self.evidence.scores.take_instances(rows)
        total, count = np.empty((2, *predicted.shape))
        step = max(1, CELLS_AT_ONCE // len(rows))
        for at in (slice(start, start + step) for start in range(0, len(llm_index), step)):
            scores, seen = known.take_llms(llm_index[at]).block(slice(None))
            total[:, at], count[:, at] = weights @ scores, weights @ seen  # (b, n) x (n, m)
        strength = self.strength + (self.trust - self.strength) * np.minimum(count / self.enough, 1)
        mean = (total + strength * predicted) / (count + strength)
        off = (predicted - mean) ** 2
        mean = mean.clip(EPSILON, 1 - EPSILON)
        return off + self.spread * mean * (1 - mean) * (share + 1 / (1 + np.maximum(count, strength)))


def _spread_and_share(scores: Floats, mean: Array, observed: Floats) -> tuple[float, float]:
    residual = (scores - mean) * observed
    spread = float((residual**2).sum() / (mean * (1 - mean) * observed).sum())
    return spread, _predictable_share(residual)


def kernel_weights(near: NDArray[np.int64], distance: Floats, width: float, n: int) -> sp.csr_matrix:
    """Sparse kernel weights f32 (b, n) of near prompts int (b, k) at distances f32 (b, k)."""
    b, k = near.shape
    weight = np.exp(-distance.clip(min=0) / np.float32(width)).astype(np.float32)
    return sp.csr_matrix((weight.ravel(), near.ravel(), np.arange(0, b * k + 1, k)), shape=(b, n))


def _others(evidence: Evidence, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats]:
    """Nearest other training prompts of training prompts, int (b, k), and their distances f32 (b, k)."""
    assert evidence.vectors is not None
    near, similarity = evidence.neighbors.search(evidence.vectors[rows], N_NEAR + 1)
    itself = near == rows[:, None]
    itself[~itself.any(axis=1), -1] = True  # not among the nearest if many prompts are equal to it
    b = len(rows)
    return near[~itself].reshape(b, -1), 1 - similarity[~itself].reshape(b, -1)


def _predictable_share(residual: Array) -> float:
    """Share of the variance of residuals f64 (n, m) that ridge regression on the other LLMs predicts in held-out rows.

    One standard error is subtracted, so that pure noise gives about 0. The regressions of all columns follow from one
    inverse: the prediction of column l from the others is ``r[l] - (K r)[l] / K[l, l]`` with inverse covariance K.
    """
    n, m = residual.shape
    if n < 4 or m < 2:
        return 0.0
    total = (residual**2).sum(axis=1)
    if not total.any():
        return 0.0
    left = np.empty((len(RIDGES), n))
    for held in (0, 1):
        seen = residual[1 - held :: 2]
        cov = seen.T @ seen / len(seen)
        for i, ridge in enumerate(RIDGES):
            K = np.linalg.inv(cov + (ridge * np.trace(cov) / m + 1e-12) * np.eye(m))
            left[i, held::2] = ((residual[held::2] @ K / np.diag(K)) ** 2).sum(axis=1)
    explained = total - left[left.sum(axis=1).argmin()]
    share = float(np.clip((explained.mean() - explained.std() / np.sqrt(n)) / total.mean(), 1e-9, 1))
    # share is what m - 1 LLMs explain; extrapolated to infinitely many LLMs under a one-factor model
    return float(min(1.0, share * (m - 2 + np.sqrt((m - 2) ** 2 + 4 * (m - 1) / share)) / (2 * (m - 1))))


def score_std(
    router: RememberingRouter, instances: Instances, llm_index: NDArray[np.int64], *, reducible: bool
) -> Floats:
    """Implementation of `Router.score_std`."""
    error = score_error(router)
    known = router.prompts(instances)
    if known.n == 0:
        return np.zeros((0, len(llm_index)), dtype=np.float32)
    predicted = router.predicted_score(known, llm_index)
    variance = error.variance(predicted, nearest(router, error.evidence, known), llm_index, reducible=reducible)
    return np.sqrt(variance).astype(np.float32)


def evidence_of(router: RememberingRouter) -> Evidence:
    """Training scores and vectors kept by the router; RouterError if it keeps none."""
    router.llm_index()  # raises if not fitted
    if router.background_ is None or (evidence := router.background_.evidence) is None:
        raise RouterError(
            f"this {router.name} router keeps no scores of its training prompts (it was fitted on preferences alone or "
            "by an older version), so its errors cannot be estimated; fit it again, on scores"
        )
    return evidence


def score_error(router: RememberingRouter) -> ScoreError:
    """Error model of the router, learned at first use and again if its evidence changes."""
    evidence = evidence_of(router)
    error: ScoreError | None = vars(router).get("_score_error")
    if error is None or error.evidence is not evidence:
        background = router.background_
        assert background is not None  # because there is evidence

        def predict(rows: NDArray[np.int64], llm_index: NDArray[np.int64]) -> Floats:
            known = background.sample(rows, router.llm_ids_, router.encoder_)
            return router.predicted_score(known, llm_index)

        with threadpool_limits(limits=1, user_api="blas"):
            error = ScoreError.learn(evidence, router.llm_mean_, predict)
        vars(router)["_score_error"] = error
    return error


def nearest(router: RememberingRouter, evidence: Evidence, known: Prompts, k: int = N_NEAR) -> Nearest | None:
    """The k nearest training prompts by cosine of the router's own vectors; None if it reads no vectors."""
    if evidence.vectors is None or router.needs != "text":
        return None
    return evidence.neighbors.search(router.vectors(known), k)
