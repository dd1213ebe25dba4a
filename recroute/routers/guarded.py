"""Any router, held at the best single LLM unless another is clearly ahead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.data.cells import pass_over
from recroute.retrieval import tie_order
from recroute.routers.base import Prompts, Scores, fitted, setting
from recroute.routers.parts import Composite, fit_parts, out_of_fold
from recroute.util.numeric import AnyArray, Array, Index

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs

Advantages = Callable[[slice], tuple[Scores, Scores]]
# In standard errors of a mean over all prompts: a prompt has few neighbours, so useful values reach far above 2.
Z = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, np.inf)


@dataclass(kw_only=True)
class Guarded(Composite):
    """The router's predictions, but no LLM above the best single one that is not ahead by z standard errors.

    On training prompts that the router was not fitted on, each LLM's standard error is the root mean squared
    difference between its predicted and its observed advantage over the best single LLM, divided by the root of their
    number. z is the value of `Z` whose choices there gain most over the best single LLM, less `caution` standard
    errors of that gain; it is infinite, and the router is the best single LLM, where no other z gains anything. LLMs
    that do not pass are held at the best single LLM's score, and ties go to the higher train mean.
    """

    name: ClassVar[str] = "guarded"
    kind: ClassVar[str] = "composite"

    router: str = setting("knn", help="the router to guard")
    caution: float = setting(
        1.0, low=0, help="standard errors that the gain of leaving the best single LLM must exceed"
    )

    z_: Array = fitted("1", low=0, allow=("inf",))
    best_: NDArray[np.int64] = fitted("1", kind="int", below="n_llms", follows=lambda router: _best(router))
    error_: Array = fitted("n_llms", low=0, allow=("inf",))
    # the train mean; of an LLM added since, the lower end of its interval
    least_mean_: Array = fitted("n_llms", older=lambda router: router.llm_mean_)

    def part_names(self) -> Sequence[str]:
        return [self.router]

    def _fit(self, train: Dataset) -> None:
        if not train.is_rated.all():
            train = train.take_instances(np.flatnonzero(train.is_rated))
        parts = self.make_parts()
        of_parts, best = out_of_fold(parts, train, self.n_folds, self.seed)
        judged = train.evaluated()  # all of them, unless there are preferences as well
        if judged is not train:
            scored = np.flatnonzero(train.interactions.instance_counts)
            of_parts, best = of_parts[:, scored], best[scored]
        predicted = self._combine(of_parts, judged)
        matrix = judged.interactions

        def advantages(rows: slice) -> tuple[Scores, Scores]:
            """Predicted and observed advantages over the best single LLM, f32 (b, m) each."""
            of_best, at = best[rows], np.arange(rows.stop - rows.start)
            scores, expected = matrix.dense(rows), predicted[rows]
            return expected - expected[at, of_best][:, None], scores - scores[at, of_best][:, None]

        self.error_ = _standard_errors(advantages, matrix.shape)
        self._hold_at(self.llm_mean_)
        self.z_ = np.array([self._choose_z(advantages, matrix.shape)])
        self.parts_ = fit_parts(parts, train)

    def _llm_entries(self, new: NewLLMs) -> dict[str, AnyArray]:
        """An added LLM's standard error is that of the known LLMs it resembles and that of its mean score together.

        So the less is known of it, the further it has to be ahead; and it is the best single LLM itself where its mean
        score is higher at the lower end of its interval.
        """
        known = self.error_[new.known]
        share = new.posterior.resemblance[:, new.rows] * np.isfinite(known)  # (j, q)
        squared = share @ np.where(np.isfinite(known), known, 0) ** 2 / np.maximum(share.sum(axis=1), 1e-12)
        error = np.sqrt(squared + new.deviation**2)
        return {"error_": error, "least_mean_": new.posterior.interval[:, 0]}

    def _hold_at(self, least_mean: Array) -> None:
        self.least_mean_ = least_mean
        self.best_ = _best(self)

    def _choose_z(self, advantages: Advantages, shape: tuple[int, int]) -> float:
        """The z of most worth, the strictest among equals."""

        def gains(rows: slice) -> Array:
            """What the choices at each z gain, f64 (z, b), judged by the best-ranked LLM that was evaluated.

            NaN for every z where the best single LLM was not.
            """
            ahead, really_ahead = advantages(rows)
            evaluated = ~np.isnan(really_ahead)
            found = np.empty((len(Z), len(ahead)))
            for i, z in enumerate(Z):
                passes = evaluated & (ahead > _margin(self.error_, z))
                choice = np.where(passes, ahead, -np.inf).argmax(axis=1)
                found[i] = np.where(passes.any(axis=1), really_ahead[np.arange(len(ahead)), choice], 0)
            found[:, ~evaluated.any(axis=1)] = np.nan
            return found

        worth = []
        for gain in np.concatenate(list(pass_over(shape, gains)), axis=1):
            gain = gain[~np.isnan(gain)]
            worth.append(gain.mean() - self.caution * gain.std() / np.sqrt(len(gain)) if len(gain) else 0.0)
        return Z[len(Z) - 1 - int(np.argmax(worth[::-1]))]

    @staticmethod
    def _hold(predicted: Scores, of_best: Scores, margin: Array | float) -> Scores:
        """Predictions f32 (b, m), those that are ahead by no more than the margin held at the best single LLM's."""
        return np.where(predicted - of_best > margin, predicted, np.minimum(predicted, of_best))

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        predicted = self._part_scores(prompts, np.append(self.best_, llm_index))
        return self._hold(predicted[:, 1:], predicted[:, :1], _margin(self.error_[llm_index], float(self.z_[0])))

    def _combine(self, predicted: NDArray[np.float32], train: Dataset) -> Scores:
        """One prediction f32 (n, m) of those of all parts f32 (p, n, m), on prompts they were not fitted on."""
        (only,) = predicted
        return np.asarray(only)

    def _part_scores(self, prompts: Prompts, llm_index: Index) -> Scores:
        """What the parts predict together, f32 (b, m)."""
        return self.parts_[0].score(prompts, llm_index)


def _best(router: Guarded) -> NDArray[np.int64]:
    """The LLM whose mean is highest, at its lower end, int (1,)."""
    return tie_order(router.least_mean_)[:1]


def _standard_errors(advantages: Advantages, shape: tuple[int, int]) -> Array:
    """Of each LLM's predicted advantage f64 (m,); infinite for one never evaluated beside the best single LLM."""

    def sums(rows: slice) -> tuple[NDArray[np.int64], Array]:
        ahead, really_ahead = advantages(rows)
        known = ~np.isnan(really_ahead)
        squared = np.where(known, (ahead - really_ahead) ** 2, 0).sum(axis=0, dtype=np.float64)
        return known.sum(axis=0), squared

    n, squared = np.zeros(shape[1], dtype=np.int64), np.zeros(shape[1])
    for count, part in pass_over(shape, sums):
        n += count
        squared += part
    error = np.sqrt(squared) / np.maximum(n, 1)
    error[n == 0] = np.inf
    return error


def _margin(error: Array, z: float) -> Array:
    """z standard errors f64 (m,); infinite where z or the error is."""
    known = np.isfinite(error) & np.isfinite(z)
    return np.where(known, np.where(known, error, 0) * (z if np.isfinite(z) else 0), np.inf)
