"""What to try next: Optuna's sampler, asked again while it proposes what the study has had."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from recroute.errors import RecrouteError
from recroute.tuning.space import Space

AT_RANDOM, GIVE_UP = 5, 20  # draws of a pipeline that the study has had, one after the other
TELLING = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)


def draw(
    study: Study, space: Space, trials: list[FrozenTrial], had: Collection[str], seed: tuple[int, ...]
) -> BaseSampler:
    """A sampler that gives the parameters of a pipeline whose label is not in `had`.

    They are drawn in a copy of the study in memory, so that the draws which are thrown away leave no trial behind.
    After a few such draws the next ones are at random, and after `GIVE_UP` the last one is taken as it is: then the
    space seems to have no other pipeline.

    Parameters
    ----------
    study : Study
    space : Space
    trials : list of FrozenTrial
        What the sampler learns from.
    had : collection of str
        Labels of the pipelines that are not wanted again.
    seed : tuple of int
        Same seed and trials, same parameters.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # `group` and partial fixing, both years old
        copy = optuna.create_study(directions=study.directions)
        copy.add_trials(map(_bare, (trial for trial in trials if trial.state in TELLING)))
        params: dict[str, Any] = {}
        for drawn in range(GIVE_UP + 1):
            number = int(np.random.default_rng([*seed, drawn]).integers(2**31))
            copy.sampler = _sampler(number, at_random=drawn >= AT_RANDOM)
            trial = copy.ask()
            label = _label(space, trial)
            params = trial.params
            if label not in had:
                break
            copy.tell(trial, state=TrialState.FAIL)
        return PartialFixedSampler(params, RandomSampler(seed=number))


def _label(space: Space, trial: Trial) -> str | None:
    """The pipeline that a trial draws; None if its hyperparameters do not go with each other."""
    try:
        return space.suggest(trial).label
    except RecrouteError:
        return None


def _bare(trial: FrozenTrial) -> FrozenTrial:
    """What a sampler reads of a trial."""
    values = trial.values if trial.state != TrialState.RUNNING else None
    return create_trial(
        state=trial.state,
        values=values,
        params=trial.params,
        distributions=trial.distributions,
        intermediate_values=trial.intermediate_values,
    )


def _sampler(seed: int, at_random: bool) -> BaseSampler:
    """Parzen estimators over all hyperparameters of a router together, running trials counted as bad ones."""
    if at_random:
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
