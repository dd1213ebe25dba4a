"""`Verifier`: how an answer is judged."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recroute.errors import DataError
from recroute.util.numeric import AnyArray


class Verifier(NamedTuple):
    """How an answer is judged: exactly, by its score, or by a judge with these error rates.

    Parameters
    ----------
    accepts_right : float
        Chance that an answer of score 1 is accepted (true positive rate).
    rejects_wrong : float
        Chance that one of score 0 is rejected (true negative rate).
    """

    accepts_right: float = 1.0
    rejects_wrong: float = 1.0

    @classmethod
    def of(cls, text: str) -> Verifier:
        """From "exact" or "noisy:TPR,TNR"; DataError for anything else.

        >>> Verifier.of("noisy:.9,.8").accepted(np.array([0.0, 1.0]))
        array([0.2, 0.9])
        """
        if text == "exact":
            return cls()
        name, _, rates = text.partition(":")
        try:
            right, wrong = map(float, rates.split(","))
        except ValueError:
            right = wrong = np.nan
        if name != "noisy" or not (0 <= right <= 1 and 0 <= wrong <= 1):
            raise DataError(f"verifier {text!r} is neither exact nor noisy:TPR,TNR with two rates from 0 to 1")
        if right + wrong <= 1:
            raise DataError(
                f"verifier {text!r} accepts right answers no more often than wrong ones, so its verdicts carry no "
                "information; correct the rates"
            )
        return cls(right, wrong)

    @property
    def exact(self) -> bool:
        return self == (1.0, 1.0)

    def accepted(self, expected: AnyArray) -> AnyArray:
        """Chance that an answer is accepted, from its expected score."""
        return expected * self.accepts_right + (1 - expected) * (1 - self.rejects_wrong)


EXACT = Verifier()
