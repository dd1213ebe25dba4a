"""Stopping what is behind, and not what is near."""

import numpy as np
import optuna
import pytest

from recroute.tuning.strategy import fold_deviation, is_behind, should_stop


def test_the_deviation_of_a_difference_is_that_of_two_trials() -> None:
    rng = np.random.default_rng(0)
    trials, folds = rng.normal(size=(400, 1)), rng.normal(size=(1, 5)) * 9  # good trials, hard folds: no difference
    table = trials + folds + 0.3 * rng.normal(size=(400, 5))
    assert fold_deviation(table) == pytest.approx(0.3 * np.sqrt(2), rel=0.05)


def test_a_lead_is_judged_by_the_folds_that_are_left() -> None:
    assert is_behind(np.array([-0.5]), 0.1, 5)
    assert not is_behind(np.array([-0.05]), 0.1, 5)
    assert not is_behind(np.array([0.5]), 0.1, 5)
    assert is_behind(np.array([-0.05] * 4), 0.1, 5)  # one fold cannot make up for four
    assert not is_behind(np.array([-0.5] * 5), 0.1, 5)  # it is over: its value is known


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_what_is_far_behind_the_best_is_hopeless_after_a_fold(direction: str) -> None:
    sign = 1 if direction == "maximize" else -1
    study = optuna.create_study(direction=direction)
    rng = np.random.default_rng(1)
    for good in (0.60, 0.61, 0.62, 0.63, 0.2):
        trial = study.ask()
        values = sign * (good + 0.01 * rng.normal(size=4))
        for fold, value in enumerate(values):
            trial.report(float(value), fold)
        study.tell(trial, float(values.mean()))
    for value, expected in ((0.5, True), (0.63, False), (0.7, False)):
        trial = study.ask()
        trial.report(sign * value, 0)
        assert should_stop(study, trial.number) is expected
        study.tell(trial, state=optuna.trial.TrialState.FAIL)


def test_nothing_is_stopped_before_anything_is_known() -> None:
    study = optuna.create_study(direction="maximize")
    trial = study.ask()
    trial.report(-1.0, 0)
    assert not should_stop(study, trial.number)
