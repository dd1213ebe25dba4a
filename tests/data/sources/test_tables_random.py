"""A random data set, written in every form of table that is read, comes back exactly."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recroute.data import Dataset, read_dataset
from recroute.data.sources import import_dataset

CHARACTERS = st.characters(codec="utf8", exclude_characters="\0\r", exclude_categories=["Cs", "Cc"])
TEXT = st.text(st.one_of(CHARACTERS, st.sampled_from(',;\t"|\n .')), min_size=1, max_size=12)
NAME = TEXT.map(str.strip).filter(lambda name: name and not name.startswith(("instance", "Unnamed")))
LLM = NAME.filter(lambda name: "|" not in name and name.lower() not in ("prompt", "task", "score", "split", "llm_id"))
SCORE = st.sampled_from([0.0, 1.0, 0.5, 0.25, 0.1, 0.637, 1e-7, 1 / 3])


@dataclass(frozen=True)
class Drawn:
    """Ids, prompts and tasks of instances, LLMs, and the observed scores."""

    ids: list[str]
    prompts: list[str]
    tasks: list[str]
    llms: list[str]
    scores: dict[tuple[str, str], float]

    def long(self) -> pl.DataFrame:
        at = {instance: row for row, instance in enumerate(self.ids)}
        rows = [(i, j, s, self.prompts[at[i]], self.tasks[at[i]]) for (i, j), s in self.scores.items()]
        schema = {"instance_id": pl.String, "llm_id": pl.String, "score": pl.Float64}
        return pl.DataFrame(rows, schema={**schema, "prompt": pl.String, "task": pl.String}, orient="row")

    def wide(self) -> pl.DataFrame:
        columns = {llm: [self.scores.get((i, llm)) for i in self.ids] for llm in self.llms}
        table = pl.DataFrame({"instance_id": self.ids, "prompt": self.prompts, "task": self.tasks})
        return table.with_columns(pl.Series(llm, column, pl.Float64) for llm, column in columns.items())


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    ids = draw(st.lists(NAME, min_size=1, max_size=6, unique=True))
    llms = draw(st.lists(LLM, min_size=1, max_size=4, unique=True))
    prompts, tasks = (draw(st.lists(text, min_size=len(ids), max_size=len(ids))) for text in (TEXT, NAME))
    cells = draw(st.lists(st.tuples(st.sampled_from(ids), st.sampled_from(llms)), min_size=1, unique=True))
    return Drawn(ids, prompts, tasks, llms, {cell: draw(SCORE) for cell in cells})


def delimited(separator: str, encoding: str = "utf-8", comma: bool = False, first: str = "", crlf: bool = False):  # type: ignore[no-untyped-def]
    def write(table: pl.DataFrame, path: Path) -> Path:
        text = table.write_csv(
            separator=separator,
            decimal_comma=comma,
            line_terminator="\r\n" if crlf else "\n",
            quote_style="non_numeric",
        )
        path.with_suffix(".csv").write_bytes((first + text).encode(encoding))
        return path.with_suffix(".csv")

    return write


def compressed(codec: str, suffix: str, write: Callable[[pl.DataFrame], str]):  # type: ignore[no-untyped-def]
    def written(table: pl.DataFrame, path: Path) -> Path:
        place = path.with_name(f"t{suffix}")
        with pa.output_stream(str(place), compression=codec) as stream:
            stream.write(write(table).encode())
        return place

    return written


def plain(name: str, write: Callable[[pl.DataFrame, Path], object]):  # type: ignore[no-untyped-def]
    def written(table: pl.DataFrame, path: Path) -> Path:
        write(table, path.with_name(name))
        return path.with_name(name)

    return written


def stream(table: pl.DataFrame, path: Path) -> None:
    arrow = table.to_arrow()
    with pa.ipc.new_stream(str(path), arrow.schema) as writer:
        writer.write_table(arrow, max_chunksize=2)


def saved(table: pl.DataFrame, path: Path) -> Path:
    folder = path.with_name("saved")
    folder.mkdir()
    files = [f"data-{at:05d}-of-00002.arrow" for at in range(2)]
    for at, name in enumerate(files):
        stream(table[at::2], folder / name)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in files]}), "utf8")
    return folder


FORMS: dict[str, Callable[[pl.DataFrame, Path], Path]] = {
    "commas": delimited(","),
    "semicolons": delimited(";"),
    "tabs": delimited("\t"),
    "decimal comma": delimited(";", comma=True),
    "decimal comma between commas": delimited(",", comma=True),
    "sep=": delimited("|", first="sep=|\r\n", crlf=True),
    "utf-8 with a mark": delimited(",", "utf-8-sig"),
    "utf-16": delimited("\t", "utf-16", comma=True, crlf=True),
    "gzip": compressed("gzip", ".csv.gz", lambda table: table.write_csv()),
    "zstd": compressed("zstd", ".jsonl.zst", lambda table: table.write_ndjson()),
    "lines": plain("t.jsonl", lambda table, path: table.write_ndjson(path)),
    "array": plain("t.json", lambda table, path: table.write_json(path)),
    "parquet": plain("t.parquet", lambda table, path: table.write_parquet(path)),
    "arrow": plain("t.arrow", lambda table, path: table.write_ipc(path)),
    "stream": plain("t.ipc", stream),
    "saved": saved,
}


def partitions(table: pl.DataFrame, path: Path) -> Path:
    """The table in a folder for each LLM, as Hive, Spark, polars and pyarrow write it."""
    table.write_parquet(pl.PartitionBy(path.with_name("parts"), key="llm_id", include_key=False), mkdir=True)
    return path.with_name("parts")


def check(data: Dataset, expected: Drawn, table: pl.DataFrame) -> None:
    rows, columns = data.interactions.coordinates()
    ids, llms = data.instance_ids.ids, data.llm_ids.ids
    values = data.interactions.scores.data.tolist()
    found = {(ids[i], llms[j]): s for i, j, s in zip(rows.tolist(), columns.tolist(), values, strict=True)}
    assert found == {cell: float(np.float32(score)) for cell, score in expected.scores.items()}
    there = set(table["instance_id"])
    told = {i: (p, t) for i, p, t in zip(expected.ids, expected.prompts, expected.tasks, strict=True) if i in there}
    assert dict(zip(ids, zip(data.prompts or [], data.tasks.tolist(), strict=True), strict=True)) == told


@settings(max_examples=120, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(expected=drawn(), form=st.sampled_from([*FORMS, "partitions"]), wide=st.booleans())
def test_a_random_data_set_comes_back_exactly(expected: Drawn, form: str, wide: bool) -> None:
    table = expected.wide() if wide and form != "partitions" else expected.long()
    with tempfile.TemporaryDirectory() as place:
        source = (partitions if form == "partitions" else FORMS[form])(table, Path(place) / "t")
        check(read_dataset(import_dataset("table", source, Path(place) / "imported").path), expected, table)
        if source.is_file():
            check(read_dataset(source), expected, table)
        check(read_dataset(table), expected, table)
