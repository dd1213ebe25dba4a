"""Several routers, averaged with weights from prompts that they were not fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.routers.base import Instances, Scores, fitted, setting
from recroute.routers.parts import Composite, out_of_fold

Array = NDArray[np.float64]
DEFAULT_PARTS = "best_single + hierarchy + ridge + knn(n_neighbors=100,views=all)"


@dataclass(kw_only=True)
class Blend(Composite):
    """Predicts a weighted mean of its parts' predictions, with weights of at least 0 that sum to 1 (stacking).

    The weights have the least squared error on training prompts that the parts were not fitted on, where both scores
    and predictions are taken less their mean over the prompt's LLMs: how hard a prompt is tells nothing about which
    LLM to take. There are as many weights as parts, whatever the number of LLMs, so they cannot be fitted to noise
    where LLMs are many and prompts few; with `best_single` among the parts, parts that predict nothing get no weight.
    Source: Breiman, Stacked regressions, Machine Learning 1996.
    """

    name: ClassVar[str] = "blend"
    kind: ClassVar[str] = "composite"

    parts: str = setting(DEFAULT_PARTS, help="routers, joined by +")

    weight_: Array = fitted()

    def part_names(self) -> Sequence[str]:
        return [name.strip() for name in self.parts.split("+")]

    def _fit(self, train: Dataset) -> None:
        seen = np.flatnonzero(np.diff(train.interactions.scores.indptr))
        train = train.take_instances(seen)
        parts = self.make_parts()
        predicted = out_of_fold(parts, train, self.n_folds, self.seed)
        self.weight_ = stacking_weights(predicted, train.interactions.dense())
        self.parts_ = [part.fit(train) for part in parts]

    def _score(self, instances: Instances, llm_index: NDArray[np.int64]) -> Scores:
        found = np.zeros((1, len(llm_index)))
        for weight, part in zip(self.weight_, self.parts_, strict=True):
            if weight > 0:
                found = found + weight * part.score(instances, llm_index)
        return found.astype(np.float32)


def stacking_weights(predicted: NDArray[np.float32], scores: NDArray[np.float32]) -> Array:
    """Weights f64 (p,), at least 0 and of sum 1, of predictions f32 (p, n, m) for scores f32 (n, m), NaN unobserved."""
    from scipy.optimize import nnls

    observed = ~np.isnan(scores)
    count = observed.sum(axis=1, keepdims=True)

    def centred(block: NDArray[np.float32]) -> Array:
        """Observed cells less their row's mean, as f64 (cells,)."""
        cells = np.where(observed, block, 0).astype(np.float64)
        cells -= np.where(observed, cells.sum(axis=1, keepdims=True) / count, 0)
        return np.asarray(cells[observed])

    columns = np.stack([centred(block) for block in predicted])  # (p, cells)
    target = centred(scores)
    gram, product = columns @ columns.T, columns @ target
    # a row of large weight makes the weights sum to 1
    heavy = 1e3 * np.sqrt(max(gram.max(), 1e-12))
    value, basis = np.linalg.eigh(gram)
    root = np.sqrt(value.clip(min=1e-12 * max(value[-1], 1e-12)))
    A = np.vstack([root[:, None] * basis.T, np.full((1, len(gram)), heavy)])  # A' A = gram + heavy
    b = np.concatenate([(basis.T @ product) / root, [heavy]])
    weight, _ = nnls(A, b)
    return np.asarray(weight / weight.sum())
