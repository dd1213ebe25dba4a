"""Reading and writing the dataset folder, the native format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.cells import row_blocks
from recroute.data.content import Block, Content, checked_blocks, checked_ids, write_content
from recroute.data.costs import cost_column
from recroute.data.dataset import Dataset
from recroute.data.embeddings import read_embeddings
from recroute.data.encoding import Precomputed, given_vectors
from recroute.data.ids import IdMap
from recroute.data.matrix import InteractionMatrix
from recroute.data.parquet_matrix import NotPlainError, TwiceError, distinct_ids, read_matrix
from recroute.data.reading import is_there, read_json
from recroute.data.records import Records, with_task
from recroute.data.schema import INSTANCES, LLMS, POOLS, PREFERENCES, Schema, as_table, check_columns, require_columns
from recroute.data.sources._entities import LongTable
from recroute.data.sources.source import usable
from recroute.data.sources.table import OURS, is_long, table_content
from recroute.data.stored_matrix import stored_matrix
from recroute.data.tables import SUFFIXES, read_table
from recroute.errors import DataError
from recroute.util.arguments import checked
from recroute.util.folders import read_folder


@checked
def read_dataset(path: Any, *, cost: str | None = None) -> Dataset:
    """Read a dataset folder, or a single table: a file, or a frame in memory.

    Parameters
    ----------
    path : str, Path or frame
        A folder with `records.parquet` (and, if there, `instances.parquet`, `llms.parquet`, `embeddings.npz`,
        `pools.parquet`, `card.json`). With `preferences.parquet` beside it `records.parquet` may be empty or missing.
        Or a table as the layout `table` takes it, long (`instance_id, llm_id, score`) or wide (a column for each LLM),
        in a file (CSV, JSON lines, Parquet, Arrow) or a frame of polars, pandas or pyarrow. What had to be guessed of
        it stands in the card, under `notes`.
    cost : str, optional
        What counts as the cost of an answer, if not the column `cost`: other columns or `prices`, see `cost_column`.
        The card's `cost_unit` then says what it is in.

    Raises
    ------
    DataError
        If a file is missing, damaged or empty, or its content is not what `Records` and `Dataset` ask for.

    Examples
    --------
    >>> read_dataset(pl.DataFrame({"instance_id": [7, 8], "llama": [1, 0], "qwen": [0.5, None]}))
    Dataset('frame': 2 instances x 2 LLMs, 3 records, density 0.750, no embeddings)
    """
    if isinstance(path, str | PathLike):
        return read_folder(Path(path), lambda place: _read_dataset(place, cost))
    return _of_table(as_table(path, "the frame"), Path("frame"), cost, [])


def _read_dataset(path: Path, cost: str | None) -> Dataset:
    if path.is_file():
        notes: list[str] = []
        return _of_table(read_table(path, notes, OURS), path, cost, notes)
    if not path.is_dir():
        what = f"no data set at {path}" if not path.exists() else f"{path} is neither a folder nor a regular file"
        raise DataError(f"{what}; name a dataset folder or a records file ({', '.join(SUFFIXES)})")
    preferences = _read_side_table(path / "preferences.parquet", PREFERENCES)
    if preferences is None and not is_there(path / "records.parquet"):
        raise DataError(f"{path} has no records.parquet; a dataset folder needs one")
    card = read_card(path / "card.json")
    dataset = _read_records_folder(path, card, preferences, cost)
    if is_there(path / "embeddings.npz"):
        vectors, source = read_embeddings(path / "embeddings.npz", dataset.instance_ids)
        dataset = dataset.with_embeddings(vectors, Precomputed(source))
    pools = _read_side_table(path / "pools.parquet", POOLS)
    return dataset if pools is None else replace(dataset, pools=pools)


def _of_table(table: pl.DataFrame, path: Path, cost: str | None, notes: list[str]) -> Dataset:
    """The data set in a table; ids of a long one in alphabetical order, as those of `Dataset.from_records`."""
    if table.is_empty():
        raise DataError(f"{path.name} has no rows; one row per evaluated answer, or per instance, is needed")
    if is_long(table.columns):
        require_columns(table, ("instance_id", "llm_id", "score"), path.name)
    table, more = _with_cost(table, cost, path.name, None, None)
    content = usable(table_content(LongTable(path, table.lazy())))
    content.scaling = "scale the scores or fix that record"
    if is_long(table.columns):
        content = _in_order(content)
    instance_ids, llm_ids = checked_ids(content.instances, "instance"), checked_ids(content.llms, "llm")
    blocks = list(checked_blocks(content, instance_ids, llm_ids, distinct=content.distinct))
    shape = (len(instance_ids), len(llm_ids))
    matrix = InteractionMatrix.from_coordinates(
        np.concatenate([block.instance_index for block in blocks]),
        np.concatenate([block.llm_index for block in blocks]),
        np.concatenate([block.score for block in blocks]),
        shape,
        np.concatenate([block.cost for block in blocks]) if blocks[0].cost is not None else None,
    )
    if not matrix.n_observed:
        raise DataError(f"{path.name} holds no score; fill in the column of scores")
    guessed = [*notes, *content.notes]
    card = {**more, **({"notes": guessed} if guessed else {})}
    return Dataset(path.stem, matrix, content.instances, content.llms, card=card)


def _in_order(content: Content) -> Content:
    """The content with ids in alphabetical order."""
    instances, llms = (
        table.with_row_index("_row").sort(f"{kind}_id")
        for table, kind in ((content.instances, "instance"), (content.llms, "llm"))
    )
    row, column = (np.argsort(table["_row"].to_numpy()) for table in (instances, llms))
    blocks = (replace(b, instance_index=row[b.instance_index], llm_index=column[b.llm_index]) for b in content.blocks)
    return replace(content, instances=instances.drop("_row"), llms=llms.drop("_row"), blocks=blocks)


def _read_records_folder(
    path: Path, card: Mapping[str, Any], preferences: pl.DataFrame | None, cost: str | None
) -> Dataset:
    """The records, the preferences and the two tables.

    The matrix is mapped or read by row group where that can be done, else read and checked.
    """
    file, name = path / "records.parquet", str(card.get("name", path.name))
    instances = _read_side_table(path / "instances.parquet", INSTANCES)
    llms = _read_side_table(path / "llms.parquet", LLMS)
    try:
        both = preferences is not None and (instances is None or llms is None)
        if cost is not None or both or not is_there(file):
            raise NotPlainError  # costs are to be made; or ids are those of the records and of the preferences
        instance_ids, llm_ids = (
            distinct_ids(file, column) if table is None else IdMap(table[column], column[:-3])
            for column, table in (("instance_id", instances), ("llm_id", llms))
        )
        matrix = stored_matrix(path, instance_ids, llm_ids) or read_matrix(file, instance_ids, llm_ids)
    except (NotPlainError, TwiceError):
        table = None
        if preferences is None or is_there(file):  # beside preferences, records may be missing or empty
            table = read_table(file)
        more: dict[str, str] = {}
        records = None
        if table is not None and not (preferences is not None and table.is_empty()):
            table, more = _with_cost(table, cost, file.name, instances, llms)
            records = Records(table, file.name)
        return Dataset.from_records(
            records, name=name, instances=instances, llms=llms, card={**card, **more}, preferences=preferences
        )
    if instances is None:
        instances = pl.DataFrame({"instance_id": instance_ids.column})
    if llms is None:
        llms = pl.DataFrame({"llm_id": llm_ids.column})
    found = Dataset(name=name, interactions=matrix, instances=with_task(instances), llms=llms, card=dict(card))
    vars(found).update(instance_ids=instance_ids, llm_ids=llm_ids)  # millions of ids are not gone through twice
    return found if preferences is None else found.with_preferences(preferences)


def read_records(path: Path) -> pl.DataFrame:
    """The table of records as it is on disk, unchecked."""
    return read_table(path / "records.parquet" if path.is_dir() else path)


def read_verdicts(dataset: Dataset, path: Path) -> Dataset:
    """The data set that was read from a folder or file, with the column `verdict` of its records."""
    file = path / "records.parquet" if path.is_dir() else path
    return dataset.with_verdicts(read_table(file), file.name)


@checked
def write_dataset(dataset: Dataset, path: str | Path, *, float16: bool = False) -> None:
    """Write a dataset folder; an older one of the same place is replaced whole, or not at all.

    Embeddings are written as vectors without their encoder; those that follow from the prompts, such as TF-IDF or a
    sentence encoder's, are no part of the data and are not written. With `float16` they take half the room, and results
    may differ a little. Raises DataError for vectors by any other encoder, and for values beyond 65,504 with `float16`.
    """
    vectors: NDArray[np.float32] | None = None
    source = ""
    if dataset.encoder is not None and dataset.embeddings is not None:
        vectors, source = given_vectors(dataset.encoder, dataset.embeddings, dataset.name)
    write_content(
        Content(
            instances=dataset.instances,
            llms=dataset.llms,
            blocks=_blocks(dataset),
            n_rows=dataset.interactions.n_observed,
            distinct=True,
            embeddings=vectors,
            encoder=source,
            float16=float16,
            pools=dataset.pools,
            preferences=_pairs(dataset),
            card=dataset.card,
        ),
        Path(path),
    )


def _pairs(dataset: Dataset) -> pl.DataFrame | None:
    if dataset.preferences is None:
        return None
    return dataset.preferences.to_frame(dataset.instance_ids, dataset.llm_ids)


def _blocks(dataset: Dataset) -> Iterator[Block]:
    """The records of a data set, some rows at a time."""
    matrix, verdicts = dataset.interactions, dataset.verdicts
    for rows in row_blocks(matrix.n_instances, matrix.n_llms):
        part = matrix.take_instances(rows)
        instance, llm = part.coordinates()
        costs = part.costs
        verdict = None if verdicts is None else verdicts.dense(rows)[instance, llm]
        yield Block(
            instance + np.int32(rows.start), llm, part.scores.data, None if costs is None else costs.data, verdict
        )


def _with_cost(
    table: pl.DataFrame, cost: str | None, source: str, instances: pl.DataFrame | None, llms: pl.DataFrame | None
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Records with the costs that were asked for, and what the card says of them."""
    return (table, {}) if cost is None else cost_column(table, cost, source, instances, llms)


def _read_side_table(path: Path, schema: Schema) -> pl.DataFrame | None:
    """A table beside the records, its columns checked; None where the file is not there."""
    return check_columns(read_table(path), schema, path.name) if is_there(path) else None


def read_card(path: Path) -> Mapping[str, Any]:
    """What a `card.json` says; nothing where it is not there."""
    if not is_there(path):
        return {}
    card = read_json(path)
    if not isinstance(card, dict):
        raise DataError(f"{path} holds {type(card).__name__}, not an object of keys; fix or remove it")
    return card
