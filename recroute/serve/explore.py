"""Exploration: sometimes choose an LLM other than the predicted best, with a logged propensity."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recroute.data import Prompts
from recroute.errors import RecrouteError, RouterError
from recroute.routers import Ranking, Router

Chosen = tuple[NDArray[np.int64], NDArray[np.float64]]
DRAWS = 256
MAX_DEVIATIONS = 4.0  # standard deviations; an LLM that would need a larger draw to win is not drawn


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
        """Chosen columns int (b,) and their propensities f64 (b,).

        Parameters
        ----------
        predicted : f32 (b, m)
        best : int (b,)
            The router's own choices.
        allowed : bool (b, m)
            LLMs that may be chosen; `best` always may.
        deviation : callable
            Returns standard deviations of the predicted scores, f32 (b, m); called only if needed.
        rng : numpy.random.Generator
        """
        ...


class Epsilon:
    """Epsilon-greedy: a uniform choice of an allowed LLM with probability epsilon, otherwise the best.

    The propensity is exact.
    """

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
    """Thompson sampling: draw a score for each LLM around the predicted one and choose the LLM with the highest.

    The scores are drawn `n_draws` times. One of the winners is chosen uniformly, and its share of the wins is the
    propensity. Given the draws, this is the exact probability of the choice, so weights based on it are unbiased,
    except for LLMs that win less often than once in `n_draws`: an LLM that wins with probability p is missing from the
    winners with probability (1 - p)^n_draws. No weight exceeds `n_draws`.
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
            low = np.where(allowed[i], predicted[i] - MAX_DEVIATIONS * spread[i], -np.inf)
            index = np.flatnonzero(allowed[i] & (predicted[i] + MAX_DEVIATIONS * spread[i] >= low.max()))
            noise = rng.standard_normal((self.n_draws, len(index)), dtype=np.float32)
            winners = (predicted[i, index] + noise * spread[i, index]).argmax(axis=1)
            chosen[i] = index[winners[0]]
            propensity[i] = (winners == winners[0]).mean()
        return chosen, propensity


class SeedSource:
    """Random generators for requests in several threads, all from one seed."""

    def __init__(self, seed: int | None) -> None:
        self.seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self._rng, self._lock = np.random.default_rng(self.seed), threading.Lock()

    def generator(self) -> np.random.Generator:
        with self._lock:
            seed = int(self._rng.integers(2**63))
        return np.random.default_rng(seed)


def make_explorer(text: str) -> Explorer | None:
    """The explorer for a value of --explore (none, epsilon:SHARE, thompson[:DRAWS]); otherwise RecrouteError."""
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


def rank_exploring(
    router: Router, prompts: Prompts, k: int, llms: Sequence[str] | None, explorer: Explorer, rng: np.random.Generator
) -> tuple[Ranking, list[float]]:
    """Rank k LLMs for each prompt: the explorer chooses the first, the router ranks the others.

    Returns
    -------
    Ranking (b, k), and the propensities of the first LLMs, b floats.

    Raises
    ------
    RouterError
        If k does not fit the pool, or the explorer needs standard deviations that the router cannot give.
    """
    index = router.llm_index(llms)
    if not 1 <= k <= len(index):
        raise RouterError(f"k={k} does not fit a pool of {len(index)} LLMs; choose k between 1 and {len(index)}")
    predicted = router.score(prompts, index)
    best = router.choose(predicted, index, k)
    allowed = _affordable(router, prompts, index, best[:, 0])

    def deviation() -> NDArray[np.float32]:
        return router.score_std(prompts, index, reducible=True)  # exploration cannot reduce the rest

    chosen, propensity = explorer.choose(predicted, best[:, 0], allowed, deviation, rng)
    for row, column in zip(best, chosen.tolist(), strict=True):
        row[1:] = row[row != column][: k - 1]
        row[0] = column
    ranking = Ranking(index[best].astype(np.int32), np.take_along_axis(predicted, best, axis=1), router.llm_ids_)
    return ranking, propensity.tolist()


def _affordable(
    router: Router, prompts: Prompts, index: NDArray[np.int64], best: NDArray[np.integer]
) -> NDArray[np.bool_]:
    """LLMs that may be explored, bool (b, m).

    If the router weighs cost, these are the LLMs that cost no more than the mean cost allowed per prompt or than the
    router's own choice, so that exploration keeps to the budget.
    """
    if (cost := router.predicted_cost(prompts, index)) is None:
        return np.ones((prompts.n, len(index)), dtype=bool)
    own = np.take_along_axis(cost, best[:, None], axis=1)
    return np.asarray(cost <= np.maximum(own, router.cost_limit()))
