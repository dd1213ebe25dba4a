"""Logs of harnesses in which an instance has an id within its task: what their layouts have in common."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from recroute.data.content import Content
from recroute.data.sources._llms import Run, Who, by_hand, listed, name_llms, newest_runs, shortest_labels
from recroute.data.sources._pickle import clean_text
from recroute.data.sources._scores import Instance, Key, Sample, Taken, check_mean, choose_scores, mean_of
from recroute.data.sources.source import Source
from recroute.errors import DataError

SHORT = 16  # digits of a hash in an instance's id
COMMON = 0.5  # share of rows that have a metric, for it to be a score; share of questions by which runs are joined


@dataclass(frozen=True)
class Row:
    """One logged answer.

    Parameters
    ----------
    id : str
        Unique within the task.
    question : str, optional
        What tells whether two rows of one id are one instance: the question as the data set has it, or its answer.
    prompt : str, optional
        What the LLM was asked.
    metrics : mapping
        Those that are numbers.
    repeat : int
        Which answer of several to the same question.
    cost : float, USD
        NaN where unknown.
    """

    where: str
    id: str
    question: str | None
    prompt: str | None
    metrics: Mapping[str, float]
    repeat: int = 1
    cost: float = math.nan


@dataclass(eq=False)
class LoggedRun(Run):
    """An LLM on a task, with what its log says of both.

    Parameters
    ----------
    arguments : mapping
        The task's own, without defaults: runs whose arguments differ are of two tasks.
    """

    asks: ClassVar[bool] = True  # whether the text of a row's question is the question's own, by which to join runs

    identity: Who = field(default_factory=lambda: Who(""))
    arguments: Mapping[str, str] = field(default_factory=dict)

    def rows(self, notes: list[str]) -> Iterator[Row]:
        """The answers; `notes` takes what a person has to know of them."""
        raise NotImplementedError


R = TypeVar("R", bound=LoggedRun)


@dataclass(frozen=True, kw_only=True)
class LoggedSource(Source, Generic[R]):
    """A layout of logs; a subclass finds its runs."""

    metric: str | None = None
    llm_id: str | None = None
    name_by: str = "auto"
    check_means: bool = True

    def runs(self, path: Path, notes: list[str]) -> list[R]:
        """All runs at `path`, without their answers."""
        raise NotImplementedError

    @property
    def by_hand(self) -> bool:
        """Whether LLMs are named without the help of what their runs say."""
        return by_hand(self.llm_id, self.name_by)

    def read(self, path: Path) -> Content:
        notes: list[str] = []
        runs = self.runs(path, notes)
        name_tasks(runs, notes)
        name_llms([(run, run.identity) for run in runs], self.llm_id, self.name_by, path, notes)
        runs = newest_runs(runs, notes)
        taken = Taken(notes)
        for task in dict.fromkeys(run.task for run in runs):
            self._task([run for run in runs if run.task == task], taken)
        return taken.content(path)

    def _task(self, runs: Sequence[R], taken: Taken) -> None:
        """The answers of one task, of all its LLMs."""
        notes = taken.notes
        questions = Questions(runs[0].task, joinable=runs[0].asks)
        read = [(run, _samples(run, at, questions, notes)) for at, run in enumerate(runs)]
        notes += [f"{run.file} holds no score: {run.llm} has none of {run.task}" for run, rows in read if not rows]
        read = [(run, rows) for run, rows in read if rows]
        if not read:
            return
        choices = choose_scores([run for run, _ in read], [rows for _, rows in read], self.metric, None, notes)
        places = questions.instances([[sample.key for sample in rows] for _, rows in read])
        for (run, rows), choice, instances in zip(read, choices, places, strict=True):
            check_mean(run, rows, choice, self.check_means, notes)
            taken.take(run, rows, instances, choice, one_kind=len(set(choices)) == 1)
        notes += questions.notes()


def name_tasks(runs: Sequence[LoggedRun], notes: list[str]) -> None:
    """Give runs of one task with other arguments tasks of their own."""
    variants: dict[tuple[Any, ...], list[LoggedRun]] = {}
    for run in runs:
        variants.setdefault((run.task, *sorted(run.arguments.items())), []).append(run)
    names = [same[0].task for same in variants.values()]
    labels = shortest_labels([Who(same[0].task, dict(same[0].arguments), complete=True) for same in variants.values()])
    for name in dict.fromkeys(names):
        apart = [label for task, label in zip(names, labels, strict=True) if task == name]
        if len(apart) > 1:
            notes.append(f"{name} is {len(apart)} tasks, told apart by their arguments: {listed(apart)}")
    for same, label in zip(variants.values(), labels, strict=True):
        for run in same:
            run.task = label


@dataclass(eq=False)
class Question:
    """One text under one id, and the runs that have it."""

    where: str
    prompt: str | None
    runs: set[int]


class Questions:
    """The questions of a task: rows of different runs are one instance if their ids agree, and what they ask."""

    def __init__(self, task: str, *, joinable: bool = True) -> None:
        self.task, self.joinable = task, joinable
        self.by_id: dict[str, dict[str, Question]] = {}
        self.differing: set[str] = set()
        self.by_text: str | None = None  # an id that is several questions, where runs are joined by text

    def add(self, row: Row, run_index: int) -> Key:
        """Take in a row; returns by what its instance is known in its run."""
        text = " ".join((row.question or "").split())
        there = self.by_id.setdefault(row.id, {})
        if not text and there:  # a row that does not say what it asks
            text = next(iter(there))
        question = there.setdefault(text, Question(row.where, row.prompt, set()))
        if row.prompt and question.prompt and row.prompt != question.prompt:
            self.differing.add(row.id)
        question.prompt = question.prompt or row.prompt
        question.runs.add(run_index)
        return row.id, text

    def instances(self, runs: Sequence[Sequence[Key]]) -> list[list[Instance]]:
        """Instance id and prompt of each row of each run.

        Raises
        ------
        DataError
            Where an id is two questions, and the runs cannot be joined by what they ask.
        """
        clash = next((number for number, there in self.by_id.items() if len([*filter(None, there)]) > 1), None)
        if clash is not None:
            self._check_texts(clash, runs)
            self.by_text = clash
        named: dict[Key, Instance] = {}
        first: dict[str, str | None] = {}
        for number, there in self.by_id.items():
            for text, question in there.items():
                name = hashlib.sha256(text.encode()).hexdigest()[:SHORT] if clash is not None else number
                prompt = first.setdefault(name, question.prompt)
                named[number, text] = (f"{self.task}.{name}", prompt)
        return [[named[key] for key in keys] for keys in runs]

    def notes(self) -> list[str]:
        """What a person has to know of how rows were joined."""
        found = []
        if self.by_text is not None:
            found.append(
                f"{self.task}: one id is several questions in different runs ({self.by_text}): joined by what they ask"
            )
        if n := len(self.differing):
            found.append(
                f"{self.task}: {n:,} instances have other prompts in other runs (examples, templates): those of the "
                "first run stand"
            )
        return found

    def _check_texts(self, clash: str, runs: Sequence[Sequence[Key]]) -> None:
        """Raise DataError unless every run has each text once, and shares half of its texts with others."""
        one, two = [question for text, question in self.by_id[clash].items() if text][:2]
        texts = [{text for _, text in keys} for keys in runs]
        for at, (keys, own) in enumerate(zip(runs, texts, strict=True)):
            others = set[str]().union(*(other for number, other in enumerate(texts) if number != at))
            if not self.joinable or len(own) < len(keys) or "" in own or len(own & others) < COMMON * len(own):
                raise DataError(
                    f"id {clash} of {self.task} is two questions, {one.where}, and {two.where}: the runs are of two "
                    "data sets, or number their questions differently; import them one by one"
                )


def _samples(run: LoggedRun, run_index: int, questions: Questions, notes: list[str]) -> list[Sample]:
    """The answers of a run, one for each instance; none where none has a metric."""
    repeats: dict[Key, dict[int, Row]] = {}
    n_twice = 0
    for row in run.rows(notes):
        there = repeats.setdefault(questions.add(row, run_index), {})
        if (other := there.setdefault(row.repeat, row)) is not row:
            n_twice += 1
            if repr(other.metrics) != repr(row.metrics):  # NaN is NaN's equal here
                raise DataError(
                    f"{other.where}, and {row.where} are one instance with other scores: runs of {run.llm} were put "
                    "together; keep the rows of one run"
                )
    if n_twice:
        notes.append(f"{run.llm}, {run.task}: {n_twice:,} rows of {run.file.name} stand twice, taken once")
    if (most := max(map(len, repeats.values()), default=1)) > 1:
        notes.append(f"{run.llm}, {run.task}: up to {most} answers to a question, their mean score is taken")
    names = _metric_names([row for rows in repeats.values() for row in rows.values()])
    return [_mean_row(key, list(rows.values()), names) for key, rows in repeats.items()] if names else []


def _metric_names(rows: Sequence[Row]) -> list[str]:
    """Metrics that half of the rows have, of those that have any."""
    counts: dict[str, int] = {}
    for row in rows:
        for name in row.metrics:
            counts[name] = counts.get(name, 0) + 1
    n_scored = sum(bool(row.metrics) for row in rows)
    return [name for name, n in counts.items() if n >= COMMON * n_scored]


def _mean_row(key: Key, rows: Sequence[Row], names: Sequence[str]) -> Sample:
    """Several answers to one question as one; NaN where none has a score."""
    if len(rows) == 1:
        only = rows[0]
        return Sample(only.where, key, "none", {name: only.metrics.get(name, math.nan) for name in names}, only.cost)
    metrics = {}
    for name in names:
        mean = mean_of(row.metrics.get(name, math.nan) for row in rows)
        metrics[name] = math.nan if mean is None else mean
    cost = mean_of(row.cost for row in rows)
    return Sample(rows[0].where, key, "none", metrics, math.nan if cost is None else cost)


def text_of(value: Any) -> str | None:
    """Text of a message's content, of several parts, or of a conversation: all that is text, in its order."""
    if isinstance(value, str):
        return clean_text(value) if value.strip() else None
    if isinstance(value, dict):
        return text_of(value.get("content", value.get("text", value.get("prompt"))))
    if isinstance(value, list):
        return "\n".join(text for part in value if (text := text_of(part)) is not None) or None
    return None


def as_dict(value: Any) -> dict[str, Any]:
    """A JSON object, empty where it is none."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """A JSON array, empty where it is none."""
    return value if isinstance(value, list) else []
