"""Mean score of each LLM in the prompt's cluster: RouterEval's C-RoBERTa."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.data import Dataset
from recroute.data.cells import CELLS_AT_ONCE
from recroute.routers.base import Prompts, Scores, TextRouter, fitted, setting
from recroute.routers.mixture import fit_mixture, log_densities
from recroute.util.numeric import AnyArray, Index

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs


@dataclass(kw_only=True)
class Cluster(TextRouter):
    """Predicts each LLM's mean score over the training prompts in the prompt's most likely mixture component.

    The clusters are the components of a Gaussian mixture with full covariances on the prompt vectors (scikit-learn's
    defaults). Means are over observed cells; an LLM without any in a cluster gets its overall training mean. The fit
    runs on one thread, because the order in which the threads of the initial k-means sum is not fixed.
    Source: RouterEval, arXiv 2503.10657 (C-RoBERTa, there on RoBERTa's vectors).
    """

    name: ClassVar[str] = "cluster"
    kind: ClassVar[str] = "neighbours"
    takes_unseen_llms: ClassVar[bool] = True

    n_clusters: int = setting(3, low=1, help="components of the Gaussian mixture")

    share_: NDArray[np.float64] = fitted("n_clusters", low=0)
    center_: NDArray[np.float64] = fitted("n_clusters", "width")
    precision_: NDArray[np.float64] = fitted("n_clusters", "width", "width")
    cluster_mean_: NDArray[np.float32] = fitted("n_clusters", "n_llms")
    member_: NDArray[np.int64] = fitted("n_prompts", kind="int", below="n_clusters", for_unseen=True)

    def _fit(self, train: Dataset) -> None:
        seen = np.flatnonzero(train.interactions.instance_counts)  # instances with a record
        vectors = self.vectors(train)[seen].astype(np.float64)
        k = min(self.n_clusters, len(seen))
        with threadpool_limits(limits=1):  # with fewer distinct prompts than clusters some stay empty
            (self.share_, self.center_, self.precision_), self.member_ = fit_mixture(vectors, k, self.seed)
        scores = train.interactions.take_instances(seen)
        total, count = np.zeros((2, k, scores.n_llms))
        step = max(1, CELLS_AT_ONCE // (8 * scores.n_llms))
        for rows in (slice(start, start + step) for start in range(0, len(seen), step)):
            chosen = np.eye(k)[self.member_[rows]].T  # (k, b)
            observed, mask = scores.block(rows)
            total += chosen @ observed  # (k, b) x (b, m)
            count += chosen @ mask
        self.cluster_mean_ = np.where(count > 0, total / np.maximum(count, 1), self.llm_mean_).astype(np.float32)

    def _llm_entries(self, new: NewLLMs) -> dict[str, AnyArray]:
        """Cluster means of the scores expected on every training prompt."""
        k = len(self.share_)
        chosen = sp.csr_matrix((np.ones(len(self.member_)), (self.member_, np.arange(len(self.member_)))))
        chosen.resize(k, len(self.member_))
        size = np.bincount(self.member_, minlength=k)[:, None]
        mean = np.where(size > 0, chosen @ new.posterior.columns / np.maximum(size, 1), new.posterior.mean)
        return {"cluster_mean_": mean}

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        vectors = self.vectors(prompts).astype(np.float64)
        mixture = (self.share_, self.center_, self.precision_)
        member = log_densities(vectors, mixture).argmax(axis=1)  # (b,)
        return self.cluster_mean_[member][:, llm_index]

    def distribution(self, predicted: Scores) -> NDArray[np.float64]:
        """Probability 1 for the best LLM of the cluster, f64 (b, m).

        RouterEval weighs the best LLMs of all clusters by the mixture's responsibilities. In the hundreds of dimensions
        of a prompt vector these are 0 and 1 to four decimals.
        """
        shares = np.zeros(predicted.shape)
        shares[np.arange(len(predicted)), predicted.argmax(axis=1)] = 1
        return shares
