"""EmbedLLM: train.csv, val.csv, test.csv."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl

from recroute.data.content import Content
from recroute.data.sources._entities import LongTable
from recroute.data.sources._tabular import long_content, rename, with_missing_noted
from recroute.data.sources.source import Source
from recroute.data.tables import open_table, reading_table
from recroute.errors import DataError

COLUMNS = ("prompt_id", "prompt", "model_id", "model_name", "category", "category_id", "label")
PARTS = {"train": "train", "val": "valid", "test": "test"}


@dataclass(frozen=True, kw_only=True)
class EmbedLLM(Source):
    """EmbedLLM: 112 LLMs x 36,054 questions at full size; its split is kept."""

    layout: ClassVar[str] = "embedllm"
    reads: ClassVar[str] = "folder with train.csv, val.csv, test.csv and perhaps model_order.csv; or one such file"
    card: ClassVar[dict[str, str]] = {
        "title": "EmbedLLM",
        "source": "EmbedLLM, arXiv 2410.02223, Hugging Face RZ412/EmbedLLM",
        "licence": "see the source; the benchmarks have their own",
        "score": "0/1 correctness",
    }

    def read(self, path: Path) -> Content:
        if path.is_dir():
            files = {part: path / f"{part}.csv" for part in PARTS if (path / f"{part}.csv").is_file()}
        else:
            files = {path.stem: path}
        if not files:
            raise DataError(f"{path} has none of train.csv, val.csv, test.csv; name EmbedLLM's folder")
        folder = path if path.is_dir() else path.parent
        names = _model_names(folder / "model_order.csv")
        notes: list[str] = []
        content = long_content([_table(file, PARTS.get(part), names, notes) for part, file in files.items()])
        content.notes[:0] = notes
        return with_missing_noted(content)


def _table(file: Path, part: str | None, names: dict[str, str], notes: list[str]) -> LongTable:
    frame = open_table(file, notes, COLUMNS)
    there = frame.collect_schema().names()
    columns = {"instance_id": "prompt_id", "score": "label"}
    columns["llm_id"] = "model_name" if "model_name" in there else "model_id"
    task = "category" if "category" in there else "category_id"
    if task in there:
        columns["task"] = task
    frame = rename(frame, columns, file.name)
    if columns["llm_id"] == "model_id" and names:
        frame = frame.with_columns(pl.col("llm_id").replace(names))
    if part is not None:
        frame = frame.with_columns(pl.lit(part).alias("split"))
    return LongTable(file, frame)


def _model_names(file: Path) -> dict[str, str]:
    """LLM names by id, where model_order.csv gives them."""
    if not file.is_file():
        return {}
    frame = open_table(file)
    if not {"model_id", "model_name"} <= set(frame.collect_schema().names()):
        raise DataError(f"{file} has no columns model_id and model_name; fix or remove it")
    with reading_table(file):
        table = frame.select("model_id", "model_name").drop_nulls().collect()
    return dict(table.iter_rows())
