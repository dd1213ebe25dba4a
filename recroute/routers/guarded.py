"""A router that keeps to the best single LLM unless another LLM is clearly better."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.errors import RouterError
from recroute.retrieval import tie_order
from recroute.routers.advantages import Advantages
from recroute.routers.base import Prompts, Router, Scores, fitted, setting
from recroute.routers.parts import Composite, FoldScores, each_out_of_fold, fit_parts
from recroute.routers.sums.learned import predicts_by_prompts
from recroute.routers.sums.moments import Moments
from recroute.util.numeric import AnyArray, Array, Index

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs

# Candidate thresholds in standard errors of a mean over all prompts. The evidence for a single prompt is much weaker
# than for that mean, so useful values go far beyond 2.
Z = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, np.inf)


@dataclass(kw_only=True)
class Guarded(Composite):
    """Leaves the best single LLM only for an LLM whose predicted advantage exceeds z standard errors.

    An LLM's standard error is computed from out-of-fold predictions: the root mean squared difference between its
    predicted and observed advantage over the best single LLM, divided by the square root of the number of prompts. z is
    the value of `Z` whose choices gain most over the best single LLM, minus `caution` standard errors of that gain. If
    no finite z gains anything, z is infinite and the router equals the best single LLM. The predictions of LLMs below
    the threshold are capped at that of the best single LLM, and ties go to the higher training mean.
    """

    name: ClassVar[str] = "guarded"
    kind: ClassVar[str] = "composite"
    sums_over: ClassVar[str] = "pairs"

    router: str = setting("knn", help="router to guard")
    caution: float = setting(
        1.0, low=0, help="standard errors subtracted from the gain over the best single LLM when choosing z"
    )

    z_: Array = fitted("1", low=0, allow=("inf",))
    best_: NDArray[np.int64] = fitted("1", kind="int", below="n_llms", follows=lambda router: _best(router))
    error_: Array = fitted("n_llms", low=0, allow=("inf",))
    # training mean; for an LLM added later, the lower end of its interval
    least_mean_: Array = fitted("n_llms", older=lambda router: router.llm_mean_)

    def part_names(self) -> Sequence[str]:
        return [self.router]

    def _fit(self, train: Dataset) -> None:
        if not train.is_rated.all():
            train = train.take_instances(np.flatnonzero(train.is_rated))
        parts, advantages = self.make_parts(), Advantages(train.interactions)
        for rows, predicted, best in self._out_of_fold(parts, train):
            advantages.add(rows, predicted, best)
        self.error_ = advantages.standard_errors()
        self._hold_at(self.llm_mean_)
        self.z_ = np.array([self._choose_z(advantages)])
        del advantages
        self.parts_ = fit_parts(parts, train)

    def _llm_entries(self, new: NewLLMs) -> dict[str, AnyArray]:
        """Standard error of an added LLM: that of the known LLMs it resembles, combined with that of its mean score.

        So an LLM with fewer scores needs a larger advantage. It becomes the best single LLM itself if the lower end of
        its interval exceeds the mean of the current one.
        """
        known = self.error_[new.known]
        share = new.posterior.resemblance[:, new.rows] * np.isfinite(known)  # (j, q)
        squared = share @ np.where(np.isfinite(known), known, 0) ** 2 / np.maximum(share.sum(axis=1), 1e-12)
        error = np.sqrt(squared + new.deviation**2)
        return {"error_": error, "least_mean_": new.posterior.interval[:, 0]}

    def sum_features(self, prompts: Prompts) -> Array:
        return self.parts_[0].sum_features(prompts)

    def sum_penalty(self, train: Dataset) -> float:
        if len(self.parts_) > 1:
            raise RouterError(
                f"{self.label} blends several routers and does not follow from sums; leave preferences out"
            )
        return self.parts_[0].penalty_on(train)

    def take_moments(self, moments: Moments, penalty: float) -> None:
        """Those of the guarded router. The threshold stays; standard errors fall with the prompts it learns from."""
        sums = self.kept_sums_
        n_before = self.remembered().prompts.height if sums is None else sums.moments.n
        part = copy(self.parts_[0])  # routers fitted on the same data may share it
        self.parts_ = [part]
        part.llm_mean_ = self.llm_mean_
        part.take_moments(moments, penalty)
        if not predicts_by_prompts(part):  # neighbours are those of before
            self.error_ = self.error_ * np.sqrt(n_before / moments.n)
        self._hold_at(self.llm_mean_)

    def _hold_at(self, least_mean: Array) -> None:
        self.least_mean_ = least_mean
        self.best_ = _best(self)

    def _choose_z(self, advantages: Advantages) -> float:
        """Threshold with the largest cautious gain; the largest among equals."""
        cautious = []
        for gain in advantages.gains([_margin(self.error_, z) for z in Z]):
            gain = gain[~np.isnan(gain)]
            cautious.append(gain.mean() - self.caution * gain.std() / np.sqrt(len(gain)) if len(gain) else 0.0)
        return Z[len(Z) - 1 - int(np.argmax(cautious[::-1]))]

    @staticmethod
    def _hold(predicted: Scores, of_best: Scores, margin: Array | float) -> Scores:
        """Predictions f32 (b, m), capped at the best single LLM's unless they exceed it by more than the margin."""
        return np.where(predicted - of_best > margin, predicted, np.minimum(predicted, of_best))

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        predicted = self._part_scores(prompts, llm_index)
        whole = self._is_full_pool(llm_index)
        of_best = predicted[:, self.best_] if whole else self._part_scores(prompts, self.best_)
        return self._hold(predicted, of_best, _margin(self.error_[llm_index], float(self.z_[0])))

    def _out_of_fold(self, parts: Sequence[Router], train: Dataset) -> Iterator[FoldScores]:
        """Out-of-fold predictions of all parts combined."""
        return each_out_of_fold(parts[0], train, self.n_folds, self.seed)

    def _part_scores(self, prompts: Prompts, llm_index: Index) -> Scores:
        """Combined prediction f32 (b, m) of the fitted parts."""
        return self.parts_[0].score(prompts, llm_index)


def _best(router: Guarded) -> NDArray[np.int64]:
    """Position int (1,) of the LLM with the highest `least_mean_`."""
    return tie_order(router.least_mean_)[:1]


def _margin(error: Array, z: float) -> Array:
    """z standard errors, f64 (m,); infinite if z or the error is."""
    margin = np.full(error.shape, np.inf)
    return np.multiply(error, z, out=margin, where=np.isfinite(error)) if np.isfinite(z) else margin
