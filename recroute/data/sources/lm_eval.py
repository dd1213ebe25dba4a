"""lm-evaluation-harness: a file of logged samples per LLM, task and run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from recroute.data.content import Content
from recroute.data.sources._json import json_lines, json_object, prompt_text
from recroute.data.sources._pickle import clean_text
from recroute.data.sources._tabular import LongTable, long_content
from recroute.data.sources.source import Source
from recroute.errors import DataError

NAME = re.compile(r"samples_(?P<task>.+?)_(?P<date>\d{4}-\d{2}-\d{2}T[\d.:-]+)\.jsonl$")
# Normalised for the length of the answer first; flexible extraction judges the answer, not its format.
METRICS = ("acc_norm", "acc", "exact_match", "pass@1", "prompt_level_strict_acc", "em", "f1")
FILTERS = ("none", "flexible-extract", "strict-match")
QUESTION_KEYS = ("question", "query", "prompt", "problem", "input", "instruction", "goal", "ctx", "sentence", "text")
SCHEMA = {
    "instance_id": pl.String,
    "prompt": pl.String,
    "task": pl.String,
    "llm_id": pl.String,
    "score": pl.Float64,
}
NEAR = 5e-4  # results_*.json rounds its means at most this coarsely


@dataclass(frozen=True, kw_only=True)
class LmEval(Source):
    """Samples that lm-evaluation-harness logs: `<model>/samples_<task>_<date>.jsonl`.

    Rows are joined by `doc_hash`, where it is missing by `doc_id`, never by their order: runs on several ranks are
    written rank after rank.

    Parameters
    ----------
    metric : str, optional
        Which of a row's metrics is the score. Default: the first of acc_norm, acc, exact_match, pass@1,
        prompt_level_strict_acc, em, f1 that a task has, else the first in alphabetical order.
    filter : str, optional
        Which filter's rows to take. Default: the first of none, flexible-extract, strict-match that a task has,
        else the first in alphabetical order.
    """

    layout: ClassVar[str] = "lm-eval"
    reads: ClassVar[str] = "output folder with <model>/samples_<task>_<date>.jsonl"
    card: ClassVar[dict[str, str]] = {
        "title": "lm-evaluation-harness samples",
        "source": "EleutherAI/lm-evaluation-harness, logged samples",
        "licence": "that of the benchmarks",
    }

    metric: str | None = None
    filter: str | None = None

    def read(self, path: Path) -> Content:
        files = sorted(path.rglob("samples_*.jsonl")) if path.is_dir() else [path]
        if not files:
            raise DataError(f"{path} has no samples_<task>_<date>.jsonl; run lm_eval with --log_samples")
        notes: list[str] = []
        runs = _newest(files, notes)
        rows, meaning = [], dict[str, list[str]]()
        for task in dict.fromkeys(run.task for run in runs):
            rows += self._task([run for run in runs if run.task == task], notes, meaning)
        table = pl.DataFrame(rows, schema=SCHEMA, orient="row")
        content = long_content([LongTable(path, table.lazy())])
        content.notes[:0] = notes
        content.card = {"score": "; ".join(f"{score}: {', '.join(tasks)}" for score, tasks in meaning.items())}
        return content

    def _task(self, runs: list[_Run], notes: list[str], meaning: dict[str, list[str]]) -> list[tuple[Any, ...]]:
        """The rows of one task, of all its LLMs; `meaning` learns what its score is."""
        for run in runs:
            run.samples = [_sample(row, f"{run.file}, line {line}") for line, row in json_lines(run.file)]
        task, samples = runs[0].task, [sample for run in runs for sample in run.samples]
        chosen = _choose("filter", self.filter, {s.filter for s in samples}, FILTERS, task, notes)
        samples = [sample for sample in samples if sample.filter == chosen]
        metric = _choose("metric", self.metric, {m for s in samples for m in s.metrics}, METRICS, task, notes)
        meaning.setdefault(metric if chosen == "none" else f"{metric} after {chosen}", []).append(task)
        identify = _Identity(task, runs, chosen)
        rows = []
        for run in runs:
            taken = [sample for sample in run.samples if sample.filter == chosen]
            _compare(run, metric, chosen, taken, notes)
            for sample, instance in zip(taken, identify(taken), strict=True):
                rows.append((instance, sample.prompt, task, run.llm, _score(sample, metric)))
        return rows


@dataclass
class _Run:
    """One file of samples."""

    file: Path
    llm: str
    task: str
    date: str
    samples: list[_Sample] = field(default_factory=list)


@dataclass(frozen=True)
class _Sample:
    """What is kept of one row."""

    where: str
    doc_hash: str | None
    doc_id: str | None
    filter: str
    prompt: str | None
    metrics: dict[str, Any]


class _Identity:
    """Instance ids of one task's samples.

    The id is the document's hash; a hash that occurs several times in a run (the task has the document twice)
    gets the number of the occurrence, in the order of doc_id. A row without a hash is found by its doc_id among
    the rows that have one, and is named by it where there are none.
    """

    def __init__(self, task: str, runs: list[_Run], chosen: str) -> None:
        self.task = task
        self.of_doc_id: dict[str, str] = {}
        clash: set[str] = set()
        for run in runs:
            hashed = [s for s in run.samples if s.filter == chosen and s.doc_hash is not None]
            for sample, instance in zip(hashed, self._hashed(hashed), strict=True):
                if sample.doc_id is not None and self.of_doc_id.setdefault(sample.doc_id, instance) != instance:
                    clash.add(sample.doc_id)
        for doc_id in clash:  # the runs number their documents differently: then a number says nothing
            del self.of_doc_id[doc_id]

    def __call__(self, samples: list[_Sample]) -> list[str]:
        hashed = iter(self._hashed([s for s in samples if s.doc_hash is not None]))
        return [next(hashed) if s.doc_hash is not None else self._by_number(s) for s in samples]

    def _hashed(self, samples: list[_Sample]) -> list[str]:
        order = sorted(range(len(samples)), key=lambda i: _number_first(samples[i].doc_id))
        seen: Counter[str] = Counter()
        found = [""] * len(samples)
        for i in order:
            key = str(samples[i].doc_hash)[:16]
            seen[key] += 1
            found[i] = f"{self.task}.{key}" + (f".{seen[key]}" if seen[key] > 1 else "")
        return found

    def _by_number(self, sample: _Sample) -> str:
        if sample.doc_id is None:
            raise DataError(f"{sample.where} has neither doc_hash nor doc_id: nothing says which document it is")
        return self.of_doc_id.get(sample.doc_id, f"{self.task}.{sample.doc_id}")


def _number_first(doc_id: str | None) -> tuple[int, str]:
    text = doc_id or ""
    return (int(text), "") if text.isascii() and text.isdigit() and len(text) < 18 else (10**18, text)


def _newest(files: list[Path], notes: list[str]) -> list[_Run]:
    """One run for each LLM and task."""
    runs: dict[tuple[str, str], list[_Run]] = {}
    for file in files:
        found = NAME.fullmatch(file.name)
        if found is None:
            raise DataError(f"{file.name} is not of the form samples_<task>_<date>.jsonl; rename it")
        run = _Run(file, _llm_name(file.parent), found["task"], found["date"])
        runs.setdefault((run.llm, run.task), []).append(run)
    newest = []
    for (llm, task), same in runs.items():
        newest.append(max(same, key=lambda run: run.date))
        if len(same) > 1:
            notes.append(f"{llm} ran {task} {len(same)} times: the run of {newest[-1].date} stands")
    return newest


def _llm_name(folder: Path) -> str:
    """The model_name of the newest results file, or the folder's name with its "__" as "/"."""
    for file in sorted(folder.glob("results_*.json"), reverse=True):
        name = json_object(file).get("model_name")
        if isinstance(name, str) and name:
            return clean_text(name)
    return clean_text(folder.name.replace("__", "/"))


def _sample(row: dict[str, Any], where: str) -> _Sample:
    names = row.get("metrics")
    if not isinstance(names, list):  # files of older versions do not name them
        names = [name for name in METRICS if name in row]
    doc_hash, doc_id = row.get("doc_hash"), row.get("doc_id")
    return _Sample(
        where=where,
        doc_hash=clean_text(doc_hash) if isinstance(doc_hash, str) and doc_hash else None,
        doc_id=None if doc_id is None else clean_text(doc_id),
        filter=clean_text(row.get("filter", "none")),
        prompt=_prompt(row),
        metrics={str(name): row.get(str(name)) for name in names},
    )


def _prompt(row: dict[str, Any]) -> str | None:
    """The document's own question; the text that was sent repeats the few-shot examples before it."""
    doc = row.get("doc")
    if isinstance(doc, dict):
        for key in QUESTION_KEYS:
            if (found := prompt_text(doc.get(key))) is not None:
                return found
    arguments = row.get("arguments")
    while isinstance(arguments, dict | list) and arguments:
        arguments = next(iter(arguments.values())) if isinstance(arguments, dict) else arguments[0]
    return prompt_text(arguments)


def _choose(
    kind: str, wanted: str | None, there: Iterable[str], order: tuple[str, ...], task: str, notes: list[str]
) -> str:
    names = sorted(there)
    if not names:
        raise DataError(f"the samples of {task} name no {kind}; get them again")
    if wanted is not None:
        if wanted not in names:
            raise DataError(f"{kind} {wanted!r} is not in the samples of {task}; there: {', '.join(names)[:200]}")
        return wanted
    chosen = next((name for name in order if name in names), names[0])
    if len(names) > 1:
        others = ", ".join(name for name in names if name != chosen)
        notes.append(f"{task}: {kind} {chosen} was taken, the samples also have {others[:200]} (--{kind})")
    return chosen


def _score(sample: _Sample, metric: str) -> float | None:
    value = sample.metrics.get(metric)
    if value is None:
        return None
    if not isinstance(value, int | float) or abs(value) > 1e300:
        kind = type(value).__name__
        raise DataError(f"{metric} in {sample.where} is {kind}, not a score; choose another with --metric")
    return float(value)


def _compare(run: _Run, metric: str, chosen: str, samples: list[_Sample], notes: list[str]) -> None:
    """Say so if the samples' mean is not the one in the results file of the same run."""
    file = run.file.parent / f"results_{run.date}.json"
    if not file.is_file():
        return
    results = json_object(file).get("results")
    task = results.get(run.task) if isinstance(results, dict) else None
    published = task.get(f"{metric},{chosen}") if isinstance(task, dict) else None
    scores = [score for sample in samples if (score := _score(sample, metric)) is not None]
    if not isinstance(published, int | float) or not scores:
        return
    mean = sum(scores) / len(scores)
    if abs(mean - published) > NEAR:
        notes.append(
            f"{run.llm}, {run.task}: {len(scores)} samples have mean {mean:.4f}, {file.name} says {published:.4f}"
        )
