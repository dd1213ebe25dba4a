"""What is the score of a run that a harness logged: metric and filter, and which way they go."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from recroute.data.content import Content
from recroute.data.sources._llms import Run
from recroute.data.sources._tabular import LongTable, long_content
from recroute.errors import DataError, argument, either

SCHEMA = {
    "instance_id": pl.String,
    "prompt": pl.String,
    "task": pl.String,
    "llm_id": pl.String,
    "score": pl.Float64,
    "cost": pl.Float64,
}

NEAR = 5e-4  # harnesses round the means they publish at most this coarsely
LOWER_IS_BETTER = {"brier_score", "ter", "wer", "cer", "ece", "mae", "mse", "rmse"}
UNBOUNDED = {"perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "loss", "nll"}

FILTERS = ("none", "flexible-extract", "strict-match")  # flexible extraction judges the answer, not its format
Key = tuple[str | None, str]  # by what an instance is known in its run: its id, and a hash or the text of its question
Instance = tuple[str, str | None]  # id and prompt


@dataclass(frozen=True)
class Sample:
    """What is kept of one row: NaN is a metric without a value, and a metric that is no number is left out.

    Parameters
    ----------
    filter : str, optional
        None where the row does not say, as in files of early versions of lm-evaluation-harness.
    cost : float, USD
        NaN where unknown.
    """

    where: str
    key: Key
    filter: str | None
    metrics: Mapping[str, float]
    cost: float = math.nan


@dataclass(frozen=True)
class Choice:
    """What the score of a run is."""

    metric: str
    filter: str
    lower: bool = False

    def __str__(self) -> str:
        name = f"1 - {self.metric}" if self.lower else self.metric
        return name if self.filter == "none" else f"{name} after {self.filter}"


def choose_scores(
    runs: Sequence[Run], rows: Sequence[Sequence[Sample]], metric: str | None, filter_name: str | None, notes: list[str]
) -> list[Choice]:
    """For each run of a task the metric and filter that most runs have; of those the usual ones first.

    Raises
    ------
    DataError
        Where a run lacks what was asked for, or has no metric at all, and where runs disagree which way one goes.
    """
    task = runs[0].task
    options = [_options(run, samples, metric, filter_name) for run, samples in zip(runs, rows, strict=True)]
    shared = Counter(option for there in options for option in there)
    by_metric = Counter(name for there in options for name in {option[0] for option in there})
    lower = {name: _lower_is_better(runs, name) for name in by_metric}
    outside = {option for there in options for option, inside in there.items() if not inside}

    def rank(option: tuple[str, str]) -> tuple[object, ...]:
        name, after = option
        scale = (option in outside, name in UNBOUNDED, lower[name])
        places = (_place(FILTERS, after), after, _place(runs[0].usual, name), name)
        return (*scale[:2], -shared[option], -by_metric[name], scale[2], *places)

    choices = [Choice(*(best := min(there, key=rank)), lower=lower[best[0]]) for there in options]
    _say_choice(runs, choices, options, (metric, filter_name), notes)
    if turned := {choice.metric for choice in choices if choice.lower}:
        for name in sorted(turned):
            notes.append(f"{task}: less {name} is better, so the score is 1 - {name}")
    return choices


def _options(
    run: Run, samples: Sequence[Sample], metric: str | None, filter_name: str | None
) -> dict[tuple[str, str], bool]:
    """Metrics and filters that all rows of a run have, and whether all their values are from 0 to 1."""
    names: dict[str, set[str]] = {}
    inside: dict[tuple[str, str], bool] = {}
    for sample in samples:
        after = str(sample.filter)
        names[after] = names.get(after, set(sample.metrics)) & set(sample.metrics)
        for name, value in sample.metrics.items():
            inside[name, after] = inside.get((name, after), True) and not (value < 0 or value > 1)
    found = {(name, after): inside[name, after] for after, metrics in names.items() for name in metrics}
    for kind, wanted, there in (
        ("filter", filter_name, sorted(names)),
        ("metric", metric, sorted({name for name, _ in found})),
    ):
        if wanted is not None and wanted not in there:
            what = ", ".join(there)[:200] or "none"
            raise DataError(f"{kind} {wanted!r} is not in the samples of {run.task}; there: {what} ({run.llm})")
    found = {(m, f): ok for (m, f), ok in found.items() if metric in (None, m) and filter_name in (None, f)}
    if not found:
        raise DataError(f"{run.file} has no metric that is a number, so {run.llm} has no scores; run it again")
    return found


def _place(names: Sequence[str], name: str) -> int:
    return names.index(name) if name in names else len(names)


def _say_choice(
    runs: Sequence[Run],
    choices: Sequence[Choice],
    options: Sequence[Mapping[tuple[str, str], bool]],
    asked: tuple[str | None, str | None],
    notes: list[str],
) -> None:
    """What else there was to choose from, and which LLM has which score if not all have the same."""
    task, (metric, filter_name) = runs[0].task, asked
    llms: dict[Choice, list[str]] = {}
    for run, choice in zip(runs, choices, strict=True):
        llms.setdefault(choice, []).append(run.llm)
    if len(llms) > 1:
        listed = "; ".join(f"{choice} for {', '.join(names)}" for choice, names in llms.items())
        notes.append(f"{task}: no metric and filter is in all runs, so scores differ in kind: {listed}")
        return
    for kind, place, given in (("filter", 1, filter_name), ("metric", 0, metric)):
        chosen = (choices[0].metric, choices[0].filter)[place]
        others = sorted({option[place] for there in options for option in there} - {chosen})
        if others and given is None:
            notes.append(
                f"{task}: {kind} {chosen} was taken, the samples also have {', '.join(others)[:200]} ({argument(kind)})"
            )


def _lower_is_better(runs: Sequence[Run], metric: str) -> bool:
    """What the files say; where none does, what is known of the metric's name."""
    said: dict[bool, Run] = {}
    for run in runs:
        if (higher := run.higher_is_better(metric)) is not None:
            said.setdefault(higher, run)
    if len(said) > 1:
        files = " and ".join(str(run.told_in) for run in said.values())
        raise DataError(f"{files} disagree on whether more {metric} is better in {runs[0].task}; mend one of them")
    return not next(iter(said)) if said else metric in LOWER_IS_BETTER | UNBOUNDED


def scores_of(run: Run, samples: Sequence[Sample], choice: Choice) -> list[float]:
    """The run's scores, the more the better. Raises DataError for a metric that cannot be turned round."""
    scores = [sample.metrics[choice.metric] for sample in samples]
    if not choice.lower:
        return scores
    for sample, score in zip(samples, scores, strict=True):
        if choice.metric in UNBOUNDED or not (math.isnan(score) or 0 <= score <= 1):
            raise DataError(
                f"{choice.metric} {score:g} of {run.llm} ({sample.where}): less is better, and it can be above 1, so "
                f"it cannot be turned round; choose another with {argument('metric')}, or leave the task out"
            )
    return [1 - score for score in scores]


def check_mean(run: Run, samples: Sequence[Sample], choice: Choice, strict: bool, notes: list[str]) -> None:
    """Compare the samples' mean with the one that was published of the same run.

    Raises
    ------
    DataError
        Where they differ and `strict`; otherwise a note says so.
    """
    published = run.published(choice.metric, choice.filter)
    mean = mean_of(sample.metrics[choice.metric] for sample in samples)
    if published is None or mean is None or abs(mean - published) <= NEAR:
        return
    said = (
        f"{run.llm}, {run.task}: {len(samples)} samples have mean {choice.metric} {mean:.4f}, {run.told_in.name} "
        f"says {published:.4f}"
    )
    if strict:
        raise DataError(
            f"{said}; {run.file} is not whole, or not of that run: get both again, or import all the same with "
            f"{either('--set check_means=false', 'check_means=False')}"
        )
    notes.append(said)


def mean_of(scores: Iterable[float]) -> float | None:
    """Mean of what is not NaN; None where there is nothing."""
    known = [score for score in scores if not math.isnan(score)]
    return math.fsum(known) / len(known) if known else None


@dataclass
class Taken:
    """Rows of a long table, gathered task by task, and what their scores mean."""

    notes: list[str]
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    meaning: dict[str, list[str]] = field(default_factory=dict)
    n_nan: Counter[str] = field(default_factory=Counter)

    def take(
        self, run: Run, samples: Sequence[Sample], instances: Sequence[Instance], choice: Choice, *, one_kind: bool
    ) -> None:
        """The scores of one run. Raises DataError for a metric that cannot be turned round."""
        scores = scores_of(run, samples, choice)
        self.rows += [
            (instance, prompt, run.task, run.llm, None if math.isnan(score) else score, sample.cost)
            for sample, (instance, prompt), score in zip(samples, instances, scores, strict=True)
        ]
        self.n_nan[run.llm] += sum(map(math.isnan, scores))
        tasks = self.meaning.setdefault(str(choice), [])
        what = run.task if one_kind else f"{run.task} ({run.llm})"
        if what not in tasks:
            tasks.append(what)

    def content(self, path: Path) -> Content:
        """What was taken, as a data set that says so."""
        table = pl.DataFrame(self.rows, schema=SCHEMA, orient="row").with_columns(pl.col("cost").fill_nan(None))
        if table["cost"].null_count() == table.height:
            table = table.drop("cost")
        content = long_content([LongTable(path, table.lazy())])
        content.notes[:0] = self.notes + [
            f"{n:,} score{'' if n == 1 else 's'} of {llm} {'is' if n == 1 else 'are'} NaN: left unobserved"
            for llm, n in self.n_nan.items()
            if n
        ]
        content.scaling = f"choose another metric with {argument('metric')}"
        content.card = {"score": "; ".join(f"{score}: {', '.join(of)}" for score, of in self.meaning.items())}
        if n_nan := {llm: n for llm, n in self.n_nan.items() if n}:
            content.card = {**content.card, "nan_scores": n_nan}
        return content
