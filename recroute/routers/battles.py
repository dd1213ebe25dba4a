"""Battles between LLMs on a prompt, from preferences or implied by scores, and their Bradley-Terry loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, Preferences
from recroute.routers.logistic import Cells
from recroute.util.numeric import AnyArray


@dataclass(frozen=True, eq=False)
class Rows(Cells):
    """Training instances that have a record or a preference, with the preferences about them."""

    preferences: Preferences

    @classmethod
    def of_train(cls, train: Dataset, vectors: NDArray[np.float32], seed: int) -> tuple[Rows, NDArray[np.float32]]:
        """Rows of `train`, and the mean vector f32 (d,) that was subtracted."""
        preferences = train.preferences or Preferences.empty()
        seen = np.flatnonzero(train.is_rated)
        cells, centre = Cells.of(train, vectors, seed, seen)
        return cls._of(cells, preferences.take_instances(seen, train.n_instances)), centre

    @classmethod
    def _of(cls, cells: Cells, preferences: Preferences) -> Rows:
        return cls(cells.X, cells.S, cells.observed, cells.fold, preferences)

    def take(self, rows: AnyArray) -> Rows:
        kept = np.arange(len(self.X))[rows]
        return self._of(super().take(kept), self.preferences.take_instances(kept, len(self.X)))

    def take_llms(self, llm_index: NDArray[np.integer]) -> Rows:
        """Rows restricted to the LLMs at `llm_index` and to instances with a record or a battle of theirs."""
        preferences = self.preferences.take_llms(llm_index, self.S.shape[1])
        taken = Rows(self.X, self.S[:, llm_index], self.observed[:, llm_index], self.fold, preferences)
        battled = np.bincount(preferences.instance_index, minlength=len(self.X)) > 0
        return taken.take(np.flatnonzero(battled | taken.observed.any(axis=1)))


@dataclass(frozen=True, eq=False)
class Battles:
    """Battles between two LLMs on the same prompt.

    Parameters
    ----------
    first, second : int (p,)
        Positions of the two cells in the flattened matrix (n * m,); both are in the same row.
    weight : f32 (p,)
        1 for a preference. The weights of the battles implied by a row's scores sum to half the number of its observed
        cells.
    ahead : f32 (p,)
        Result: 1 if the first won, 0 for a tie, -1 if the second won; graded scores give values between.
    shown : f32 (p,)
        1 if the first answer was shown first, 0 if neither was.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    weight: NDArray[np.float32]
    ahead: NDArray[np.float32]
    shown: NDArray[np.float32]

    @classmethod
    def of(cls, rows: Rows, n_opponents: int, seed: int) -> Battles:
        """Battles implied by the scores, followed by the preferences."""
        first, second, weight = implied_battles(rows.observed, n_opponents, seed)
        s, fought = rows.S.ravel(), rows.preferences
        start = fought.instance_index.astype(np.int64) * rows.S.shape[1]
        shown = np.repeat([0, fought.order_tells], [len(first), len(fought)]).astype(np.float32)
        return cls(
            np.concatenate([first, start + fought.llm_a]),
            np.concatenate([second, start + fought.llm_b]),
            np.concatenate([weight, np.ones(len(fought), dtype=np.float32)]),
            np.concatenate([s[first] - s[second], 2 * fought.outcome - 1]).astype(np.float32),
            shown,
        )


def implied_battles(
    observed: AnyArray, n_opponents: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Pair every observed cell (n, m) with up to `n_opponents` others of its row.

    The LLMs of a row are arranged in a circle in random order, and each is paired with the next `n_opponents`. So all
    LLMs have equally many battles, and a row has `n_opponents` battles per LLM instead of one for every pair.

    Returns
    -------
    first, second : int (p,)
    weight : f32 (p,)
        As in `Battles`.
    """
    rng = np.random.default_rng(seed)
    row, column = np.nonzero(observed)
    order = np.lexsort((rng.random(len(row)), row))  # random within a row
    cell = (row * observed.shape[1] + column)[order]
    count = np.bincount(row, minlength=len(observed))[row]  # cells in the row of each cell
    start = np.searchsorted(row, row)
    seat = np.arange(len(row)) - start
    rounds = np.minimum(n_opponents, count - 1)
    pairs = [np.zeros((0, 3))]
    for step in range(1, n_opponents + 1):
        plays = np.flatnonzero(rounds >= step)
        if len(plays) == 0:
            break
        opponent = start[plays] + (seat[plays] + step) % count[plays]
        pairs.append(np.column_stack([cell[plays], cell[opponent], 0.5 / rounds[plays]]))
    first, second, weight = np.concatenate(pairs).T
    return first.astype(np.int64), second.astype(np.int64), weight.astype(np.float32)


def battle_loss(theta: AnyArray, battles: Battles, first_shown: float = 0.0) -> tuple[AnyArray, AnyArray]:
    """Bradley-Terry loss of each battle, and its derivative with respect to the lead of the first LLM.

    The result of i against j is `(1 + ahead) / 2`: 1 for a win, 0 for a loss, 1/2 for a tie.

    Parameters
    ----------
    theta : float (n, m)
        Coefficients.
    battles : Battles
    first_shown : float
        Log odds added to the answer that is shown first (position bias).

    Returns
    -------
    loss float (p,), derivative float (p,)
    """
    flat = theta.ravel()
    half = (flat[battles.first] - flat[battles.second] + first_shown * battles.shown.astype(flat.dtype)) / 2
    size = np.abs(half)
    loss = battles.weight * (size + np.log1p(np.exp(-2 * size)) - battles.ahead * half)  # log(2 cosh) without overflow
    return loss, battles.weight * (np.tanh(half) - battles.ahead) / 2
