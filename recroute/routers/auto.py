"""The default: several routers blended, held at the best single LLM unless another is clearly ahead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, InteractionMatrix
from recroute.data.cells import pass_over
from recroute.errors import RouterError
from recroute.routers.base import Prompts, Scores, fitted, setting
from recroute.routers.guarded import Guarded
from recroute.routers.parts import fit_parts
from recroute.util.numeric import Array, Index
from recroute.util.registry import split_outside

OF_PREFERENCES = "bradley_terry(views=all)"


@dataclass(kw_only=True)
class Auto(Guarded):
    """A weighted mean of the predictions of several routers (stacking), guarded as `guarded` does.

    The weights are at least 0, sum to 1 and have the least squared error on training prompts that the parts were not
    fitted on, where both scores and predictions are taken less their mean over the prompt's LLMs: how hard a prompt
    is tells nothing about which LLM to take. There are as many weights as parts, whatever the number of LLMs, so they
    cannot be fitted to noise where LLMs are many and prompts few; with `best_single` among the parts, parts that
    predict nothing get no weight. The guard is chosen on the same prompts.

    Where the data set has preferences, `bradley_terry` is one of the parts. Where it has nothing else, it is the only
    one, and its own cross-validation is the guard: text that does not clearly help there is given no weight.
    Source: Breiman, Stacked regressions, Machine Learning 1996.
    """

    name: ClassVar[str] = "auto"
    learns_from_preferences: ClassVar[bool] = True

    router: str = setting("best_single + hierarchy + knn(n_neighbors=100,views=all)", help="routers, joined by +")

    weight_: Array = fitted("n_parts", low=0, high=1 + 1e-6)
    part_names_: NDArray[np.str_] = fitted("n_parts", kind="text", older=None)

    def part_names(self) -> Sequence[str]:
        return self.part_names_.tolist() if hasattr(self, "part_names_") else split_outside(self.router, "+")

    def _fit(self, train: Dataset) -> None:
        names = split_outside(self.router, "+")
        if train.n_preferences and OF_PREFERENCES not in names:
            names.append(OF_PREFERENCES)
        if train.interactions.n_observed:
            self.part_names_ = np.array(names)
            super()._fit(train)
            return
        self.part_names_ = np.array([OF_PREFERENCES])
        self.parts_ = fit_parts(self.make_parts(), train)
        self.weight_ = np.ones(1)
        self.z_, self.error_ = np.zeros(1), np.zeros(train.n_llms)
        self._hold_at(self.llm_mean_)

    def check_fitted(self, sizes: Mapping[str, int]) -> None:
        super().check_fitted(sizes)
        if not self.weight_.any():
            raise RouterError(f"none of the routers in {self.name} has a weight")

    def _combine(self, predicted: NDArray[np.float32], train: Dataset) -> Scores:
        self.weight_ = stacking_weights(predicted, train.interactions)
        return np.tensordot(self.weight_.astype(np.float32), predicted, axes=1)  # (p,) x (p, n, m)

    def _part_scores(self, prompts: Prompts, llm_index: Index) -> Scores:
        used = [(weight, part) for weight, part in zip(self.weight_, self.parts_, strict=True) if weight > 0]
        return np.asarray(np.sum([np.float32(w) * part.score(prompts, llm_index) for w, part in used], axis=0))


def stacking_weights(predicted: NDArray[np.float32], matrix: InteractionMatrix) -> Array:
    """Weights f64 (p,), at least 0 and of sum 1, of predictions f32 (p, n, m) for the scores of a matrix (n, m)."""
    from scipy.optimize import nnls

    def moments(rows: slice) -> tuple[Array, Array]:
        scores, observed = matrix.block(rows)
        count = np.maximum(matrix.instance_counts[rows, None], 1)

        def centred(block: NDArray[np.float32]) -> Array:
            """Observed cells less their row's mean, 0 elsewhere, as f64 (b * m,)."""
            cells = block.astype(np.float64)
            cells *= observed
            cells -= cells.sum(axis=1, keepdims=True) / count * observed
            return cells.ravel()

        columns = np.stack([centred(block) for block in predicted[:, rows]])  # (p, b * m)
        return columns @ columns.T, columns @ centred(scores)

    parts = list(pass_over(matrix.shape, moments))
    gram, product = (np.sum([part[i] for part in parts], axis=0) for i in range(2))
    value, basis = np.linalg.eigh(gram)
    root = np.sqrt(value.clip(min=1e-9 * max(value[-1], 1e-12)))
    # A'A = gram and A'b = product, and one row of large weight that makes the weights sum to 1
    heavy = 1e3 * root[-1]
    A = np.vstack([root[:, None] * basis.T, np.full((1, len(gram)), heavy)])
    b = np.concatenate([(basis.T @ product) / root, [heavy]])
    weight, _ = nnls(A, b)
    return np.asarray(weight / weight.sum())
