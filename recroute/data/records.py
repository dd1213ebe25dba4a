"""Records: one row per evaluated answer, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from recroute.data.schema import RECORDS, check_columns
from recroute.errors import DataError


@dataclass(frozen=True, eq=False)
class Records:
    """One row per evaluated answer.

    Parameters
    ----------
    table : polars.DataFrame
        `instance_id str, llm_id str, score f32 in [0, 1]` and, if known, `cost f32 USD`; nothing else.

    Raises
    ------
    DataError
        For a missing column, an empty table, an id that is no text or missing, a score that is missing, NaN,
        infinite or outside [0, 1], a cost that is negative or not finite, and for a pair (instance, LLM) that
        stands twice.
    """

    table: pl.DataFrame
    source: str = "records"

    def __post_init__(self) -> None:
        table = check_columns(self.table, RECORDS, self.source)
        if table.is_empty():
            raise DataError(f"{self.source} has no rows; one row per evaluated answer is needed")
        object.__setattr__(self, "table", table.select(name for name in RECORDS if name in table.columns))

    @classmethod
    def from_frame(cls, frame: Any, source: str = "records") -> Records:
        """From polars, pandas, pyarrow or a dict of columns."""
        return cls(frame, source)

    @staticmethod
    def empty() -> pl.DataFrame:
        """The table without rows, which stands beside preferences where there are no scores."""
        return pl.DataFrame(schema={"instance_id": pl.String, "llm_id": pl.String, "score": pl.Float32})

    def __len__(self) -> int:
        return self.table.height
