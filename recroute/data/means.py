"""Mean scores of LLMs that were evaluated on different instances, and a leaderboard of those that fought battles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.data.dataset import Dataset
from recroute.data.preferences import Preferences
from recroute.data.task_means import over_tasks
from recroute.util.arguments import as_whole_number, checked
from recroute.util.numeric import Array

PRIOR = 0.1  # precision of the prior on a coefficient: only an LLM that always wins or loses feels it
PRIOR_SHOWN = 10.0  # of that on the intercept: where the battles cannot tell it from strength it is strength
N_STEPS = 100  # more than any data need; a step is at most MAX_STEP long
MAX_STEP = 4.0


@checked
def llm_means(dataset: Dataset) -> Array:
    """Mean score of each LLM over all instances, f64 (m,): its `task_means` weighted by the tasks' sizes.

    Where every cell is observed this is the plain column mean. Where cells are missing the plain mean would
    compare an LLM that was only run on an easy task with one that was run on all of them; this is direct
    standardisation. Instances without a record are left out.

    Of a data set with preferences and no score at all: the win rates of its `leaderboard`.
    """
    if dataset.interactions.n_observed == 0 and dataset.preferences is not None:
        return leaderboard(dataset.preferences, dataset.n_llms).win_rates()
    _, means, n_instances = task_means(dataset)
    return over_tasks(means, n_instances)


def task_means(dataset: Dataset) -> tuple[NDArray[np.str_], Array, Array]:
    """Mean score of each LLM in each task.

    An LLM's *deviation* from the average LLM on the same instances is averaged within the task, shrunk towards 0
    by how little of the task the LLM has seen, and added to the task's mean:

    ``mean[t,l] = task_mean[t] + w * deviation[t,l]`` with ``w = k / (k + 10 * (1 - k / n_t))``

    for k records among the n_t instances of the task that have one: w is 1 when the task is complete, where
    this is the plain mean, and 0 when the LLM was never run on it.

    Returns
    -------
    names str (t,) in alphabetical order, means f64 (t, m), number of instances with a record f64 (t,)
    """
    return dataset.task_means


def standardised_scores(dataset: Dataset) -> NDArray[np.float32]:
    """Scores f32 (n, m) whose column means, over the instances with a record, are `llm_means`.

    An unobserved cell holds what brings the LLM's mean in the task to its `task_means`; on complete data there is none.
    So a mean over resampled instances can be had of LLMs that were evaluated on different ones. An LLM without any
    record stays NaN.
    """
    scores = dataset.interactions.dense()
    (names, means, n_instances), tasks = task_means(dataset), dataset.tasks
    with_record = dataset.interactions.instance_counts > 0
    for t, name in enumerate(names):
        rows = np.flatnonzero((tasks == name) & with_record)
        block = scores[rows].astype(np.float64)
        seen = ~np.isnan(block)
        lacking = n_instances[t] - seen.sum(axis=0)
        rest = (n_instances[t] * means[t] - np.where(seen, block, 0).sum(axis=0)) / np.maximum(lacking, 1)
        scores[rows] = np.where(seen, block, rest)
    scores[:, dataset.interactions.llm_counts == 0] = np.nan
    return scores


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """How good each LLM is in battles, whatever the prompt.

    Parameters
    ----------
    coefficient : f64 (m,)
        Log odds against the average LLM; their mean is 0.
    first_shown : float
        Log odds that being shown first adds; 0 where the order does not tell (`Preferences.order_tells`).
    first_shown_error : float
        Standard error of that.
    """

    coefficient: Array
    first_shown: float
    first_shown_error: float

    def win_rates(self) -> Array:
        """Share of battles that each LLM would win against all LLMs in turn, itself among them, f64 (m,); mean 1/2."""
        lead = self.coefficient[:, None] - self.coefficient
        return (0.5 * (1 + np.tanh(lead / 2))).mean(axis=1)


@checked
def leaderboard(preferences: Preferences, n_llms: int) -> Leaderboard:
    """Maximum a posteriori coefficients of the Bradley-Terry model with an intercept for being shown first.

    A tie is half a win for both. LLMs that no chain of battles connects do not compare: the prior sets each such
    group around 0.
    Source: Bradley and Terry, Rank analysis of incomplete block designs, Biometrika 1952.
    """
    n_llms = as_whole_number(n_llms, "n_llms", low=1)
    pair = preferences.llm_a.astype(np.int64) * n_llms + preferences.llm_b
    shape = (n_llms, n_llms)
    fought = np.bincount(pair, minlength=n_llms**2).reshape(shape).astype(np.float64)  # (first, second)
    won = np.bincount(pair, preferences.outcome, minlength=n_llms**2).reshape(shape)
    x = np.zeros(n_llms + 1)  # coefficients, then the intercept
    prior = np.append(np.full(n_llms, PRIOR), PRIOR_SHOWN)
    shown = float(preferences.order_tells)
    for _ in range(N_STEPS):
        p = 0.5 * (1 + np.tanh((x[:-1, None] - x[:-1] + shown * x[-1]) / 2))
        surplus, curvature = won - fought * p, fought * p * (1 - p)
        gradient = np.append(surplus.sum(axis=1) - surplus.sum(axis=0), shown * surplus.sum()) - prior * x
        by_first = curvature.sum(axis=1) - curvature.sum(axis=0)
        hessian = np.zeros((n_llms + 1, n_llms + 1))
        hessian[:-1, :-1] = np.diag(curvature.sum(axis=1) + curvature.sum(axis=0)) - curvature - curvature.T
        hessian[:-1, -1] = hessian[-1, :-1] = shown * by_first
        hessian[-1, -1] = shown * curvature.sum()
        hessian += np.diag(prior)
        step = np.linalg.solve(hessian, gradient)
        x = x + step * min(1.0, MAX_STEP / max(np.abs(step).max(), 1e-300))
        if np.abs(step).max() < 1e-10:
            break
    error = float(np.sqrt(np.linalg.inv(hessian)[-1, -1]))
    return Leaderboard(x[:-1] - x[:-1].mean(), float(x[-1]), error)
