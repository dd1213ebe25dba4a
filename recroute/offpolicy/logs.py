"""Logs: one row per routed prompt, with the one score that was seen and the probability of that choice."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data import Dataset, Encoder, Records
from recroute.data.folder import read_records
from recroute.data.records import number_column, require_columns, text_column
from recroute.errors import DataError

PROPENSITY = "propensity"
TEXTS = ("prompt", "task")
VECTORS = ("vector", "encoder")
DECISION = "decision_id"
SERVED, OWN = "records.jsonl", b'{"decision_id":'


@dataclass(frozen=True)
class LoggedVectors:
    """Vectors that were logged in place of texts: `name` is that of the encoder that made them."""

    name: str

    def encode(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        raise DataError(f"the logs have vectors of {self.name} and no prompts; give the logs a prompt column")


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
        vectors = [name for name in VECTORS if name in table.columns]
        if vectors:
            _check_vectors(table, self.source)
        object.__setattr__(self, "table", records.hstack(table.select(PROPENSITY, *texts, *vectors)))
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

    def dataset(
        self, known: Dataset | None = None, llms: Sequence[str] = (), encoders: Iterable[Encoder] = ()
    ) -> Dataset:
        """The logs as a data set of n instances with one record each, in the order of the logs.

        Parameters
        ----------
        known : Dataset, optional
            Where the instances' prompts, tasks and vectors are, found by instance id, if the logs have none.
        llms : list of str, optional
            LLMs beside the logged ones, which get no record.
        encoders : iterable of Encoder, optional
            Those that may have made the logged vectors: one knows which of its columns are what.

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
        elif "vector" in self.table.columns:
            vectors = np.array(self.table["vector"].to_list(), dtype=np.float32)
            name = self.table["encoder"][0]
            encoder = next((one for one in encoders if one.name == name), LoggedVectors(name))
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
    """Read logs from a .parquet, .csv or .jsonl file, or from the folder where recroute serve keeps feedback.

    Of records with a `decision_id`, which such a folder has, it is the instance's id, for a prompt may be routed again;
    and those without a propensity are left out: they were not chosen by chance, and `source` tells how many they are.

    Raises DataError if there is none, or its content is not what `Logs` asks for.
    """
    path = Path(path)
    path = path / SERVED if path.is_dir() else path
    if not path.is_file():
        raise DataError(f"no logs at {path}; name a .parquet, .csv or .jsonl file, or a folder of feedback")
    table = _read_lines(path) if path.suffix == ".jsonl" else read_records(path)
    if DECISION not in table.columns:
        return Logs(table, path.name)
    known = table.drop_nulls(PROPENSITY) if PROPENSITY in table.columns else table.clear()
    if known.is_empty():
        raise DataError(
            f"no record of {path} has a propensity; serve with --explore to log choices that tell of others"
        )
    left_out = f" (without {table.height - known.height} choices not made by chance)" * (known.height < table.height)
    known = known.with_columns(pl.col(DECISION).alias("instance_id"))
    return Logs(known.select(name for name in known.columns if known[name].dtype != pl.Null), path.name + left_out)


def _read_lines(path: Path) -> pl.DataFrame:
    """The table of a file of JSON lines, without a last one that has no end: it is being written, or was torn."""
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    if not content.startswith(OWN) or not 0 < end < len(content):
        return read_records(path)
    return pl.read_ndjson(io.BytesIO(content[:end]), infer_schema_length=None)


def _check_vectors(table: pl.DataFrame, source: str) -> None:
    """Raise DataError unless every row has a vector, all of one space."""
    spaces = table["encoder"].unique().to_list() if "encoder" in table.columns else list[str]()
    if "vector" not in table.columns or len(spaces) != 1 or table["vector"].null_count() or spaces[0] is None:
        raise DataError(
            f"the vectors of {source} are not all of one encoder; take the rows of one, or leave the vectors out and "
            "give a prompt column"
        )


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
