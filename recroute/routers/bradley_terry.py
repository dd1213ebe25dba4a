"""Prompt-specific Bradley-Terry coefficients: Prompt-to-Leaderboard on given prompt vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.data.means import PRIOR, PRIOR_SHOWN
from recroute.routers.base import Prompts, TextRouter, fitted, setting
from recroute.routers.battles import Battles, Rows, battle_loss
from recroute.routers.logistic import NO_TEXT, Cells, cross_validate, logit, minimise, sigmoid
from recroute.util.numeric import AnyArray, Index

PENALTIES = (NO_TEXT, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3)  # candidates for reg
N_LLMS, N_ROWS = 100, 20_000  # sample that reg is chosen on; it is a single number, and more would take minutes


@dataclass(frozen=True, eq=False)
class Axes:
    """Prompt vectors in their principal axes, computed once for all candidates of `reg`.

    Parameters
    ----------
    value : f64 (r,)
        Sum of squares along each axis; axes without variation are left out.
    axes : f64 (d, r)
    rotated : f64 (n, r)
        `X @ axes`.
    """

    value: NDArray[np.float64]
    axes: NDArray[np.float64]
    rotated: NDArray[np.float64]

    @classmethod
    def of(cls, X: AnyArray) -> Axes:
        X = X.astype(np.float64)
        value, axes = np.linalg.eigh(X.T @ X)
        kept = value > 1e-10 * value.max(initial=0)
        return cls(value[kept], axes[:, kept], X @ axes[:, kept])

    def none(self) -> Axes:
        """No axes: a model that ignores the text."""
        return Axes(self.value[:0], self.axes[:, :0], self.rotated[:, :0])


@dataclass(frozen=True, eq=False)
class Model:
    """Penalised loss in preconditioned coordinates V (r, m), where `theta = basis @ V`, plus one for the position bias.

    Parameters
    ----------
    basis : float (n, r)
        Prompt vectors in their principal axes, and a constant for the global leaderboard, scaled so that the curvature
        of the loss is about the same in every direction.
    to_weight : f64 (d, r - 1)
        Map from the first rows of V to the weights on the prompt vector.
    to_leaderboard : float
        Factor from the last row of V to the global leaderboard.
    precision : f64 (r, 1)
        Prior precision of the rows of V.
    to_first_shown : float
        Factor from the last coordinate to the position bias.
    """

    basis: AnyArray
    to_weight: NDArray[np.float64]
    to_leaderboard: float
    precision: NDArray[np.float64]
    to_first_shown: float

    @classmethod
    def of(cls, axes: Axes, n_llms: int, battles: Battles, reg: float) -> Model:
        """Model with prior precision `reg` on what a typical prompt adds to the leaderboard; infinite: no text."""
        if np.isinf(reg):
            axes, reg = axes.none(), 0.0
        n = len(axes.rotated)
        penalty = np.append(np.full(len(axes.value), reg * axes.value.sum() / n + 1e-9), PRIOR)
        total = float(battles.weight.sum(dtype=np.float64))
        curvature = total / (n * n_llms) / 4  # upper bound per cell: a battle has at most 1/4 and involves two cells
        scale = 1 / np.sqrt(curvature * np.append(axes.value, n) + penalty)
        basis = np.column_stack([axes.rotated * scale[:-1], np.full(n, scale[-1])]).astype(np.float32)
        to_first_shown = float(1 / np.sqrt(battles.shown.sum(dtype=np.float64) / 4 + PRIOR_SHOWN))
        precision = (penalty * scale**2)[:, None]
        return cls(basis, axes.axes * scale[:-1], float(scale[-1]), precision, to_first_shown)

    def objective(self, flat: AnyArray, battles: Battles) -> tuple[float, AnyArray]:
        """Negative log posterior and its gradient; `flat` is V (r, m), flattened, followed by the position bias."""
        V, bias = flat[:-1].reshape(len(self.precision), -1), float(flat[-1])
        theta = self.basis @ V.astype(self.basis.dtype, copy=False)
        loss, slope = battle_loss(theta, battles, self.to_first_shown * bias)
        by_theta = np.bincount(battles.first, slope, theta.size) - np.bincount(battles.second, slope, theta.size)
        gradient = self.basis.T @ by_theta.reshape(theta.shape).astype(theta.dtype) + self.precision * V
        prior = PRIOR_SHOWN * self.to_first_shown**2
        by_bias = self.to_first_shown * (slope @ battles.shown) + prior * bias
        penalty = (self.precision * V**2).sum() + prior * bias**2
        return float(loss.sum(dtype=np.float64) + penalty / 2), np.append(gradient.ravel(), by_bias)


@dataclass(kw_only=True)
class BradleyTerry(TextRouter):
    """Predicts from prompt-specific Bradley-Terry coefficients `theta[l](x) = leaderboard[l] + x . W[l]`.

    Trained on battles between LLMs on the same prompt: the data set's preferences, and battles implied by scores, where
    each LLM meets up to `n_opponents` others drawn by seed. The intercept is a global leaderboard, and a Gaussian prior
    shrinks the dependence on the prompt towards it. A tie is half a win for both LLMs; with graded scores the result is
    `(1 + s[i] - s[j]) / 2`, so that the expected result orders LLMs by mean score, which is the goal of a router. Tie
    models with a parameter of their own (Rao-Kupper, Davidson) predict how often ties occur, which affects no choice.
    Position bias (the advantage of the answer shown first) has an intercept of its own, `first_shown_`.

    The predicted score is that of an LLM with this lead over the average coefficient of the prompt, around the LLMs'
    mean score. Battles carry no information on how hard a prompt is, so the scores compare LLMs on one prompt, not
    prompts with each other.
    Source: Prompt-to-Leaderboard, arXiv 2502.14855 (which trains a language model instead of using given vectors).
    """

    name: ClassVar[str] = "bradley_terry"
    kind: ClassVar[str] = "battles"
    takes_unseen_llms: ClassVar[bool] = True
    learns_from_preferences: ClassVar[bool] = True

    reg: float | None = setting(
        None, low=0, help="prior precision of what a prompt adds to the leaderboard; none: by cross-validation"
    )
    n_opponents: int = setting(4, low=1, help="maximum number of implied battles of each LLM on each prompt")
    n_epochs: int = setting(20, low=1, help="maximum number of L-BFGS iterations")

    centre_: NDArray[np.float32] = fitted("width")
    weight_: NDArray[np.float32] = fitted("width", "n_llms")
    leaderboard_: NDArray[np.float32] = fitted("n_llms")
    first_shown_: NDArray[np.float64] = fitted("1", older=None)  # log odds
    pool_mean_: NDArray[np.float64] = fitted(  # mean score of the LLMs in the fit
        "1", older=lambda router: router.llm_mean_.mean(keepdims=True)
    )

    def _fit(self, train: Dataset) -> None:
        rows, self.centre_ = Rows.of_train(train, self.vectors(train), self.seed)
        reg = self.reg
        if reg is None:
            rng = np.random.default_rng(self.seed)
            llms = np.sort(rng.permutation(train.n_llms)[:N_LLMS])
            some = np.sort(rng.permutation(len(rows.X))[:N_ROWS])
            reg = cross_validate(PENALTIES, rows.take(some).take_llms(llms), self._held_out_errors)
        weight, leaderboard, first_shown = self._train(rows, Axes.of(rows.X), reg)
        # coefficients are identified up to a constant: those of the average LLM are set to 0 on every prompt
        self.weight_ = (weight - weight.mean(axis=1, keepdims=True)).astype(np.float32)
        self.leaderboard_ = (leaderboard - leaderboard.mean()).astype(np.float32)
        self.first_shown_ = np.array([first_shown])
        self.pool_mean_ = np.array([self.llm_mean_.mean()])

    def _held_out_errors(self, fit: Cells, held: Cells) -> AnyArray:
        assert isinstance(fit, Rows)
        assert isinstance(held, Rows)
        battles = Battles.of(held, self.n_opponents, self.seed)
        axes, losses = Axes.of(fit.X), []
        for reg in PENALTIES:
            weight, leaderboard, first_shown = self._train(fit, axes, reg)
            loss, _ = battle_loss(held.X @ weight + leaderboard, battles, first_shown)
            losses.append(np.bincount(battles.first // held.S.shape[1], loss, len(held.S)))
        return np.array(losses)

    def _train(self, rows: Rows, axes: Axes, reg: float) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Weights f64 (d, m) on the prompt vector, global leaderboard f64 (m,), and position bias."""
        battles = Battles.of(rows, self.n_opponents, self.seed)
        model = Model.of(axes, rows.S.shape[1], battles, reg)
        start = np.zeros(model.basis.shape[1] * rows.S.shape[1] + 1)
        flat = minimise(lambda flat: model.objective(flat, battles), start, self.n_epochs)
        V = flat[:-1].reshape(-1, rows.S.shape[1])
        return model.to_weight @ V[:-1], model.to_leaderboard * V[-1], model.to_first_shown * float(flat[-1])

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        lead = (self.vectors(prompts) - self.centre_) @ self.weight_[:, llm_index] + self.leaderboard_[llm_index]
        return lead_to_score(lead, float(self.pool_mean_[0]))


def lead_to_score(lead: Any, mean: float) -> Any:
    """Expected score in (0, 1) of an LLM with this lead over the average coefficient.

    An expected result of 1 / (1 + exp(-lead)) corresponds to a score difference of tanh(lead / 2). The logistic curve
    through `mean` with slope 1/2 agrees with this for small leads and stays within [0, 1] for large ones.
    """
    p = float(np.clip(mean, 0.01, 0.99))
    return sigmoid(logit(np.asarray(p)) + lead / (2 * p * (1 - p)))
