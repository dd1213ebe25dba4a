"""Surface features of a prompt: length, digits, code, formulas, answer options, script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.util.state import array

# Features: shares of character classes, and whether a pattern occurs.
CHARACTERS = {"digits": r"\d", "capitals": r"[A-Z]", "signs": r"[^\w\s]", "spaces": r"\s", "non_ascii": r"[^\x00-\x7f]"}
PATTERNS = {
    "question": r"\?\s*$",
    "options": r"(?m)^\s*\(?[A-E][).:]\s",
    "blank": r"_{2,}|\.\.\.\s*$",
    "code": r"[{};]\s*$|def \w+\(|#include|=>|==|\breturn\b",
    "formula": r"\\[a-z]+|\$[^$]+\$|\^\{?\d",
    "lines": r"\n.*\n",
    "money": r"[$€£%]\s?\d|\d\s?%",
    "how_many": r"(?i)\bhow (?:many|much)\b",
    "imperative": r"(?i)^\s*(?:write|find|compute|calculate|solve|explain|translate|prove|determine|evaluate)\b",
    "which": r"(?i)\b(?:which|what|who|where|when)\b",
}
N_FEATURES = 2 + len(CHARACTERS) + len(PATTERNS)


@dataclass(frozen=True, eq=False)
class SurfaceEncoder:
    """Surface features of the text, standardised so that training prompts have mean squared length 1.

    Parameters
    ----------
    mean, deviation : f32 (d,)
        Mean and standard deviation of the raw features over the training prompts.
    """

    kind: ClassVar[str] = "surface"
    of_prompts: ClassVar[bool] = True
    joins: ClassVar[bool] = True
    width: ClassVar[int] = N_FEATURES

    mean: NDArray[np.float32] = array(str(N_FEATURES))
    deviation: NDArray[np.float32] = array(str(N_FEATURES), low=1e-7, allow=("inf",))

    @classmethod
    def fit(cls, prompts: Sequence[str]) -> SurfaceEncoder:
        raw = _features(prompts)
        deviation = raw.std(axis=0)
        return cls(raw.mean(axis=0), np.where(deviation > 1e-6, deviation, np.float32(np.inf)))

    @property
    def name(self) -> str:
        return f"surface:{float(np.nansum(self.mean)):.6g}"

    def encode(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors f32 (b, d); features are clipped at three standard deviations."""
        standard = (_features(prompts) - self.mean) / self.deviation
        return np.clip(standard, -3, 3) / np.float32(np.sqrt(N_FEATURES))


_COMPILED = [re.compile(pattern) for pattern in PATTERNS.values()]
_COUNTED = [re.compile(pattern) for pattern in CHARACTERS.values()]


def _features(prompts: Sequence[str]) -> NDArray[np.float32]:
    rows = np.zeros((len(prompts), N_FEATURES), dtype=np.float32)
    for row, prompt in zip(rows, prompts, strict=True):
        length = max(len(prompt), 1)
        row[0] = np.log1p(len(prompt))
        row[1] = np.log1p(len(prompt.split()))
        row[2 : 2 + len(_COUNTED)] = [len(pattern.findall(prompt)) / length for pattern in _COUNTED]
        row[2 + len(_COUNTED) :] = [pattern.search(prompt) is not None for pattern in _COMPILED]
    return rows
