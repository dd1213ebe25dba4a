"""Scores of neighbouring prompts, averaged over similar LLMs (the library implicit)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.retrieval import Neighbors
from recroute.routers.base import Prompts, TextRouter, fitted, setting
from recroute.routers.residual import residual_scores
from recroute.util.numeric import Index


@dataclass(kw_only=True)
class ItemKNN(TextRouter):
    """Item-item collaborative filtering for prompts without scores, which borrow those of their text neighbours.

    ``predicted[x,l] = mean[l] + mean over neighbours i of x of (ease[i] + sum over l' of w[l,l'] residual[i,l'])``

    `residual_scores` defines mean, ease and residual; an unobserved residual counts as 0, the expectation from mean and
    ease. The weights w are cosines of the LLMs' residuals over the training instances, from implicit's
    ItemItemRecommender: those of the most similar LLMs, including the LLM itself (cosine 1), without negative ones,
    normalised to sum to 1. With one similar LLM this is kNN on residuals.
    Source: Sarwar et al., Item-based collaborative filtering recommendation algorithms, WWW 2001.
    """

    name: ClassVar[str] = "item_knn"
    kind: ClassVar[str] = "neighbours"
    takes_unseen_llms: ClassVar[bool] = True

    n_neighbors: int = setting(100, low=1, help="training prompts to average over")
    n_similar: int = setting(20, low=1, help="similar LLMs to average over, including the LLM itself")

    vectors_: NDArray[np.float32] = fitted("n_rows", "width")
    surplus_: NDArray[np.float32] = fitted("n_rows", "n_llms")

    def _fit(self, train: Dataset) -> None:
        assert train.embeddings is not None
        _, ease, residual = residual_scores(train)
        known = np.nan_to_num(residual)
        smooth = known @ similar_llms(known, self.n_similar).T  # (n, m) x (m, m)
        self.vectors_ = train.embeddings
        self.surplus_ = (ease[:, None] + smooth).astype(np.float32)
        self._prepare()

    def _prepare(self) -> None:
        self._neighbors = Neighbors(self.vectors_)

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        if not hasattr(self, "_neighbors"):
            self._prepare()
        near, _ = self._neighbors.search(self.vectors(prompts), self.n_neighbors)  # (b, k)
        b, k = near.shape
        share = np.full(b * k, 1 / k, dtype=np.float32)
        chosen = sp.csr_matrix((share, near.ravel(), np.arange(0, b * k + 1, k)), shape=(b, len(self.vectors_)))
        surplus = chosen @ self.surplus_[:, llm_index]  # (b, n) x (n, m)
        return self.llm_mean_[llm_index] + surplus


def similar_llms(residual: NDArray[np.float64], n_similar: int) -> sp.csr_matrix:
    """Weights of the most similar LLMs for each LLM.

    Parameters
    ----------
    residual : f64 (n, m)
        0 where unobserved.
    n_similar : int

    Returns
    -------
    scipy.sparse.csr_matrix f64 (m, m)
        Non-negative, at most `n_similar` per row, rows sum to 1; an LLM without residuals is similar to itself only.
    """
    from implicit.nearest_neighbours import ItemItemRecommender

    length = np.linalg.norm(residual, axis=0)
    unit = sp.csr_matrix(residual / np.where(length > 0, length, 1))
    # the result does not depend on the number of threads, because each LLM is computed by one
    model = ItemItemRecommender(K=n_similar, num_threads=1)
    model.fit(unit, show_progress=False)
    cosine = model.similarity.astype(np.float64).maximum(0) + sp.diags((length == 0).astype(np.float64))
    return sp.csr_matrix(sp.diags(1 / np.asarray(cosine.sum(axis=1)).ravel()) @ cosine)
