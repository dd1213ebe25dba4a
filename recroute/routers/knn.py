"""Mean score of each LLM on the nearest training prompts: RouterEval's PRknn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, InteractionMatrix
from recroute.data.cells import CELLS_AT_ONCE, CELLS_IN_CACHE, row_blocks
from recroute.errors import RouterError
from recroute.retrieval import Neighbors
from recroute.routers.base import Prompts, Scores, TextRouter, fitted, setting
from recroute.util.numeric import Array, Index
from recroute.util.state import array, several
from recroute.util.threads import in_order

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs


@dataclass(frozen=True, eq=False)
class NeighborScores:
    """Scores of the training prompts: observed scores of the fitted LLMs, expected scores of LLMs added later.

    Parameters
    ----------
    known : InteractionMatrix (n, m)
        Scores of the LLMs in the fit.
    added_ : f32 (n, j)
        Scores of the added LLMs, NaN where a prompt has no record of any LLM.
    """

    known: InteractionMatrix = several(InteractionMatrix, prefix="scores.")
    added_: NDArray[np.float32] = array("n_rows", "n_added?", allow=("nan",))

    def grown(self, new: NewLLMs) -> NeighborScores:
        """Append new LLMs, with the scores expected of them on every training prompt."""
        columns = np.full((len(self.added_), len(new.llm_ids)), np.nan, dtype=np.float32)
        columns[self.known.instance_counts > 0] = new.posterior.columns  # rows: the prompts with a record
        return replace(self, added_=np.hstack([self.added_, columns]))

    def take_llms(self, at: NDArray[np.int64]) -> NeighborScores:
        m = self.known.n_llms
        return NeighborScores(self.known.take_llms(at[at < m]), self.added_[:, at[at >= m] - m])

    def take_instances(self, rows: NDArray[np.int64]) -> NeighborScores:
        return NeighborScores(self.known.take_instances(rows), self.added_[rows])

    def block(self, llm_index: NDArray[np.int64]) -> tuple[Scores, Scores]:
        """Scores f32 (n, m) of these LLMs, 0 where missing, and a mask f32 (n, m), 1 where there is a score."""
        own = llm_index < self.known.n_llms
        observed = self.known.take_llms(llm_index[own]).block(slice(None))
        if own.all():
            return observed
        scores, mask = np.empty((2, len(self.added_), len(llm_index)), dtype=np.float32)
        scores[:, own], mask[:, own] = observed
        expected = self.added_[:, llm_index[~own] - self.known.n_llms]
        scores[:, ~own], mask[:, ~own] = np.nan_to_num(expected), ~np.isnan(expected)
        return scores, mask


@dataclass(kw_only=True)
class KNN(TextRouter):
    """Predicts the mean score on the nearest training prompts by cosine (exact search).

    An LLM that was not run on a neighbour gets its training mean there. With 5 neighbours and 0/1 scores only six
    values are possible, so ties are frequent in large pools; they go to the higher training mean, then to the lower
    index. From sums over prompts it takes the LLMs' means; the neighbours are then those in the sample.
    Source: RouterEval, arXiv 2503.10657 (PRknn).
    """

    name: ClassVar[str] = "knn"
    kind: ClassVar[str] = "neighbours"
    takes_unseen_llms: ClassVar[bool] = True
    sums_over: ClassVar[str] = "scores"
    predicts_by_prompts: ClassVar[bool] = True

    n_neighbors: int = setting(5, low=1, help="training prompts to average over")

    vectors_: NDArray[np.float32] = fitted("n_rows", "width")
    scores_: NeighborScores = fitted(of=NeighborScores, prefix="")

    def _fit(self, train: Dataset) -> None:
        assert train.embeddings is not None
        self.vectors_ = train.embeddings
        self.scores_ = NeighborScores(train.interactions, np.empty((train.n_instances, 0), dtype=np.float32))
        vars(self).pop("_neighbors", None)

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        if not hasattr(self, "_neighbors"):
            self._neighbors = Neighbors(self.vectors_)
        near, _ = self._neighbors.search(self.vectors(prompts), self.n_neighbors)  # (b, k)
        b, k = near.shape
        rows, place = np.unique(near, return_inverse=True)
        place = place.reshape(b, k)
        mean, predicted = self.llm_mean_[llm_index].astype(np.float32), np.empty((b, len(llm_index)), dtype=np.float32)
        known = self.scores_.take_instances(rows)

        def average(at: slice) -> None:
            scores, mask = known.block(llm_index[at])
            count = k if mask.all() else _summed(mask, place)
            predicted[:, at] = (_summed(scores, place) + (k - count) * mean[at]) / np.float32(k)

        step = max(1, CELLS_AT_ONCE // max(len(rows), 1))
        for _ in in_order([slice(start, start + step) for start in range(0, len(llm_index), step)], average):
            pass
        return predicted

    def keep_prompts(self, kept: NDArray[np.int64]) -> None:
        rows = np.flatnonzero(self.scores_.known.instance_counts)[kept]
        self.vectors_, self.scores_ = self.vectors_[rows], self.scores_.take_instances(rows)
        vars(self).pop("_neighbors", None)

    def sum_features(self, prompts: Prompts) -> Array:
        return np.zeros((prompts.n, 0))

    def check_fitted(self, sizes: Mapping[str, int]) -> None:
        super().check_fitted(sizes)
        if self.scores_.known.n_llms + self.scores_.added_.shape[1] != sizes["n_llms"]:
            raise RouterError(f"the number of LLMs in the scores of {self.name} differs from its list of LLMs")
        seen = np.count_nonzero(self.scores_.known.instance_counts)
        if seen != sizes.get("n_prompts", seen):
            raise RouterError(f"the number of prompts in the scores of {self.name} differs from its training prompts")


def _summed(values: Scores, place: NDArray[np.int64]) -> Scores:
    """Sums f32 (b, m) of the rows of `values` f32 (n, m) at the places int (b, k)."""
    total = np.empty((len(place), values.shape[1]), dtype=np.float32)
    for at in row_blocks(len(place), place.shape[1] * values.shape[1], CELLS_IN_CACHE):
        total[at] = values[place[at]].sum(axis=1)
    return total
