"""Model of unseen LLMs: a mixture of Gaussians centred at the known LLMs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.errors import DataError
from recroute.routers.memory.metadata import Metadata
from recroute.routers.memory.posterior import MIN_NOISE, Posterior, expected_scores, locate, resemblances
from recroute.util.numeric import Array, Floats
from recroute.util.state import array, several

NORMAL = 1.6449  # half width of a 90% normal interval, in standard deviations


@dataclass(frozen=True, repr=False, eq=False)
class Mixture:
    """Prior of unseen LLMs: each is like one of the known LLMs, up to a Gaussian deviation.

    LLM l has a vector z[l], and its scores on the n training prompts are `loadings @ z[l] + noise`. The prior of an
    unseen LLM's vector is a kernel density estimate: a mixture of Gaussians centred at the m known LLMs' vectors, with
    covariance `spread * cov` and weights from `Metadata`, or equal weights if family, size and price are unknown.

    Parameters
    ----------
    metadata : Metadata
        Metadata of the known LLMs, from which the mixture weights are computed.
    instance_ids : str (n,)
    task : int64 (n,)
        Position of each prompt's task in `task_names`.
    task_names : str (t,)
    llm_ids : str (m,)
    loadings : f64 (n, 1 + k)
        The constant 1 and the prompts' factors.
    vectors : f64 (m, 1 + k)
        Mean score and factors of each known LLM.
    noise : f64 (n,)
        Variance of a score around its expectation.
    spread : float
        Variance of an unseen LLM around its nearest known LLMs, as a share of the known LLMs' covariance.
    answers, scale : f64 (c,), f64 (c, 2)
        Numbers of answers, and the calibration factors of the intervals of the overall mean score and of a task's mean
        score at these numbers, see `calibration`.
    trust : f64 (c,), optional
        Share of the `surprise` that is added to the LLM's level at these numbers; None in folders of older versions.
    order : int64 (n,), optional
        Order in which to run prompts in one batch, see `batch_order`; None in folders of older versions.
    """

    metadata: Metadata = several(Metadata)
    instance_ids: NDArray[np.str_] = array("n_prompts", kind="text", distinct=True)
    task: NDArray[np.int64] = array("n_prompts", kind="int", below="n_tasks")
    task_names: NDArray[np.str_] = array("n_tasks", kind="text", distinct=True)
    llm_ids: NDArray[np.str_] = array("n_known", kind="text", distinct=True)
    loadings: Array = array("n_prompts", "n_factors+1")
    vectors: Array = array("n_known", "n_factors+1")
    noise: Array = array("n_prompts", low=MIN_NOISE / 2)
    spread: float = array(low=1e-9)
    answers: Array = array("n_answers", low=0)
    scale: Array = array("n_answers", "2", low=0)
    trust: Array | None = array("n_answers", default=None, needed=False, low=0, high=1)
    order: NDArray[np.int64] | None = array(
        "n_prompts", default=None, needed=False, kind="int", below="n_prompts", distinct=True
    )

    @property
    def n_instances(self) -> int:
        return len(self.loadings)

    @cached_property
    def cov(self) -> Array:
        """Covariance f64 (1 + k, 1 + k) of the known LLMs' vectors."""
        k = self.vectors.shape[1]
        cov: Array = np.cov(self.vectors, rowvar=False)
        cov += 1e-6 * max(np.trace(cov) / k, 1e-6) * np.eye(k)  # keeps it invertible if all LLMs are alike
        return cov

    @cached_property
    def expected(self) -> Floats:
        """Expected scores f32 (n, m) of the known LLMs."""
        return expected_scores(self.loadings, self.vectors)

    @cached_property
    def mean_score(self) -> Floats:
        """Mean scores f32 (m,) of the known LLMs."""
        return (self.vectors @ self.loadings.mean(axis=0)).astype(np.float32)

    def log_weights(self, llms: pl.DataFrame | None, n_unseen: int) -> Array:
        """Log prior weights f64 (n_unseen, m) of the known LLMs; equal weights without a table.

        Raises DataError unless the table has one row for each unseen LLM.
        """
        if llms is None:
            return np.zeros((n_unseen, len(self.vectors)))
        if llms.height != n_unseen:
            raise DataError(f"the table of LLMs has {llms.height} rows for {n_unseen} unseen LLMs; give one for each")
        return self.metadata.log_weights(llms)

    def posterior(self, scores: Floats, llms: pl.DataFrame | None = None) -> Posterior:
        """Posterior of unseen LLMs given some of their scores.

        Parameters
        ----------
        scores : f32 (n, j)
            Scores of j LLMs on the training prompts, NaN where not run; a column may be all NaN.
        llms : polars.DataFrame, optional
            j rows of LLM metadata.

        Raises
        ------
        DataError
            If a shape does not fit or a score is outside [0, 1].
        """
        scores = np.asarray(scores, dtype=np.float32)
        if scores.ndim != 2 or len(scores) != self.n_instances:
            raise DataError(f"scores have the shape {scores.shape}; give a row for each of {self.n_instances} prompts")
        if (outside := np.argwhere((scores < 0) | (scores > 1))).size:
            i, j = outside[0]
            raise DataError(
                f"score {scores[i, j]:g} for instance {self.instance_ids[i]!r} is outside [0, 1]; scale the scores"
            )
        with threadpool_limits(1):
            weights = self.resemblances(scores, llms)
            vectors, covariance = locate(
                scores, weights, self.loadings, self.vectors, self.spread * self.cov, self.noise
            )
            if self.trust is not None:
                vectors[:, 0] += self.at((~np.isnan(scores)).sum(axis=0), self.trust) * self.surprise(scores, vectors)
            return self._summarise(scores, weights, vectors, covariance)

    def resemblances(self, scores: Floats, llms: pl.DataFrame | None) -> Floats:
        """Probabilities f32 (j, m) that unseen LLMs with scores f32 (n, j) answer like each known LLM."""
        rows = np.flatnonzero((~np.isnan(scores)).any(axis=1))
        known = vars(self).get("expected")  # of thousands of LLMs it takes gigabytes, and an LLM answers a few prompts
        expected = expected_scores(self.loadings[rows], self.vectors) if known is None else known[rows]
        return resemblances(scores[rows], expected, self.log_weights(llms, scores.shape[1]))

    def surprise(self, scores: Floats, vectors: Array) -> Array:
        """Mean difference f64 (j,) between the LLMs' answers and what their vectors imply; 0 without an answer.

        Like a prediction-powered estimate, the whole of it added to the level makes the mean unbiased if prompts were
        drawn at random, whatever the errors of the model. It is multiplied by the share of the prompts that are of a
        task with an answer, because it says nothing of other tasks.
        """
        seen = ~np.isnan(scores)
        away = np.where(seen, scores - self.loadings @ vectors.T, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        of_task = [self.task == t for t in range(len(self.task_names))]
        return np.asarray(away * sum(rows.mean() * seen[rows].any(axis=0) for rows in of_task))

    def at(self, n_answers: NDArray[np.int64], values: Array) -> Array:
        """Values f64 (c,) known at the numbers `answers`, interpolated to other numbers of answers."""
        return np.interp(np.log2(1 + n_answers), np.log2(1 + self.answers), values)

    def _summarise(self, scores: Floats, weights: Floats, vectors: Array, covariance: Array) -> Posterior:
        seen = ~np.isnan(scores)
        columns = np.where(seen, scores, np.clip(self.loadings @ vectors.T, 0, 1)).astype(np.float32)
        n, k = self.loadings.shape
        pairs = (self.loadings[:, :, None] * self.loadings[:, None, :]).reshape(n, k * k)
        spread = np.maximum(pairs @ covariance.reshape(-1, k * k).T, 0)  # (n, j)
        variance = np.where(seen, 0, spread + self.noise[:, None]).astype(np.float32)
        n_answers = seen.sum(axis=0)
        groups = [np.arange(len(scores)), *(np.flatnonzero(self.task == t) for t in range(len(self.task_names)))]
        mean = np.stack([columns[rows].mean(axis=0, dtype=np.float64) for rows in groups], axis=1)  # (j, 1 + t)
        deviation = np.stack([self.deviation(~seen[rows], covariance, rows) for rows in groups], axis=1)
        wide, task_wide = (self.at(n_answers, scale) for scale in self.scale.T)
        half = NORMAL * deviation * np.column_stack([wide, *[task_wide] * len(self.task_names)])
        interval = np.clip(np.stack([mean - half, mean + half], axis=2), 0, 1)
        return Posterior(
            n_answers=n_answers,
            resemblance=weights,
            vectors=vectors,
            covariance=covariance,
            columns=columns,
            variance=variance,
            mean=mean[:, 0],
            interval=interval[:, 0],
            task_mean=mean[:, 1:],
            task_interval=interval[:, 1:],
        )

    def deviation(self, open_cells: NDArray[np.bool_], covariance: Array, rows: NDArray[np.int64]) -> Array:
        """Standard deviation f64 (j,) of the mean score over the prompts at `rows` (a,).

        `open_cells` bool (a, j) marks unknown scores; `covariance` f64 (j, 1 + k, 1 + k) is that of the LLM vectors.
        """
        share = open_cells.astype(np.float64) / len(rows)
        u = share.T @ self.loadings[rows]  # (j, 1 + k)
        variance = (u[:, None] @ covariance @ u[:, :, None])[:, 0, 0]
        return np.sqrt(np.maximum(variance, 0) + (share**2).T @ self.noise[rows])
