"""Preferences: battles of two LLMs on an instance, where only it is known which answer was preferred."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.ids import IdMap
from recroute.data.numbers import is_text
from recroute.data.schema import (
    PREFERENCES,
    as_table,
    check_columns,
    number_column,
    refuse_first,
    require_columns,
)
from recroute.errors import DataError
from recroute.util.numeric import Positions

OUTCOMES = {"win": 1.0, "tie": 0.5, "loss": 0.0}  # of llm_a
PAIR_IDS = ("instance_id", "llm_a", "llm_b")
PAIR_COLUMNS = (*PAIR_IDS, "outcome")


@dataclass(frozen=True, repr=False, eq=False)
class Preferences:
    """p battles. The same two LLMs may meet on the same instance more than once: each battle counts.

    Parameters
    ----------
    instance_index, llm_a, llm_b : int32 (p,)
        Positions in the tables of instances and LLMs. Where the answers had an order, `llm_a` was shown first.
    outcome : f32 (p,) in [0, 1]
        Share of the battle that `llm_a` won: 1 a win, 0 a loss, 1/2 a tie.
    """

    instance_index: NDArray[np.int32]
    llm_a: NDArray[np.int32]
    llm_b: NDArray[np.int32]
    outcome: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.outcome)

    def __repr__(self) -> str:
        ties = np.count_nonzero(self.outcome == OUTCOMES["tie"])
        return f"Preferences({len(self):,} battles on {len(np.unique(self.instance_index)):,} instances, {ties:,} ties)"

    @property
    def order_tells(self) -> bool:
        """Whether `llm_a` may be the one shown first: not where it won, or lost, every decided battle.

        There the columns are those of winner and loser.
        """
        return bool((self.outcome > 0.5).any() and (self.outcome < 0.5).any())

    @classmethod
    def empty(cls) -> Preferences:
        """No battle."""
        nobody = np.zeros(0, dtype=np.int32)
        return cls(nobody, nobody, nobody, np.zeros(0, dtype=np.float32))

    @classmethod
    def from_frame(cls, frame: pl.DataFrame, instances: IdMap, llms: IdMap, source: str) -> Preferences:
        """From a table as `pair_table` gives it.

        Raises DataError for an id that `instances` or `llms` lack.
        """
        found = {}
        for column, ids in zip(PAIR_IDS, (instances, llms, llms), strict=True):
            known = pl.Enum(list(ids.ids))
            codes = frame[column].cast(known, strict=False)
            if codes.null_count():
                value = frame[column].filter(codes.is_null())[0]
                raise DataError(f"{source} has {column} {value!r}, which the table of {ids.kind}s lacks; add it there")
            found[column] = codes.to_physical().to_numpy().astype(np.int32)
        return cls(found["instance_id"], found["llm_a"], found["llm_b"], frame["outcome"].to_numpy())

    def to_frame(self, instances: IdMap, llms: IdMap) -> pl.DataFrame:
        """The table `instance_id, llm_a, llm_b, outcome`."""
        ids = [pl.Series(ids.ids, dtype=pl.String) for ids in (instances, llms)]
        columns = {"instance_id": ids[0].gather(self.instance_index)}
        columns |= {"llm_a": ids[1].gather(self.llm_a), "llm_b": ids[1].gather(self.llm_b)}
        return pl.DataFrame({**columns, "outcome": self.outcome})

    @property
    def arrays(self) -> list[NDArray[Any]]:
        """All that it holds, for digests."""
        return [self.instance_index, self.llm_a, self.llm_b, self.outcome]

    def fit(self, n_instances: int, n_llms: int) -> bool:
        """Whether all positions lie within tables of these sizes."""
        limits = ((self.instance_index, n_instances), (self.llm_a, n_llms), (self.llm_b, n_llms))
        return all(index.min(initial=0) >= 0 and index.max(initial=-1) < n for index, n in limits)

    def take(self, index: NDArray[Any]) -> Preferences:
        """The battles at `index`, a mask bool (p,) or positions."""
        return Preferences(self.instance_index[index], self.llm_a[index], self.llm_b[index], self.outcome[index])

    def take_instances(self, index: Positions, n_instances: int) -> Preferences:
        """The battles on the instances at `index` (none twice) of the `n_instances` there are."""
        position = _positions(index, n_instances)
        found = self.take(position[self.instance_index] >= 0)
        return Preferences(position[found.instance_index], found.llm_a, found.llm_b, found.outcome)

    def take_llms(self, index: Positions, n_llms: int) -> Preferences:
        """The battles between LLMs at `index` (none twice) of the `n_llms` there are."""
        position = _positions(index, n_llms)
        found = self.take((position[self.llm_a] >= 0) & (position[self.llm_b] >= 0))
        return Preferences(found.instance_index, position[found.llm_a], position[found.llm_b], found.outcome)


def pair_table(frame: Any, source: str) -> pl.DataFrame:
    """The table `instance_id, llm_a, llm_b, outcome f32` of a frame (polars, pandas, pyarrow or dict of columns).

    The outcome is that of `llm_a`: "win", "tie" or "loss", or a number from 0 to 1.

    Raises
    ------
    DataError
        For a missing column or value, an outcome that is none of these, or an LLM against itself.
    """
    table = as_table(frame, source)
    require_columns(table, PAIR_COLUMNS, source)
    table = check_columns(table.select(PAIR_COLUMNS), PREFERENCES, source)
    given = table["outcome"]
    share = _shares(given) if is_text(given.dtype) else number_column(table, "outcome", source)["outcome"]
    share = share.cast(pl.Float32).fill_nan(None)
    refuse_first(
        share.is_null() | ~share.is_between(0, 1),
        lambda row: (
            f"outcome {given[row]!r} in {source}, row {row} is not one of win, tie, loss, nor a number from 0 to "
            "1; fix that row"
        ),
    )
    refuse_first(
        table["llm_a"] == table["llm_b"],
        lambda row: f"llm {table['llm_a'][row]!r} meets itself in {source}, row {row}; leave that row out",
    )
    return table.with_columns(share.alias("outcome"))


def _shares(outcomes: pl.Series) -> pl.Series:
    """What `llm_a` won by outcomes that are text; null where that is none."""
    texts = outcomes.cast(pl.String)
    told = texts.replace_strict(OUTCOMES, default=None, return_dtype=pl.Float32)
    return told.fill_null(texts.cast(pl.Float32, strict=False))


def _positions(index: Positions, n: int) -> NDArray[np.int32]:
    """Where each of n entries stands in `index`, int32 (n,); -1 where it does not."""
    index = np.asarray(index)
    position = np.full(n, -1, dtype=np.int32)
    position[index] = np.arange(len(index), dtype=np.int32)
    return position
