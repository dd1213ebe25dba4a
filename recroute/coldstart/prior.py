"""What the known LLMs say about LLMs that nobody has evaluated yet."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.coldstart.posterior import Array, Floats, Posterior, expected_scores, locate, resemblances
from recroute.coldstart.shrink import shrink_loadings
from recroute.data import Dataset
from recroute.data.atomic import new_file
from recroute.errors import DataError
from recroute.routers.factorisation import factorise

MAX_FACTORS = 16
MIN_LLMS = 4
SPREAD = 0.05
LEVEL = 1.6449  # a normal variable is within this many standard deviations nine times in ten


@dataclass(frozen=True)
class LLMPrior:
    """An unseen LLM is like one of the known ones, up to a Gaussian deviation.

    LLM l has a vector z[l], and its scores on the n training prompts are `loadings @ z[l] + noise`. The prior of an
    unseen LLM's vector is the mixture of Gaussians around the m known LLMs' vectors, of weights `exp(log_weights)`
    and covariance `spread * cov`: a kernel density estimate, which one Gaussian for all LLMs is the limit of.

    Parameters
    ----------
    instance_ids : str (n,)
    task : int64 (n,)
        Position of each prompt's task in `task_names`.
    task_names : str (t,)
    llm_ids : str (m,)
    loadings : f64 (n, 1 + k)
        The constant 1, and the prompts' factors.
    vectors : f64 (m, 1 + k)
        Of the known LLMs: the mean score, and the factors.
    noise : f64 (n,)
        Variance of a score around its expectation.
    log_weights : f64 (m,)
    spread : float
        How far an unseen LLM is from the nearest known ones, as a share of the known LLMs' covariance.
    answers, scale : f64 (c,), f64 (c,)
        Intervals with so many answers are to be so much wider than the model says, as measured on known LLMs.
    """

    instance_ids: NDArray[np.str_]
    task: NDArray[np.int64]
    task_names: NDArray[np.str_]
    llm_ids: NDArray[np.str_]
    loadings: Array
    vectors: Array
    noise: Array
    log_weights: Array
    spread: float
    answers: Array
    scale: Array

    @classmethod
    def learn(cls, train: Dataset, *, n_factors: int | None = None, seed: int = 0) -> LLMPrior:
        """Learn from the scores of known LLMs; cells may be unobserved.

        Parameters
        ----------
        train : Dataset
        n_factors : int, optional
            Default: a quarter of the LLMs, at most 16.
        seed : int

        Raises
        ------
        DataError
            If there are fewer than 4 LLMs.
        """
        if train.n_llms < MIN_LLMS:
            raise DataError(
                f"{train.name} has {train.n_llms} LLMs; a prior for unseen ones is learned from at least {MIN_LLMS}"
            )
        n_factors = n_factors or max(1, min(MAX_FACTORS, train.n_llms // 4))
        task_names, task = np.unique(train.tasks, return_inverse=True)
        with threadpool_limits(1):
            block = train.interactions.dense()
            mean, left, right = factorise(block, n_factors, seed)
            vectors = np.column_stack([mean, right])
            loadings, noise = shrink_loadings(block, np.column_stack([np.ones(len(left)), left]), vectors)
        return cls(
            instance_ids=np.array(train.instance_ids.ids),
            task=task,
            task_names=task_names,
            llm_ids=np.array(train.llm_ids.ids),
            loadings=loadings,
            vectors=vectors,
            noise=noise,
            log_weights=np.zeros(train.n_llms),
            spread=SPREAD,
            answers=np.zeros(1),
            scale=np.ones(1),
        )

    @property
    def n_instances(self) -> int:
        return len(self.loadings)

    @cached_property
    def cov(self) -> Array:
        """Covariance f64 (1 + k, 1 + k) of the known LLMs' vectors."""
        k = self.vectors.shape[1]
        cov: Array = np.cov(self.vectors, rowvar=False)
        cov += 1e-6 * np.trace(cov) / k * np.eye(k)
        return cov

    @cached_property
    def expected(self) -> Floats:
        """Expected scores f32 (n, m) of the known LLMs."""
        return expected_scores(self.loadings, self.vectors)

    def posterior(self, scores: Floats, llms: pl.DataFrame | None = None) -> Posterior:
        """What is expected of unseen LLMs.

        Parameters
        ----------
        scores : f32 (n, j)
            Scores of j LLMs on the training prompts, NaN where not run; a column may be all NaN.
        llms : polars.DataFrame, optional
            j rows: what is known of the LLMs beside their scores.

        Raises
        ------
        DataError
            If the shape does not fit or a score is outside [0, 1].
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
            weights = resemblances(
                scores, self.expected, np.broadcast_to(self.log_weights, (scores.shape[1], len(self.vectors)))
            )
            vectors, covariance = locate(
                scores, weights, self.loadings, self.vectors, self.spread * self.cov, self.noise
            )
            return self._summarise(scores, weights, vectors, covariance)

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
        deviation = np.stack([self._deviation(seen, covariance, rows) for rows in groups], axis=1)
        wide = np.interp(np.log2(1 + n_answers), np.log2(1 + self.answers), self.scale)
        half = LEVEL * wide[:, None] * deviation
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

    def _deviation(self, seen: NDArray[np.bool_], covariance: Array, rows: NDArray[np.int64]) -> Array:
        """Standard deviation f64 (j,) of the mean score over the prompts at `rows`: only unobserved cells vary."""
        open_cells = (~seen[rows]).astype(np.float64)
        u = open_cells.T @ self.loadings[rows] / len(rows)  # (j, 1 + k)
        variance = np.einsum("jk,jkl,jl->j", u, covariance, u, optimize=True)
        deviation: Array = np.sqrt(variance + open_cells.T @ self.noise[rows] / len(rows) ** 2)
        return deviation

    def save(self, path: str | Path) -> None:
        """Write as one `.npz` file, whole or not at all."""
        arrays: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        with new_file(Path(path)) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: str | Path) -> LLMPrior:
        """Read what `save` wrote; DataError if it is something else."""
        try:
            with np.load(path, allow_pickle=False) as content:
                arrays = {f.name: content[f.name] for f in fields(cls)}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} holds no prior of recroute: {error}; learn it again") from None
        return cls(**{**arrays, "spread": float(arrays["spread"])})

    def with_scale(self, answers: Array, scale: Array) -> LLMPrior:
        """The prior with intervals `scale` times as wide as the model says, by the number of answers."""
        return replace(self, answers=answers, scale=scale)
