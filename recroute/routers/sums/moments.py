"""`Moments`: what most routers learn from the records, as sums over prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import scipy
from numpy.typing import NDArray

from recroute.bridges.ridge import WIDE
from recroute.data import InteractionMatrix
from recroute.data.cells import DenseCells, indicators, row_blocks
from recroute.data.task_means import means_of_sums, over_tasks
from recroute.errors import DataError
from recroute.util.numeric import Array
from recroute.util.state import array, several
from recroute.util.threads import in_order

ROWS_AT_ONCE = 1 << 16
LEAST_PENALTY = 1e-9


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over prompts of features f (task indicators first), scores s and indicators o of observed cells.

    `+` merges the sums of two sets of prompts, `-` takes those of a subset out again. With every cell observed they
    determine means, covariances and least-squares regressions exactly.

    Parameters
    ----------
    tasks : str (t,)
        The first t features indicate these tasks.
    gram : f64 (q, q)
        Sum of f f'.
    level : f64 (q,)
        Sum of f e, where e is the prompt's mean over its observed scores.
    seen, score : f64 (q, m)
        Sums of f o' and f s', with s 0 where unobserved.
    eased : f64 (t, m)
        Sum of f o' e over the task indicators.
    pairs, products, mixed : f64 (m, m), or (0, 0) if the router reads no covariances
        Sums of o o', s s' and s o'.

    Examples
    --------
    >>> scores = InteractionMatrix.from_dense([[1.0, 0.0], [float("nan"), 0.5]])
    >>> Moments.of_pairs(scores).products
    array([[1.  , 0.  ],
           [0.  , 0.25]])
    """

    tasks: NDArray[np.str_] = array("n_sum_tasks", kind="text", distinct=True)
    gram: Array = array("n_sum_features", "n_sum_features")
    level: Array = array("n_sum_features")
    seen: Array = array("n_sum_features", "n_llms")
    score: Array = array("n_sum_features", "n_llms")
    eased: Array = array("n_sum_tasks", "n_llms")
    pairs: Array = array("n_sum_pairs?", "n_sum_pairs?")
    products: Array = array("n_sum_pairs?", "n_sum_pairs?")
    mixed: Array = array("n_sum_pairs?", "n_sum_pairs?")

    @classmethod
    def of(
        cls,
        matrix: InteractionMatrix,
        tasks: NDArray[np.str_],
        features: Callable[[slice], Array],
        *,
        pairwise: bool,
    ) -> Self:
        """Add up prompts, some rows at a time; prompts without a record do not count.

        Parameters
        ----------
        matrix : InteractionMatrix (n, m)
        tasks : str (n,)
        features : callable
            Maps a slice of rows to their features f64 (b, p).
        pairwise : bool
            Whether to add up products of two LLMs' scores.
        """
        names, code = np.unique(tasks, return_inverse=True)
        n, m = matrix.shape
        is_dense = isinstance(matrix.cells, DenseCells)
        step = min(ROWS_AT_ONCE, row_blocks(n, m)[0].stop) if is_dense else ROWS_AT_ONCE
        slices = [slice(start, min(start + step, n)) for start in range(0, n, step)]
        counts = matrix.instance_counts

        def sums(rows: slice) -> tuple[Array, ...]:
            own = features(rows)
            used = counts[rows] > 0
            phi = np.zeros((used.sum(), len(names) + own.shape[1]))
            phi[np.arange(len(phi)), code[rows][used]] = 1
            phi[:, len(names) :] = own[used]
            part = matrix.take_instances(np.arange(rows.start, rows.stop)[used])
            return _block_sums(part, phi, len(names), pairwise)

        total: list[Array] = []
        for part in in_order(slices, sums):
            total = list(part) if not total else [a + b for a, b in zip(total, part, strict=True)]
        return cls(names, *total)

    @classmethod
    def of_pairs(cls, matrix: InteractionMatrix) -> Self:
        """The sums without tasks or features, which tell the LLMs' means and covariance."""
        none = np.zeros((matrix.n_instances, 0))
        return cls.of(matrix, np.full(len(none), ""), lambda rows: none[rows], pairwise=True)

    def __add__(self, other: Self) -> Self:
        return self._merged(other, 1)

    def __sub__(self, other: Self) -> Self:
        left = self._merged(other, -1)
        if (left.seen[: len(left.tasks)] < -0.5).any():
            raise DataError("the sums do not hold all records to be removed; name prompts that the router learned from")
        return left

    def _merged(self, other: Self, sign: int) -> Self:
        tasks = np.union1d(self.tasks, other.tasks)
        mine, its = self._with_tasks(tasks), other._with_tasks(tasks)
        arrays = {f.name: getattr(mine, f.name) + sign * getattr(its, f.name) for f in fields(self)[1:]}
        return replace(mine, **arrays)

    def _with_tasks(self, tasks: NDArray[np.str_]) -> Self:
        """The same sums with rows for these tasks, a superset of its own."""
        if len(tasks) == len(self.tasks):
            return self
        at = np.searchsorted(tasks, self.tasks)
        of_all = np.concatenate([at, len(tasks) + np.arange(len(self.gram) - len(self.tasks))])
        q = len(self.gram) + len(tasks) - len(self.tasks)

        def placed(values: Array, n: int, rows: Any) -> Array:
            wider = np.zeros((n, *values.shape[1:]))
            wider[rows] = values
            return wider

        return replace(
            self,
            tasks=tasks,
            gram=placed(placed(self.gram, q, of_all).T, q, of_all).T,
            eased=placed(self.eased, len(tasks), at),
            **{name: placed(getattr(self, name), q, of_all) for name in ("level", "seen", "score")},
        )

    @property
    def n(self) -> float:
        """Number of prompts."""
        return float(self._task_sizes.sum())

    @property
    def _task_sizes(self) -> Array:
        return self.gram.diagonal()[: len(self.tasks)]

    @property
    def n_seen(self) -> Array:
        """Number of records of each LLM, f64 (m,)."""
        return self.seen[: len(self.tasks)].sum(axis=0)

    @property
    def is_complete(self) -> bool:
        """Whether every cell was observed."""
        return bool((self.n_seen == self.n).all())

    def llm_means(self) -> Array:
        """`recroute.data.llm_means` f64 (m,) from the sums."""
        t, n = len(self.tasks), self._task_sizes
        return over_tasks(means_of_sums(self.seen[:t], self.score[:t] - self.eased, self.level[:t], n), n)

    def feature_moments(self) -> tuple[Array, Array]:
        """Mean f64 (p,) of the features other than task indicators, and their sum of squares around it f64 (p, p)."""
        t = len(self.tasks)
        total = self.gram[:t, t:].sum(axis=0)
        mean = total / max(self.n, 1)
        return mean, self.gram[t:, t:] - np.outer(total, mean)

    def cross(self, mean: Array) -> Array:
        """Sum f64 (p, m) over the observed cells of (f - mean f) (s - mean), the LLMs' means being f64 (m,)."""
        t = len(self.tasks)
        centre, _ = self.feature_moments()
        surplus = self.score - self.seen * mean
        return surplus[t:] - np.outer(centre, surplus[:t].sum(axis=0))

    def own_weights(self, mean: Array, reg: float) -> Array:
        """Ridge regression f64 (p, m) of each LLM's scores on the features.

        The features of an LLM's own prompts count as distributed like those of all.
        """
        value, axes = np.linalg.eigh(self.feature_moments()[1])
        shrunk = np.outer(value.clip(min=0), self.n_seen / max(self.n, 1)) + max(reg, LEAST_PENALTY)
        return np.asarray(axes @ ((axes.T @ self.cross(mean)) / shrunk))

    def shared_weights(self, mean: Array, factors: Array, reg: float | None) -> Array:
        """Ridge regression f64 (p, k) of factors on the features, for scores `mean + (f - mean f) @ W @ factors.T`.

        `factors` f64 (m, k) have orthonormal columns. The targets are the sums of (s - mean) v over a prompt's records,
        divided by their expectation for a factor of 1: with every cell observed the projections, otherwise noisy, but
        not shrunk. Without `reg` each factor has the penalty of least generalised cross-validation error.
        """
        turn = factors @ np.linalg.pinv((factors.T * (self.n_seen / max(self.n, 1))) @ factors)
        value, axes = np.linalg.eigh(self.feature_moments()[1])
        value, product = value.clip(min=0)[:, None], axes.T @ self.cross(mean) @ turn
        if reg is not None:
            return np.asarray(axes @ (product / (value + max(reg, LEAST_PENALTY))))
        level = (self.score - self.seen * mean)[: len(self.tasks)].sum(axis=0) @ turn
        total = ((self.deviation_gram(mean) @ turn) * turn).sum(axis=0) - level**2 / max(self.n, 1)  # (k,)
        shrink = 1 / (value + WIDE)  # (p, penalties)
        error = total - (shrink * (2 - value * shrink)).T @ product**2  # (penalties, k)
        freedom = 1 + (value * shrink).sum(axis=0)
        error /= (1 - freedom[:, None] / max(self.n, 1)).clip(min=1e-6) ** 2
        return np.asarray(axes @ (product * shrink[:, error.argmin(axis=0)]))

    def as_complete(self, mean: Array) -> tuple[float, Array, Array]:
        """As many complete prompts as the records would make: their number, squares (p, p) and `cross` f64 (p, m).

        The error of an LLM's mean products is then about that of its records. The squares are those of all prompts, so
        p features could explain the noise of more prompts than that; the number grows by the share of p that is
        unobserved. With every cell observed nothing changes.

        Raises DataError where cells are unobserved and an LLM has fewer records than there are features, on average:
        such fits were measured to end far below the best single LLM.
        """
        n, n_features = float(self.n_seen.mean()), len(self.gram) - len(self.tasks)
        if not self.is_complete and n < n_features:
            raise DataError(
                f"{n:,.0f} records for each LLM, and not of all prompts, are too few to fit {n_features} features of "
                "text from sums; fit in memory, or use svd"
            )
        scale = np.divide(n, self.n_seen, out=np.zeros_like(self.n_seen), where=self.n_seen > 0)
        _, squares = self.feature_moments()
        share = n / max(self.n, 1)
        return n + (1 - share) * len(squares), squares * share, self.cross(mean) * scale

    def deviation_gram(self, mean: Array) -> Array:
        """Sum f64 (m, m) of products of two LLMs' deviations from `mean` f64 (m,), which are 0 where unobserved."""
        gram = self.mixed * mean
        gram = self.products - gram - gram.T
        gram += self.pairs * np.multiply.outer(mean, mean)
        return gram

    def covariance(self, mean: Array) -> Array:
        """Covariance f64 (m, m) of the LLMs' scores around `mean` f64 (m,).

        Of two LLMs with few prompts in common it is shrunk towards 0 by the ratio of the variance of covariances
        between LLMs to that plus the sampling variance of this one.
        """
        C = self.deviation_gram(mean)
        C /= np.maximum(self.pairs, 1)
        if self.is_complete:
            return C
        variance = C.diagonal().copy()
        known = self.pairs > 0
        np.fill_diagonal(known, False)
        noise = np.multiply.outer(variance, variance) / np.maximum(self.pairs, 1)
        apart = (C[known] ** 2 - noise[known]).mean() if known.any() else 0.0
        C *= max(apart, 0.0) / (max(apart, 1e-12) + noise)
        np.fill_diagonal(C, variance)
        return C


def _block_sums(part: InteractionMatrix, phi: Array, t: int, pairwise: bool) -> tuple[Array, ...]:
    """The arrays of `Moments` for some prompts with features phi f64 (b, q), the first t of them task indicators."""
    S: Any
    observed: Any
    if isinstance(part.cells, DenseCells):
        S, observed = (block.astype(np.float64) for block in part.block(slice(0, len(phi))))
        e = S.sum(axis=1) / np.maximum(part.instance_counts, 1)
        eased = phi[:, :t].T @ (observed * e[:, None])
    else:
        S = part.scores.astype(np.float64)
        observed = indicators(S)
        e = np.asarray(S.sum(axis=1)).ravel() / np.maximum(part.instance_counts, 1)
        eased = (observed.T @ (phi[:, :t] * e[:, None])).T
    seen, score = (observed.T @ phi).T, (S.T @ phi).T
    if pairwise:
        pairs, products, mixed = (_filled(product) for product in (observed.T @ observed, S.T @ S, S.T @ observed))
    else:
        pairs = products = mixed = np.zeros((0, 0))
    return phi.T @ phi, phi.T @ e, seen, score, eased, pairs, products, mixed


def _filled(product: Any) -> Array:
    return product.toarray() if scipy.sparse.issparse(product) else product


@dataclass(frozen=True, eq=False)
class KeptSums:
    """Sums kept with a router, from which it takes records in and out.

    Parameters
    ----------
    moments : Moments
    penalty : f64 (1,)
        Penalty of the regression on text, chosen when the router was fitted.
    """

    moments: Moments = several(Moments)
    penalty: Array = array("1", low=0, allow=("inf",))

    def take_llms(self, at: NDArray[np.int64]) -> None:
        """Sums do not outlast a change of the LLMs: what they say of a prompt's mean is of the former ones."""

    def grown(self, new: object) -> None:
        """See `take_llms`."""
