"""What a trial says of itself beside what Optuna keeps, and whether it is one of those a study was asked for."""

from __future__ import annotations

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

WORKER, BEAT, ERROR, LOST = "worker", "beat", "error", "lost"
LABEL, FOLDS, SECONDS = "label", "folds", "seconds"


def is_finished(trial: FrozenTrial) -> bool:
    """Whether a trial is one of those a study was asked for, and over."""
    if trial.state == TrialState.FAIL:
        return ERROR in trial.user_attrs
    return bool(trial.state in (TrialState.COMPLETE, TrialState.PRUNED))


def counts(trial: FrozenTrial) -> bool:
    """Whether it is, or will be, one of those a study was asked for."""
    return is_finished(trial) or trial.state in (TrialState.RUNNING, TrialState.WAITING)


def completed(study: Study) -> list[FrozenTrial]:
    """The trials that were judged on all folds, by number; of a pipeline that was proposed twice the first."""
    found = dict[object, FrozenTrial]()
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        found.setdefault(trial.user_attrs.get(LABEL, trial.number), trial)
    return list(found.values())


def by_label(study: Study, label: str) -> FrozenTrial | None:
    """The first completed trial of a router."""
    return next((trial for trial in completed(study) if trial.user_attrs.get(LABEL) == label), None)


def rank(study: Study, trial: FrozenTrial) -> tuple[float, ...]:
    """What to sort trials by, the best first: by the first metric, then by the second; of equal ones the earliest."""
    signs = [-1 if direction == StudyDirection.MAXIMIZE else 1 for direction in study.directions]
    values = trial.values if trial.state == TrialState.COMPLETE else [0.0] * len(signs)
    return (*(sign * value for sign, value in zip(signs, values, strict=True)), trial.number)
