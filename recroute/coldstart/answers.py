"""Reading the scores of one LLM on training prompts from a file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl

from recroute.data import Dataset, Records
from recroute.data.folder import read_records
from recroute.data.schema import number_column, require_columns, text_column
from recroute.data.sources import import_dataset
from recroute.data.sources._lm_eval_runs import NAME
from recroute.data.tables import read_table
from recroute.errors import DataError


def read_results(path: str | Path, llm_id: str, prompts: pl.DataFrame) -> tuple[Dataset, list[str]]:
    """Read the scores of one LLM from a file.

    Parameters
    ----------
    path : str or Path
        CSV, JSONL or Parquet file with columns `instance_id` and `score` in [0, 1]; rows without a score are prompts
        that were not run. If there is a column `llm_id`, only the rows of this LLM are read. Or
        `samples_<task>_<date>.jsonl` of lm-evaluation-harness.
    llm_id : str
    prompts : polars.DataFrame
        Training prompts, with `instance_id`.

    Returns
    -------
    dataset : Dataset
        Scores of the one LLM.
    notes : list of str
        What was left out.

    Raises
    ------
    DataError
        If the file or a score is invalid, an instance occurs twice or is not a training prompt, or there is no score.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"no file at {path}; name the file with the scores")
    known = set(prompts["instance_id"].to_list())
    if NAME.fullmatch(path.name):
        table, notes = _samples(path, llm_id, known)
    else:
        table, notes = _table(path, llm_id)
    unknown = [name for name in table["instance_id"].to_list() if name not in known]
    if unknown:
        examples = ", ".join(repr(name) for name in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        raise DataError(
            f"{path.name}: {len(unknown)} of {table.height} instances are not training prompts of the router: "
            f"{examples}; remove them, or write the ids as in the file of anchors"
        )
    table = table.with_columns(pl.lit(llm_id).alias("llm_id"))
    return Dataset.from_records(Records(table, path.name), name=path.name), notes


def _table(path: Path, llm_id: str) -> tuple[pl.DataFrame, list[str]]:
    notes: list[str] = []
    table = read_table(path, notes, ("instance_id", "score", "llm_id"))
    require_columns(table, ("instance_id", "score"), path.name)
    if "llm_id" in table.columns:
        table = text_column(table, "llm_id", path.name).filter(pl.col("llm_id") == llm_id)
        if table.is_empty():
            raise DataError(
                f"{path.name} has a column llm_id, but no row of {llm_id!r}; fix the id, or remove the column"
            )
    table = text_column(table, "instance_id", path.name).select(
        "instance_id", "score", *({"cost"} & set(table.columns))
    )
    scored = number_column(table, "score", path.name).filter(pl.col("score").is_not_null())
    if scored.is_empty():
        raise DataError(f"{path.name} has no scores; fill in the column score with numbers from 0 to 1")
    n_blank = table.height - scored.height
    return scored, notes + [f"{n_blank} rows without a score were left out"] * (n_blank > 0)


def _samples(path: Path, llm_id: str, known: set[str]) -> tuple[pl.DataFrame, list[str]]:
    """Read a samples file; its documents that are not training prompts are left out, because it has the whole task."""
    with tempfile.TemporaryDirectory() as folder:
        import_dataset("lm-eval", path, Path(folder) / "samples", llm_id=llm_id)
        records = read_records(Path(folder) / "samples")
    table = records.filter(pl.col("instance_id").is_in(list(known)))
    if table.is_empty():
        raise DataError(
            f"{path.name}: none of its {records.height} documents is a training prompt of the router; use a router "
            "fitted on data imported from lm-eval, whose ids are made of document hashes"
        )
    left_out = records.height - table.height
    return table.select("instance_id", "score"), [
        f"{left_out} documents that the router was not fitted on were left out"
    ] * (left_out > 0)
