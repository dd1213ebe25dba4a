"""What is measured of an unseen LLM after so many anchors."""

from __future__ import annotations

import numpy as np

from recroute.coldstart.rounds import Round
from recroute.util.numeric import Array


def per_llm(played: Round) -> dict[str, Array]:
    """The metrics of `coldstart` for each unseen LLM, f64 (j,); NaN where one does not exist."""
    found = played.prior.posterior(played.scores, played.split.train.take_llms(played.unseen).llms)
    answers, columns = played.answers.astype(np.float64), found.columns.astype(np.float64)
    rest = ~np.isnan(answers) & np.isnan(played.scores)
    count = rest.sum(axis=0)
    true = np.where(rest, answers, 0).sum(axis=0) / count
    expected = np.where(rest, columns, 0).sum(axis=0) / count
    values = {
        "mean_score_error": np.abs(expected - true),
        "brier": np.where(rest, (columns - answers) ** 2, 0).sum(axis=0) / count,
        "auc": np.array([_auc(columns[r, j], answers[r, j]) for j, r in enumerate(rest.T)]),
    }
    if played.n_anchors:
        values["plain_mean_error"] = np.abs(np.nanmean(played.scores, axis=0) - true)
    complete = ~np.isnan(answers).any(axis=0)
    mean = answers.mean(axis=0)
    low, high = found.interval.T
    values["interval_coverage"] = np.where(complete, (low <= mean) & (mean <= high), np.nan)
    values["interval_width"] = np.where(complete, high - low, np.nan)
    names = played.prior.task_names
    task_mean = np.stack([answers[played.prior.task == t].mean(axis=0) for t in range(len(names))], axis=1)  # (j, t)
    low, high = found.task_interval.transpose(2, 0, 1)
    inside = ((low <= task_mean) & (task_mean <= high)).mean(axis=1)
    values["task_interval_coverage"] = np.where(complete, inside, np.nan)
    return values


def _auc(expected: Array, scores: Array) -> float:
    """Chance that a success was expected higher than a failure; ties count half, NaN without one of the two."""
    from scipy.stats import rankdata

    solved = scores >= 0.5
    n, n_solved = len(solved), int(solved.sum())
    if n_solved in (0, n):
        return float("nan")
    return float((rankdata(expected)[solved].mean() - (n_solved + 1) / 2) / (n - n_solved))
