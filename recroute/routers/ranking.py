"""What a router answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.data import IdMap
from recroute.report.document import Document, Table
from recroute.report.shown import Shown

SHOWN = 3  # prompts and LLMs that `repr` has room for
MOST_PROMPTS, MOST_LLMS = 10, 5  # of a table


def shown(score: float, form: str = ".3f") -> str:
    """A predicted score for people: a score is in [0, 1], where a router's arithmetic need not stay.

    >>> shown(1.02), shown(-0.01), shown(0.5)
    ('1.000', '0.000', '0.500')
    """
    return f"{within(score):{form}}"


def within(score: float) -> float:
    """The nearest score in [0, 1]."""
    return min(max(score, 0.0), 1.0)


@dataclass(frozen=True, repr=False, eq=False)
class Ranking(Shown):
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

    def document(self) -> Document:
        """A row for each prompt, its LLMs by name with predicted scores; a long one is cut."""
        n, k = self.llm_index.shape
        rows = [
            [str(i), *(f"{name} ({shown(score)})" for name, score in self.row(i)[:MOST_LLMS])]
            for i in range(min(n, MOST_PROMPTS))
        ]
        facts = f"the best {k:,} of {len(self.llm_ids):,} LLMs for each of {n:,} prompts, with their predicted scores"
        if n > MOST_PROMPTS or k > MOST_LLMS:
            facts += f"; here the first {len(rows)} prompts and {min(k, MOST_LLMS)} LLMs"
        heads = ["prompt", *(f"{place}." for place in range(1, min(k, MOST_LLMS) + 1))]
        return Document(title="Ranking", facts=facts, blocks=[Table(heads=heads, rows=rows)])
