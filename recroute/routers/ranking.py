"""What a router answers."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from recroute.data import IdMap

SHOWN = 3  # prompts and LLMs that a line or two in a terminal has room for


def shown(score: float, form: str = ".3f") -> str:
    """A predicted score for people: a score is in [0, 1], where a router's arithmetic need not stay.

    >>> shown(1.02), shown(-0.01), shown(0.5)
    ('1.000', '0.000', '0.500')
    """
    return f"{min(max(score, 0.0), 1.0):{form}}"


@dataclass(frozen=True, repr=False, eq=False)
class Ranking:
    """The k best LLMs of each of b instances, best first.

    Parameters
    ----------
    llm_index : int32 (b, k)
        Positions in `llm_ids`.
    predicted_score : f32 (b, k)
        As the router orders by them: may lie outside of [0, 1]; what people are shown does not.
    llm_ids : IdMap
        All LLMs of the router.
    """

    llm_index: NDArray[np.int32]
    predicted_score: NDArray[np.float32]
    llm_ids: IdMap

    @property
    def names(self) -> list[list[str]]:
        """The LLMs' ids, b lists of k."""
        return [[self.llm_ids.ids[i] for i in row] for row in self.llm_index]

    def row(self, i: int) -> list[tuple[str, float]]:
        """The LLMs of instance `i` with their predicted scores, best first."""
        names = (self.llm_ids.ids[j] for j in self.llm_index[i])
        return list(zip(names, self.predicted_score[i].tolist(), strict=True))

    def __repr__(self) -> str:
        n, k = self.llm_index.shape
        lines = [f"Ranking(the best {k:,} of {len(self.llm_ids):,} LLMs for each of {n:,} instances"]
        for i in range(min(n, SHOWN)):
            best = ", ".join(f"{name} {shown(score)}" for name, score in self.row(i)[:SHOWN])
            lines.append(f"  {i}: {best}{', ...' if k > SHOWN else ''}")
        return "\n".join([*lines, *["  ..."] * (n > SHOWN)]) + ")"

    def _repr_html_(self) -> str:
        """What a notebook shows: the LLMs by name."""
        return str(import_module("recroute.report").ranking_notebook(self))
