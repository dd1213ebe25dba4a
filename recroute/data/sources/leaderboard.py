"""Open LLM Leaderboard and lighteval: a Parquet file of details per LLM, task and date."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from recroute.data.sources._json import json_object
from recroute.data.sources._llms import LOGISTICS, METRICS, Who, normal
from recroute.data.sources._logged import SHORT, LoggedRun, LoggedSource, Row, as_dict, text_of
from recroute.data.sources._pickle import clean_text
from recroute.data.sources._scores import UNBOUNDED
from recroute.data.tables import open_table, reading_table
from recroute.errors import DataError, argument

DATE = r"\d{4}[-_]\d{2}[-_]\d{2}T[\d.:_-]+"
NAME = re.compile(rf"details_(?P<task>.+?)_(?P<date>{DATE})\.parquet")
FOLDER = re.compile(r"(datasets--.+--)?details_+(?P<llm>.+?)(_private)?")  # on a hub, and in its cache
WHERE = "details_<org>__<model>/<date>/details_<task>_<date>.parquet"
TEXTS = ("example", "full_prompt", "query", "prompt", "text")  # of versions, the question itself first
FACTS = ("model_sha", "model_dtype")
MANY = 1.1  # whole prompts for each example, from where on examples do not say all that was asked
# Metrics of a whole task rather than means.
NOT_MEANS = re.compile(
    r"mcc|.*bleu.*|.*chrf.*|ter|.*f1_(score_)?m(acro|icro).*|.*perplexity.*|bits_per_byte|all|.*_stderr"
)


@dataclass(eq=False)
class Details(LoggedRun):
    """One file of details.

    Parameters
    ----------
    model_folder : Path
        That of the LLM, which has folders for dates.
    results : mapping
        What `results_<date>.json` says; empty where there is none.
    results_file : Path, optional
    """

    model_folder: Path = field(default_factory=Path)
    results: dict[str, Any] = field(default_factory=dict)
    results_file: Path | None = None

    @property
    def folder(self) -> Path:
        return self.model_folder

    @property
    def told_in(self) -> Path:
        return self.results_file or self.file

    @property
    def usual(self) -> Sequence[str]:
        """As the leaderboard takes them."""
        first = ("acc",) if re.search("hendrycksTest|mmlu", self.task) else ("mc2",)
        return (*first, *METRICS, "extractive_match", "qem", "mc1")

    def published(self, metric: str, filter_name: str) -> float | None:
        means = as_dict(as_dict(self.results.get("results", self.results)).get(self.task))
        value = means.get(metric)
        if metric in UNBOUNDED or NOT_MEANS.fullmatch(metric) or not isinstance(value, int | float) or value != value:
            return None
        return float(value)

    def rows(self, notes: list[str]) -> Iterator[Row]:
        table = self._table()
        texts, kind = _texts(table, self.file)
        if kind == "full_prompt":
            notes.append(
                f"{self.llm}, {self.task}: prompts are whole, examples among them: {self.file.name} has no other"
            )
        facts = [table[name].to_list() for name in ("choices", "gold", "gold_index") if name in table.columns]
        rest = list(map(repr, zip(*facts, strict=True))) if facts else [""] * table.height
        metrics = [_metrics(value, self.file, row) for row, value in enumerate(table["metrics"].to_list())]
        places = _numbered(texts, rest)
        for row, (text, place) in enumerate(zip(texts, places, strict=True)):
            name = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:SHORT] + (f".{place}" if place else "")
            yield Row(f"{self.file}, row {row}", name, text, text, metrics[row])

    def _table(self) -> pl.DataFrame:
        """The columns that say what was asked and how it went: texts, choices and gold, `metrics`."""
        frame = open_table(self.file)
        schema = frame.collect_schema()
        found = {name: pl.col(name) for name in (*TEXTS, "choices", "gold", "gold_index", "metrics") if name in schema}
        if "metric" in schema:
            found["metrics"] = pl.col("metric")
        if isinstance(doc := schema.get("doc"), pl.Struct):
            inner = {part.name for part in doc.fields} & {"query", "choices", "gold_index"}
            found |= {name: pl.col("doc").struct.field(name) for name in sorted(inner)}
        if "metrics" not in found:
            flat = [
                name for name, kind in schema.items() if (kind.is_numeric() or kind == pl.Boolean) and name in METRICS
            ]
            if not flat:
                raise DataError(f"{self.file} has no column 'metrics'; is this a file of details?")
            found["metrics"] = pl.struct(flat)
        with reading_table(self.file):
            return frame.select(expression.alias(name) for name, expression in found.items()).collect()


@dataclass(frozen=True, kw_only=True)
class Leaderboard(LoggedSource[Details]):
    """Details of the Open LLM Leaderboard (first version) and of lighteval: a Parquet file per task and date.

    Who ran is what `results_<date>.json` says (name, commit, dtype, configuration), otherwise the folder
    `details_<org>__<model>`. Rows have no id and stand in any order (runs on several ranks are written rank after
    rank), so they are joined by the text of the example; a text that stands several times is told apart by its choices
    and answer. Of two runs of an LLM on a task the newest stands. For the details of the second version, which
    lm-evaluation-harness logged, use `lm-eval`.

    Parameters
    ----------
    metric : str, optional
        Which metric is the score. Default: one that all runs of the task have, of these what the leaderboard takes:
        acc for MMLU, mc2 for TruthfulQA, otherwise acc_norm, acc, exact_match and so on. A metric that is known to be
        lower-is-better, and which is in [0, 1], is turned round.
    llm_id : str, optional
        Id of the one LLM whose details these are.
    name_by : str
        What tells LLMs apart: "auto" (name, and arguments where they differ), "model" (name alone), "revision"
        (name and revision) or "folder".
    check_means : bool
        Refuse rows whose mean is not the one in the results file.
    """

    layout: ClassVar[str] = "leaderboard"
    reads: ClassVar[str] = f"folder with {WHERE}"
    card: ClassVar[dict[str, str]] = {
        "title": "Open LLM Leaderboard details",
        "source": "Open LLM Leaderboard or lighteval, details",
        "licence": "that of the benchmarks",
    }

    def runs(self, path: Path, notes: list[str]) -> list[Details]:
        files = sorted(path.rglob("details_*.parquet")) if path.is_dir() else [path]
        found, read = [], dict[Path, dict[str, Any]]()
        for file in files:
            if (named := NAME.fullmatch(file.name)) is None:
                raise DataError(f"{file.name} is not of the form details_<task>_<date>.parquet; rename it")
            found.append(self._details(file, clean_text(named["task"]), _date(named["date"]), read))
        if not found:
            raise DataError(f"{path} has no details_<task>_<date>.parquet; name a folder with {WHERE}")
        return found

    def _details(self, file: Path, task: str, date: str, read: dict[Path, dict[str, Any]]) -> Details:
        folder = file.absolute().parent
        folder = folder.parent if re.fullmatch(DATE, folder.name) else folder
        beside = _results_files(file.absolute().parent, folder)
        results = next((other for other in beside if _date(other.stem) == date), None)
        if results is not None and results not in read:
            read[results] = json_object(results)
        content = read[results] if results is not None else {}
        who = _who(content) or _named(folder)
        if who is None:
            if not self.by_hand:
                raise DataError(
                    f"nothing says which LLM {file} is of: no results_{date}.json beside it, and its folder is not "
                    f"details_<org>__<model>; put it there, or name the LLM with "
                    f"{argument('llm_id', 'NAME', option='set')}"
                )
            who = Who(clean_text(folder.name), told=False)
        return Details(file, task, date, identity=who, model_folder=folder, results=content, results_file=results)


def _date(name: str) -> str:
    """A date as folders, files and hubs write it, in one way."""
    found = re.search(DATE, name)
    return re.sub(r"[:_]", "-", found[0] if found else name)


def _results_files(*folders: Path) -> Iterator[Path]:
    """Those beside the details, and those under `results/` in the place of `details/`."""
    for folder in dict.fromkeys(folders):
        yield from sorted(folder.glob("results_*.json"))
        for place, part in enumerate(folder.parts):
            if part == "details":
                yield from sorted(
                    Path(*folder.parts[:place], "results", *folder.parts[place + 1 :]).glob("results_*.json")
                )


def _who(results: dict[str, Any]) -> Who | None:
    """What a results file says of the LLM; None where it names none."""
    config = as_dict(results.get("config_general", results.get("config")))
    model = as_dict(config.get("model_config"))
    name = config.get("model_name") or model.get("model_name") or model.get("pretrained")
    if not isinstance(name, str) or not name:
        return None
    given = {key: value if isinstance(value, str) else json.dumps(value) for key, value in model.items()}
    known = {key: normal(key, text) for key, text in given.items() if not LOGISTICS.fullmatch(key)}
    known = {key: text for key, text in known.items() if text and text != name}
    for fact in FACTS:
        if isinstance(value := config.get(fact), str) and value:
            known[fact] = normal(fact.removeprefix("model_"), value)
    return Who(clean_text(name.strip("/")), known, complete=bool(model))


def _named(folder: Path) -> Who | None:
    """What the names of folders say: `details_<org>__<model>`, or `details/<org>/<model>`."""
    for name in (folder.name, folder.parent.parent.name if folder.parent.name == "snapshots" else ""):
        if (found := FOLDER.fullmatch(name)) is not None:
            return Who(clean_text(found["llm"].replace("__", "/", 1)))
    places = [place for place, part in enumerate(folder.parts) if part == "details"]
    below = folder.parts[places[-1] + 1 :] if places else ()
    return Who(clean_text("/".join(below))) if 1 <= len(below) <= 2 else None


def _texts(table: pl.DataFrame, file: Path) -> tuple[list[str], str]:
    """The text of each row, and the column it is of: the example, or the whole prompt where the example leaves
    something out, so that rows with other prompts have one example."""
    columns = [name for name in TEXTS if name in table.columns and table[name].dtype == pl.String]
    columns = [name for name in columns if not (table[name].fill_null("") == "").any()]
    if not columns:
        raise DataError(f"{file} has no text of each row ({', '.join(TEXTS)}); nothing says which question a row is of")
    best = columns[0]
    if best == "example" and "full_prompt" in columns:
        distinct = table.select(
            pl.col("example").n_unique(), pl.struct("example", "full_prompt").n_unique().alias("both")
        )
        if distinct["both"][0] > MANY * distinct["example"][0]:
            best = "full_prompt"
    return [text_of(text) or "" for text in table[best].to_list()], best


def _numbered(texts: Sequence[str], rest: Sequence[str]) -> list[int]:
    """0, or from the second on the place of a row among those of its text, by choices and answer."""
    same: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        same.setdefault(" ".join(text.split()), []).append(row)
    places = [0] * len(texts)
    for rows in same.values():
        for place, row in enumerate(sorted(rows, key=lambda row: rest[row])[1:], start=2):
            places[row] = place
    return places


def _metrics(value: Any, file: Path, row: int) -> dict[str, float]:
    """The metrics of a row that are numbers; some versions write the mapping as text."""
    if isinstance(value, str):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            value = ast.literal_eval(re.sub(r"\bnan\b", "None", value))
    if not isinstance(value, dict):
        raise DataError(f"metrics {value!r} of {file}, row {row} is not a mapping; get the file again"[:300])
    return {clean_text(name): float(part) for name, part in value.items() if isinstance(part, int | float)}
