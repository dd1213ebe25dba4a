"""Exploration: sometimes another LLM than the predicted best, with a probability that is written down."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recroute.errors import RecrouteError

Chosen = tuple[NDArray[np.int64], NDArray[np.float64]]
DRAWS = 256
BEYOND = 4.0  # standard deviations that a draw is not expected to leave: who needs more to win is not drawn at all


class Explorer(Protocol):
    """Chooses an LLM for each of b prompts."""

    def choose(
        self,
        predicted: NDArray[np.float32],
        best: NDArray[np.integer],
        allowed: NDArray[np.bool_],
        deviation: Callable[[], NDArray[np.float32]],
        rng: np.random.Generator,
    ) -> Chosen:
        """The columns chosen int (b,) and their propensities f64 (b,).

        Parameters
        ----------
        predicted : f32 (b, m)
        best : int (b,)
            The router's own choices.
        allowed : bool (b, m)
            What may be chosen; `best` always may.
        deviation : callable
            Gives f32 (b, m), what the predicted scores may be off by; asked only where it is needed.
        rng : numpy.random.Generator
        """
        ...


class Epsilon:
    """With probability epsilon one of the allowed LLMs, each as likely; else the best. The propensity is exact."""

    def __init__(self, epsilon: float) -> None:
        self.epsilon = epsilon

    def choose(
        self,
        predicted: NDArray[np.float32],
        best: NDArray[np.integer],
        allowed: NDArray[np.bool_],
        deviation: Callable[[], NDArray[np.float32]],
        rng: np.random.Generator,
    ) -> Chosen:
        n_allowed = allowed.sum(axis=1)
        nth = (rng.random(len(best)) * n_allowed).astype(np.int64) + 1  # 1 to n_allowed
        uniform = (allowed.cumsum(axis=1) >= nth[:, None]).argmax(axis=1)
        chosen = np.where(rng.random(len(best)) < self.epsilon, uniform, best).astype(np.int64)
        return chosen, self.epsilon / n_allowed + (1 - self.epsilon) * (chosen == best)


class Thompson:
    """Draws scores around the predicted ones, with the router's own deviation, and takes the best drawn.

    So many winners are drawn, one of them is taken, each as likely, and its share of them is the propensity. Given the
    draws that is the very probability of the choice, so weighing by it is unbiased, but for LLMs that win less often
    than once in so many draws: those may not be among them (a share (1 - p)^n_draws of the times). No weight is larger
    than n_draws.
    Source: Thompson, Biometrika 1933; independent normal draws for each LLM.
    """

    def __init__(self, n_draws: int = DRAWS) -> None:
        self.n_draws = n_draws

    def choose(
        self,
        predicted: NDArray[np.float32],
        best: NDArray[np.integer],
        allowed: NDArray[np.bool_],
        deviation: Callable[[], NDArray[np.float32]],
        rng: np.random.Generator,
    ) -> Chosen:
        spread = deviation()
        chosen, propensity = np.empty(len(best), dtype=np.int64), np.empty(len(best))
        for i in range(len(best)):
            low = np.where(allowed[i], predicted[i] - BEYOND * spread[i], -np.inf)
            index = np.flatnonzero(allowed[i] & (predicted[i] + BEYOND * spread[i] >= low.max()))
            noise = rng.standard_normal((self.n_draws, len(index)), dtype=np.float32)
            winners = (predicted[i, index] + noise * spread[i, index]).argmax(axis=1)
            chosen[i] = index[winners[0]]
            propensity[i] = (winners == winners[0]).mean()
        return chosen, propensity


class Dice:
    """One seed for many threads: each request gets a generator of its own."""

    def __init__(self, seed: int | None) -> None:
        self.seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self._rng, self._lock = np.random.default_rng(self.seed), threading.Lock()

    def generator(self) -> np.random.Generator:
        with self._lock:
            seed = int(self._rng.integers(2**63))
        return np.random.default_rng(seed)


def make_explorer(text: str) -> Explorer | None:
    """What --explore says: none, epsilon:SHARE, thompson or thompson:DRAWS; RecrouteError for anything else."""
    name, _, value = text.partition(":")
    try:
        if text == "none":
            return None
        if name == "epsilon" and 0 < (epsilon := float(value)) <= 1:
            return Epsilon(epsilon)
        if name == "thompson" and 2 <= (draws := int(value) if value else DRAWS) <= 100_000:
            return Thompson(draws)
    except ValueError:
        pass
    raise RecrouteError(
        f"explore {text!r} is none of: none, epsilon:SHARE with a share in (0, 1], thompson, thompson:DRAWS with 2 to "
        "100000 draws"
    )
