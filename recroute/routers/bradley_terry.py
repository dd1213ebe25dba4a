"""A leaderboard of Bradley-Terry coefficients for each prompt: Prompt-to-Leaderboard on given vectors."""

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
N_LLMS, N_ROWS = 100, 20_000  # that reg is chosen on: it is one number for all, and more would take minutes


@dataclass(frozen=True, eq=False)
class Axes:
    """Prompt vectors in their principal axes; made once for all candidates of `reg`.

    Parameters
    ----------
    value : f64 (r,)
        Sum of squares along each axis; axes without any are left out.
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
        """No axis at all: text is left aside."""
        return Axes(self.value[:0], self.axes[:, :0], self.rotated[:, :0])


@dataclass(frozen=True, eq=False)
class Model:
    """Coordinates V (r, m) in which the penalised loss is about round: `theta = basis @ V`; and the intercept.

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
    to_first_shown : float
        From the last coordinate to what being shown first adds.
    """

    basis: AnyArray
    to_weight: NDArray[np.float64]
    to_leaderboard: float
    precision: NDArray[np.float64]
    to_first_shown: float

    @classmethod
    def of(cls, axes: Axes, n_llms: int, battles: Battles, reg: float) -> Model:
        """For a prior of precision `reg` on what a typical prompt adds to the leaderboard."""
        if np.isinf(reg):
            axes, reg = axes.none(), 0.0
        n = len(axes.rotated)
        penalty = np.append(np.full(len(axes.value), reg * axes.value.sum() / n + 1e-9), PRIOR)
        total = float(battles.weight.sum(dtype=np.float64))
        curvature = total / (n * n_llms) / 4  # at most, of a cell: a battle has up to 1/4, and two cells
        scale = 1 / np.sqrt(curvature * np.append(axes.value, n) + penalty)
        basis = np.column_stack([axes.rotated * scale[:-1], np.full(n, scale[-1])]).astype(np.float32)
        to_first_shown = float(1 / np.sqrt(battles.shown.sum(dtype=np.float64) / 4 + PRIOR_SHOWN))
        precision = (penalty * scale**2)[:, None]
        return cls(basis, axes.axes * scale[:-1], float(scale[-1]), precision, to_first_shown)

    def objective(self, flat: AnyArray, battles: Battles) -> tuple[float, AnyArray]:
        """Negative log posterior and its gradient for V (r, m), flattened, and the intercept's coordinate."""
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
    """Predicts from a leaderboard for each prompt: coefficients `theta[l](x) = leaderboard[l] + x . W[l]`.

    Trained on the battles of LLMs on the same prompt: the data set's preferences, and those that scores imply; the
    global leaderboard is the intercept, and a Gaussian prior draws the rest to it. In a scored row of many LLMs each
    meets `n_opponents` others, drawn by seed. A tie is half a win for both, and of graded scores the difference
    counts, `(1 + s[i] - s[j]) / 2`: with that the expected result orders LLMs by their mean score, which is what a
    router is after. Models of ties with a parameter of their own (Rao-Kupper, Davidson) predict how often there is
    a tie, which no choice depends on. What being shown first adds to a preference is an intercept of its own
    (`first_shown_`), so that it is not taken for strength.

    The predicted score is the expected one of an LLM that has this lead over the prompt's average coefficient,
    around the LLMs' mean score. Of what is good for all LLMs on a prompt battles know nothing: the scores compare
    LLMs on one prompt, not prompts.
    Source: Prompt-to-Leaderboard, arXiv 2502.14855 (there a language model is trained in place of the vectors).
    """

    name: ClassVar[str] = "bradley_terry"
    kind: ClassVar[str] = "battles"
    takes_unseen_llms: ClassVar[bool] = True
    learns_from_preferences: ClassVar[bool] = True

    reg: float | None = setting(
        None, low=0, help="precision of the prior on what a prompt adds to the leaderboard; none: chosen on train"
    )
    n_opponents: int = setting(4, low=1, help="battles of each LLM on each prompt, at most")
    n_epochs: int = setting(20, low=1, help="steps of L-BFGS, at most")

    centre_: NDArray[np.float32] = fitted("width")
    weight_: NDArray[np.float32] = fitted("width", "n_llms")
    leaderboard_: NDArray[np.float32] = fitted("n_llms")
    first_shown_: NDArray[np.float64] = fitted("1", older=None)  # log odds
    pool_mean_: NDArray[np.float64] = fitted(  # of the LLMs it was fitted on
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
        # coefficients are relative: those of the average LLM are 0 on every prompt
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
        """Weights f64 (d, m) on the prompt vector, the global leaderboard f64 (m,), what being shown first adds."""
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
    """Expected score of an LLM with this lead over the average coefficient, in (0, 1) and rising with the lead.

    The expected result 1 / (1 + exp(-lead)) stands for a difference of scores of tanh(lead / 2) by the meaning of
    a result; a logistic curve through `mean` with the slope 1/2 there is that for small leads, and never leaves
    [0, 1] for large ones.
    """
    p = float(np.clip(mean, 0.01, 0.99))
    return sigmoid(logit(np.asarray(p)) + lead / (2 * p * (1 - p)))
