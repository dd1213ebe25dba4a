"""A router whose choices trade predicted score for predicted cost."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.data.prompts import Instances
from recroute.errors import RouterError
from recroute.retrieval import condensed, tie_order
from recroute.routers.base import Prompts, Scores, fitted, setting
from recroute.routers.core import Pool
from recroute.routers.costs import CostModel, cost_unit, no_costs, vectors
from recroute.routers.parts import Composite, fit_parts, out_of_fold
from recroute.routers.registry import make_router
from recroute.routers.trade_off import PROMPTS, Curve, Mixture, trade_offs
from recroute.splits import make_folds
from recroute.util.numeric import Floats, Index

if TYPE_CHECKING:
    from recroute.routers.memory.remembering import RememberingRouter
    from recroute.routers.refresh.answers import Answers

TARGETS = ("budget", "quality", "trade_off")


@dataclass(kw_only=True)
class Budgeted(Composite):
    """Chooses the LLM with the highest `predicted score - trade_off * predicted cost`, which is what `score` returns.

    The trade-off is given, or chosen by the out-of-fold cost and score of the router's choices on the training prompts:
    the one with the highest score within `budget`, or the cheapest one that reaches `quality`. Between two trade-offs
    the prompts are shared out, so that a budget is used where choices change together; which prompt gets which is drawn
    by a hash of the prompt and the seed. If none of the three is set, the target is the quality of the best single LLM
    (quality=1), or the highest that the router reaches if that is lower. A trade-off's cost is the out-of-fold cost or
    that of the final router, whichever is higher: where prompts are alike, all choices of a router change at once, and
    not at the same trade-off for each fold. The cost-quality curve is saved with the router, so another target needs no
    refit (`with_target`). Adding or removing LLMs does not change the curve.
    Source: Hu et al., RouterBench, arXiv 2403.12031 (predictive routers, there with known costs).
    """

    name: ClassVar[str] = "budgeted"
    kind: ClassVar[str] = "composite"
    weighs_cost: ClassVar[bool] = True

    router: str = setting("auto", help="router that predicts the scores")
    budget: float | None = setting(None, low=0, help="mean cost of 1,000 prompts, in the cost unit of the data (USD)")
    quality: float | None = setting(None, low=0, help="share of the best single LLM's mean score to reach, as in 0.98")
    trade_off: float | None = setting(None, low=0, help="score worth giving up per unit of cost")

    costs_: CostModel = fitted(of=CostModel, prefix="cost.")
    curve_: Curve = fitted(of=Curve, prefix="")
    chosen_trade_off_: NDArray[np.float64] = fitted("n_mixed", low=0)  # one, or two that are mixed
    share_: NDArray[np.float64] = fitted("1", low=0, high=1, older=lambda router: np.ones(1))  # of the first

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [name for name in TARGETS if getattr(self, name) is not None]
        if len(given) > 1:
            raise RouterError(f"{self.name}: {' and '.join(given)} are given; give only one of them")

    def part_names(self) -> Sequence[str]:
        return [self.router]

    @property
    def reads(self) -> str:
        return make_router(self.router).reads

    def _with_vectors(self, train: Dataset) -> Dataset:
        if self.reads not in ("text", "prompts") and train.prompts is None and train.embeddings is None:
            return train  # the router needs no text, and predicted costs are then the LLMs' means
        return super()._with_vectors(train)

    def _fit(self, train: Dataset) -> None:
        if (costs := train.interactions.dense_costs()) is None:
            raise RouterError(no_costs(train))
        scores = train.interactions.dense()
        seen = np.flatnonzero(~np.isnan(scores).all(axis=1))
        train, scores, costs = train.take_instances(seen), scores[seen], costs[seen]
        parts = self.make_parts()
        (predicted,), best = out_of_fold(parts, train, self.n_folds, self.seed)
        predicted_cost = self._out_of_fold_costs(train)
        self.costs_ = CostModel.fit(train)
        self.parts_ = fit_parts(parts, train)
        final, final_cost = self.parts_[0].score(train), self.costs_.predict(vectors(train))
        both = np.vstack([np.where(np.isnan(scores), np.nan, block) for block in (predicted, final)])
        grid = trade_offs(both, np.vstack([predicted_cost, final_cost]))
        cost, quality = np.empty((2, len(grid)))
        for i, weight in enumerate(grid):
            cost[i], quality[i] = self._means(predicted - weight * predicted_cost, scores, costs)
            cost[i] = max(cost[i], self._means(final - weight * final_cost, scores, costs)[0])
        self.curve_ = Curve(np.stack([grid, cost, quality]), self._mean_of_best(best, scores), cost_unit(train))
        self._mix(self._solve())

    def _means(self, predicted: Floats, scores: Scores, costs: Scores) -> tuple[float, float]:
        """Mean cost and mean score of the choices by predictions float (n, m); scores and costs are f32 (n, m)."""
        choice = self.choose_judged(predicted.astype(np.float32), scores).judged
        rows = np.arange(len(choice))
        return _mean(costs[rows, choice]), _mean(scores[rows, choice])

    def _mean_of_best(self, best: Index, scores: NDArray[np.float32]) -> float:
        """Mean score of the best single LLM int (n,) on scores f32 (n, m), judged like the router's choices."""
        constant = np.broadcast_to(np.float32(0), scores.shape)
        judged = condensed(best, scores, constant, tie_order(self.llm_mean_)).judged
        return _mean(scores[np.arange(len(scores)), judged])

    def _out_of_fold_costs(self, train: Dataset) -> Scores:
        """Out-of-fold predicted costs f32 (n, m) of the training prompts, on the same folds as `out_of_fold`."""
        predicted = np.empty((train.n_instances, train.n_llms), dtype=np.float32)
        for fold in make_folds(train, self.n_folds, self.seed):
            predicted[fold.index] = CostModel.fit(fold.parts.train).predict(vectors(fold.parts.test))
        return predicted

    def _mix(self, mixture: Mixture) -> None:
        self.chosen_trade_off_ = np.unique(mixture[:2]) if mixture.share == 1 else np.array(mixture[:2])
        self.share_ = np.array([mixture.share])

    @property
    def mixture(self) -> Mixture:
        """The trade-offs that the prompts are shared out between."""
        return Mixture(float(self.chosen_trade_off_[0]), float(self.chosen_trade_off_[-1]), float(self.share_[0]))

    def _solve(self) -> Mixture:
        if self.trade_off is not None:
            return Mixture(self.trade_off, self.trade_off, 1.0)
        if self.budget is not None:
            return self.curve_.within(self.budget)
        return self.curve_.reaching(min(1.0, self.curve_.most) if self.quality is None else self.quality)

    def with_target(
        self, *, budget: float | None = None, quality: float | None = None, trade_off: float | None = None
    ) -> Self:
        self.llm_index()  # raises if not fitted
        other = copy(self)
        other.budget, other.quality, other.trade_off = budget, quality, trade_off
        other.__post_init__()
        other._mix(other._solve())
        return other

    def expected(self) -> dict[str, Any]:
        mixture, curve = self.mixture, self.curve_
        cost, score = curve.at(mixture)
        point = {"trade_off": mixture.first, "cost": cost, "score": score}
        if mixture.share < 1:
            point |= {"second_trade_off": mixture.second, "share_of_second": 1 - mixture.share}
        return {**point, "best_single": curve.best_single, "unit": curve.cost_unit}

    def cost_limit(self) -> float:
        return (self.expected()["cost"] if self.budget is None else self.budget) / PROMPTS

    def scorer(self) -> RememberingRouter:
        return self.parts_[0]

    def predicted_score(self, instances: Instances, llms: Pool | None = None) -> Scores:
        """Scores f32 (b, m) predicted by the inner router, without the cost term; parameters as in `score`."""
        index = self.llm_index(llms)
        return self.parts_[0].score(self.prompts(instances), index)

    def predicted_cost(self, instances: Instances, llms: Pool | None = None) -> Scores:
        index = self.llm_index(llms)
        return self._costs(self.prompts(instances), index)

    def _score(self, prompts: Prompts, llm_index: Index) -> Scores:
        predicted = self.parts_[0].score(prompts, llm_index)
        weight = self.mixture.of(prompts, self.seed).astype(np.float32)
        return predicted - weight * self._costs(prompts, llm_index)

    def _costs(self, prompts: Prompts, llm_index: Index) -> Scores:
        """Predicted costs f32 (b, m)."""
        none = np.empty((prompts.n, 0), dtype=np.float32)
        return self.costs_.predict(none if self.encoder_ is None else self.vectors(prompts), llm_index)

    def decisions_taken_in(self) -> NDArray[np.uint64]:
        return self.parts_[0].decisions_taken_in()

    def change_since_fit(self, prompts: Prompts) -> Scores | None:
        return self.parts_[0].change_since_fit(prompts)

    def _refreshed(self, answers: Answers, training: Prompts | None) -> Self:
        """Copy with the inner router refreshed and the same trade-off."""
        other = copy(self)
        other.parts_ = [self.parts_[0]._refreshed(answers, training)]
        other.router = other.parts_[0].label
        return other


def _mean(values: NDArray[np.float32]) -> float:
    """Mean of the known values."""
    return float(np.nanmean(values, dtype=np.float64))
