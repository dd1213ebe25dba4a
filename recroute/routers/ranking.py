"""`Ranking`: the result of `Router.rank`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.data import IdMap
from recroute.report.document import Document, Table
from recroute.report.shown import Shown

REPR_ROWS = 3  # prompts, and LLMs of each, in `repr`
MAX_PROMPTS, MAX_LLMS = 10, 5  # rows and columns of the table


def format_score(score: float, form: str = ".3f") -> str:
    """Predicted score as text, clipped to [0, 1]; a router's raw prediction may lie slightly outside.

    >>> format_score(1.02), format_score(-0.01), format_score(0.5)
    ('1.000', '0.000', '0.500')
    """
    return f"{clip_score(score):{form}}"


def clip_score(score: float) -> float:
    """Score clipped to [0, 1]."""
    return min(max(score, 0.0), 1.0)


@dataclass(frozen=True, repr=False, eq=False)
class Ranking(Shown):
    """The k best LLMs of each of b instances, best first.

    Parameters
    ----------
    llm_index : int32 (b, k)
        Positions in `llm_ids`.
    predicted_score : f32 (b, k)
        Raw values that the router sorts by; they may lie outside [0, 1] and are clipped for display.
    llm_ids : IdMap
        All LLMs of the router.
    """

    llm_index: NDArray[np.int32]
    predicted_score: NDArray[np.float32]
    llm_ids: IdMap

    @property
    def names(self) -> list[list[str]]:
        """LLM ids, b lists of k."""
        return [[self.llm_ids.ids[i] for i in row] for row in self.llm_index]

    def row(self, i: int) -> list[tuple[str, float]]:
        """LLM ids and predicted scores of instance `i`, best first."""
        names = (self.llm_ids.ids[j] for j in self.llm_index[i])
        return list(zip(names, self.predicted_score[i].tolist(), strict=True))

    def __repr__(self) -> str:
        n, k = self.llm_index.shape
        lines = [f"Ranking(the best {k:,} of {len(self.llm_ids):,} LLMs for each of {n:,} instances"]
        for i in range(min(n, REPR_ROWS)):
            best = ", ".join(f"{name} {format_score(score)}" for name, score in self.row(i)[:REPR_ROWS])
            lines.append(f"  {i}: {best}{', ...' if k > REPR_ROWS else ''}")
        return "\n".join([*lines, *["  ..."] * (n > REPR_ROWS)]) + ")"

    def document(self) -> Document:
        """Table with a row for each prompt: its LLMs with their predicted scores; long rankings are truncated."""
        n, k = self.llm_index.shape
        rows = [
            [str(i), *(f"{name} ({format_score(score)})" for name, score in self.row(i)[:MAX_LLMS])]
            for i in range(min(n, MAX_PROMPTS))
        ]
        facts = f"the best {k:,} of {len(self.llm_ids):,} LLMs for each of {n:,} prompts, with their predicted scores"
        if n > MAX_PROMPTS or k > MAX_LLMS:
            facts += f"; the table shows the first {len(rows)} prompts and {min(k, MAX_LLMS)} LLMs"
        heads = ["prompt", *(f"{place}." for place in range(1, min(k, MAX_LLMS) + 1))]
        return Document(title="Ranking", facts=facts, blocks=[Table(heads=heads, rows=rows)])
