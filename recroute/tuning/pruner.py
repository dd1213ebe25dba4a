"""Stopping a trial early: no longer worth its time against the best one on the same folds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from recroute.tuning.trials import completed

# Measured on drawn pipelines, five folds, in random orders: .56 of the time of judging all on all folds on openllm1 (71
# pipelines, 60 orders), and the best was never stopped; .39 on llmrouter (40 pipelines, 25 orders), where the best was
# stopped in a quarter of the orders, for one that was at most .00015 behind. Optuna's WilcoxonPruner at .1 on values of
# the pools was as fast on openllm1, but takes values that share their instances for independent.
LEVEL = 1.3  # standard errors behind the best: one-sided p of .1
MIN_COMPLETED = 4  # completed trials that say how much differences vary over folds


def hopeless(study: Study, number: int) -> bool:
    """Whether a trial is unlikely to end above the best completed one, from the folds it has been judged on so far.

    Its lead over the best is averaged over those folds. How much such a lead varies from fold to fold is known from
    the better half of the completed trials, so that one fold is enough to stop what is far behind, and what is near
    goes on.
    """
    done = completed(study)
    if len(done) < MIN_COMPLETED:
        return False
    sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
    table = np.array([_folds(trial) for trial in done]) * sign  # (trials, folds)
    table = table[np.argsort(-table.mean(axis=1), kind="stable")][: max(MIN_COMPLETED, len(table) // 2)]  # best first
    folds = study.get_trials(deepcopy=False)[number].intermediate_values
    lead = np.array([sign * value - table[0, fold] for fold, value in folds.items()])
    return is_behind(lead, fold_deviation(table), table.shape[1])


def fold_deviation(table: NDArray[np.float64]) -> float:
    """Standard deviation over folds of the difference of two trials, from values f64 (trials, folds)."""
    apart = table - table.mean(axis=0)  # a fold that is hard for all is no difference
    apart -= apart.mean(axis=1, keepdims=True)
    t, f = table.shape
    variance = (apart**2).sum() / max((t - 1) * (f - 1), 1)
    return float(np.sqrt(2 * variance))


def is_behind(lead: NDArray[np.float64], deviation: float, n_folds: int) -> bool:
    """Whether a mean lead f64 (k,) on k of the folds is too low for the mean on all to be above 0 with any likelihood.

    The error of a mean of k folds as a guess of the mean of all `n_folds` is deviation * sqrt(1/k - 1/n_folds).
    """
    k = len(lead)
    return bool(lead.mean() < -LEVEL * deviation * np.sqrt(max(1 / k - 1 / n_folds, 0)) and k < n_folds)


def _folds(trial: FrozenTrial) -> list[float]:
    return [value for _, value in sorted(trial.intermediate_values.items())]
