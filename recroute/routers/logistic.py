"""Shared by the logistic routers: observed cells, logistic loss, L-BFGS and inner cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, prompt_groups
from recroute.util.numeric import AnyArray
from recroute.util.threads import one_blas_thread

Objective = Callable[[AnyArray], tuple[float, AnyArray]]

N_FOLDS = 3
N_STANDARD_ERRORS = 2.0
NO_TEXT = np.inf  # candidate that gives the text no weight


@dataclass(frozen=True, eq=False)
class Cells:
    """Training instances that have a record, with their centred vectors.

    Parameters
    ----------
    X : float (n, d)
        Prompt vectors minus their mean.
    S : float (n, m)
        Scores, 0 where unobserved.
    observed : float (n, m)
        1 where observed, else 0.
    fold : int (n,)
        Fold of the inner cross-validation; duplicate prompts share a fold.
    """

    X: AnyArray
    S: AnyArray
    observed: AnyArray
    fold: NDArray[np.int64]

    @classmethod
    def of(
        cls, train: Dataset, vectors: NDArray[np.float32], seed: int, seen: NDArray[np.integer] | None = None
    ) -> tuple[Cells, NDArray[np.float32]]:
        """Cells of `train`, and the mean vector f32 (d,) that was subtracted.

        `seen` are the rows to use (default: all with a record).
        """
        if seen is None:
            seen = np.flatnonzero(train.interactions.instance_counts)
        block = train.interactions.take_instances(seen).dense()
        vectors = vectors[seen]
        centre = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        _, group = np.unique(prompt_groups(train)[seen], return_inverse=True)
        fold = np.random.default_rng(seed).permutation(group.max() + 1) % N_FOLDS
        observed = (~np.isnan(block)).astype(np.float32)
        return cls(vectors - centre, np.nan_to_num(block), observed, fold[group]), centre

    def take(self, rows: AnyArray) -> Cells:
        """Cells of the instances at `rows`, a mask bool (n,) or positions."""
        return Cells(self.X[rows], self.S[rows], self.observed[rows], self.fold[rows])

    def take_llms(self, llm_index: NDArray[np.integer]) -> Cells:
        """Cells of the LLMs at `llm_index`, and of the instances that have a record of theirs."""
        S, observed = self.S[:, llm_index], self.observed[:, llm_index]
        return Cells(self.X, S, observed, self.fold).take(np.flatnonzero(observed.any(axis=1)))


def cell_loss(Z: AnyArray, cells: Cells) -> tuple[AnyArray, AnyArray]:
    """Logistic loss of each observed cell, with a graded score as a soft label.

    Parameters
    ----------
    Z : float (n, m)
        Logits.
    cells : Cells

    Returns
    -------
    loss : float (n, m)
    derivative : float (n, m)
        With respect to the logits; like the loss 0 where unobserved.
    """
    loss = (np.maximum(Z, 0) + np.log1p(np.exp(-np.abs(Z))) - cells.S * Z) * cells.observed  # cannot overflow
    return loss, (sigmoid(Z) - cells.S) * cells.observed


def sigmoid(Z: AnyArray) -> AnyArray:
    """Logistic function, without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * Z))


def logit(p: AnyArray) -> AnyArray:
    """Log odds of probabilities, clipped to [0.01, 0.99]."""
    p = np.clip(p, 0.01, 0.99)
    return np.log(p / (1 - p))


def unpack(flat: AnyArray, shapes: Sequence[tuple[int, ...]], dtype: Any) -> list[AnyArray]:
    """Split a flat parameter vector into arrays of these shapes and this dtype."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    parts = np.split(flat.astype(dtype, copy=False), ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def pack(parts: Sequence[AnyArray]) -> AnyArray:
    """Concatenate arrays into one flat f64 vector."""
    return np.concatenate([np.ravel(part) for part in parts]).astype(np.float64)


def minimise(objective: Objective, start: AnyArray, n_epochs: int, tolerance: float = 1e-6) -> AnyArray:
    """Minimise a smooth function by L-BFGS on one thread; `tolerance` is relative. Returns the minimiser, f64."""
    from scipy.optimize import minimize

    with one_blas_thread():  # the import above may have loaded another BLAS
        result = minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": n_epochs, "ftol": tolerance, "gtol": 1e-4},
        )
    return result.x


def relative_errors(predicted: AnyArray, cells: Cells) -> AnyArray:
    """Squared error of each row f64 (n,) after its mean error is subtracted.

    An error shared by all LLMs does not change the choice, so it does not count.
    """
    error = (predicted - cells.S) * cells.observed
    error = error - cells.observed * (error.sum(axis=1) / cells.observed.sum(axis=1))[:, None]
    return (error**2).sum(axis=1, dtype=np.float64)


def cross_validate(
    candidates: Sequence[float], cells: Cells, held_out_errors: Callable[[Cells, Cells], AnyArray]
) -> float:
    """Candidate with the smallest held-out error, if it is clearly better than the first candidate.

    The gain over the first must be significant on the same instances (`is_clear`), so uninformative text gets no
    weight.

    Parameters
    ----------
    candidates : list of float
        The first gives the text no weight; it is also returned if there is nothing to validate on.
    cells : Cells
    held_out_errors : callable (fit, held) -> float (n_candidates, n_held)
        Fits every candidate on the first cells and returns its error on each row of the second.
    """
    if len(np.unique(cells.fold)) == 1:
        return float(candidates[0])
    errors = []
    for fold in range(N_FOLDS):
        held = cells.fold == fold
        if held.any():
            errors.append(held_out_errors(cells.take(~held), cells.take(held)))
    error = np.concatenate(errors, axis=1)
    best = int(np.argmin(error.sum(axis=1)))
    return float(candidates[best if is_clear(error[0] - error[best]) else 0])


def is_clear(gain: AnyArray) -> bool:
    """Whether the mean of the gains f (n,) exceeds two of its standard errors."""
    return bool(gain.mean() > N_STANDARD_ERRORS * gain.std() / np.sqrt(len(gain)))
