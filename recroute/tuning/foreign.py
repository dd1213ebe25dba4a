"""A study that was there before: refused before a trial runs, unless it and all its trials are of this search."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any, TypeGuard

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from recroute.errors import DataError
from recroute.metrics import METRICS
from recroute.tuning.space import Space
from recroute.tuning.trials import ERROR, FOLDS, LABEL, SECONDS, WORKER

OTHER = "name another study with --study"


def directions_of(metrics: Sequence[str]) -> list[StudyDirection]:
    """What Optuna has to do with each metric."""
    low, high = StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE
    return [low if METRICS[metric].better == "lower" else high for metric in metrics]


def check_directions(study: Study, metrics: Sequence[str], place: str) -> None:
    """Raise DataError if a study has other objectives than the metrics; `place` says where it is kept."""
    wanted = directions_of(metrics)
    if study.directions == wanted:
        return
    name = f"the study {study.study_name} in {place}"
    asked = f"{' and '.join(metrics)} {'needs' if len(metrics) == 1 else 'need'}"
    if len(study.directions) != len(wanted):
        raise DataError(
            f"{name} has {_count(len(study.directions), 'objective')}, and {asked} {len(wanted)}; {OTHER}, or give as "
            "many --metric as the study has objectives"
        )
    are, need = (", ".join(one.name.lower() for one in found) for found in (study.directions, wanted))
    raise DataError(
        f"{name} was created to {are}, and {asked} {need}; {OTHER}, which is then created the right way round"
    )


def check_trials(study: Study, space: Space, place: str) -> None:
    """Raise DataError if a trial of a study is not of a search in this space; the message names the first."""
    known = parameters_of(space)
    n_folds: set[int] = set()
    for trial in study.get_trials(deepcopy=False):
        why = _unknown(trial, known) or _unfit(trial, space, len(study.directions))
        n_folds |= {len(trial.user_attrs[FOLDS])} if not why and trial.state == TrialState.COMPLETE else set()
        if why or len(n_folds) > 1:
            raise DataError(
                f"trial {trial.number} of the study {study.study_name} in {place} is not of this search: "
                f"{why or 'it was judged on another number of folds'}; {OTHER}"
            )


def parameters_of(space: Space) -> dict[str, BaseDistribution]:
    """All that trials in a space may have as parameters, by name."""
    found = _Recorder()
    if len(space.parameters) > 1:
        found.suggest_categorical("router", list(space.parameters))
    for label, parameters in space.parameters.items():
        for name, one in parameters.items():
            one.suggest(found, f"{label}.{name}")
    return found.asked


class _Recorder:
    """Stands for a trial, and writes down what it is asked for; the last choice is the one that is asked about more."""

    def __init__(self) -> None:
        self.asked: dict[str, BaseDistribution] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.asked[name] = CategoricalDistribution(choices)
        return choices[-1]

    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> int:
        self.asked[name] = IntDistribution(low, high, log=log)
        return low

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        self.asked[name] = FloatDistribution(low, high, log=log)
        return low


def _unknown(trial: FrozenTrial, known: Mapping[str, BaseDistribution]) -> str:
    """What is wrong with the parameters of a trial, those it was given beforehand among them."""
    for name, value in {**trial.system_attrs.get("fixed_params", {}), **trial.params}.items():
        if name not in known:
            return f"it has the parameter {name!r}, which nothing that is searched has"
        if trial.distributions.get(name, known[name]) != known[name] or not _contains(known[name], value):
            return f"its parameter {name!r} ({value!r}) is not of what is searched"
    return ""


def _contains(known: BaseDistribution, value: Any) -> bool:
    try:
        return bool(known._contains(known.to_internal_repr(value)))
    except (ValueError, TypeError):
        return False


def _unfit(trial: FrozenTrial, space: Space, n_metrics: int) -> str:
    """What a trial lacks that recroute writes."""
    said = trial.user_attrs
    if not isinstance(said.get(ERROR, ""), str) or not isinstance(said.get(SECONDS, 0.0), int | float):
        return "its error is no text, or its seconds no number"
    if trial.state == TrialState.RUNNING and (trial.params or WORKER in said) and not _is_worker(said.get(WORKER)):
        return "no worker of recroute's runs it"
    if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
        return ""
    label = _label(trial, space)
    if label is None or said.get(LABEL) != label:
        return f"it says that its pipeline is {said.get(LABEL)!r}, and its parameters stand for {label!r}"
    reported = [[value] for _, value in sorted(trial.intermediate_values.items())]
    if trial.state == TrialState.PRUNED:
        return "" if n_metrics == 1 and _is_table(reported, 1) else "it was stopped, and has no value of a fold"
    folds = said.get(FOLDS)
    if not _is_table(folds, n_metrics) or not np.allclose(np.mean(folds, axis=0), trial.values):
        return "it has no values by fold that give its value"
    other = n_metrics == 1 and reported != [list(row) for row in folds]
    return "it has reported other values than those by fold" if other else ""


def _label(trial: FrozenTrial, space: Space) -> str | None:
    """The pipeline that the parameters of a trial stand for; None if they are too few."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return space.suggest(FixedTrial(trial.params)).label
        except ValueError:
            return None


def _is_worker(worker: Any) -> bool:
    return (
        isinstance(worker, dict)
        and {"host", "pid", "started", "at"} <= set(worker)
        and isinstance(worker["pid"], int)
        and isinstance(worker["at"], int | float)
    )


def _is_table(folds: Any, n_metrics: int) -> TypeGuard[list[Sequence[float]]]:
    """Whether values by fold are rows of one number for each metric."""
    return (
        isinstance(folds, list)
        and len(folds) > 0
        and all(isinstance(row, list | tuple) and len(row) == n_metrics for row in folds)
        and all(isinstance(value, int | float) and not isnan(value) for row in folds for value in row)
    )


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"
