"""Logs of routed prompts: a row each, with the LLM that was chosen, its score and the probability of that choice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data import Dataset, Encoder, Records
from recroute.data.encoding import Precomputed
from recroute.data.feedback import RECORDS, different, joined, parts, read_feedback_records
from recroute.data.schema import RECORDS as RECORD_COLUMNS
from recroute.data.schema import TEXT, Column, Schema, check_columns
from recroute.errors import DataError, argument
from recroute.util.arguments import checked

PROPENSITY, DECISION = "propensity", "decision_id"
TEXTS = ("prompt", "task")
LOGS: Schema = {
    **RECORD_COLUMNS,
    PROPENSITY: Column(
        number=True,
        needed=True,
        parsed=True,
        low=np.nextafter(0, 1),
        high=1,
        outside="is outside (0, 1]; it is the probability with which the LLM was chosen: correct that row",
        missing="a choice without its probability cannot be used here",
    ),
    "prompt": TEXT,
    "task": TEXT,
}


@dataclass(frozen=True, eq=False)
class Logs:
    """Choices that a router made in production, with their scores.

    Parameters
    ----------
    table : polars.DataFrame
        One row per decision: `instance_id str, llm_id str` (the LLM that answered), `score f32 in [0, 1]`,
        `propensity f64 in (0, 1]` (the probability with which it was chosen for this prompt) and, if known,
        `cost f32 USD, prompt str, task str`, or `vector` (list of float) and `encoder str`, the name of the encoder
        that made all the vectors. Other columns, such as a time, are left out.
    source : str
        Name of the logs in messages.

    Raises
    ------
    DataError
        If `Records` refuses the table; if a propensity is missing, not a number or outside (0, 1]; if a prompt or task
        is missing; if vectors are missing or from two encoders; or if an instance occurs twice.
    """

    table: pl.DataFrame
    source: str = "logs"

    def __post_init__(self) -> None:
        table = check_columns(self.table, LOGS, self.source)
        records = Records(table, self.source).table
        texts = [name for name in TEXTS if name in table.columns]
        if "vector" in table.columns:
            _check_vectors(table, self.source)
            texts += ["vector", "encoder"]
        object.__setattr__(self, "table", records.hstack(table.select(PROPENSITY, *texts)))
        twice = self.table.filter(pl.col("instance_id").is_duplicated())["instance_id"]
        if len(twice):
            raise DataError(
                f"instance {twice[0]!r} occurs twice in {self.source}; a log has one row for each decision, so give "
                "every request an id of its own"
            )

    def __len__(self) -> int:
        return self.table.height

    @property
    def propensity(self) -> NDArray[np.float64]:
        """Probabilities of the logged choices, f64 (n,)."""
        return self.table[PROPENSITY].to_numpy()

    def dataset(
        self, known: Dataset | None = None, llms: Sequence[str] = (), encoders: Iterable[Encoder] = ()
    ) -> Dataset:
        """The logs as a data set of n instances with one record each, in the order of the logs.

        Parameters
        ----------
        known : Dataset, optional
            Holds the prompts, tasks and vectors of the logged instances, found by id; used in place of the logs' own.
        llms : list of str, optional
            LLMs to add to the logged ones, without records.
        encoders : iterable of Encoder, optional
            Encoders that may have made the logged vectors; the one that the log names is used.

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
        vectors: NDArray[np.float32] | None = None
        encoder: Encoder | None = None
        if "vector" in self.table.columns:
            vectors = np.array(self.table["vector"].to_list(), dtype=np.float32)
            name = self.table["encoder"][0]
            encoder = next((one for one in encoders if one.name == name), Precomputed(name, named=True))
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


@checked
def read_logs(path: str | Path, *more: str | Path) -> Logs:
    """Read logs from a .parquet, .csv or .jsonl file, or from the folder where `recroute serve` keeps feedback.

    Logs of several servers are joined if `more` than one place is named.

    If the rows have a `decision_id`, the first row of each decision counts. An instance may then occur more than once,
    because the same prompt was routed again; from its second row on, its id is joined with that of the decision. Rows
    without a propensity, whose LLM was not drawn at random, are left out, and `source` says how many.

    Raises DataError if there is no such file, or its content is not valid, see `Logs`.
    """
    paths = different([path, *more], "logs")
    table = joined([_read_place(place) for place in paths])
    if table is None:
        raise DataError(f"{paths[0]} has no rows yet; one row per answer is needed")
    name = RECORDS if len(paths) == 1 and paths[0].is_dir() else ", ".join(place.name for place in paths)
    if DECISION not in table.columns:
        return Logs(table, name)
    known = table.drop_nulls(PROPENSITY) if PROPENSITY in table.columns else table.clear()
    if known.is_empty():
        explore = argument("explore")
        raise DataError(
            f"no record of {paths[0]} has a propensity; serve with {explore} to log choices that are drawn at random"
        )
    left_out = f" (without {table.height - known.height} choices not drawn at random)" * (known.height < table.height)
    known = known.select(name for name in known.columns if known[name].dtype != pl.Null)
    return Logs(_by_decision(known), name + left_out)


def _read_place(path: Path) -> pl.DataFrame | None:
    if not (path.is_file() or (path.is_dir() and parts(path, RECORDS))):
        raise DataError(f"no logs at {path}; name a .parquet, .csv or .jsonl file, or a folder of feedback")
    return read_feedback_records(path)


def _by_decision(table: pl.DataFrame) -> pl.DataFrame:
    """One row for each decision, with ids that are unique; a table without decision ids is returned unchanged."""
    if DECISION not in table.columns or table[DECISION].null_count() or "instance_id" not in table.columns:
        return table
    table = table.unique(DECISION, keep="first", maintain_order=True)
    again = pl.concat_str("instance_id", DECISION, separator="/")
    first = pl.col("instance_id").is_first_distinct()
    return table.with_columns(instance_id=pl.when(first).then("instance_id").otherwise(again))


def _check_vectors(table: pl.DataFrame, source: str) -> None:
    if "encoder" not in table.columns or table["encoder"].n_unique() != 1 or table["encoder"].null_count():
        raise DataError(
            f"the vectors of {source} are not all from one encoder; keep the rows of one, or leave vector out"
        )
    lengths = table["vector"].list.len()
    if lengths.null_count() or lengths.n_unique() != 1:
        raise DataError(f"some vectors of {source} are missing or differ in length; fix them, or leave vector out")
