"""LLM mean, then predicted task, then text, each level shrunk towards the one above."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.bridges.model_average import Kernel, average, eigen_kernels, fit_average, kernels_of
from recroute.data import Dataset
from recroute.errors import RouterError
from recroute.routers.base import VIEWS, Prompts, TextRouter, fitted, setting
from recroute.routers.factorisation import completed, interaction_factors
from recroute.routers.subspace import leading_factors
from recroute.routers.sums.moments import Moments
from recroute.routers.text_views import TextViews, fit_text_views
from recroute.util.arrays import ArrayRule
from recroute.util.memo import Memo
from recroute.util.numeric import AnyArray, Array, Index
from recroute.util.threads import one_thread

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs

# Candidate models, as shares of the prior variance of each view; `fit_average` adds the LLM mean alone (pure noise).
LEVELS: tuple[dict[str, float], ...] = (
    {"task": 1.0},
    {"text": 1.0},
    {"near": 1.0},
    {"task": 0.8, "text": 0.2},
    {"task": 0.8, "near": 0.2},
    {"task": 0.5, "text": 0.5},
    {"task": 0.5, "near": 0.5},
)
WEIGHTS = {
    "text": ArrayRule(shape=("width", "n_factors+1")),
    "near": ArrayRule(shape=("n_near", "n_factors+1")),
    "task": ArrayRule(shape=("n_tasks", "n_factors+1"), needed=False),
}
IMPUTATION_FACTORS = 8  # factors of the model that imputes unobserved cells


@dataclass(kw_only=True)
class Hierarchy(TextRouter):
    """Predicts `mean[l] + difficulty(x) + f(x) . v[l]`; the terms that depend on the text x are shrunk to their signal.

    The scores, minus the LLMs' and prompts' means, are rotated to principal components. Each component is predicted by
    `fit_average` from three views of the prompt: its task (known in training, predicted by logistic regression for a
    new prompt), its vector, and its kernel similarity to training prompts. A component that is noise is predicted as 0,
    whatever the number of LLMs: uninformative text leaves the LLM means, and task structure is learned from all LLMs
    of a large pool together. Unobserved cells are imputed by a low-rank model first (`factorise_missing`).
    """

    name: ClassVar[str] = "hierarchy"
    kind: ClassVar[str] = "shrinkage"
    takes_unseen_llms: ClassVar[bool] = True
    sums_over: ClassVar[str] = "pairs"

    views: str = setting("all", choices=VIEWS, help="prompt vectors to read: the main ones, TF-IDF, or all")
    n_factors: int = setting(60, low=1, help="principal components to keep")

    bias_: Array = fitted("n_llms")
    llm_factors_: Array = fitted("n_llms", "n_factors+1")
    views_: TextViews = fitted(of=TextViews)
    weights_: dict[str, Array] = fitted(of=WEIGHTS)
    offset_: Array = fitted("n_factors+1")
    task_names_: NDArray[np.str_] = fitted("n_task_names", kind="text", distinct=True, older=None)
    loadings_: NDArray[np.float32] = fitted("n_prompts", "n_factors+1", for_unseen=True)

    def _fit(self, train: Dataset) -> None:
        train = train.evaluated()
        assert train.embeddings is not None
        matrix = train.interactions
        scores = completed(matrix, IMPUTATION_FACTORS, self.seed)
        # difficulty is kept apart because it does not affect which LLM is best
        self.bias_, difficulty, left, right = interaction_factors(scores, matrix.shape, self.n_factors, self.seed)
        length = np.linalg.norm(right, axis=0)
        kept = length > 1e-6 * length.max(initial=0)  # the rest is rounding error
        self.loadings_ = np.column_stack([difficulty, np.where(kept, left / np.where(kept, length, 1), 0)]).astype(
            np.float32
        )
        targets = np.column_stack([difficulty, left * length])  # (n, 1 + k)
        self.task_names_ = np.unique(train.tasks)
        self.views_, features, kernels = _prepare(train.embeddings, train.tasks, np.array(self.seed))
        centre = targets.mean(axis=0)
        self.weights_ = fit_average(kernels, features, targets - centre)
        self.offset_ = centre
        factors = right / np.where(length > 0, length, 1)
        self.llm_factors_ = np.column_stack([np.ones(len(self.bias_)), factors])  # (m, 1 + k)

    def sum_features(self, prompts: Prompts) -> Array:
        """The views side by side, with the task where it is known to the classifier."""
        vectors, one_hot = self.vectors(prompts), None
        if len(self.views_.task_offset):
            assert prompts.tasks is not None
            one_hot = (prompts.tasks[:, None] == self.task_names_).astype(np.float64)
            unknown = one_hot.sum(axis=1) == 0
            one_hot[unknown] = self.views_.task_shares(vectors[unknown])
        views = self.views_(vectors, one_hot)
        return np.hstack([views[name] for name in self._view_names])

    @property
    def _view_names(self) -> list[str]:
        return [name for name in WEIGHTS if name in self.weights_]

    def take_moments(self, moments: Moments, penalty: float) -> None:
        mean, m = self.llm_mean_, len(self.llm_mean_)
        covariance = moments.covariance(mean)
        variance = covariance.diagonal() * moments.n_seen.mean() / np.maximum(moments.n_seen, 1)
        n, gram, cross = moments.as_complete(mean)
        of_ease = covariance.mean(axis=0)
        ease = of_ease.mean()
        covariance -= of_ease
        covariance -= of_ease[:, None] - ease  # of the scores less the prompts' means
        k = self.llm_factors_.shape[1] - 1
        value, factors = leading_factors(covariance, k)
        turn = np.column_stack([np.full(m, 1 / m), factors - factors.mean(axis=0)])  # from scores to targets
        self._turn_loadings(factors)
        widths = {name: len(self.weights_[name]) for name in self._view_names}
        products = dict(zip(widths, np.split(cross @ turn, np.cumsum([*widths.values()])[:-1]), strict=True))
        # where LLMs answered other prompts, a target has the variance of single scores, prompts' difficulty included
        spread, seen = np.append(ease, value.clip(min=0)), moments.n_seen.mean() / moments.n
        total = n * (seen * spread + (1 - seen) * np.maximum(spread, variance @ turn**2))
        self.weights_ = average(kernels_of(gram, widths, LEVELS), n, total, products)
        self.offset_ = -moments.feature_moments()[0] @ np.vstack(list(self.weights_.values()))
        self.bias_ = mean
        self.llm_factors_ = np.column_stack([np.ones(m), factors])

    def _turn_loadings(self, factors: Array) -> None:
        """Express what is kept of the training prompts by other LLM factors f64 (m, k)."""
        loadings = self.loadings_[:, 1:].astype(np.float64)
        targets: Array = np.linalg.pinv(loadings, rcond=1e-6).T @ (self.llm_factors_[:, 1:].T @ factors)
        turned = np.linalg.pinv(targets, rcond=1e-6).T
        self.loadings_ = np.column_stack([self.loadings_[:, :1], turned]).astype(np.float32)

    def _llm_entries(self, new: NewLLMs) -> dict[str, AnyArray]:
        """Bias and factors of the expected scores, with the components of the fit."""
        columns = new.posterior.columns.astype(np.float64)
        bias = columns.mean(axis=0)
        factors = (columns - bias - self.loadings_[:, :1]).T @ self.loadings_[:, 1:]  # (j, n) x (n, k)
        return {"bias_": bias, "llm_factors_": np.column_stack([np.ones(len(bias)), factors])}

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        vectors = self.vectors(prompts)
        bias, llm_factors = self.bias_, self.llm_factors_
        if not self._is_full_pool(llm_index):  # indexing all LLMs would copy them, which takes longer than the product
            bias, llm_factors = bias[llm_index], llm_factors[llm_index]
        with one_thread(len(vectors), llm_factors.size):
            views = self.views_(vectors)
            factors = self.offset_ + sum(view @ self.weights_[name] for name, view in views.items())  # (b, 1 + k)
            predicted = bias + factors @ llm_factors.T  # (b, 1 + k) x (1 + k, m)
        return predicted

    def task_shares(self, prompts: Prompts) -> Array | None:
        return self.views_.task_shares(self.vectors(prompts)) if len(self.views_.task_offset) else None

    def check_fitted(self, sizes: Mapping[str, int]) -> None:
        super().check_fitted(sizes)
        if ("task" in self.weights_) != (len(self.views_.task_offset) > 0):
            raise RouterError(f"{self.name} has tasks without weights, or weights without tasks")


def _views_and_kernels(
    vectors: NDArray[np.float32], tasks: NDArray[np.str_], seed: NDArray[np.int64]
) -> tuple[TextViews, dict[str, Array], list[Kernel]]:
    """Everything that depends on the prompts only, and can be cached between fits for different LLMs."""
    views, known = fit_text_views(vectors, tasks, int(seed))
    features = views(vectors, known)
    return views, features, eigen_kernels(features, LEVELS)


_prepare = Memo(_views_and_kernels, max_cells=1 << 25)
