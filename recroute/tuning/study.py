"""A study: made once, found again, and refused if it was made for something else."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
import polars as pl
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from recroute.errors import DataError
from recroute.tuning.foreign import OTHER, check_directions, check_trials, directions_of
from recroute.tuning.identity import check_same, is_identity
from recroute.tuning.space import Space
from recroute.tuning.trials import ERROR, FOLDS, LABEL, SECONDS, is_finished, rank

IDENTITY, READY, TEST_READS = "identity", "ready", "test_reads"
IDENTITY_SECONDS, READY_SECONDS = 2.0, 10.0  # that another process may take to name and fill the study it has made
REPEAT = "repeat"  # the state of a trial whose pipeline an earlier one had; what that came to is its own result
STATES = ("complete", REPEAT, "pruned", "fail")  # in the order of their places
COLUMNS: dict[str, Any] = {
    "number": pl.Int64,
    "state": pl.String,
    "pipeline": pl.String,
    "value": pl.Float64,
    "value_2": pl.Float64,
    "n_folds": pl.Int64,
    "outcome": pl.String,
    "seconds": pl.Float64,
    "router": pl.String,
    "error": pl.String,
    "optuna_number": pl.Int64,
    "place": pl.Int64,
}


def open_study(
    storage: BaseStorage,
    name: str,
    metrics: Sequence[str],
    space: Space,
    known: Mapping[str, Any],
    place: str = "its storage",
) -> Study:
    """Make the study, or go on with the one that is there.

    One that `optuna create-study` made is taken as well, as long as nothing is in it and its directions are right.

    Parameters
    ----------
    storage : BaseStorage
    name : str
    metrics : list of str
    space : Space
    known : mapping
        What the study is made for, see `identity`.
    place : str
        Where it is kept, for messages.

    Raises
    ------
    DataError
        If the study that is there has other objectives, was made for other data, another split or another search, or
        holds a trial that is not of this search; the message names all that differs.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(storage=storage, study_name=name, directions=directions_of(metrics))
    except DuplicatedStudyError:
        study = optuna.load_study(storage=storage, study_name=name)
        check_directions(study, metrics, place)
        _wait_for(study, IDENTITY, IDENTITY_SECONDS)
    if IDENTITY not in study.user_attrs:
        if study.get_trials(deepcopy=False):
            raise DataError(f"the study {name} in {place} holds trials that recroute has not run; {OTHER}")
        study.set_user_attr(IDENTITY, dict(known))
    else:
        _wait_for(study, READY, READY_SECONDS)
    made_for = study.user_attrs[IDENTITY]
    if not is_identity(made_for) or not isinstance(study.user_attrs.get(TEST_READS, {}), Mapping):
        raise DataError(f"the study {name} in {place} was not made by recroute tune; {OTHER}")
    check_same(name, made_for, known)
    check_trials(study, space, place)
    if READY not in study.user_attrs:
        _fill(study, space)
    return study


def _wait_for(study: Study, key: str, seconds: float) -> None:
    """Wait for what the process that has just made a study will say of it, if it lives."""
    until = time.time() + seconds
    while key not in study.user_attrs and time.time() < until:
        time.sleep(0.1)


def _fill(study: Study, space: Space) -> None:
    """The first trials are the defaults."""
    present = [trial.system_attrs.get("fixed_params") for trial in study.get_trials(deepcopy=False)]
    for params in space.defaults():
        if params not in present:
            study.enqueue_trial(params)
    study.set_user_attr(READY, True)


def trial_table(study: Study) -> pl.DataFrame:
    """A row for each trial that the study was asked for, in order, with what it tried and what came of it.

    `number` counts them from 0; `optuna_number` is higher once a worker was stopped, because Optuna counts what is run
    again anew. `value` is the mean over all folds: a trial that was not judged on all of them has none. `place` is the
    rank of those that have one; all others come behind them, repeats of a pipeline first.
    """
    trials = [trial for trial in study.get_trials(deepcopy=False) if is_finished(trial)]
    n_folds = max((len(trial.user_attrs[FOLDS]) for trial in trials if FOLDS in trial.user_attrs), default=0)
    first = dict[tuple[str, TrialState], int]()
    rows = []
    for number, trial in enumerate(trials):
        label = str(trial.user_attrs.get(LABEL, ""))
        earlier = first.setdefault((label, trial.state), number) if label else number
        rows.append({"number": number, **_row(trial, label, earlier if earlier < number else None, n_folds)})
    order = sorted(range(len(rows)), key=lambda i: (STATES.index(rows[i]["state"]), rank(study, trials[i])))
    for place, i in enumerate(order, 1):
        rows[i]["place"] = place
    columns = COLUMNS if len(study.directions) > 1 else {k: v for k, v in COLUMNS.items() if k != "value_2"}
    return pl.DataFrame(rows, schema=columns)


def _row(trial: FrozenTrial, label: str, earlier: int | None, n_folds: int) -> dict[str, Any]:
    """One trial; `earlier` is the number of one that came to the same with the same pipeline."""
    state = trial.state.name.lower() if earlier is None else REPEAT
    n_judged = len(trial.user_attrs.get(FOLDS, trial.intermediate_values))
    outcome = {
        "complete": f"judged on all {n_folds} folds",
        "pruned": f"stopped after {n_judged} of {n_folds} folds",
        "fail": str(trial.user_attrs.get(ERROR)),
        REPEAT: f"same pipeline as trial {earlier}",
    }
    values = trial.values if trial.state == TrialState.COMPLETE else []
    return {
        "state": state,
        "pipeline": label,
        **dict(zip(("value", "value_2"), values, strict=False)),
        "n_folds": n_judged,
        "outcome": outcome[state],
        "seconds": trial.user_attrs.get(SECONDS),
        "router": trial.params.get("router", ""),
        "error": trial.user_attrs.get(ERROR, ""),
        "optuna_number": trial.number,
    }
