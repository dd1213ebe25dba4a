"""`Ranking`: the result of `Router.rank`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import overload

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data import IdMap
from recroute.report.document import Document, Table
from recroute.report.shown import Tabular

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
class Ranking(Tabular):
    """The k best LLMs of each of b instances, best first.

    It is a sequence: `len(ranking)` is b, and `ranking[i]` is a list of the LLM ids and predicted scores of instance
    i, best first. A slice is a Ranking.

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
        """LLM ids and predicted scores of instance `i`, best first; `ranking[i]` is the same."""
        names = (self.llm_ids.ids[j] for j in self.llm_index[i])
        return list(zip(names, self.predicted_score[i].tolist(), strict=True))

    def __len__(self) -> int:
        return len(self.llm_index)

    @overload
    def __getitem__(self, i: int) -> list[tuple[str, float]]: ...

    @overload
    def __getitem__(self, i: slice) -> Ranking: ...

    def __getitem__(self, i: int | slice) -> list[tuple[str, float]] | Ranking:
        if isinstance(i, slice):
            return Ranking(self.llm_index[i], self.predicted_score[i], self.llm_ids)
        return self.row(i)

    def __iter__(self) -> Iterator[list[tuple[str, float]]]:
        return (self[i] for i in range(len(self)))

    def to_polars(self) -> pl.DataFrame:
        """A row for each instance and place from 1: `instance, place, llm_id, predicted_score`."""
        n, k = self.llm_index.shape
        return pl.DataFrame(
            {
                "instance": np.repeat(np.arange(n), k),
                "place": np.tile(np.arange(1, k + 1), n),
                "llm_id": [name for names in self.names for name in names],
                "predicted_score": self.predicted_score.ravel(),
            }
        )

    def __repr__(self) -> str:
        n, k = self.llm_index.shape
        lines = [f"Ranking(the best {k:,} of {len(self.llm_ids):,} LLMs for each of {n:,} instances"]
        for i in range(min(n, REPR_ROWS)):
            best = ", ".join(f"{name} {format_score(score)}" for name, score in self[i][:REPR_ROWS])
            lines.append(f"  {i}: {best}{', ...' if k > REPR_ROWS else ''}")
        return "\n".join([*lines, *["  ..."] * (n > REPR_ROWS)]) + ")"

    def document(self) -> Document:
        """Table with a row for each prompt: its LLMs with their predicted scores; long rankings are truncated."""
        n, k = self.llm_index.shape
        rows = [
            [str(i), *(f"{name} ({format_score(score)})" for name, score in self[i][:MAX_LLMS])]
            for i in range(min(n, MAX_PROMPTS))
        ]
        facts = f"the best {k:,} of {len(self.llm_ids):,} LLMs for each of {n:,} prompts, with their predicted scores"
        if n > MAX_PROMPTS or k > MAX_LLMS:
            facts += f"; the table shows the first {len(rows)} prompts and {min(k, MAX_LLMS)} LLMs"
        heads = ["prompt", *(f"{place}." for place in range(1, min(k, MAX_LLMS) + 1))]
        return Document(title="Ranking", facts=facts, blocks=[Table(heads=heads, rows=rows)])
