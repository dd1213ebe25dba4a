"""Preference data: battles of two LLMs on an instance, as a data set."""

from __future__ import annotations

from typing import Any

import polars as pl

from recroute.data.dataset import Dataset
from recroute.data.records import Records, require_columns, text_column
from recroute.errors import DataError

RESULTS = {"win": (1.0, 0.0), "tie": (0.5, 0.5), "loss": (0.0, 1.0)}  # scores of llm_a and llm_b
SIDES = ("llm_a", "llm_b")


def dataset_from_pairs(frame: Any, *, instances: pl.DataFrame | None = None, name: str = "pairs") -> Dataset:
    """A data set in which every battle is an instance of its own, with two scores: 1 and 0, or twice 1/2.

    So that a pair of LLMs may meet on the same instance more than once, and nothing has to be known of the LLMs
    that did not take part: their cells are unobserved.

    Parameters
    ----------
    frame : polars, pandas, pyarrow or dict of columns
        `instance_id, llm_a, llm_b, outcome` and, if known, `prompt`; the outcome is that of `llm_a`: "win",
        "tie" or "loss".
    instances : polars.DataFrame, optional
        `instance_id` and what else is known of an instance: `prompt, task, ...`; every battle gets a copy.
    name : str

    Returns
    -------
    Dataset with the instances `<instance_id>#<row>` in the order of the frame.

    Raises
    ------
    DataError
        For a missing column, an outcome that is none of the three, an LLM against itself, an instance that
        `instances` lacks or has twice, or an empty frame.

    Examples
    --------
    >>> battles = {"instance_id": ["q1", "q1"], "llm_a": ["x", "x"], "llm_b": ["y", "z"], "outcome": ["win", "tie"]}
    >>> dataset_from_pairs(battles).interactions.dense()
    array([[1. , 0. , nan],
           [0.5, nan, 0.5]], dtype=float32)
    """
    table = frame if isinstance(frame, pl.DataFrame) else pl.DataFrame(frame)
    require_columns(table, ("instance_id", *SIDES, "outcome"), name)
    for column in ("instance_id", *SIDES, "outcome"):
        table = text_column(table, column, name)
    for row, (a, b, outcome) in enumerate(table.select(*SIDES, "outcome").iter_rows()):
        if outcome not in RESULTS:
            raise DataError(f"outcome {outcome!r} in {name}, row {row} is none of {', '.join(RESULTS)}; mend that row")
        if a == b:
            raise DataError(f"llm {a!r} meets itself in {name}, row {row}; leave that row out")
    source = table["instance_id"]
    table = table.with_columns(instance_id=source + "#" + pl.int_range(table.height, eager=True).cast(pl.String))
    scores = [
        table.select(
            "instance_id",
            llm_id=side,
            score=pl.col("outcome").replace_strict({key: value[i] for key, value in RESULTS.items()}),
        )
        for i, side in enumerate(SIDES)
    ]
    known = table.select("instance_id", *(c for c in ("prompt",) if c in table.columns))
    if instances is not None:
        known = _copies(known, source, instances, name)
    return Dataset.from_records(Records(pl.concat(scores), name), name=name, instances=known)


def _copies(battles: pl.DataFrame, source: pl.Series, instances: pl.DataFrame, name: str) -> pl.DataFrame:
    """The battles with what `instances` knows of the instance that each was fought on."""
    require_columns(instances, ("instance_id",), f"the instances of {name}")
    if (twice := instances["instance_id"].is_duplicated()).any():
        raise DataError(f"instance {instances['instance_id'].filter(twice)[0]!r} stands twice in {name}; keep one row")
    if (lacking := ~source.is_in(instances["instance_id"].implode())).any():
        raise DataError(f"instance {source.filter(lacking)[0]!r} of {name} is not in the table of instances; add it")
    more = instances.rename({"instance_id": "_source"}).drop("prompt" if "prompt" in battles.columns else [])
    return (
        battles.with_columns(_source=source).join(more, on="_source", how="left", maintain_order="left").drop("_source")
    )
