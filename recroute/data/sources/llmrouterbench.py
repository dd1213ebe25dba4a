"""LLMRouterBench: a JSON file per dataset, split and LLM."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from recroute.data.content import Content
from recroute.data.sources._json import json_object, number, prompt_text, text
from recroute.data.sources._tabular import LongTable, long_content
from recroute.data.sources.source import Source
from recroute.errors import DataError

STAMP = re.compile(r"-(\d{8}[_-]\d{6})\.json$")
SCHEMA = {
    "instance_id": pl.String,
    "prompt": pl.String,
    "task": pl.String,
    "split": pl.String,
    "llm_id": pl.String,
    "score": pl.Float64,
    "cost": pl.Float64,
}


@dataclass(frozen=True, kw_only=True)
class LLMRouterBench(Source):
    """LLMRouterBench's results: `bench/<dataset>/<split>/<model>/<dataset>-<split>-<model>-<timestamp>.json`.

    Of several runs of an LLM on a dataset the newest timestamp stands. The benchmark's own split name is kept as
    `source_split`, unless it names parts to train and to test on.
    """

    layout: ClassVar[str] = "llmrouterbench"
    reads: ClassVar[str] = "folder bench/ with its <dataset>/<split>/<model>/*.json"
    card: ClassVar[dict[str, str]] = {
        "title": "LLMRouterBench",
        "source": "LLMRouterBench",
        "licence": "see the source; the benchmarks have their own",
        "score": "score of the benchmark in 0..1; cost in USD per call",
    }

    def read(self, path: Path) -> Content:
        files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        if not files:
            raise DataError(f"{path} has no .json file; name LLMRouterBench's folder bench/")
        newest: dict[tuple[str, str, str], tuple[str, Path]] = {}
        older = 0
        for file in files:
            run, stamp = _run(file), _stamp(file)
            older += run in newest
            if run not in newest or stamp > newest[run][0]:
                newest[run] = (stamp, file)
        rows = [row for run, (_, file) in newest.items() for row in _rows(file, *run)]
        table = pl.DataFrame(rows, schema=SCHEMA, orient="row")
        if table["cost"].null_count() == table.height:
            table = table.drop("cost")
        content = long_content([LongTable(path, table.lazy())])
        if older:
            content.notes.append(f"older runs left out: {older}; of each dataset, split and LLM the newest stands")
        return content


def _run(file: Path) -> tuple[str, str, str]:
    """Dataset, split and LLM: the names of the folders around the file."""
    names = file.resolve().parts[-4:-1]
    if len(names) < 3:
        raise DataError(f"{file} does not lie in <dataset>/<split>/<model>/; keep LLMRouterBench's folders")
    return names[0], names[1], names[2]


def _stamp(file: Path) -> str:
    found = STAMP.search(file.name)
    if found is None:
        raise DataError(f"{file.name} does not end in -<timestamp>.json such as -20250801_120000.json; rename it")
    return found[1].replace("-", "_")


def _rows(file: Path, dataset: str, split: str, llm: str) -> list[tuple[Any, ...]]:
    content = json_object(file)
    records = content.get("records")
    if not isinstance(records, list):
        raise DataError(f"'records' in {file} is {type(records).__name__}, not a list; get the file again")
    if content.get("model_name"):
        llm = text(content, "model_name", str(file))
    rows = []
    for position, record in enumerate(records):
        where = f"{file}, record {position}"
        if not isinstance(record, dict):
            raise DataError(f"{where} is {type(record).__name__}, not an object; fix it")
        instance = f"{dataset}.{split}.{text(record, 'index', where)}"
        prompt = prompt_text(record.get("origin_query")) or prompt_text(record.get("prompt"))
        rows.append(
            (instance, prompt, dataset, split, llm, number(record, "score", where), number(record, "cost", where))
        )
    return rows
