"""Mean score of each LLM on the nearest training prompts: RouterEval's PRknn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recroute.data import Dataset, InteractionMatrix
from recroute.retrieval import Neighbors
from recroute.routers.base import Instances, Scores, TextRouter, fitted, setting

if TYPE_CHECKING:
    from recroute.routers.unseen.new_llms import NewLLMs


@dataclass(kw_only=True)
class KNN(TextRouter):
    """Predicts the mean of the observed scores of the nearest training prompts by cosine (exact, FAISS).

    Where an LLM was not given one of them, its train mean stands in. With 5 neighbours and 0/1 scores only six values
    occur, so large pools are full of ties, which go to the higher train mean, then the lower index.
    Source: RouterEval, arXiv 2503.10657 (PRknn).
    """

    name: ClassVar[str] = "knn"
    kind: ClassVar[str] = "neighbours"
    takes_unseen_llms: ClassVar[bool] = True

    n_neighbors: int = setting(5, low=1, help="training prompts to average over")

    vectors_: NDArray[np.float32] = fitted()
    data_: NDArray[np.float32] = fitted()
    indices_: NDArray[np.int32] = fitted()
    indptr_: NDArray[np.int32] = fitted()

    def _fit(self, train: Dataset) -> None:
        assert train.embeddings is not None
        scores = train.interactions.scores
        self.vectors_ = train.embeddings
        self.data_ = scores.data
        self.indices_ = scores.indices
        self.indptr_ = scores.indptr
        self._prepare()

    def _prepare(self) -> None:
        """What is derived from the fitted arrays: the index, the scores, and which cells were observed."""
        shape = (len(self.vectors_), len(self.llm_ids_))
        scores = sp.csr_matrix((self.data_, self.indices_, self.indptr_), shape=shape)
        ones = sp.csr_matrix((np.ones_like(self.data_), self.indices_, self.indptr_), shape=shape)
        self._neighbors = Neighbors(self.vectors_)
        self._scores = scores
        self._ones = ones

    def _add_llms(self, new: NewLLMs) -> None:
        """With the scores that are expected of them on every training prompt, the observed ones as they are."""
        m, j = len(self.llm_ids_), len(new.llm_ids)
        rows = np.flatnonzero(np.diff(self.indptr_))  # the prompts with a record, which are the posterior's rows
        at = np.repeat(self.indptr_[rows + 1], j)  # where each of their rows ends
        self.data_ = np.insert(self.data_, at, new.posterior.columns.ravel())
        self.indices_ = np.insert(self.indices_, at, np.tile(np.arange(m, m + j), len(rows)))
        grown = np.zeros_like(self.indptr_)
        grown[rows + 1] = j
        self.indptr_ = self.indptr_ + grown.cumsum(dtype=self.indptr_.dtype)
        super()._add_llms(new)
        vars(self).pop("_neighbors", None)

    def _take_llms(self, kept: NDArray[np.int64]) -> None:
        shape = (len(self.vectors_), len(self.llm_ids_))
        scores = InteractionMatrix.from_csr(sp.csr_matrix((self.data_, self.indices_, self.indptr_), shape=shape))
        scores = scores.take_llms(kept)
        self.data_, self.indices_, self.indptr_ = scores.scores.data, scores.scores.indices, scores.scores.indptr
        super()._take_llms(kept)
        vars(self).pop("_neighbors", None)

    def _score(self, instances: Instances, llm_index: NDArray[np.int64]) -> Scores:
        if not hasattr(self, "_neighbors"):
            self._prepare()
        near, _ = self._neighbors.search(self.vectors(instances), self.n_neighbors)  # (b, k)
        b, k = near.shape
        chosen = sp.csr_matrix(
            (np.ones(b * k, dtype=np.float32), near.ravel(), np.arange(0, b * k + 1, k)),
            shape=(b, len(self.vectors_)),
        )
        total = (chosen @ self._scores).toarray()[:, llm_index]  # (b, n) x (n, m) -> (b, m)
        count = (chosen @ self._ones).toarray()[:, llm_index]
        mean = self.llm_mean_[llm_index].astype(np.float32)
        predicted: Scores = (total + (k - count) * mean) / np.float32(k)
        return predicted
