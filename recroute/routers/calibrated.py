"""A router whose predictions are calibrated to the scale of the scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.routers.base import Prompts, fitted, setting
from recroute.routers.parts import Composite, fit_parts, out_of_fold
from recroute.util.numeric import Array, Index

PENALTY = 1e-3  # on squared coefficients, per observed cell; a constant prediction gets coefficient 0


@dataclass(kw_only=True)
class Calibrated(Composite):
    """Predicts `offset + a * mean[l] + b * predicted[x,l]`, fitted by least squares to out-of-fold predictions.

    Calibrated predictions are on the scale of scores: of prompts predicted 0.7, the mean score is about 0.7. The
    coefficient b also shrinks overconfident predictions towards the LLMs' means, and to 0 if they do not generalise.
    Both a and b are constrained to be non-negative; otherwise the order of the LLMs could be reversed where weak LLMs
    were evaluated on easy prompts only.
    Source: Breiman, Stacked regressions, Machine Learning 1996.
    """

    name: ClassVar[str] = "calibrated"
    kind: ClassVar[str] = "composite"

    router: str = setting("knn(n_neighbors=100)", help="router to calibrate")

    coefficient_: Array = fitted("3")

    def part_names(self) -> Sequence[str]:
        return ["best_single", self.router]  # out of fold, best_single predicts the means of the other folds

    def _fit(self, train: Dataset) -> None:
        train = train.evaluated()
        parts = self.make_parts()
        predicted, _ = out_of_fold(parts, train, self.n_folds, self.seed)
        scores = train.interactions.dense()
        known = ~np.isnan(scores)
        X = np.column_stack([block[known] for block in predicted]).astype(np.float64)  # (cells, 2)
        y = scores[known].astype(np.float64)
        centre = X.mean(axis=0)
        penalty = PENALTY * len(y) * X.var(axis=0).max() + 1e-9
        gram = (X - centre).T @ (X - centre) + penalty * np.eye(X.shape[1])
        slope = non_negative(gram, (X - centre).T @ (y - y.mean()))
        self.coefficient_ = np.concatenate([[y.mean() - centre @ slope], slope])
        self.parts_ = fit_parts(parts, train)

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        offset, *slopes = self.coefficient_.astype(np.float32)
        scores = [part.score(prompts, llm_index) for part in self.parts_]
        return offset + sum(slope * block for slope, block in zip(slopes, scores, strict=True))


def non_negative(gram: Array, target: Array) -> Array:
    """Minimiser f64 (k,) of `x @ gram @ x / 2 - target @ x` over x >= 0, for a positive definite gram f64 (k, k)."""
    from scipy.optimize import nnls

    root = np.linalg.cholesky(gram).T
    return nnls(root, np.linalg.solve(root.T, target))[0]
