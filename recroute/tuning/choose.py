"""Which trial to take."""

from __future__ import annotations

from functools import partial

import numpy as np
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from recroute.errors import RouterError
from recroute.routers import Router, make_router
from recroute.tuning.trials import ERROR, FOLDS, LABEL, by_label, completed, rank


def choose(study: Study, default: str) -> tuple[Router, list[str]]:
    """The best pipeline of a study by its first metric, and how it was chosen.

    The best of many trials owes part of its lead to luck. So it takes the place of the default only if it is ahead by
    more than one standard error of their difference over folds.
    Source: Breiman et al., Classification and Regression Trees, 1984 (the one-standard-error rule).

    Raises
    ------
    RouterError
        If no trial was finished; the message has the reason of the first that failed.
    """
    trials = completed(study)
    if not trials:
        failed = [t.user_attrs[ERROR] for t in study.get_trials(deepcopy=False) if ERROR in t.user_attrs]
        raise RouterError(failed[0] if failed else "no trial was finished; run the same command again to go on")
    best, first = min(trials, key=partial(rank, study)), by_label(study, default)
    label = str(best.user_attrs[LABEL])
    value = f"{label} is the best of {len(trials)} trials judged on all folds ({best.values[0]:.4f})"
    if first is None or first.number == best.number:
        return make_router(label), [value]
    gain, error = _lead(study, best, first)
    against = f"ahead of the default {default} ({first.values[0]:.4f}) by {gain:.4f}, standard error {error:.4f}"
    if gain > error or len(study.directions) > 1:
        return make_router(label), [f"{value}, {against}"]
    return make_router(default), [
        f"the default {default} stays: {value}, but {against}, which is within what folds vary by"
    ]


def _sign(study: Study) -> int:
    return 1 if study.directions[0] == StudyDirection.MAXIMIZE else -1


def _lead(study: Study, one: FrozenTrial, other: FrozenTrial) -> tuple[float, float]:
    """By how much a trial is better in the first metric, on average over folds, and the standard error of that."""
    pairs = zip(one.user_attrs[FOLDS], other.user_attrs[FOLDS], strict=True)
    ahead = [_sign(study) * (mine[0] - theirs[0]) for mine, theirs in pairs]
    error = np.std(ahead, ddof=1) / np.sqrt(len(ahead)) if len(ahead) > 1 else 0.0
    return float(np.mean(ahead)), float(error)


def best_of_each(study: Study) -> list[str]:
    """The label of the best trial of every router searched, in the order of the routers' first trials."""
    found: dict[str, list[FrozenTrial]] = {}
    for trial in completed(study):
        found.setdefault(trial.params.get("router", ""), []).append(trial)
    return [str(min(trials, key=partial(rank, study)).user_attrs[LABEL]) for trials in found.values()]


def front(study: Study) -> list[Router]:
    """With two metrics, the pipelines that no other one beats on both, by the first metric; else none."""
    if len(study.directions) < 2:
        return []
    labels = [str(trial.user_attrs[LABEL]) for trial in sorted(study.best_trials, key=partial(rank, study))]
    return [make_router(label) for label in dict.fromkeys(labels)]


def best_so_far(study: Study) -> str:
    """A line on the best completed trial."""
    if not (trials := completed(study)):
        return "no trial finished yet"
    best = min(trials, key=partial(rank, study))
    return f"best {best.values[0]:.4f} {best.user_attrs[LABEL]}"
