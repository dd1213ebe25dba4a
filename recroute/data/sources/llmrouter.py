"""LLMRouter: JSON lines, one per query and LLM."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from recroute.data.content import Content
from recroute.data.sources._entities import LongTable
from recroute.data.sources._json import json_lines, json_object, number, prompt_text, text
from recroute.data.sources._tabular import long_content, with_missing_noted
from recroute.data.sources.source import SPLIT_NAMES, Source
from recroute.errors import DataError

SCHEMA = {
    "instance_id": pl.String,
    "prompt": pl.String,
    "task": pl.String,
    "llm_id": pl.String,
    "score": pl.Float64,
    "embedding_id": pl.String,
    "input_tokens": pl.Float64,
    "output_tokens": pl.Float64,
}
LLM_SCHEMA = {
    "llm_id": pl.String,
    "n_params_b": pl.Float64,
    "price_in": pl.Float64,
    "price_out": pl.Float64,
    "description": pl.String,
}
SIZE = re.compile(r"([\d.]+)\s*([BM])", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class LLMRouter(Source):
    """LLMRouter's routing data.

    Parameters
    ----------
    prices : Path, optional
        JSON of `{llm: {size, feature, input_price, output_price}}`, USD per 1M tokens. With it and the rows' token
        counts each answer gets its cost. Default: such a file in the folder, if there is one.
    """

    layout: ClassVar[str] = "llmrouter"
    reads: ClassVar[str] = "routing .jsonl, or a folder of *train*.jsonl and *test*.jsonl"
    card: ClassVar[dict[str, str]] = {
        "title": "LLMRouter",
        "source": "LLMRouter, ulab-uiuc/LLMRouter",
        "licence": "MIT; the benchmarks have their own",
        "score": "task metric (exact match, F1, accuracy, pass) in 0..1",
    }

    prices: Path | None = None

    def read(self, path: Path) -> Content:
        files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        if not files:
            raise DataError(f"{path} has no .jsonl file; name LLMRouter's routing data")
        llms = _llm_table(self.prices) if self.prices is not None else read_prices(path)
        tables = [_read(file).with_columns(pl.lit(split_of(file)).alias("split")) for file in files]
        records, by_text = _identify(pl.concat(tables))
        if llms is not None:
            records = with_costs(records, llms)
        if records["split"].null_count():
            records = records.drop("split")
        content = with_missing_noted(long_content([LongTable(path, records.lazy())]))
        if by_text:
            content.notes.append("embedding_id does not tell the queries apart: they were told apart by their text")
        if llms is not None:
            if without := [llm for llm in content.llms["llm_id"] if llm not in set(llms["llm_id"])]:
                content.notes.append(f"no price for {len(without)} of {content.llms.height} LLMs, {without[0]} first")
            content.llms = content.llms.join(llms, on="llm_id", how="left", maintain_order="left")
        return content


def _read(file: Path) -> pl.DataFrame:
    rows = []
    for line, row in json_lines(file):
        where = f"{file}, line {line}"
        embedding = row.get("embedding_id")
        rows.append(
            (
                None,
                prompt_text(row.get("query")),
                text(row, "task_name", where) if row.get("task_name") is not None else "all",
                text(row, "model_name", where),
                number(row, "performance", where),
                None if embedding is None else str(embedding),
                number(row, "input_tokens", where),
                number(row, "output_tokens", where),
            )
        )
        if embedding is None and rows[-1][1] is None:
            raise DataError(f"{where} has neither query nor embedding_id; one of them has to tell which query it is")
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _identify(records: pl.DataFrame) -> tuple[pl.DataFrame, bool]:
    """The records with an instance_id: task and embedding_id, or task and a running number if those mix queries."""
    key = ["task", "embedding_id"]
    texts = records.group_by(key).agg(pl.col("prompt").n_unique().alias("n"))
    if not records["embedding_id"].null_count() and texts["n"].max() == 1:
        return records.with_columns(pl.concat_str(key, separator=".").alias("instance_id")), False
    queries = records.select("task", "prompt").unique(maintain_order=True).with_row_index("_query")
    joined = records.join(queries, on=["task", "prompt"], how="left", maintain_order="left", nulls_equal=True)
    return joined.with_columns(
        pl.concat_str("task", pl.col("_query").cast(pl.String), separator=".").alias("instance_id")
    ), True


def with_costs(records: pl.DataFrame, llms: pl.DataFrame) -> pl.DataFrame:
    """cost = (input tokens * input price + output tokens * output price) / 1M, USD; null where one is unknown."""
    joined = records.join(llms, on="llm_id", how="left", maintain_order="left")
    usd = pl.col("input_tokens") * pl.col("price_in") + pl.col("output_tokens") * pl.col("price_out")
    joined = joined.with_columns((usd / 1e6).alias("cost"))
    if joined["cost"].null_count() == joined.height:
        joined = joined.drop("cost")
    return joined.drop("n_params_b", "price_in", "price_out", "description")


def split_of(file: Path) -> str | None:
    """The part a file's name speaks of, such as default_routing_test_data.jsonl."""
    words = re.split(r"[^a-z]+", file.stem.lower())
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), None)


def read_prices(path: Path) -> pl.DataFrame | None:
    """LLMs and their prices, of a JSON file in a folder; None where there is none."""
    for file in sorted(path.glob("*.json")) if path.is_dir() else []:
        if any(isinstance(entry, dict) and "input_price" in entry for entry in json_object(file).values()):
            return _llm_table(file)
    return None


def _llm_table(file: Path) -> pl.DataFrame:
    if not file.is_file():
        raise DataError(f"no prices at {file}; name a JSON of {{llm: {{input_price, output_price}}}}")
    rows = []
    for llm, entry in json_object(file).items():
        where = f"{llm!r} in {file}"
        if not isinstance(entry, dict):
            raise DataError(f"{where} is {type(entry).__name__}, not an object with input_price and output_price")
        prices = (number(entry, "input_price", where), number(entry, "output_price", where))
        rows.append((llm, size_in_billions(entry.get("size")), *prices, prompt_text(entry.get("feature"))))
    return pl.DataFrame(rows, schema=LLM_SCHEMA, orient="row")


def size_in_billions(value: Any) -> float | None:
    """Billions of parameters in a text such as "7B" or "350M"."""
    found = SIZE.search(str(value))
    if found is None or not re.fullmatch(r"\d+(\.\d+)?", found[1]):
        return None
    return float(found[1]) / (1 if found[2].upper() == "B" else 1000)
