"""What is the score of a run of lm-evaluation-harness: metric and filter, and which way they go."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recroute.data.sources._lm_eval_runs import LOWER_IS_BETTER, UNBOUNDED, Run
from recroute.data.sources._lm_eval_samples import NEAR, Sample, mean_of, published_mean
from recroute.errors import DataError

# Normalised for the length of the answer first; flexible extraction judges the answer, not its format.
METRICS = ("acc_norm", "acc", "exact_match", "pass@1", "prompt_level_strict_acc", "em", "f1")
FILTERS = ("none", "flexible-extract", "strict-match")


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
        places = (_place(FILTERS, after), after, _place(METRICS, name), name)
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
                f"{task}: {kind} {chosen} was taken, the samples also have {', '.join(others)[:200]} (--{kind})"
            )


def _lower_is_better(runs: Sequence[Run], metric: str) -> bool:
    """What the results files say; where none does, what is known of the metric's name."""
    said: dict[bool, Run] = {}
    for run in runs:
        if run.results is not None and (higher := run.results.higher_is_better(run.task, metric)) is not None:
            said.setdefault(higher, run)
    if len(said) > 1:
        files = " and ".join(str(run.results.file) for run in said.values() if run.results is not None)
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
                "it cannot be turned round; choose another with --metric, or leave the task out"
            )
    return [1 - score for score in scores]


def check_mean(run: Run, samples: Sequence[Sample], choice: Choice, strict: bool, notes: list[str]) -> None:
    """Compare the samples' mean with that of the results file of the same run.

    Raises
    ------
    DataError
        Where they differ and `strict`; otherwise a note says so.
    """
    published = published_mean(run, choice.metric, choice.filter)
    mean = mean_of(sample.metrics[choice.metric] for sample in samples)
    if published is None or mean is None or abs(mean - published) <= NEAR or run.results is None:
        return
    said = (
        f"{run.llm}, {run.task}: {len(samples)} samples have mean {choice.metric} {mean:.4f}, {run.results.file.name} "
        f"says {published:.4f}"
    )
    if strict:
        raise DataError(
            f"{said}; {run.file} is not whole, or not of that run: get both again, or import all the same with "
            "--set check_means=false"
        )
    notes.append(said)
