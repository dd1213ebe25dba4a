"""Files of lm-evaluation-harness: which run wrote them, and what its results file says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from recroute.data.reading import parse_json, regular_file
from recroute.data.sources._json import json_lines, json_object
from recroute.data.sources._llms import Run as LoggedRun
from recroute.data.sources._scores import UNBOUNDED
from recroute.errors import DataError

DATE = r"\d{4}-\d{2}-\d{2}T[\d.:-]+"
NAME = re.compile(rf"samples_(?P<task>.+?)_(?P<date>{DATE})\.jsonl")
DATED = re.compile(rf".+_(?P<date>{DATE})\.json")
WHERE = "<model>/samples_<task>_<date>.jsonl"
PEEK = 1 << 16  # bytes; a sample names its doc_id well before
NOT_MEANS = UNBOUNDED | {"mcc", "bleu", "chrf", "ter", "bypass"}


@dataclass(frozen=True)
class Results:
    """What `results_<date>.json` says."""

    file: Path
    content: dict[str, Any]

    def of(self, section: str, task: str) -> dict[str, Any]:
        """The part of a section on one task; empty where there is none."""
        part = self.content.get(section)
        found = part.get(task) if isinstance(part, dict) else None
        return found if isinstance(found, dict) else {}

    @property
    def tasks(self) -> list[str]:
        part = self.content.get("results")
        return list(part) if isinstance(part, dict) else []

    @cached_property
    def config(self) -> dict[str, Any]:
        found = self.content.get("config")
        return found if isinstance(found, dict) else {}

    def means(self, task: str, metric: str) -> dict[str, float]:
        """Published mean by filter, in the order in which the filters were logged; NaN is left out."""
        found = {}
        for key, value in self.of("results", task).items():
            name, _, after = key.partition(",")
            if name == metric and _is_number(value):
                found[after or "none"] = float(value)
        return found

    def filters(self, task: str) -> list[str]:
        """The task's filters, in the order in which they were logged."""
        keys = (key.split(",", 1) for key in self.of("results", task) if "_stderr" not in key)
        return list(dict.fromkeys(key[1] for key in keys if len(key) == 2))

    def higher_is_better(self, task: str, metric: str) -> bool | None:
        """Which way the metric goes; None where the file does not say."""
        found = self.of("higher_is_better", task).get(metric)
        if not isinstance(found, bool):
            found = self._metric(task, metric).get("higher_is_better")
        return found if isinstance(found, bool) else None

    def is_mean(self, task: str, metric: str) -> bool:
        """Whether the published number is the mean of the samples' metric."""
        aggregation = self._metric(task, metric).get("aggregation")
        return metric not in NOT_MEANS if aggregation is None else aggregation in ("mean", "nanmean")

    def n_fewshot(self, task: str) -> int:
        """Worked examples before each question; 0 where the file does not say."""
        shots = self.content.get("n-shot")
        found = shots.get(task) if isinstance(shots, dict) else None
        if not isinstance(found, int):
            found = self.of("configs", task).get("num_fewshot")
        return found if isinstance(found, int) else 0

    def _metric(self, task: str, metric: str) -> dict[str, Any]:
        listed = self.of("configs", task).get("metric_list")
        for entry in listed if isinstance(listed, list) else []:
            if isinstance(entry, dict) and entry.get("metric") == metric:
                return entry
        return {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


@dataclass(eq=False)
class Run(LoggedRun):
    """One file of samples: an LLM on a task.

    Parameters
    ----------
    results : Results, optional
        That of the run's own date.
    early : mapping, optional
        Model arguments as the name of a file of early versions has them.
    """

    results: Results | None = None
    early: dict[str, str] | None = None

    @property
    def told_in(self) -> Path:
        return self.file if self.results is None else self.results.file

    def higher_is_better(self, metric: str) -> bool | None:
        return None if self.results is None else self.results.higher_is_better(self.task, metric)

    def published(self, metric: str, filter_name: str) -> float | None:
        if self.results is None or not self.results.is_mean(self.task, metric):
            return None
        return self.results.means(self.task, metric).get(filter_name)

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Place and object of each row, of JSON lines or of one JSON array."""
        if not is_array(self.file):
            for line, row in json_lines(self.file):
                yield f"{self.file}, line {line}", row
            return
        for number, row in enumerate(parse_json(self.file.read_bytes(), str(self.file))):
            if not isinstance(row, dict):
                raise DataError(f"{self.file}, row {number} holds {type(row).__name__}, not an object; mend it")
            yield f"{self.file}, row {number}", row


def is_array(file: Path) -> bool:
    """Whether a file is one JSON array rather than JSON lines."""
    with regular_file(file).open("rb") as opened:
        return opened.read(PEEK).lstrip()[:1] == b"["


def find_runs(path: Path) -> list[Run]:
    """All files of samples at `path`. Raises DataError for samples whose task or LLM cannot be told."""
    files = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
    runs: list[Run] = []
    read: dict[Path, Results] = {}
    for file in files:
        if found := NAME.fullmatch(file.name):
            results = _results_of(file, found["date"], found["task"], read)
            runs.append(Run(file, found["task"], found["date"], results=results))
        elif _holds_samples(file) and not file.name.startswith("samples_"):
            runs.append(_early_run(file))
        elif file.name.startswith("samples_") or file == path:
            raise DataError(f"{file.name} is not of the form samples_<task>_<date>.jsonl; rename it")
    if not runs:
        raise DataError(f"{path} has no samples_<task>_<date>.jsonl; run lm_eval with --log_samples")
    return runs


def _holds_samples(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        return b'"doc_id"' in opened.read(PEEK)


def dated_results(folder: Path) -> list[Path]:
    """Results files of a folder, the newest first: `results_<date>.json`, or `<output>_<date>.json`."""
    files = [(found["date"], file) for file in folder.glob("*.json") if (found := DATED.fullmatch(file.name))]
    return [file for _, file in sorted(files, reverse=True)]


def _results_of(file: Path, date: str, task: str, read: dict[Path, Results]) -> Results | None:
    """The results of the same run, which are written under the same date; `read` holds those read before."""
    found = []
    for other in sorted(file.parent.glob(f"*_{date}.json")):
        if other not in read:
            read[other] = Results(other, json_object(other))
        found.append(read[other])
    found.sort(key=lambda results: (task not in results.tasks, not results.file.name.startswith("results_")))
    return found[0] if found else None


def _early_run(file: Path) -> Run:
    """A file of versions 0.4.0 to 0.4.2: `<model arguments>_<task>.jsonl` beside a results file without a date."""
    beside = []
    for other in sorted(file.parent.glob("*.json")):
        content = parse_json(other.read_bytes(), str(other)) if other.is_file() else None
        if isinstance(content, dict) and isinstance(content.get("results"), dict):
            beside.append(Results(other, content))
    stem = file.name.removesuffix(".jsonl")
    tasks = {task for results in beside for task in results.tasks if stem.endswith(f"_{task}")}
    if not tasks:
        kind = "one JSON array" if is_array(file) else "JSON lines"
        raise DataError(
            f"{file} is {kind} of samples under a name of early versions of lm-evaluation-harness "
            "(<model arguments>_<task>.jsonl), and no results.json beside it names the task; put that there, "
            f"or rename the file to {WHERE}"
        )
    task = max(tasks, key=len)
    model = stem.removesuffix(f"_{task}")
    own = [results for results in beside if _squeezed(str(results.config.get("model_args"))) == _squeezed(model)]
    return Run(file, task, results=own[0] if own else None, early=_early_arguments(model))


def _early_arguments(model: str) -> dict[str, str]:
    """Model arguments from a name in which "__" stands for "=" and "/"."""
    pairs = (part.partition("__") for part in model.split(","))
    return {key: value.replace("__", "/") for key, _, value in pairs if value}


def _squeezed(text: str) -> str:
    return re.sub(r"[\W_]+", "_", text)
