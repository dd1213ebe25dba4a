"""RouterBench: a wide table of scores, answers and costs."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl

from recroute.data.content import Content
from recroute.data.sources._entities import LongTable
from recroute.data.sources._pickle import as_frame, clean_text, load_pickle
from recroute.data.sources._tabular import rename, wide_content
from recroute.data.sources.source import Source
from recroute.data.tables import open_table
from recroute.errors import DataError

COLUMNS = ("sample_id", "prompt", "eval_name")
MARKS = ("|total_cost", "|model_response")


@dataclass(frozen=True, kw_only=True)
class RouterBench(Source):
    """RouterBench (arXiv 2403.12031), as CSV or as the published pandas pickle."""

    layout: ClassVar[str] = "routerbench"
    reads: ClassVar[str] = "routerbench_*.csv or .pkl"
    card: ClassVar[dict[str, str]] = {
        "title": "RouterBench",
        "source": "RouterBench, arXiv 2403.12031, Hugging Face withmartian/routerbench",
        "licence": "MIT; the benchmarks have their own",
        "score": "score of the benchmark in 0..1, some graded in quarters; cost in USD per call",
    }

    def read(self, path: Path) -> Content:
        if path.is_dir():
            raise DataError(f"{path} is a folder; name the file in it, such as routerbench_0shot.pkl")
        pickled = path.suffix in (".pkl", ".pickle")
        notes: list[str] = []
        frame = as_frame(load_pickle(path), str(path)).lazy() if pickled else open_table(path, notes, COLUMNS)
        frame = rename(frame, {"instance_id": "sample_id", "task": "eval_name"}, path.name)
        names = frame.collect_schema().names()
        llms = [name for name in names if any(name + mark in names for mark in MARKS)]
        if not llms:
            raise DataError(f"{path.name} has no column of an LLM beside its <llm>|total_cost; is it RouterBench?")
        costs = [llm + MARKS[0] for llm in llms if llm + MARKS[0] in names]
        side = ["instance_id", "task", *(["prompt"] if "prompt" in names else [])]
        content = wide_content(LongTable(path, frame.select(*side, *llms, *costs)), llms)
        content.notes[:0] = notes
        if "prompt" in names:
            texts = [None if text is None else turns(text) for text in content.instances["prompt"]]
            content.instances = content.instances.with_columns(pl.Series("prompt", texts, dtype=pl.String))
        return content


def turns(prompt: str) -> str:
    """The turns of a prompt written as a Python list, joined by an empty line; any other text as it is.

    >>> turns("['Hello.', 'And then?']")
    'Hello.\\n\\nAnd then?'
    """
    if not prompt.lstrip().startswith("["):
        return prompt
    try:
        with warnings.catch_warnings(action="ignore"):  # a prompt may hold "\\d", which Python has a mind about
            found = ast.literal_eval(prompt.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return prompt
    if not (isinstance(found, list) and all(isinstance(turn, str) for turn in found)):
        return prompt
    return clean_text("\n\n".join(found))
