"""A router whose predictions are corrected by feedback observed since it was fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.data.prompts import Instances
from recroute.errors import RouterError
from recroute.routers.base import Prompts, Router, Scores, fitted, setting
from recroute.routers.core import Pool
from recroute.routers.parts import Composite, fit_parts
from recroute.routers.refresh.answers import Answers, predicted_cells
from recroute.routers.refresh.posterior import Posterior, fit_posterior, principal_directions, variances
from recroute.routers.refresh.sums import Sums
from recroute.routers.registry import make_router
from recroute.util.numeric import AnyArray, Array, Floats, Index, evenly

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs

MIN_PROBABILITY = 0.05  # predictions are clipped to [0.05, 0.95] when their noise is computed


@dataclass(kw_only=True)
class Refreshed(Composite):
    """Predicts `predicted[x,l] + common . f(x) + own[l] . f(x)`, with prompt features f: 1 and a few text directions.

    `common` is the error shared by all LLMs, `own` the additional error of one LLM. Both come from Bayesian linear
    regression of observed minus predicted scores, see `fit_posterior`. The noise variance of an answer is `p (1 - p)`
    for a predicted score p, that of a Bernoulli variable, so a large residual counts more where the prediction was
    confident. A preference observes the difference of two LLMs' scores and informs their levels only.

    The LLM that answered was chosen by a router that saw the prompt. Given the prompt, its residuals do not depend on
    that choice (missing at random), so no importance weights are needed.

    The inner router is not changed. Feedback is stored as sums, a few numbers per LLM, so refreshing twice equals
    refreshing once with all feedback. After `fit`, before any feedback, it predicts like the inner router.
    """

    name: ClassVar[str] = "refreshed"
    kind: ClassVar[str] = "composite"
    learns_from_preferences: ClassVar[bool] = True

    router: str = setting("auto", help="inner router")
    n_dims: int = setting(16, low=0, high=64, help="text directions along which the inner router's error may vary")

    centre_: Array = fitted("n_read?")
    projection_: Array = fitted("n_read?", "n_dims?")
    weights_: Array = fitted("n_llms", "n_dims?+1")
    common_: Array = fitted("n_dims?+1")
    level_: Array = fitted("n_llms", low=0)
    chosen_: Array = fitted("2", low=0)  # `text` and `noise` of the posterior
    decisions_: NDArray[np.uint64] = fitted("n_decisions?", kind="number")
    sums_: Sums = fitted(of=Sums)

    @classmethod
    def around(cls, router: Router, training: Prompts | None) -> Self:
        """Wrap a fitted router, without any feedback yet; `training` are prompts it was fitted on."""
        views = getattr(router, "views", "all")
        outer = cls(router=router.label, views=views, seed=router.seed)
        outer.llm_ids_, outer.llm_mean_ = router.llm_ids_, router.llm_mean_
        outer.encoder_, outer.background_ = router.encoder_, router.background_
        if hasattr(router, "width_"):
            outer.width_ = router.width_
        outer.joint_ = router.joint_
        inner = copy(router)
        inner.background_ = inner.joint_ = None  # kept once, by the outer router
        outer.parts_ = [inner]
        outer._start(_training_vectors(router, training))
        return outer

    def part_names(self) -> Sequence[str]:
        return [self.router]

    @property
    def reads(self) -> str:
        return make_router(self.router).reads

    def _with_vectors(self, train: Dataset) -> Dataset:
        return super()._with_vectors(train) if self.reads in ("text", "prompts") else train

    def _fit(self, train: Dataset) -> None:
        self.parts_ = fit_parts(self.make_parts(), train)
        vectors = train.embeddings if self.reads in ("text", "prompts") else None
        self._start(None if vectors is None else vectors[evenly(len(vectors))])

    def _start(self, training: NDArray[np.float32] | None) -> None:
        self.centre_, self.projection_ = principal_directions(training, self.n_dims)
        q = 1 + self.projection_.shape[1]
        self.sums_ = Sums.empty(len(self.llm_ids_), q)
        self.weights_, self.common_ = np.zeros((len(self.llm_ids_), q)), np.zeros(q)
        self.level_, self.chosen_ = np.zeros(len(self.llm_ids_)), np.array([0.0, 1.0])
        self.decisions_ = np.zeros(0, dtype=np.uint64)

    def decisions_taken_in(self) -> NDArray[np.uint64]:
        return self.decisions_

    def change_since_fit(self, prompts: Prompts) -> Floats | None:
        if not self.weights_.any():
            return None
        return (self._features(prompts) @ self.weights_.T).astype(np.float32)

    def _refreshed(self, answers: Answers, training: Prompts | None) -> Self:
        other, inner = copy(self), self.parts_[0]
        predicted = predicted_cells(inner, answers.scored, answers.llm_index)
        of_a, of_b = (predicted_cells(inner, answers.compared, llms) for llms in (answers.llm_a, answers.llm_b))
        sums = self.sums_.with_answers(
            self._features(answers.scored), answers.llm_index, answers.score - predicted, _noise(predicted)
        )
        sums = sums.with_battles(
            answers.llm_a, answers.llm_b, answers.lead - (of_a - of_b), _noise(of_a) + _noise(of_b)
        )
        posterior = fit_posterior(sums)
        other.sums_, other.weights_, other.common_ = sums, posterior.weights, posterior.common
        other.level_, other.chosen_ = posterior.level, np.array([posterior.text, posterior.noise])
        other.decisions_ = np.union1d(self.decisions_, answers.decisions)
        return other

    def _features(self, prompts: Prompts) -> Array:
        """Prompt features f64 (b, q): 1 and, if the router reads text, the projected vector."""
        n = prompts.n
        if not len(self.centre_) or n == 0:
            return np.ones((n, 1 + self.projection_.shape[1]))
        return np.column_stack([np.ones(n), (self.vectors(prompts) - self.centre_) @ self.projection_])

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        predicted = self.parts_[0].score(prompts, llm_index)
        if not self.weights_.any():
            return predicted
        return predicted + self._features(prompts) @ self.weights_[llm_index].T

    def score_std(
        self,
        instances: Instances,
        llms: Pool | None = None,
        *,
        reducible: bool = False,
    ) -> Scores:
        """Standard deviation of the fit, reduced by what feedback has revealed of each LLM's own error.

        Parameters and errors are those of `Router.score_std`.
        """
        index = self.llm_index(llms)
        known = self.prompts(instances)
        before, after = self.correction_variance(known, index)
        std = super(Refreshed, self._as_fitted()).score_std(known, index, reducible=reducible).astype(np.float64)
        return np.asarray(np.sqrt(np.maximum(std**2 - before, 0) + after), dtype=np.float32)

    def _as_fitted(self) -> Self:
        """Copy of this router without feedback; cached, because it keeps its own learned score error."""
        part, background = self.parts_[0], self.background_
        of_part, plain = vars(self).get("_cached_as_fitted", (None, None))
        if of_part is not part or plain is None or plain.background_ is not background:
            plain = copy(self)
            plain.weights_ = np.zeros_like(self.weights_)
            self._cached_as_fitted = part, plain
        return plain

    def correction_variance(self, prompts: Prompts, llm_index: NDArray[np.int64]) -> tuple[Array, Array]:
        """Variance f64 (b, m) of each LLM's own error, before and after the feedback."""
        text, noise = self.chosen_.tolist()
        posterior = Posterior(self.common_, self.weights_, self.level_, text, noise, 0.0)
        return variances(self.sums_, posterior, self._features(prompts), llm_index)

    def _llm_entries(self, new: NewLLMs) -> dict[str, AnyArray]:
        """New LLMs get the common correction; their own error is unknown."""
        n = len(new.llm_ids)
        return {"weights_": np.tile(self.common_, (n, 1)), "level_": np.zeros(n)}

    def check_fitted(self, sizes: Mapping[str, int]) -> None:
        super().check_fitted(sizes)
        if len(self.centre_) not in (0, sizes.get("width", len(self.centre_))):
            raise RouterError(f"the projection of {self.name} does not fit the width of its vectors")


def _training_vectors(router: Router, training: Prompts | None) -> NDArray[np.float32] | None:
    """Vectors f32 (n, d) of training prompts; None if the router reads no text or they are not available."""
    if training is None or router.encoder_ is None or router.reads not in ("text", "prompts"):
        return None
    try:
        return training.encoded(router.encoder_)
    except RouterError:  # the vectors were computed elsewhere, or there are no texts
        return None


def _noise(predicted: Array) -> Array:
    """Variance p (1 - p), the largest that a score in [0, 1] with mean p can have."""
    p = predicted.clip(MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return np.asarray(p * (1 - p))
