"""xRouteBench, LLMRouter's benchmark: a folder per configuration, with a file per part of the split."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from recroute.data.content import Content
from recroute.data.preferences import pair_table
from recroute.data.sources._json import json_lines, number, text
from recroute.data.sources._logged import text_of
from recroute.data.sources._pickle import clean_text
from recroute.data.sources._scores import LOWER_IS_BETTER, UNBOUNDED
from recroute.data.sources._tabular import LongTable, long_content, with_missing_noted
from recroute.data.sources.llmrouter import read_prices, size_in_billions, split_of, with_costs
from recroute.data.sources.source import Source
from recroute.data.tables import open_table, reading_table
from recroute.errors import DataError, argument

SCHEMA = {
    "instance_id": pl.String,
    "prompt": pl.String,
    "task": pl.String,
    "benchmark": pl.String,
    "split": pl.String,
    "metric": pl.String,
    "llm_id": pl.String,
    "score": pl.Float64,
    "input_tokens": pl.Float64,
    "output_tokens": pl.Float64,
}
ROUTING, BATTLES, PRICES = {"model_name", "performance"}, {"model_1", "model_2", "judge"}, {"input_price_per_1m"}
COLUMNS = (
    *("task_name", "query", "choices", "metric", "embedding_id", "input_tokens", "output_tokens"),
    *("size", "output_price_per_1m", "api_model_id", "description", *ROUTING, *BATTLES, *PRICES),
)
LOWER = LOWER_IS_BETTER | UNBOUNDED | {"mape", "smape"}


@dataclass(frozen=True)
class Part:
    """One file: of a configuration the rows for training or testing, or the table of LLMs."""

    file: Path
    names: frozenset[str]

    @property
    def config(self) -> str:
        return clean_text(self.file.absolute().parent.name)

    @property
    def split(self) -> str:
        part = split_of(self.file)
        if part is None:
            raise DataError(f"the name of {self.file} says neither train nor test; rename it")
        return part


@dataclass(frozen=True, kw_only=True)
class XRouteBench(Source):
    """xRouteBench as it is downloaded: `<configuration>/{train,test}.parquet`, or `routing_data_{train,test}.jsonl`.

    Queries are numbered (`embedding_id`) within the part of a configuration, so an instance is all three. The table of
    LLMs, `llm_candidates`, gives prices, and with the rows' tokens the cost of each answer. The configuration
    `personalized` has battles of two answers in place of scores.

    Parameters
    ----------
    configs : str, optional
        Configurations to take: "llmrouter_generic,video". Default: all that have scores; battles where there are no
        scores.
    """

    layout: ClassVar[str] = "xroutebench"
    reads: ClassVar[str] = "folder with <configuration>/train.parquet and test.parquet"
    card: ClassVar[dict[str, str]] = {
        "title": "xRouteBench",
        "source": "xRouteBench, ulab-ai/xRouteBench",
        "licence": "none is declared; the benchmarks have their own",
        "score": "task metric in 0..1; cost in USD per call",
    }

    configs: str | None = None

    def read(self, path: Path) -> Content:
        parts = _parts(path)
        routing = [part for part in parts if part.names >= ROUTING]
        battles = [part for part in parts if part.names >= BATTLES]
        if not routing and not battles:
            raise DataError(f"{path} has no rows of model_name and performance, nor of model_1, model_2 and judge")
        notes: list[str] = []
        if self.configs is not None:
            routing, battles = self._chosen(routing, battles)
        elif routing and battles:
            wanted = argument("configs", battles[0].config, option="set")
            notes.append(f"battles of {battles[0].config} left out: import them with {wanted}")
            battles = []
        llms, names = _llms(parts, path)
        content = _scores(path, routing, llms, notes) if routing else None
        if battles:
            content = _with_battles(content, battles, names)
        if content is None:
            raise DataError(f"{path} has neither scores nor battles of {self.configs}")
        content.llms = content.llms.join(llms, on="llm_id", how="left", maintain_order="left")
        content.notes[:0] = notes
        return content

    def _chosen(self, *kinds: list[Part]) -> list[list[Part]]:
        wanted = [name.strip() for name in (self.configs or "").split(",") if name.strip()]
        there = sorted({part.config for parts in kinds for part in parts})
        for name in wanted:
            if name not in there:
                raise DataError(f"configuration {name!r} is not there ({', '.join(there)})")
        return [[part for part in parts if part.config in wanted] for parts in kinds]


def _parts(path: Path) -> list[Part]:
    """All tables at `path`, and the table of LLMs beside a single configuration."""
    if path.is_dir():
        files = [file for end in ("parquet", "jsonl") for file in sorted(path.rglob(f"*.{end}"))]
        beside = path.absolute().parent / "llm_candidates"
    else:
        files, beside = [path], path.absolute().parent.parent / "llm_candidates"
    known = {file.absolute() for file in files}
    files += [file for file in sorted(beside.glob("*.parquet")) if file.absolute() not in known]
    if not files:
        raise DataError(f"{path} has no .parquet or .jsonl file; name xRouteBench's folder")
    return [Part(file, _names(file)) for file in files]


def _names(file: Path) -> frozenset[str]:
    if file.suffix == ".jsonl":
        return frozenset(next((row for _, row in json_lines(file)), {}))
    return frozenset(open_table(file).collect_schema().names())


def _rows(part: Part) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and row, of the columns that are read."""
    if part.file.suffix == ".jsonl":
        yield from ((f"{part.file}, line {line}", row) for line, row in json_lines(part.file))
        return
    with reading_table(part.file):
        table = open_table(part.file).select(name for name in COLUMNS if name in part.names).collect()
        for place, row in enumerate(table.iter_rows(named=True)):
            yield f"{part.file}, row {place}", row


def _instance(part: Part, row: dict[str, Any], where: str) -> str:
    return f"{part.config}.{part.split}.{text(row, 'embedding_id', where)}"


def _prompt(row: dict[str, Any]) -> str | None:
    """The query, and the choices where it has some; both may be JSON that was written as text."""
    return (
        "\n".join(filter(None, [text_of(_decoded(row.get("query"))), _choices(_decoded(row.get("choices")))])) or None
    )


def _choices(value: Any) -> str | None:
    return text_of(list(value.values()) if isinstance(value, dict) and "text" not in value else value)


def _decoded(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("[", "{"):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def _scores(path: Path, parts: Sequence[Part], llms: pl.DataFrame, notes: list[str]) -> Content:
    rows = []
    for part in parts:
        for where, row in _rows(part):
            metric = row.get("metric")
            rows.append(
                (
                    _instance(part, row, where),
                    _prompt(row),
                    text(row, "task_name", where),
                    part.config,
                    part.split,
                    clean_text(metric) if isinstance(metric, str) else "performance",
                    text(row, "model_name", where),
                    number(row, "performance", where),
                    number(row, "input_tokens", where),
                    number(row, "output_tokens", where),
                )
            )
    records = _turned(pl.DataFrame(rows, schema=SCHEMA, orient="row"), notes)
    meaning = records.select("metric", "task").unique().sort("metric", "task").group_by("metric", maintain_order=True)
    card = "; ".join(f"{metric}: {', '.join(tasks['task'])}" for (metric,), tasks in meaning)
    if "price_in" in llms.columns:
        records = with_costs(records, llms)
        if without := sorted(set(records["llm_id"]) - set(llms["llm_id"])):
            notes.append(f"no price for {len(without)} LLMs, {without[0]} first")
    table = records.drop("metric", "input_tokens", "output_tokens")
    content = with_missing_noted(long_content([LongTable(path, table.lazy())]))
    content.card, content.scaling = {"score": card}, "fix that row"
    return content


def _turned(records: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """The records with scores of which less is better turned round; DataError where they cannot be."""
    lower = pl.col("metric").is_in(list(LOWER))
    for metric, high in records.filter(lower).group_by("metric").agg(pl.col("score").max()).sort("metric").iter_rows():
        if metric in UNBOUNDED or (high is not None and high > 1):
            raise DataError(
                f"{metric} {high:g}: less is better, and it can be above 1, so it cannot be turned round; leave that "
                f"configuration out with {argument('configs', 'NAMES', option='set')}"
            )
        notes.append(f"less {metric} is better, so the score is 1 - {metric}")
    turned = pl.when(lower).then(1 - pl.col("score")).otherwise(pl.col("score"))
    name = pl.when(lower).then("1 - " + pl.col("metric")).otherwise(pl.col("metric"))
    return records.with_columns(turned.alias("score"), name.alias("metric"))


def _llms(parts: Sequence[Part], path: Path) -> tuple[pl.DataFrame, dict[str, str]]:
    """The table of LLMs, and their names by the names that providers have for them."""
    rows, names = [], {}
    for part in parts:
        for where, row in _rows(part) if part.names >= PRICES else ():
            llm = text(row, "model_name", where)
            prices = (number(row, "input_price_per_1m", where), number(row, "output_price_per_1m", where))
            rows.append((llm, size_in_billions(row.get("size")), *prices, text_of(row.get("description"))))
            if isinstance(row.get("api_model_id"), str):
                names[clean_text(row["api_model_id"]).casefold()] = llm
    if rows:
        twice = [llm for llm, n in Counter(row[0] for row in rows).items() if n > 1]
        if twice:
            raise DataError(f"LLM {twice[0]!r} stands twice in llm_candidates; keep one of its rows")
        columns = ("llm_id", "n_params_b", "price_in", "price_out", "description")
        kinds = (pl.String, pl.Float64, pl.Float64, pl.Float64, pl.String)
        return pl.DataFrame(rows, schema=dict(zip(columns, kinds, strict=True)), orient="row"), names
    found = read_prices(path / "llm_candidates" if (path / "llm_candidates").is_dir() else path)
    return pl.DataFrame(schema={"llm_id": pl.String}) if found is None else found, names


def _with_battles(content: Content | None, parts: Sequence[Part], names: dict[str, str]) -> Content:
    """The content with the battles and what they are about."""
    battles: list[tuple[str, str, str, float]] = []
    about: dict[str, tuple[str | None, ...]] = {}
    for part in parts:
        for where, row in _rows(part):
            if row.get("judge") not in (1, 2) or isinstance(row["judge"], bool):
                raise DataError(f"judge {row.get('judge')!r} of {where} is neither 1 nor 2; fix that row"[:300])
            ours = [text(row, key, where) for key in ("model_1", "model_2")]
            one, two = (names.get(llm.casefold(), llm) for llm in ours)
            instance = _instance(part, row, where)
            prompt = _prompt({"query": row.get("query")})
            facts = (prompt, text(row, "task_name", where), part.config, part.split)
            if about.setdefault(instance, facts) != facts:
                raise DataError(f"{instance} is two queries ({where}); embedding_id has to number them")
            battles.append((instance, one, two, float(row["judge"] == 1)))
    kinds = {"instance_id": pl.String, "llm_a": pl.String, "llm_b": pl.String, "outcome": pl.Float64}
    preferences = pair_table(pl.DataFrame(battles, schema=kinds, orient="row"), parts[0].file.name)
    schema = dict.fromkeys(("instance_id", "prompt", "task", "benchmark", "split"), pl.String)
    instances = pl.DataFrame([(key, *facts) for key, facts in about.items()], schema=schema, orient="row")
    llms = pl.concat([preferences["llm_a"], preferences["llm_b"].rename("llm_a")]).rename("llm_id").unique().sort()
    if content is None:
        card = {"score": "none: preferences only"}
        return Content(instances, llms.to_frame(), blocks=(), n_rows=0, preferences=preferences, card=card)
    content.instances = pl.concat([content.instances, instances], how="diagonal")
    content.llms = pl.concat([content.llms, llms.to_frame()], how="diagonal").unique("llm_id", maintain_order=True)
    content.preferences = preferences
    return content
