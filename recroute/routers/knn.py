"""Mean score of each LLM on the nearest training prompts: RouterEval's PRknn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recroute.data import Dataset, InteractionMatrix
from recroute.data.cells import CELLS_AT_ONCE
from recroute.data.passes import in_order
from recroute.errors import RouterError
from recroute.retrieval import Neighbors
from recroute.routers.base import Instances, Scores, TextRouter, fitted, setting
from recroute.util.settings import fitted_group

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs


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

    vectors_: NDArray[np.float32] = fitted("n_rows", "width")
    scores_: InteractionMatrix = fitted_group("scores.", InteractionMatrix)  # of the LLMs it was fitted on
    added_: NDArray[np.float32] = fitted("n_rows", "n_added?", allow=("nan",))  # expected scores of LLMs added since

    def _fit(self, train: Dataset) -> None:
        assert train.embeddings is not None
        self.vectors_ = train.embeddings
        self.scores_ = train.interactions
        self.added_ = np.empty((train.n_instances, 0), dtype=np.float32)
        vars(self).pop("_neighbors", None)

    def _add_llms(self, new: NewLLMs) -> None:
        """With the scores that are expected of them on every training prompt, the observed ones as they are."""
        columns = np.full((len(self.vectors_), len(new.llm_ids)), np.nan, dtype=np.float32)
        columns[self.scores_.instance_counts > 0] = new.posterior.columns  # its rows: the prompts with a record
        self.added_ = np.hstack([self.added_, columns])
        super()._add_llms(new)

    def _take_llms(self, kept: NDArray[np.int64]) -> None:
        m = self.scores_.n_llms
        self.added_ = self.added_[:, kept[kept >= m] - m]
        self.scores_ = self.scores_.take_llms(kept[kept < m])
        super()._take_llms(kept)

    def _score(self, instances: Instances, llm_index: NDArray[np.int64]) -> Scores:
        if not hasattr(self, "_neighbors"):
            self._neighbors = Neighbors(self.vectors_)
        near, _ = self._neighbors.search(self.vectors(instances), self.n_neighbors)  # (b, k)
        b, k = near.shape
        rows, place = np.unique(near, return_inverse=True)
        chosen = sp.csr_matrix(
            (np.ones(b * k, dtype=np.float32), place.ravel(), np.arange(0, b * k + 1, k)), shape=(b, len(rows))
        )
        mean, predicted = self.llm_mean_[llm_index].astype(np.float32), np.empty((b, len(llm_index)), dtype=np.float32)
        known, added, m = self.scores_.take_instances(rows), self.added_[rows], self.scores_.n_llms

        def average(at: NDArray[np.int64]) -> None:
            if llm_index[at[0]] < m:
                scores, observed = known.take_llms(llm_index[at]).block(slice(None))
            else:
                scores = added[:, llm_index[at] - m]
                scores, observed = np.nan_to_num(scores), (~np.isnan(scores)).astype(np.float32)
            count = k if observed.all() else chosen @ observed  # (b, n) x (n, m) -> (b, m)
            predicted[:, at] = (chosen @ scores + (k - count) * mean[at]) / np.float32(k)

        step = max(1, CELLS_AT_ONCE // max(len(rows), 1))
        for columns in (np.flatnonzero(llm_index < m), np.flatnonzero(llm_index >= m)):
            for _ in in_order([columns[start : start + step] for start in range(0, len(columns), step)], average):
                pass
        return predicted

    def restored(self, sizes: Mapping[str, int]) -> None:
        super().restored(sizes)
        if self.scores_.n_llms + self.added_.shape[1] != len(self.llm_ids_):
            raise RouterError(f"{self.name} keeps scores of more or fewer LLMs than it names")
        seen = np.count_nonzero(self.scores_.instance_counts)
        if seen != sizes.get("n_prompts", seen):
            raise RouterError(f"{self.name} keeps scores of other prompts than its folder")
