"""Answers of every LLM to some prompts, and what a verifier says of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.errors import DataError
from recroute.routers.memory.verifier import EXACT, Verifier
from recroute.util.numeric import Floats


@dataclass(frozen=True, eq=False)
class Answers:
    """Score and verdict of every LLM's answer to each of n test prompts.

    Parameters
    ----------
    scores : f32 (n, m)
        NaN where unobserved: such an LLM is passed over by every policy.
    verdicts : f32 (n, m)
        What the verifier says: the score itself, or 0 or 1 of a judge that errs.
    accepted : bool (n, m)
    verifier : Verifier
    costs : f32 (n, m), optional
    """

    scores: Floats
    verdicts: Floats
    accepted: NDArray[np.bool_]
    verifier: Verifier
    costs: Floats | None = None

    @classmethod
    def of(cls, test: Dataset, verifier: Verifier, accept: float, seed: int) -> Answers:
        """Answers of a test set; the judge's errors are drawn once and are equal for all policies."""
        scores, costs = test.interactions.dense(), test.interactions.dense_costs()
        verdicts = scores
        if not verifier.exact:
            chance = np.random.default_rng([seed, 11]).random(scores.shape, dtype=np.float32)
            verdicts = np.where(np.isnan(scores), np.nan, chance < verifier.accepted(scores)).astype(np.float32)
        with np.errstate(invalid="ignore"):
            accepted = verdicts >= (accept if verifier.exact else 1)
        return cls(scores, verdicts, accepted, verifier, costs)

    @classmethod
    def recorded(cls, data: Dataset, verifier: Verifier) -> Answers:
        """Answers with the verdicts of the data set; an answer without a verdict counts as not evaluated."""
        if data.verdicts is None:
            raise DataError(f"{data.name} has no verdicts; give them with its method with_verdicts")
        verdicts, scores = data.verdicts.dense(), data.interactions.dense()
        scores = np.where(np.isnan(verdicts), np.nan, scores)
        verdicts = np.where(np.isnan(scores), np.nan, verdicts)
        return cls(scores, verdicts, verdicts >= 1, verifier, data.interactions.dense_costs())


def verdict_rates(train: Dataset) -> Verifier:
    """Rates at which verdicts accept right and reject wrong training answers, each with one answer of either kind more.

    DataError if there are no verdicts, or if they carry no information.
    """
    answers = Answers.recorded(train, EXACT)
    right, passed = (
        table[~np.isnan(answers.scores)].astype(np.float64) for table in (answers.scores, answers.verdicts)
    )
    accepts = (1 + (right * passed).sum()) / (2 + right.sum())
    rejects = (1 + ((1 - right) * (1 - passed)).sum()) / (2 + (1 - right).sum())
    if accepts + rejects <= 1:
        raise DataError(
            f"{train.name}: verdicts accept {accepts:.0%} of the right and {1 - rejects:.0%} of the wrong training "
            "answers, so they carry no information; is 1 a check that passed?"
        )
    return Verifier(float(accepts), float(rejects))
