"""Trials of a study: attributes, order and table."""

from __future__ import annotations

from typing import Any

import polars as pl
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

# Attributes that recroute adds to those of Optuna.
WORKER, BEAT, ERROR, LOST = "worker", "beat", "error", "lost"
LABEL, FOLDS, SECONDS = "label", "folds", "seconds"
LIMIT = "limit"  # seconds after which a trial was stopped
REPEAT = "repeat"  # state of a trial that repeats the pipeline, and so the result, of an earlier one
STATES = {  # in the order of the ranking, with their description in reports
    "complete": "judged on all folds",
    REPEAT: "repeated an earlier pipeline",
    "pruned": "stopped early",
    "fail": "failed",
}
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


def is_finished(trial: FrozenTrial) -> bool:
    """Whether a trial has ended and counts towards the requested number; one that is run again does not."""
    if trial.state == TrialState.FAIL:
        return ERROR in trial.user_attrs
    return bool(trial.state in (TrialState.COMPLETE, TrialState.PRUNED)) and LOST not in trial.user_attrs


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial counts, or will count, towards the requested number."""
    return is_finished(trial) or trial.state in (TrialState.RUNNING, TrialState.WAITING)


def n_finished(study: Study) -> int:
    """Number of finished trials."""
    return sum(map(is_finished, study.get_trials(deepcopy=False)))


def unfinished(study: Study) -> list[FrozenTrial]:
    """Trials that the end of the search stopped, and that were not run again since; the last of each pipeline."""
    trials = study.get_trials(deepcopy=False)
    finished = {trial.user_attrs.get(LABEL) for trial in trials if is_finished(trial)}
    stopped = [trial for trial in trials if trial.state == TrialState.PRUNED and LOST in trial.user_attrs]
    last = {trial.user_attrs[LABEL]: trial for trial in stopped if trial.user_attrs[LABEL] not in finished}
    return list(last.values())


def completed(study: Study) -> list[FrozenTrial]:
    """Trials that were judged on all folds, by number; only the first of each pipeline."""
    first = dict[object, FrozenTrial]()
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        first.setdefault(trial.user_attrs.get(LABEL, trial.number), trial)
    return list(first.values())


def rank(study: Study, trial: FrozenTrial) -> tuple[float, ...]:
    """Sort key that puts the best trial first: first metric, second metric, number."""
    signs = [-1 if direction == StudyDirection.MAXIMIZE else 1 for direction in study.directions]
    values = trial.values if trial.state == TrialState.COMPLETE else [0.0] * len(signs)
    return (*(sign * value for sign, value in zip(signs, values, strict=True)), trial.number)


def trial_table(study: Study) -> pl.DataFrame:
    """Table with one row for each finished trial, in order, and for each that the end of the search stopped.

    `number` counts these trials from 0. `optuna_number` may be higher, because Optuna gives a trial that is run
    again a new number. `value` is the mean over all folds, null if the trial was not judged on all of them. `place`
    ranks the trials: those with a value by value, then repeats, trials stopped early, and failed ones.
    """
    stopped = {trial.number for trial in unfinished(study)}
    trials = [t for t in study.get_trials(deepcopy=False) if is_finished(t) or t.number in stopped]
    n_folds = max((len(trial.user_attrs[FOLDS]) for trial in trials if FOLDS in trial.user_attrs), default=0)
    first = dict[tuple[str, TrialState], int]()
    rows = []
    for number, trial in enumerate(trials):
        label = str(trial.user_attrs.get(LABEL, ""))
        earlier = first.setdefault((label, trial.state), number) if label else number
        rows.append({"number": number, **_row(trial, label, earlier if earlier < number else None, n_folds)})
    states = list(STATES)
    order = sorted(range(len(rows)), key=lambda i: (states.index(rows[i]["state"]), rank(study, trials[i])))
    for place, i in enumerate(order, 1):
        rows[i]["place"] = place
    columns = COLUMNS if len(study.directions) > 1 else {k: v for k, v in COLUMNS.items() if k != "value_2"}
    return pl.DataFrame(rows, schema=columns)


def n_judged(trial: FrozenTrial) -> int:
    """Number of folds that a trial was judged on."""
    return len(trial.user_attrs.get(FOLDS, trial.intermediate_values))


def _by_limit(trial: FrozenTrial) -> str:
    return f" (time limit of {trial.user_attrs[LIMIT]:,.1f} s)" if LIMIT in trial.user_attrs else ""


def _row(trial: FrozenTrial, label: str, earlier: int | None, n_folds: int) -> dict[str, Any]:
    """Row of one trial; `earlier` is the number of an earlier trial with the same pipeline and state."""
    state = trial.state.name.lower() if earlier is None else REPEAT
    outcome = {
        "complete": f"judged on all {n_folds} folds",
        "pruned": f"stopped after {n_judged(trial)} of {n_folds} folds{_by_limit(trial)}",
        "fail": str(trial.user_attrs.get(ERROR)),
        REPEAT: f"same pipeline as trial {earlier}",
    }
    values = trial.values if trial.state == TrialState.COMPLETE else []
    return {
        "state": state,
        "pipeline": label,
        **dict(zip(("value", "value_2"), values, strict=False)),
        "n_folds": n_judged(trial),
        "outcome": outcome[state],
        "seconds": trial.user_attrs.get(SECONDS),
        "router": trial.params.get("router", ""),
        "error": trial.user_attrs.get(ERROR, ""),
        "optuna_number": trial.number,
    }
