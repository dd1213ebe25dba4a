"""Mean score of each LLM in the prompt's cluster: UniRoute."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.data import Dataset
from recroute.routers.base import Prompts, TextRouter, fitted, setting
from recroute.routers.logistic import is_clear
from recroute.routers.sums.moments import Moments
from recroute.util.memo import Memo
from recroute.util.numeric import AnyArray, Array, Index

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs

N_CLUSTERS = (4, 8, 16, 32, 64)  # candidates for n_clusters
STRENGTHS = (np.inf, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0)  # candidates for strength, strongest shrinkage first


@dataclass(kw_only=True)
class KMeans(TextRouter):
    """Predicts each LLM's mean plus its deviation in the prompt's cluster, shrunk according to the number of records.

    Prompt vectors are clustered by k-means. A score is modelled as the LLM's mean (standardised, `llm_means`), plus the
    prompt's ease (shared by all LLMs), plus a residual. An LLM's feature in a cluster is the mean residual of its n
    records there, times n / (n + strength); the ease of a cluster is shrunk in the same way. With strength 0 and
    complete data these are UniRoute's features, the cluster means. The number of clusters and the strength minimise the
    leave-one-out squared error, which has a closed form. If that is not clearly better than the LLMs' means, the means
    alone are used.
    Source: UniRoute, arXiv 2502.08773.
    """

    name: ClassVar[str] = "kmeans"
    kind: ClassVar[str] = "clusters"
    takes_unseen_llms: ClassVar[bool] = True
    sums_over: ClassVar[str] = "scores"

    n_clusters: int | None = setting(None, low=1, help="number of clusters; none: chosen by leave-one-out")
    strength: float | None = setting(
        None, low=0, help="shrinkage towards the LLM's mean, in records of a cluster; none: chosen by leave-one-out"
    )

    centres_: NDArray[np.float32] = fitted("n_clusters", "width")
    feature_: NDArray[np.float32] = fitted("n_clusters", "n_llms")
    label_: NDArray[np.int64] = fitted("n_prompts", kind="int", below="n_clusters", for_unseen=True)
    ease_: NDArray[np.float32] = fitted("n_prompts", "1", for_unseen=True)
    shared_: NDArray[np.float64] = fitted("n_clusters", "1", for_unseen=True)  # ease of each cluster
    strength_: NDArray[np.float64] = fitted("1", low=0, allow=("inf",), for_unseen=True)

    def _fit(self, train: Dataset) -> None:
        seen = np.flatnonzero(train.interactions.instance_counts)
        X = self.vectors(train)[seen]
        block = train.interactions.take_instances(seen).dense()
        observed = (~np.isnan(block)).astype(np.float32)
        rest = np.where(observed > 0, block - self.llm_mean_.astype(np.float32), 0)
        ease = rest.sum(axis=1, keepdims=True) / observed.sum(axis=1, keepdims=True)  # (n, 1)
        rest = (rest - ease) * observed
        n_distinct = len(np.unique(X, axis=0))
        numbers = N_CLUSTERS if self.n_clusters is None else (self.n_clusters,)
        strengths = STRENGTHS if self.strength is None else (self.strength,)
        candidates = []
        for n_clusters in sorted({min(number, n_distinct) for number in numbers}):
            centres, label = _cluster(X, np.array(n_clusters), np.array(self.seed))
            strength, error = choose_strength(label, rest, observed, strengths)
            candidates.append((error.sum(), centres, label, strength, error))
        _, centres, label, strength, error = min(candidates, key=lambda each: each[0])
        if self.strength is None and not is_clear((rest**2).sum(axis=1) - error):
            strength = np.inf
        ones = np.ones_like(ease)
        shared, _ = choose_strength(label, ease, ones, STRENGTHS)
        feature = shrunk_means(label, rest, observed, strength, len(centres))
        self.shared_ = shrunk_means(label, ease, ones, shared, len(centres))
        self.centres_, self.label_, self.ease_, self.strength_ = centres, label, ease, np.array([strength])
        self.feature_ = (self.llm_mean_ + feature + self.shared_).astype(np.float32)

    def sum_features(self, prompts: Prompts) -> Array:
        """Indicators of the prompts' clusters."""
        return np.eye(len(self.centres_))[nearest(self.vectors(prompts), self.centres_)]

    def take_moments(self, moments: Moments, penalty: float) -> None:
        """The clusters' means, shrunk as chosen in the fit; a prompt's ease counts from the mean of its LLMs."""
        t = len(moments.tasks)
        seen, size = moments.seen[t:], moments.gram.diagonal()[t:, None]
        expected = (seen @ self.llm_mean_)[:, None] / np.maximum(seen.sum(axis=1, keepdims=True), 1)
        ease = moments.level[t:, None] - size * expected  # (c, 1), summed over the prompts of a cluster
        rest = moments.score[t:] - seen * (self.llm_mean_ + ease / np.maximum(size, 1))
        shared, _ = choose_strength(self.label_, self.ease_, np.ones_like(self.ease_), STRENGTHS)
        self.shared_ = ease / np.maximum(size + shared, 1e-9)
        feature = rest / np.maximum(seen + self.strength_[0], 1e-9)
        self.feature_ = (self.llm_mean_ + feature + self.shared_).astype(np.float32)

    def _llm_entries(self, new: NewLLMs) -> dict[str, AnyArray]:
        """Features computed from the scores expected on every training prompt, as if observed."""
        mean = new.posterior.columns.mean(axis=0)
        rest = new.posterior.columns - mean - self.ease_
        feature = shrunk_means(self.label_, rest, np.ones_like(rest), self.strength_[0], len(self.centres_))
        return {"feature_": mean + feature + self.shared_}

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        return self.feature_[nearest(self.vectors(prompts), self.centres_)][:, llm_index]


def cluster(X: NDArray[np.float32], n_clusters: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Centres f32 (c, d) of a k-means clustering of X f32 (n, d) on one thread, and each row's nearest, int (n,)."""
    from sklearn.cluster import KMeans as Lloyd
    from sklearn.exceptions import ConvergenceWarning

    with threadpool_limits(limits=1), warnings.catch_warnings():  # threads sum in no fixed order
        warnings.simplefilter("ignore", ConvergenceWarning)  # raised if there are fewer distinct vectors than clusters
        model = Lloyd(n_clusters, n_init=3, random_state=seed).fit(X)
    centres = model.cluster_centers_.astype(np.float32)
    return centres, nearest(X, centres)


_cluster = Memo(lambda X, n_clusters, seed: cluster(X, int(n_clusters), int(seed)), max_cells=1 << 26)


def nearest(X: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    """Index int (b,) of the nearest of `centres` f32 (c, d) for each row of X f32 (b, d)."""
    return np.argmin((centres**2).sum(axis=1) - 2 * X @ centres.T, axis=1)


def totals(label: NDArray[np.int64], values: AnyArray, n_clusters: int) -> AnyArray:
    """Sum of the rows of `values` (n, m) in each cluster, f64 (c, m)."""
    import scipy.sparse as sp

    member = sp.csr_matrix((np.ones(len(label)), (label, np.arange(len(label)))), shape=(n_clusters, len(label)))
    return member @ values.astype(np.float64)


def shrunk_means(label: Index, values: AnyArray, observed: AnyArray, strength: float, n_clusters: int) -> AnyArray:
    """Mean of the observed values in each cluster times n / (n + strength), f64 (c, m).

    Parameters
    ----------
    label : int (n,)
        Cluster of each row.
    values : float (n, m)
        0 where unobserved.
    observed : float (n, m)
    strength : float
    n_clusters : int
    """
    return totals(label, values, n_clusters) / np.maximum(totals(label, observed, n_clusters) + strength, 1e-9)


def choose_strength(
    label: Index, values: AnyArray, observed: AnyArray, strengths: Sequence[float]
) -> tuple[float, AnyArray]:
    """Choose the strength whose shrunk means best predict each row from the other rows of its cluster.

    Parameters
    ----------
    label : int (n,)
    values, observed : float (n, m)
        As in `shrunk_means`.
    strengths : list of float
        Candidates; ties go to the first.

    Returns
    -------
    strength : float
    errors : f64 (n,)
        Sum of squared leave-one-out errors over the observed cells of each row.
    """
    n_clusters = int(label.max()) + 1
    others = totals(label, values, n_clusters)[label] - values  # (n, m): cluster sums without the row itself
    count = totals(label, observed, n_clusters)[label] - observed
    errors = []
    for strength in strengths:
        predicted = others / np.maximum(count + strength, 1e-9)
        errors.append((((values - predicted) * observed) ** 2).sum(axis=1))
    best = int(np.argmin([error.sum() for error in errors]))
    return float(strengths[best]), errors[best]
