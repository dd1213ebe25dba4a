"""Logs: one row per routed prompt, with the one score that was seen and the probability of that choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data import Dataset, Records
from recroute.data.folder import read_records
from recroute.data.records import number_column, require_columns, text_column
from recroute.errors import DataError

PROPENSITY = "propensity"
TEXTS = ("prompt", "task")


@dataclass(frozen=True)
class Logs:
    """What a router chose in production, and what came of it.

    Parameters
    ----------
    table : polars.DataFrame
        One row per decision: `instance_id str, llm_id str` (the LLM that answered), `score f32 in [0, 1]`,
        `propensity f64 in (0, 1]` (the probability with which it was chosen for this prompt) and, if known,
        `cost f32 USD, prompt str, task str`. Other columns, such as a time, are left out.
    source : str
        What messages call it.

    Raises
    ------
    DataError
        For what `Records` refuses, a propensity that is missing, no number or outside (0, 1], a missing prompt or
        task, and an instance that stands twice.
    """

    table: pl.DataFrame
    source: str = "logs"

    def __post_init__(self) -> None:
        require_columns(self.table, ("instance_id", "llm_id", "score", PROPENSITY), self.source)
        records = Records(self.table, self.source).table
        table = number_column(self.table, PROPENSITY, self.source, pl.Float64)
        _check_propensities(table, self.source)
        texts = [name for name in TEXTS if name in table.columns]
        for name in texts:
            table = text_column(table, name, self.source)
        object.__setattr__(self, "table", records.hstack(table.select(PROPENSITY, *texts)))
        twice = self.table.filter(pl.col("instance_id").is_duplicated())["instance_id"]
        if len(twice):
            raise DataError(
                f"instance {twice[0]!r} stands twice in {self.source}; a log has one row for each decision, so give "
                "every request an id of its own"
            )

    def __len__(self) -> int:
        return self.table.height

    @property
    def propensity(self) -> NDArray[np.float64]:
        """Probability of each logged choice, f64 (n,)."""
        return self.table[PROPENSITY].to_numpy()

    def dataset(self, known: Dataset | None = None, llms: Sequence[str] = ()) -> Dataset:
        """The logs as a data set of n instances with one record each, in the order of the logs.

        Parameters
        ----------
        known : Dataset, optional
            Where the instances' prompts, tasks and vectors are, found by instance id, if the logs have none.
        llms : list of str, optional
            LLMs beside the logged ones, which get no record.

        Raises
        ------
        DataError
            If `known` lacks an instance.
        """
        records = self.table.select(
            "instance_id", "llm_id", "score", *(["cost"] if "cost" in self.table.columns else [])
        )
        texts = [name for name in TEXTS if name in self.table.columns]
        instances = self.table.select("instance_id", *texts)
        vectors, encoder = None, None
        if known is not None:
            known = known.take_instances(self._positions(known))
            instances, vectors, encoder = known.instances, known.embeddings, known.encoder
        names = list(dict.fromkeys([*sorted(set(records["llm_id"])), *llms]))
        table = pl.DataFrame({"llm_id": names})
        dataset = Dataset.from_records(records, name=self.source, instances=instances, llms=table)
        return dataset if vectors is None or encoder is None else dataset.with_embeddings(vectors, encoder)

    def _positions(self, known: Dataset) -> NDArray[np.int64]:
        position = {name: i for i, name in enumerate(known.instance_ids)}
        ids = self.table["instance_id"].to_list()
        if (missing := next((name for name in ids if name not in position), None)) is not None:
            raise DataError(
                f"{known.name} has no instance {missing!r} of {self.source}; name the data set that the logged prompts "
                "are from, or give the logs a prompt column"
            )
        return np.array([position[name] for name in ids], dtype=np.int64)


def read_logs(path: str | Path) -> Logs:
    """Read logs from a .parquet, .csv or .jsonl file.

    Raises DataError if there is none, or its content is not what `Logs` asks for.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"no logs at {path}; name a .parquet, .csv or .jsonl file")
    return Logs(read_records(path), path.name)


def _check_propensities(table: pl.DataFrame, source: str) -> None:
    value = pl.col(PROPENSITY)
    bad = table.with_row_index("row").filter(value.is_null() | value.is_nan() | ~((value > 0) & (value <= 1)))
    if bad.is_empty():
        return
    first: dict[str, Any] = bad.row(0, named=True)
    where = f"instance {first['instance_id']!r}, llm {first['llm_id']!r} ({source}, row {first['row']})"
    if first[PROPENSITY] is None:
        raise DataError(f"propensity is missing for {where}; without the probability of a choice it tells nothing here")
    raise DataError(
        f"propensity {first[PROPENSITY]:g} for {where} is outside (0, 1]; it is the probability with which the LLM was "
        "chosen: mend that row"
    )
