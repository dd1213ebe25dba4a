"""Policies that weigh cost: an attempt is made if what it is expected to add is worth its price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.attempts.answers import Answers
from recroute.attempts.policies import Order, Posterior
from recroute.routers.memory.joint import Belief
from recroute.util.numeric import Floats, Index

N_AHEAD = 32  # LLMs for which the attempt after the next one is considered


@dataclass(eq=False, kw_only=True)
class Priced(Posterior):
    """Tries the LLM that is worth most, as long as one is worth its price. The first attempt is always made.

    An attempt with LLM l is worth `P(l accepted) * (E[score of l | accepted] - kept) - price[l]`, where `kept` is the
    expected score of the answer that is kept without it. If more attempts are left, the worth of the best one after a
    rejection of l is added, times the chance of that rejection, for the `N_AHEAD` LLMs that are worth most by
    themselves. In this way a cheap LLM that may fail is tried before an expensive one.

    Parameters
    ----------
    price : f32 (n, m)
        Predicted cost of each LLM, in units of score.
    left : int
        Number of attempts that are left.
    learns : bool
        Whether verdicts change the belief; the policy follows the ranking by text otherwise.
    """

    price: Floats
    left: int
    learns: bool = True

    def __post_init__(self) -> None:
        self.closed: NDArray[np.bool_] = np.isnan(self.scores)
        self.best = np.zeros(len(self.scores), dtype=np.float32)

    def choose(self, turn: int) -> Index:
        self.left -= 1
        kept = self._kept()
        worth = self._worth(self.belief, kept)
        if self.left:
            worth = self._with_next(worth, kept)
        stop = self.closed.all(axis=1) | ((worth.max(axis=1) <= 0) & (turn > 0))
        return np.where(stop, -1, worth.argmax(axis=1))

    def see(self, llm: Index, verdict: Floats) -> None:
        asked = np.flatnonzero(~np.isnan(verdict))
        self.closed[asked, llm[asked]] = True
        self.best = np.fmax(self.best, verdict)
        self.tried.append(np.where(np.isnan(verdict), -1, llm))
        self.belief = self._after(llm, verdict)

    def _after(self, llm: Index, verdict: Floats) -> Belief:
        return self.belief.observed(np.maximum(llm, 0), verdict, self.verifier) if self.learns else self.belief

    def _kept(self) -> Floats:
        """Expected score f32 (n,) of the answer that is kept if there is no further attempt; all were rejected."""
        if self.verifier.exact or not self.tried:
            return self.best
        return self._rejected(self.belief, np.maximum(self.fallback(), 0))

    def _rejected(self, belief: Belief, llm: Index) -> Floats:
        """Expected score f32 (n,) of the answers of LLMs int (n,), from a belief that knows of their rejection."""
        expected = belief.of_each(llm)
        right = expected * (1 - self.verifier.accepts_right) / (1 - self.verifier.accepted(expected))
        return np.asarray((belief.weight * right).sum(axis=1), dtype=np.float32)

    def _worth(self, belief: Belief, kept: Floats) -> Floats:
        """What one attempt with each LLM is worth, f32 (n, m); -inf where it was tried or not evaluated."""
        expected = belief.expected().clip(0, 1)
        gain = expected * self.verifier.accepts_right - self.verifier.accepted(expected) * kept[:, None]
        return np.asarray(np.where(self.closed, -np.inf, gain - self.price), dtype=np.float32)

    def _with_next(self, worth: Floats, kept: Floats) -> Floats:
        """The same with the worth of the best attempt after it, f32 (n, m); -inf for all but `N_AHEAD` LLMs."""
        rows, found = np.arange(len(worth)), np.full_like(worth, -np.inf)
        chance = 1 - self.verifier.accepted(self.belief.expected().clip(0, 1))
        for llm in np.argsort(-worth, axis=1, kind="stable")[:, :N_AHEAD].T:
            belief = self._after(llm, np.zeros(len(llm), dtype=np.float32))
            later = kept if self.verifier.exact else np.maximum(kept, self._rejected(belief, llm))
            following = self._worth(belief, later)
            following[rows, llm] = -np.inf
            found[rows, llm] = worth[rows, llm] + chance[rows, llm] * np.maximum(following.max(axis=1), 0)
        return found


def priced_set(belief: Belief, answers: Answers, llm_index: Index, price: Floats, k: int) -> Order:
    """At most k LLMs to ask at once: greedily, as long as one adds more to the expected maximum than its price."""
    closed = np.where(np.isnan(answers.scores), np.inf, price).astype(np.float32)
    members, maximum = belief.choose_set(k, llm_index, closed)
    price_of_each = np.take_along_axis(closed, members, axis=1)
    worth = np.diff(maximum, axis=1, prepend=0) > price_of_each
    worth[:, 0] = np.isfinite(price_of_each[:, 0])
    return Order(np.where(np.logical_and.accumulate(worth, axis=1), members, -1), at_once=True)
