"""Any router, its predictions moved by what has been observed since it was fitted."""

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
from recroute.routers.refresh.basis import principal_directions, training_vectors
from recroute.routers.refresh.posterior import Posterior, fit_posterior, variances
from recroute.routers.refresh.sums import Sums
from recroute.routers.registry import make_router
from recroute.util.numeric import AnyArray, Array, Index, evenly

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs

LEAST = 0.05  # a prediction nearer to 0 or 1 is not taken to be surer than that


@dataclass(kw_only=True)
class Refreshed(Composite):
    """`predicted[x,l] + common . f(x) + own[l] . f(x)`, for features f of a prompt: 1, and a few directions of text.

    `common` is by how much the predictions of all LLMs are off, `own` by how much more those of one LLM are: Bayesian
    linear regression of observed less predicted scores, see `fit_posterior`. An answer's noise is `p (1 - p)` for a
    predicted score p, as of a coin: among noisy answers a large residual is no news, among sure ones it is. A
    preference is an observation of the difference of two LLMs' scores, and tells of their levels only.

    Which LLM answered was the choice of a router that saw the prompt: among the prompts that an LLM answered, its
    residuals are as they would be had all LLMs answered (missing at random), so no weights are needed.

    The router inside stays as it was fitted. What is kept of the feedback are sums, a few numbers for each LLM; to
    refresh twice is to refresh once with all of it. Fitted, it is the router inside, and nothing has been observed.
    """

    name: ClassVar[str] = "refreshed"
    kind: ClassVar[str] = "composite"
    learns_from_preferences: ClassVar[bool] = True

    router: str = setting("auto", help="the router inside")
    n_dims: int = setting(16, low=0, high=64, help="directions of the text in which its error may vary")

    centre_: Array = fitted("n_read?")
    projection_: Array = fitted("n_read?", "n_dims?")
    weights_: Array = fitted("n_llms", "n_dims?+1")
    common_: Array = fitted("n_dims?+1")
    level_: Array = fitted("n_llms", low=0)
    chosen_: Array = fitted("2", low=0)  # text and noise of the posterior
    decisions_: NDArray[np.uint64] = fitted("n_decisions?", kind="number")
    sums_: Sums = fitted(of=Sums)

    @classmethod
    def around(cls, router: Router, training: Prompts | None) -> Self:
        """A fitted router, and nothing observed since; `training` are prompts it was fitted on."""
        views = getattr(router, "views", "all")
        found = cls(router=router.label, views=views, seed=router.seed)
        found.llm_ids_, found.llm_mean_ = router.llm_ids_, router.llm_mean_
        found.encoder_, found.background_ = router.encoder_, router.background_
        if hasattr(router, "width_"):
            found.width_ = router.width_
        inside = copy(router)
        inside.background_ = None  # the whole keeps it
        found.parts_ = [inside]
        found._start(training_vectors(router, training))
        return found

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

    def _refreshed(self, answers: Answers, training: Prompts | None) -> Self:
        found, inside = copy(self), self.parts_[0]
        predicted = predicted_cells(inside, answers.scored, answers.llm_index)
        of_a, of_b = (predicted_cells(inside, answers.fought, llms) for llms in (answers.llm_a, answers.llm_b))
        sums = self.sums_.with_answers(
            self._features(answers.scored), answers.llm_index, answers.score - predicted, _noise(predicted)
        )
        sums = sums.with_battles(
            answers.llm_a, answers.llm_b, answers.lead - (of_a - of_b), _noise(of_a) + _noise(of_b)
        )
        posterior = fit_posterior(sums)
        found.sums_, found.weights_, found.common_ = sums, posterior.weights, posterior.common
        found.level_, found.chosen_ = posterior.level, np.array([posterior.text, posterior.noise])
        found.decisions_ = np.union1d(self.decisions_, answers.decisions)
        return found

    def _features(self, prompts: Prompts) -> Array:
        """Features f64 (b, q) of prompts: 1, and where the router reads text its projection."""
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
        """That of the fit, less the part of an LLM's own error that feedback has told.

        Parameters and errors are those of `Router.score_std`.
        """
        index = self.llm_index(llms)
        known = self.prompts(instances)
        before, after = self.correction_variance(known, index)
        std = super(Refreshed, self._as_fitted()).score_std(known, index, reducible=reducible).astype(np.float64)
        return np.asarray(np.sqrt(np.maximum(std**2 - before, 0) + after), dtype=np.float32)

    def _as_fitted(self) -> Self:
        """What it was before any feedback; made once, because it keeps what it learns."""
        part, background = self.parts_[0], self.background_
        of_part, found = vars(self).get("_as_fitted_kept", (None, None))
        if of_part is not part or found is None or found.background_ is not background:
            found = copy(self)
            found.weights_ = np.zeros_like(self.weights_)
            self._as_fitted_kept = part, found
        return found

    def correction_variance(self, prompts: Prompts, llm_index: NDArray[np.int64]) -> tuple[Array, Array]:
        """Variance f64 (b, m) of an LLM's own error, before and after what has been observed."""
        text, noise = self.chosen_.tolist()
        posterior = Posterior(self.common_, self.weights_, self.level_, text, noise, 0.0)
        return variances(self.sums_, posterior, self._features(prompts), llm_index)

    def _llm_entries(self, new: NewLLMs) -> dict[str, AnyArray]:
        """What is off with all LLMs is off with the new ones; of their own nothing was observed."""
        n = len(new.llm_ids)
        return {"weights_": np.tile(self.common_, (n, 1)), "level_": np.zeros(n)}

    def check_fitted(self, sizes: Mapping[str, int]) -> None:
        super().check_fitted(sizes)
        if len(self.centre_) not in (0, sizes.get("width", len(self.centre_))):
            raise RouterError(f"{self.name} projects vectors of another width than those it reads")


def _noise(predicted: Array) -> Array:
    """Variance of a score in [0, 1] of that mean, at most."""
    p = predicted.clip(LEAST, 1 - LEAST)
    return np.asarray(p * (1 - p))
