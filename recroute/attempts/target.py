"""Policies at a budget or a quality: what cost counts is chosen on validation instances."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recroute.attempts.answers import Answers
from recroute.attempts.policies import NEXT, POSTERIOR, TOGETHER, Played, Policy, fixed_policies, play
from recroute.attempts.priced import Priced, priced_set
from recroute.data import Dataset, Prompts
from recroute.routers import Router
from recroute.routers.costs import CostModel, cost_unit, vectors
from recroute.routers.memory.attempts import belief_of
from recroute.routers.trade_off import PROMPTS, Curve, Mixture, cost_range
from recroute.util.numeric import Floats, known_mean

TRADE_OFFS = np.concatenate([[0.0], np.logspace(-2.5, 2, 37)])  # score per range of mean costs, eight per decade
Maker = Callable[[Mixture, int], Policy]  # from trade-offs and the number of attempts
Policies = dict[str, Maker]  # by name


@dataclass(frozen=True)
class Target:
    """What attempts may cost or have to reach; one of the two is given.

    Parameters
    ----------
    budget : float, optional
        Mean cost of 1,000 prompts.
    quality : float, optional
        Share of the mean score of the best single LLM.
    """

    budget: float | None
    quality: float | None

    def __str__(self) -> str:
        if self.budget is not None:
            return f"the budget of {self.budget:g} for 1,000 prompts"
        return f"{100 * (self.quality or 0):g}% of the best single LLM's quality"

    def met(self, curve: Curve) -> bool:
        """Whether a trade-off of the curve meets it."""
        if self.budget is not None:
            return curve.cost.min() * PROMPTS <= self.budget
        return (self.quality or 0.0) <= curve.most

    def mixture(self, curve: Curve) -> Mixture:
        """The trade-offs that meet the target at the highest score or the lowest cost, or come nearest to it."""
        if self.budget is not None:
            return curve.within(max(self.budget, PROMPTS * float(curve.cost.min())))
        return curve.reaching(min(self.quality or 0.0, curve.most))


@dataclass(frozen=True, eq=False)
class Stage:
    """Validation or test instances on which policies are played."""

    data: Dataset
    answers: Answers

    def policies(self, router: Router, costs: CostModel) -> Policies:
        """Policies of a fitted router; RouterError if it predicts no scores, or keeps too little training data."""
        answers, prompts = self.answers, Prompts.of(self.data)
        price = costs.predict(vectors(self.data)) / np.float32(cost_range(costs.level))
        belief = belief_of(router, prompts)

        def weighed(mixture: Mixture) -> Floats:
            return mixture.of(prompts).astype(np.float32) * price

        def priced(learns: bool) -> Maker:
            return lambda mixture, k: Priced(
                belief=belief,
                scores=answers.scores,
                verifier=answers.verifier,
                price=weighed(mixture),
                left=k,
                learns=learns,
            )

        return {
            NEXT: priced(learns=False),
            POSTERIOR: priced(learns=True),
            TOGETHER: lambda mixture, k: priced_set(belief, answers, router.llm_index(), weighed(mixture), k),
        }


@dataclass(frozen=True, eq=False)
class AtTarget:
    """Plays policies at a target on one split.

    For each number of attempts the trade-off between score and cost is chosen on validation instances: the one with
    the highest score within the budget, or the cheapest one that reaches the quality, or two that are mixed.
    """

    target: Target
    train: Dataset
    valid: Stage
    test: Stage
    attempts: Sequence[int]

    @cached_property
    def costs(self) -> CostModel:
        """What answers are expected to cost."""
        return CostModel.fit(self.train)

    @cached_property
    def best_single(self) -> float:
        """Mean score on validation instances of the LLM that is best on train."""
        _, _, policy = next(fixed_policies(self.train, self.valid.data, self.valid.answers, 1))
        return _means(play(policy, self.valid.answers, 1))[1]

    def play(self, router: Router) -> Iterator[tuple[str, Played, list[str]]]:
        """Name of each policy of a router, what it reached on test, and notes on targets that it missed.

        Raises RouterError if the router predicts no scores, or keeps too little of its training data.
        """
        on_valid = self.valid.policies(router, self.costs)
        for name, make in self.test.policies(router, self.costs).items():
            each: dict[int, Played] = {}
            missed: list[str] = []
            for k in self.attempts:
                curve = self._curve(on_valid[name], k)
                each[k] = play(make(self.target.mixture(curve), k), self.test.answers, k)
                if not self.target.met(curve):
                    missed.append(f"{name} misses {self.target} on the validation instances of a seed at k = {k}")
            yield name, _joined(each), missed

    def _curve(self, make: Maker, k: int) -> Curve:
        points = [_means(play(make(Mixture(one, one, 1.0), k), self.valid.answers, k)) for one in TRADE_OFFS]
        return Curve(np.array([TRADE_OFFS, *zip(*points, strict=True)]), self.best_single, cost_unit(self.train))


def _means(played: Played) -> tuple[float, float]:
    """Mean cost and mean score after the last attempt; there are costs."""
    assert played.cost is not None
    return float(known_mean(played.cost[:, -1])[0]), float(known_mean(played.score[:, -1])[0])


def _joined(each: dict[int, Played]) -> Played:
    """After k attempts, what was reached where k were allowed."""
    n, width = len(next(iter(each.values())).score), max(each)
    score, calls, cost = (np.full((n, width), np.nan) for _ in range(3))
    for k, played in each.items():
        assert played.cost is not None
        score[:, k - 1], calls[:, k - 1] = played.score[:, -1], played.calls[:, -1]
        cost[:, k - 1] = played.cost[:, -1]
    return Played(score, calls, cost)
