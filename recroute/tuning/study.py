"""Creating and resuming an Optuna study, with a check that its trials belong to the same search."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any, TypeGuard

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from recroute.errors import DataError, argument
from recroute.metrics import METRICS
from recroute.tuning.folder import check_same, is_identity
from recroute.tuning.space import Space
from recroute.tuning.trials import ERROR, FOLDS, LABEL, LIMIT, SECONDS, WORKER

IDENTITY, READY, TEST_READS = "identity", "ready", "test_reads"
IDENTITY_SECONDS, READY_SECONDS = 2.0, 10.0  # allowed for another process to initialise a study it has just created


def _another() -> str:
    return f"name another study with {argument('study_name', option='study')}"


def open_study(
    storage: BaseStorage,
    name: str,
    metrics: Sequence[str],
    space: Space,
    identity: Mapping[str, Any],
    place: str = "its storage",
) -> Study:
    """Create a study, or resume an existing one of this name.

    An empty study made by `optuna create-study` is accepted if its directions fit the metrics.

    Parameters
    ----------
    storage : BaseStorage
    name : str
    metrics : list of str
    space : Space
    identity : mapping
        Data and settings of the study, see `identity_of`.
    place : str
        Name of the storage in messages.

    Raises
    ------
    DataError
        If the existing study has other objectives, data, split or search space, or contains a trial of another search.
        The message lists the differences.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(storage=storage, study_name=name, directions=directions_of(metrics))
    except DuplicatedStudyError:
        study = optuna.load_study(storage=storage, study_name=name)
        _check_directions(study, metrics, place)
        _wait_for(study, IDENTITY, IDENTITY_SECONDS)
    if IDENTITY not in study.user_attrs:
        if study.get_trials(deepcopy=False):
            raise DataError(f"the study {name} in {place} contains trials that recroute did not run; {_another()}")
        study.set_user_attr(IDENTITY, dict(identity))
    else:
        _wait_for(study, READY, READY_SECONDS)
    made_for = study.user_attrs[IDENTITY]
    if not is_identity(made_for) or not isinstance(study.user_attrs.get(TEST_READS, {}), Mapping):
        raise DataError(f"the study {name} in {place} was not created by recroute tune; {_another()}")
    check_same(name, made_for, identity)
    _check_trials(study, space, place)
    if READY not in study.user_attrs:
        _enqueue_defaults(study, space)
    return study


def in_memory(study: Study) -> Study:
    """Copy of a study that needs no storage."""
    copy = optuna.create_study(study_name=study.study_name, directions=study.directions)
    copy.add_trials(study.trials)
    for key, value in study.user_attrs.items():
        copy.set_user_attr(key, value)
    return copy


def _wait_for(study: Study, key: str, seconds: float) -> None:
    """Wait up to `seconds` for an attribute that the process which is creating the study will set."""
    until = time.time() + seconds
    while key not in study.user_attrs and time.time() < until:
        time.sleep(0.1)


def _enqueue_defaults(study: Study, space: Space) -> None:
    """Queue the routers' defaults as the first trials."""
    present = [trial.system_attrs.get("fixed_params") for trial in study.get_trials(deepcopy=False)]
    for params in space.defaults():
        if params not in present:
            study.enqueue_trial(params)
    study.set_user_attr(READY, True)


def directions_of(metrics: Sequence[str]) -> list[StudyDirection]:
    """Optuna direction of each metric."""
    low, high = StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE
    return [low if METRICS[metric].better == "lower" else high for metric in metrics]


def _check_directions(study: Study, metrics: Sequence[str], place: str) -> None:
    """Raise DataError unless the study's objectives fit the metrics."""
    wanted = directions_of(metrics)
    if study.directions == wanted:
        return
    name, n = f"the study {study.study_name} in {place}", len(study.directions)
    requested = f"{' and '.join(metrics)} {'needs' if len(metrics) == 1 else 'need'}"
    if n != len(wanted):
        raise DataError(
            f"{name} has {n} objective{'s' * (n != 1)}, but {requested} {len(wanted)}; {_another()}, or give as "
            f"many {argument('metrics', option='metric')} as the study has objectives"
        )
    are, need = (", ".join(one.name.lower() for one in directions) for directions in (study.directions, wanted))
    raise DataError(
        f"{name} was created to {are}, but {requested} {need}; {_another()}, which is then created with "
        "the right directions"
    )


def _check_trials(study: Study, space: Space, place: str) -> None:
    """Raise DataError for the first trial of the study that does not belong to a search in this space."""
    known = parameters_of(space)
    n_folds: set[int] = set()
    for trial in study.get_trials(deepcopy=False):
        why = _wrong_parameters(trial, known) or _wrong_attributes(trial, space, len(study.directions))
        n_folds |= {len(trial.user_attrs[FOLDS])} if not why and trial.state == TrialState.COMPLETE else set()
        if why or len(n_folds) > 1:
            raise DataError(
                f"trial {trial.number} of the study {study.study_name} in {place} does not belong to this search: "
                f"{why or 'it was judged on another number of folds'}; {_another()}"
            )


def parameters_of(space: Space) -> dict[str, BaseDistribution]:
    """Distributions, by name, of all parameters that trials in a space may have."""
    recorder = _Recorder()
    if len(space.parameters) > 1:
        recorder.suggest_categorical("router", list(space.parameters))
    for label, parameters in space.parameters.items():
        for name, one in parameters.items():
            one.suggest(recorder, f"{label}.{name}")
    return recorder.distributions


class _Recorder:
    """Stand-in for a trial that records the distributions; picks the last choice, which reveals further parameters."""

    def __init__(self) -> None:
        self.distributions: dict[str, BaseDistribution] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.distributions[name] = CategoricalDistribution(choices)
        return choices[-1]

    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> int:
        self.distributions[name] = IntDistribution(low, high, log=log)
        return low

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        self.distributions[name] = FloatDistribution(low, high, log=log)
        return low


def _wrong_parameters(trial: FrozenTrial, known: Mapping[str, BaseDistribution]) -> str:
    """Problem with the parameters of a trial, including enqueued ones; empty if there is none."""
    for name, value in {**trial.system_attrs.get("fixed_params", {}), **trial.params}.items():
        if name not in known:
            return f"its parameter {name!r} is not in the search space"
        if trial.distributions.get(name, known[name]) != known[name] or not _contains(known[name], value):
            return f"its parameter {name!r} ({value!r}) is outside the search space"
    return ""


def _contains(known: BaseDistribution, value: Any) -> bool:
    try:
        return bool(known._contains(known.to_internal_repr(value)))
    except (ValueError, TypeError):
        return False


def _wrong_attributes(trial: FrozenTrial, space: Space, n_metrics: int) -> str:
    """Problem with the attributes that recroute writes; empty if there is none."""
    kept = trial.user_attrs
    if not isinstance(kept.get(ERROR, ""), str) or not isinstance(kept.get(SECONDS, 0.0), int | float):
        return "its error is not a string, or its seconds are not a number"
    if trial.state == TrialState.RUNNING and (trial.params or WORKER in kept) and not _is_worker(kept.get(WORKER)):
        return "it is not run by a worker of recroute"
    if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
        return ""
    label = _label(trial, space)
    if label is None or kept.get(LABEL) != label:
        return f"its pipeline is recorded as {kept.get(LABEL)!r}, but its parameters give {label!r}"
    if trial.state == TrialState.PRUNED and LIMIT in kept:
        fits = isinstance(kept[LIMIT], int | float) and (kept.get(FOLDS) == [] or _is_table(kept.get(FOLDS), n_metrics))
        return "" if fits else "its time limit is not a number, or its values by fold are not those of its metrics"
    reported = [[value] for _, value in sorted(trial.intermediate_values.items())]
    if trial.state == TrialState.PRUNED:
        return (
            "" if n_metrics == 1 and _is_table(reported, 1) else "it was stopped early, but has no value for any fold"
        )
    folds = kept.get(FOLDS)
    if not _is_table(folds, n_metrics) or not np.allclose(np.mean(folds, axis=0), trial.values):
        return "its value is not the mean of its values by fold"
    other = n_metrics == 1 and reported != [list(row) for row in folds]
    return "the values it reported differ from its values by fold" if other else ""


def _label(trial: FrozenTrial, space: Space) -> str | None:
    """Label of the pipeline given by a trial's parameters; None if some are missing."""
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
    """Whether `folds` is a list of rows with one number for each metric."""
    return (
        isinstance(folds, list)
        and len(folds) > 0
        and all(isinstance(row, list | tuple) and len(row) == n_metrics for row in folds)
        and all(isinstance(value, int | float) and not isnan(value) for row in folds for value in row)
    )
