"""How well each LLM's scores, in their order and in others, agree with those of the other LLMs.

An LLM's scores y, standardised within each task, are taken as a draw from a Gaussian process over instances,

``y ~ N(0, s^2 (I + a K))``  with  ``K = Z Z^T / p``,

where Z (n, p) holds those of p other LLMs: instances that the others find alike hard, or that alike
LLMs solve, have alike scores. Weak LLMs have next to no difficulty in common with the rest, but with LLMs of their
kind; where LLMs are many, the others are therefore all of them or those of one family. The likelihood, with s^2 at its
maximum and averaged over the amplitudes a and over what the others may be, has a logarithm; this, less that of a = 0,
is the *fit*. The fit in another order less the fit in the present one is a log-likelihood ratio. By Markov's
inequality an LLM whose rows are in their order exceeds T with a probability of at most exp(-T) in each other order,
which is what bounds the number of false accusations among many LLMs and orders.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.data.doctor._order import LOST, ORDERS
from recroute.util.numeric import Array, Floats, Index

AMPLITUDES = np.array([0, 0.01, 0.03, 0.1, 0.3, 1, 3, 10])
MIN_OF_EACH = 10  # successes and failures in a task; where there are fewer they are scaled as if there were as many
N_DIRECTIONS = 64  # of Z, the main ones
N_FAMILIES, N_DIRECTIONS_OF_FAMILY = 16, 16
N_FOLDS = 10  # an LLM is judged by LLMs of the other folds
MANY = 400  # LLMs, from which on there are few folds
PRESENT = -1  # as an index into ORDERS: the order that the rows are in
N_REFERENCES = 200  # LLMs that all are compared with to find the first to trust
RELATED = 5.0  # standard errors above 0 of a correlation, from which on two LLMs agree
AS_GOOD_AS_SURE = 20.0  # more standard errors count as these
MIN_TRUSTED = 0.2  # share of the LLMs

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Basis:
    """Eigenvalues f64 (d,) of K among some rows, about their task means, and its eigenvectors f32 (k, d)."""

    values: Array
    vectors: Floats

    @classmethod
    def of(cls, root: Floats) -> Basis:
        """From a square root of K, f32 (k, d)."""
        values, rotation = np.linalg.eigh(root.T.astype(np.float64) @ root)
        kept = values > 1e-6 * values.max(initial=1e-6)
        return cls(values[kept], root @ (rotation[:, kept] / np.sqrt(values[kept])).astype(np.float32))

    def fit(self, y: Floats) -> Array:
        """Log-likelihood of standardised columns f32 (k, b) over that of scores that agree with nobody, f64 (b,)."""
        total = np.maximum((y.astype(np.float64) ** 2).sum(axis=0), 1e-9)  # the number of scores that tell anything
        along = (self.vectors.T @ y).astype(np.float64) ** 2 / total  # (d, b)
        signal = AMPLITUDES[:, None] * self.values  # (amplitudes, d)
        left = np.maximum(1 - (signal / (1 + signal)) @ along, 1e-9)  # (amplitudes, b)
        log_likelihood = -total / 2 * np.log(left) - np.log1p(signal).sum(axis=1, keepdims=True) / 2
        return np.logaddexp.reduce(log_likelihood, axis=0) - np.log(len(AMPLITUDES))


class Others:
    """What the others of an LLM may be, each in some rows.

    Parameters
    ----------
    roots : list of f32 (k, d)
        Square roots of K.
    task : int (k,)
    """

    def __init__(self, roots: list[Floats], task: Index) -> None:
        self._bases = [Basis.of(_centred(root, task)) for root in roots]

    def fit(self, y: Floats) -> Array:
        """As `Basis.fit`, the likelihood averaged over what the others may be."""
        fit: Array = np.logaddexp.reduce([basis.fit(y) for basis in self._bases], axis=0) - np.log(len(self._bases))
        return fit


class Scores:
    """Scores of LLMs that can be put into other orders.

    Parameters
    ----------
    scores : f32 (n, m)
        NaN where unobserved.
    task : int (n,)
    """

    def __init__(self, scores: Floats, task: Index) -> None:
        self.observed, self.raw, self.task = ~np.isnan(scores), np.nan_to_num(scores), task
        self.n, self.m = scores.shape
        self.groups = _patterns(self.observed)

    def placed(self, place: Index) -> Floats:
        """Scores standardised within tasks, 0 where unobserved, each LLM in its order, f32 (n, m).

        Parameters
        ----------
        place : int (m,)
            Index of each LLM's order in ORDERS, or PRESENT.
        """
        values = np.zeros((self.n, self.m), dtype=np.float32)
        for rows, llms in self.groups:
            for i in np.unique(place[llms]):
                own = llms[place[llms] == i]
                at = rows if i == PRESENT else ORDERS[i].true_rows(rows, self.task)
                values[:, own] = self._moved(rows, own, at, self.task)
        return values

    def evidence(self, place: Index, trusted: Flags, known: Flags, asked: Flags) -> tuple[Array, Array]:
        """Fit of the LLMs asked about in their present order, f64 (m,), and the gain of each other, f64 (orders, m).

        Parameters
        ----------
        place : int (m,)
            The order that each LLM's scores are thought to be in, when others are judged by them.
        trusted : bool (m,)
            The LLMs that others are judged by.
        known : bool (m,)
            The LLMs whose order is known: others are judged by families of them too, where they are many.
        asked : bool (m,)
            The LLMs to judge; the fit of others is 0, their gain -inf.
        """
        present, gain = np.zeros(self.m), np.full((len(ORDERS), self.m), -np.inf)
        values = self.placed(place)
        fold = np.arange(self.m) % (min(N_FOLDS, self.m) if self.m <= MANY else 2)
        incomplete = ~self.observed.all(axis=0)
        for f in np.unique(fold[asked]):
            roots = [_directions(values[:, trusted & (fold != f)], N_DIRECTIONS)]
            if np.count_nonzero(known) > MANY:
                roots += _families(values[:, known & (fold != f)])
            own = asked & (fold == f)
            for rows, llms in self.groups:
                if own[llms].any() and len(rows):
                    self._judge(rows, llms[own[llms]], roots, present, gain)
            if (own & incomplete).any():
                self._judge_with_gaps(np.flatnonzero(own & incomplete), roots, gain)
        return present, gain

    def _judge(self, rows: Index, llms: Index, roots: list[Floats], present: Array, gain: Array) -> None:
        """Fill in the LLMs with scores at `rows`, in orders of the observed rows."""
        task = self.task[rows]
        others = Others([root[rows] for root in roots], task)
        present[llms] = others.fit(self._moved(rows, llms, np.arange(len(rows)), task))
        for i, at in _places(task, observed_only=True):
            gain[i, llms] = others.fit(self._moved(rows, llms, at, task)) - present[llms]

    def _judge_with_gaps(self, llms: Index, roots: list[Floats], gain: Array) -> None:
        """Fill in LLMs with gaps, in orders that moved the gaps too; in the fit a gap is a score at the mean."""
        others = Others(roots, self.task)
        present = others.fit(self._with_gaps(llms, np.arange(self.n)))
        for i, at in _places(self.task, observed_only=False):
            gain[i, llms] = others.fit(self._with_gaps(llms, at)) - present

    def _moved(self, rows: Index, llms: Index, at: Index, task: Index) -> Floats:
        """Scores at `rows` of LLMs observed there, moved to places `at` of a column whose tasks are `task`."""
        kept = at != LOST
        values = np.zeros((len(task), len(llms)), dtype=np.float32)
        values[at[kept]] = _standardised(self.raw[np.ix_(rows[kept], llms)], task[at[kept]])
        return values

    def _with_gaps(self, llms: Index, at: Index) -> Floats:
        kept = at != LOST
        values, seen = (np.zeros((self.n, len(llms)), dtype=np.float32) for _ in range(2))
        values[at[kept]], seen[at[kept]] = self.raw[np.ix_(kept, llms)], self.observed[np.ix_(kept, llms)]
        return _standardised(values, self.task, seen)

    def in_one_order(self) -> Flags:
        """LLMs to trust at first, bool (m,): those in the order of the LLM to which most others can be brought.

        Where many LLMs are in rank order they agree with one another, and the mean of all shows little. But no
        rank order brings an LLM whose rows are in their order to one whose rows are not.
        """
        references = np.unique(np.linspace(0, self.m - 1, min(self.m, N_REFERENCES)).astype(int))
        part = Scores(np.where(self.observed, self.raw, np.nan)[:, references], self.task)
        seen = part.observed.astype(np.float32)
        n_common = np.sqrt(seen.T @ seen)

        def unit(place: int) -> Floats:
            values = part.placed(np.full(part.m, place))
            return values / np.maximum(np.linalg.norm(values, axis=0), 1e-6)

        present = unit(PRESENT)
        as_it_is = best = (present.T @ present) * n_common  # z-scores (m, m) of LLMs put in order, and as they are
        for i in range(len(ORDERS)):
            best = np.maximum(best, (unit(i).T @ present) * n_common)
        np.fill_diagonal(best, 0)
        support = np.where(best > RELATED, np.minimum(best, AS_GOOD_AS_SURE), 0).sum(axis=0)
        trusted = np.zeros(self.m, dtype=np.bool_)
        trusted[references] = as_it_is[support.argmax()] > RELATED
        enough = max(2, MIN_TRUSTED * len(references))
        return trusted if np.count_nonzero(trusted) >= enough else np.ones(self.m, dtype=np.bool_)


def item_rest_correlation(scores: Scores, place: Index, trusted: Flags) -> Floats:
    """Correlation within tasks of each LLM's scores with the sum of the trusted LLMs', itself left out, f32 (m,)."""
    values = scores.placed(place)
    rest = values[:, trusted].sum(axis=1)[:, None] - np.where(trusted, values, 0)
    for rows, llms in scores.groups:
        here = np.zeros((scores.n, len(llms)), dtype=np.float32)
        here[rows] = _centred(rest[np.ix_(rows, llms)], scores.task[rows])
        rest[:, llms] = here
    norm = np.linalg.norm(values, axis=0) * np.linalg.norm(rest, axis=0)
    correlation: Floats = (values * rest).sum(axis=0) / np.maximum(norm, 1e-6)
    return correlation


def _patterns(observed: Flags) -> list[tuple[Index, Index]]:
    """Groups of LLMs with a score for the same instances: (rows, LLMs) of each."""
    packed = np.packbits(observed, axis=0).T
    _, group = np.unique(packed, axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(group.ravel()[order])) + 1)
    return [(np.flatnonzero(observed[:, llms[0]]), llms) for llms in parts]


def _directions(values: Floats, n_directions: int) -> Floats:
    """A square root of K in its main directions, f32 (n, d), from standardised scores (n, p)."""
    z = values[:, values.any(axis=0)] / np.float32(np.sqrt(max(values.shape[1], 1)))
    if z.shape[1] <= n_directions:
        return z
    from sklearn.utils.extmath import randomized_svd

    u, s, _ = randomized_svd(z, n_directions, random_state=0)
    root: Floats = u * s
    return root


def _families(values: Floats) -> list[Floats]:
    """Square roots of the K of families of LLMs with alike scores, each f32 (n, d), from standardised scores (n, p)."""
    from sklearn.cluster import KMeans
    from sklearn.utils.extmath import randomized_svd

    unit = values / np.maximum(np.linalg.norm(values, axis=0), 1e-6)
    _, s, llms = randomized_svd(unit, N_DIRECTIONS, random_state=0)
    with threadpool_limits(limits=1):  # OpenMP too, which may be loaded only now
        family = KMeans(N_FAMILIES, n_init=1, random_state=0).fit_predict((s[:, None] * llms).T)
    return [_directions(values[:, family == f], N_DIRECTIONS_OF_FAMILY) for f in np.unique(family)]


def _standardised(values: Floats, task: Index, seen: Floats | None = None) -> Floats:
    """Values (k, b) with mean 0 and variance 1 within each task; those that are not seen count for nothing."""
    member, count = _members(task, seen)
    centred = _centred(values, task, seen)
    variance = (member @ centred**2) / count
    lowest = MIN_OF_EACH * (centred**2).max(axis=0, initial=0) / count
    scaled: Floats = centred / np.sqrt(np.maximum(np.maximum(variance, lowest), 1e-9))[task]
    return scaled


def _centred(values: Floats, task: Index, seen: Floats | None = None) -> Floats:
    """Values (k, b) less their means in each task; those that are not seen count for nothing and stay 0."""
    member, count = _members(task, seen)
    centred: Floats = values - ((member @ values) / count)[task]
    return centred if seen is None else centred * seen


def _members(task: Index, seen: Floats | None) -> tuple[sp.csr_matrix, Floats]:
    """Indicators of the tasks f32 (t, k), and how many values of each are seen, at least 1, f32 (t, 1) or (t, b)."""
    k = len(task)
    member = sp.csr_matrix((np.ones(k, dtype=np.float32), (task, np.arange(k))), shape=(task.max(initial=0) + 1, k))
    return member, np.maximum(member @ (np.ones((k, 1), dtype=np.float32) if seen is None else seen), 1)


def _places(task: Index, *, observed_only: bool) -> Iterator[tuple[int, Index]]:
    """The orders that move most of the places whose tasks are `task`, each once: (index into ORDERS, places)."""
    place = np.arange(len(task))
    for i, order in enumerate(ORDERS):
        if order.observed_only != observed_only:
            continue
        at = order.places(task)
        if order.padded and LOST not in at:  # no rank needed padding
            continue
        if np.count_nonzero(at != place) > len(place) / 2:
            yield i, at
