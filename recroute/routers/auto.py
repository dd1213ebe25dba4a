"""The default router: `hierarchy`, or a blend, that keeps to the best single LLM unless another is clearly better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, InteractionMatrix
from recroute.data.cells import pass_over, row_blocks
from recroute.errors import RouterError
from recroute.routers.base import Prompts, Router, Scores, fitted, setting
from recroute.routers.guarded import Guarded
from recroute.routers.parts import FoldScores, fit_parts, out_of_fold
from recroute.util.numeric import Array, Index
from recroute.util.registry import split_outside

PREFERENCE_PART = "bradley_terry(views=all)"


@dataclass(kw_only=True)
class Auto(Guarded):
    """`hierarchy`, guarded like `guarded`; or a weighted mean of several routers (stacking), guarded in the same way.

    The threshold of the guard is chosen on out-of-fold predictions of the training prompts. With several routers, the
    weights minimise the squared error of the same predictions; they are non-negative and sum to 1. Scores and
    predictions are centred per prompt first, because the difficulty of a prompt does not affect the choice. There is
    one weight per part, whatever the number of LLMs, so the weights do not overfit when there are many LLMs and few
    prompts.

    If the data set has preferences, `bradley_terry` is added to the parts. If it has nothing else, `bradley_terry` is
    the only part; its own cross-validation then ignores text that does not clearly help.
    Source: Breiman, Stacked regressions, Machine Learning 1996.
    """

    name: ClassVar[str] = "auto"
    learns_from_preferences: ClassVar[bool] = True

    router: str = setting("hierarchy", help="router to guard, or several to blend, joined by +")

    weight_: Array = fitted("n_parts", low=0, high=1 + 1e-6)
    part_names_: NDArray[np.str_] = fitted("n_parts", kind="text", older=None)

    def part_names(self) -> Sequence[str]:
        return self.part_names_.tolist() if hasattr(self, "part_names_") else split_outside(self.router, "+")

    def _fit(self, train: Dataset) -> None:
        names = split_outside(self.router, "+")
        if train.n_preferences and PREFERENCE_PART not in names:
            names.append(PREFERENCE_PART)
        if train.interactions.n_observed:
            self.part_names_ = np.array(names)
            super()._fit(train)
            return
        self.part_names_ = np.array([PREFERENCE_PART])
        self.parts_ = fit_parts(self.make_parts(), train)
        self.weight_ = np.ones(1)
        self.z_, self.error_ = np.zeros(1), np.zeros(train.n_llms)
        self._hold_at(self.llm_mean_)

    def check_fitted(self, sizes: Mapping[str, int]) -> None:
        super().check_fitted(sizes)
        if not self.weight_.any():
            raise RouterError(f"all weights of {self.name} are 0")

    def _out_of_fold(self, parts: Sequence[Router], train: Dataset) -> Iterator[FoldScores]:
        if len(parts) == 1:
            self.weight_ = np.ones(1)
            yield from super()._out_of_fold(parts, train)
            return
        predicted, best = out_of_fold(parts, train, self.n_folds, self.seed)
        self.weight_ = stacking_weights(predicted, train.interactions)
        for rows in row_blocks(*train.interactions.shape):
            combined = np.tensordot(self.weight_.astype(np.float32), predicted[:, rows], axes=1)  # (p,) x (p, b, m)
            yield np.arange(rows.start, rows.stop), combined, best[rows]

    def _part_scores(self, prompts: Prompts, llm_index: Index) -> Scores:
        used = [(weight, part) for weight, part in zip(self.weight_, self.parts_, strict=True) if weight > 0]
        return np.asarray(np.sum([np.float32(w) * part.score(prompts, llm_index) for w, part in used], axis=0))


def stacking_weights(predicted: NDArray[np.float32], matrix: InteractionMatrix) -> Array:
    """Non-negative stacking weights f64 (p,) with sum 1, for predictions f32 (p, n, m) of the scores (n, m)."""
    from scipy.optimize import nnls

    def moments(rows: slice) -> tuple[Array, Array]:
        scores, observed = matrix.block(rows)
        count = np.maximum(matrix.instance_counts[rows, None], 1)

        def centred(block: NDArray[np.float32]) -> Array:
            """Observed cells minus the mean of their row, 0 elsewhere, as f64 (b * m,)."""
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
    # A'A = gram and A'b = product; an extra row with a large penalty makes the weights sum to 1
    penalty = 1e3 * root[-1]
    A = np.vstack([root[:, None] * basis.T, np.full((1, len(gram)), penalty)])
    b = np.concatenate([(basis.T @ product) / root, [penalty]])
    weight, _ = nnls(A, b)
    return np.asarray(weight / weight.sum())
