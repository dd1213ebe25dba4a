"""A leaderboard of Bradley-Terry coefficients for each prompt: Prompt-to-Leaderboard on given vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.routers.base import Instances, Scores, TextRouter, fitted, setting
from recroute.routers.logistic import NO_TEXT, Array, Cells, cross_validate, logit, minimise, sigmoid

PENALTIES = (NO_TEXT, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3)  # candidates for reg
N_LLMS = 100  # that reg is chosen on: it is one number for all, and a pool of thousands would take minutes
GLOBAL = 0.1  # of the prior on the global leaderboard: only an LLM that always wins or loses feels it


@dataclass(frozen=True)
class Battles:
    """Pairs of LLMs within a row, one pair of indices into the flattened cells (n*m,) for each battle.

    Parameters
    ----------
    first, second : int (p,)
        Cells of the flattened matrix (n, m), in the same row.
    weight : f32 (p,)
        Of each battle; a row's weights sum to half the number of its observed cells.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    weight: NDArray[np.float32]

    @classmethod
    def of(cls, observed: Array, n_opponents: int, seed: int) -> Battles:
        """Every observed cell (n, m) against up to `n_opponents` others of its row: all of them, or a draw.

        The LLMs sit down in a random order, and each meets those that come next in the circle: so all play
        equally often, and a row costs `n_opponents` battles an LLM instead of half the pool.
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
        return cls(first.astype(np.int64), second.astype(np.int64), weight.astype(np.float32))


def battle_loss(theta: Array, scores: Array, battles: Battles) -> tuple[Array, Array]:
    """Bradley-Terry loss of each battle, and its derivative by the coefficients.

    The result of i against j is `(1 + s[i] - s[j]) / 2`: 1 for a win, 0 for a loss, 1/2 for a tie.

    Parameters
    ----------
    theta : float (n, m)
        Coefficients.
    scores : float (n, m)
    battles : Battles

    Returns
    -------
    loss float (p,), derivative float (n, m)
    """
    flat, s = theta.ravel(), scores.ravel()
    half = (flat[battles.first] - flat[battles.second]) / 2
    ahead = s[battles.first] - s[battles.second]
    size = np.abs(half)
    loss = battles.weight * (size + np.log1p(np.exp(-2 * size)) - ahead * half)  # log(2 cosh) without overflow
    slope = battles.weight * (np.tanh(half) - ahead) / 2
    gradient = np.bincount(battles.first, slope, len(flat)) - np.bincount(battles.second, slope, len(flat))
    return loss, gradient.reshape(theta.shape).astype(theta.dtype)


@dataclass(frozen=True)
class Model:
    """Coordinates V (r, m) in which the penalised loss is about round: `theta = basis @ V`.

    Parameters
    ----------
    basis : float (n, r)
        The prompt vectors in their principal axes and a constant for the global leaderboard, scaled.
    to_weight : f64 (d, r - 1)
        From the first rows of V to the weights on the prompt vector.
    to_leaderboard : float
        From the last row of V to the global leaderboard.
    precision : f64 (r, 1)
        Of the prior on the rows of V.
    """

    basis: Array
    to_weight: NDArray[np.float64]
    to_leaderboard: float
    precision: NDArray[np.float64]

    @classmethod
    def of(cls, cells: Cells, reg: float) -> Model:
        """For a prior of precision `reg` on what a typical prompt adds to the leaderboard."""
        X = cells.X.astype(np.float64)
        value, axes = (np.zeros(0), np.zeros((X.shape[1], 0))) if np.isinf(reg) else np.linalg.eigh(X.T @ X)
        value = value.clip(min=0)
        penalty = np.append(np.full(len(value), 0.0 if np.isinf(reg) else reg * value.sum() / len(X) + 1e-9), GLOBAL)
        curvature = cells.observed.mean() / 8  # at most, of a cell: a battle has up to 1/4, and a cell half of it
        scale = 1 / np.sqrt(curvature * np.append(value, len(X)) + penalty)
        to_weight = axes * scale[:-1]
        basis = np.column_stack([X @ to_weight, np.full(len(X), scale[-1])])
        return cls(basis.astype(cells.X.dtype), to_weight, float(scale[-1]), (penalty * scale**2)[:, None])

    def objective(self, flat: Array, scores: Array, battles: Battles) -> tuple[float, Array]:
        """Negative log posterior and its gradient for V (r, m), flattened."""
        V = flat.reshape(-1, scores.shape[1])
        loss, by_theta = battle_loss(self.basis @ V.astype(self.basis.dtype, copy=False), scores, battles)
        gradient = self.basis.T @ by_theta + self.precision * V
        return float(loss.sum(dtype=np.float64) + (self.precision * V**2).sum() / 2), gradient.ravel()


@dataclass(kw_only=True)
class BradleyTerry(TextRouter):
    """Predicts from a leaderboard for each prompt: coefficients `theta[l](x) = leaderboard[l] + x . W[l]`.

    Trained on the battles of LLMs on the same prompt; the global leaderboard is the intercept, and a Gaussian
    prior draws the rest to it. The battles of scored rows are implied; in a row of many LLMs each meets
    `n_opponents` others, drawn by seed. A tie is half a win for both, and of graded scores the difference counts,
    `(1 + s[i] - s[j]) / 2`: with that the expected result orders LLMs by their mean score, which is what a router
    is after. Models of ties with a parameter of their own (Rao-Kupper, Davidson) predict how often there is a
    tie, which no choice depends on. What only battles are known of: `recroute.data.dataset_from_pairs`.

    The predicted score is the expected one of an LLM that has this lead over the prompt's average coefficient,
    around the LLMs' mean score. Of what is good for all LLMs on a prompt battles know nothing: the scores compare
    LLMs on one prompt, not prompts.
    Source: Prompt-to-Leaderboard, arXiv 2502.14855 (there a language model is trained in place of the vectors).
    """

    name: ClassVar[str] = "bradley_terry"
    kind: ClassVar[str] = "battles"
    takes_unseen_llms: ClassVar[bool] = True
    llm_arrays: ClassVar[Mapping[str, int]] = {"weight_": 1, "leaderboard_": 0}

    reg: float | None = setting(
        None, low=0, help="precision of the prior on what a prompt adds to the leaderboard; none: chosen on train"
    )
    n_opponents: int = setting(4, low=1, help="battles of each LLM on each prompt, at most")
    n_epochs: int = setting(20, low=1, help="steps of L-BFGS, at most")

    centre_: NDArray[np.float32] = fitted()
    weight_: NDArray[np.float32] = fitted()
    leaderboard_: NDArray[np.float32] = fitted()
    pool_mean_: NDArray[np.float64] = fitted()  # of the LLMs it was fitted on

    def _fit(self, train: Dataset) -> None:
        cells, self.centre_ = Cells.of(train, self.vectors(train), self.seed)
        reg = self.reg
        if reg is None:
            few = np.sort(np.random.default_rng(self.seed).permutation(train.n_llms)[:N_LLMS])
            reg = cross_validate(PENALTIES, cells.take_llms(few), self._held_out_errors)
        weight, leaderboard = self._train(cells, reg)
        # coefficients are relative: those of the average LLM are 0 on every prompt
        self.weight_ = (weight - weight.mean(axis=1, keepdims=True)).astype(np.float32)
        self.leaderboard_ = (leaderboard - leaderboard.mean()).astype(np.float32)
        self.pool_mean_ = np.array([self.llm_mean_.mean()])

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        super().restore({"pool_mean_": arrays["llm_mean_"].mean(keepdims=True), **arrays})

    def _held_out_errors(self, fit: Cells, held: Cells) -> Array:
        battles = Battles.of(held.observed, self.n_opponents, self.seed)
        losses = []
        for reg in PENALTIES:
            weight, leaderboard = self._train(fit, reg)
            loss, _ = battle_loss(held.X @ weight + leaderboard, held.S, battles)
            losses.append(np.bincount(battles.first // held.S.shape[1], loss, len(held.S)))
        return np.array(losses)

    def _train(self, cells: Cells, reg: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weights f64 (d, m) on the prompt vector and the global leaderboard f64 (m,)."""
        battles = Battles.of(cells.observed, self.n_opponents, self.seed)
        model = Model.of(cells, reg)
        start = np.zeros(model.basis.shape[1] * cells.S.shape[1])
        flat = minimise(lambda flat: model.objective(flat, cells.S, battles), start, self.n_epochs)
        V = flat.reshape(-1, cells.S.shape[1])
        return model.to_weight @ V[:-1], model.to_leaderboard * V[-1]

    def _score(self, instances: Instances, llm_index: NDArray[np.int64]) -> Scores:
        lead = (self.vectors(instances) - self.centre_) @ self.weight_[:, llm_index] + self.leaderboard_[llm_index]
        predicted: Scores = lead_to_score(lead, float(self.pool_mean_[0])).astype(np.float32)
        return predicted


def lead_to_score(lead: Any, mean: float) -> Any:
    """Expected score of an LLM with this lead over the average coefficient, in (0, 1) and rising with the lead.

    The expected result 1 / (1 + exp(-lead)) stands for a difference of scores of tanh(lead / 2) by the meaning of
    a result; a logistic curve through `mean` with the slope 1/2 there is that for small leads, and never leaves
    [0, 1] for large ones.
    """
    p = float(np.clip(mean, 0.01, 0.99))
    return sigmoid(logit(np.asarray(p)) + lead / (2 * p * (1 - p)))
