"""How well unseen LLMs are known after so many anchors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.coldstart.rounds import Round, play_rounds
from recroute.data import Dataset
from recroute.evaluation.bootstrap import Bootstrap, interval
from recroute.routers.unseen.families import family_groups
from recroute.routers.unseen.posterior import Array

ANCHORS = (0, 1, 2, 4, 8, 16, 32, 64, 128)
ROUTER = "fold-in"
Labels = NDArray[np.str_]


def coldstart(
    dataset: Dataset,
    *,
    strategies: Sequence[str] = ("random", "active"),
    anchors: Sequence[int] = ANCHORS,
    holdout: str | None = None,
    split: str | None = None,
    n_seeds: int = 5,
    seed: int = 0,
) -> pl.DataFrame:
    """Hold LLMs out, ask them a few training prompts, and compare what is expected of them with what they score.

    Parameters
    ----------
    dataset : Dataset
    strategies : sequence of str
        See `select_anchors`; "active" hears every answer before it asks on.
    anchors : sequence of int
        How many prompts are asked.
    holdout : {"family", "random"}, optional
        See `unseen_llms`.
    split : {"own", "random"}, optional
        See `split_dataset`; the anchors are training prompts.
    n_seeds, seed : int
        Seeds `seed`, `seed + 1`, ...: each has its own split and unseen LLMs.

    Returns
    -------
    polars.DataFrame with `router, strategy, n_anchors, seed` (null when pooled), `metric, value, ci_low, ci_high,
    n_llms, n_instances`. All metrics are means over unseen LLMs, of their observed training prompts that were *not*
    asked:

    - `mean_score_error`: |expected mean score - mean score|; `plain_mean_error`: the same for the anchors' plain mean
      (from one anchor on).
    - `brier`: mean of (expected score - score)^2.
    - `auc`: chance that a success of the LLM (score at least .5) was expected higher than a failure of it.
    - `interval_coverage`, `interval_width`: of the 90% interval of the mean score over *all* training prompts, where
      the LLM has every score; `task_interval_coverage`: mean over tasks of that of the task's mean score.

    The 95% intervals resample families, or LLMs of no known family.
    """
    seeds = list(range(seed, seed + n_seeds))
    found: dict[tuple[str, int, str], dict[int, Array]] = {}
    groups: dict[int, Labels] = {}
    n_instances: dict[int, int] = {}
    group, _ = family_groups(dataset.llms)
    for played in play_rounds(
        dataset, strategies=strategies, anchors=anchors, holdout=holdout, split=split, seeds=seeds
    ):
        groups[played.seed] = group[played.unseen].astype(np.str_)
        n_instances[played.seed] = played.prior.n_instances
        for metric, values in per_llm(played).items():
            found.setdefault((played.strategy, played.n_anchors, metric), {})[played.seed] = values
    resamples = Bootstrap([groups[s] for s in seeds], seed)
    rows = []
    for (strategy, k, metric), of_seed in found.items():
        head = {"router": ROUTER, "strategy": strategy, "n_anchors": k, "metric": metric}
        for row in _rows(resamples, [of_seed[s] for s in seeds], [groups[s] for s in seeds], seeds):
            at = [row["seed"]] if row["seed"] is not None else seeds
            rows.append(head | row | {"n_instances": sum(n_instances[s] for s in at) // len(at)})
    order = ["router", "strategy", "n_anchors", "seed", "metric", "value", "ci_low", "ci_high", "n_llms", "n_instances"]
    return pl.DataFrame(rows, schema_overrides={"seed": pl.Int64}).select(order)


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


def _rows(resamples: Bootstrap, values: list[Array], groups: list[Labels], seeds: list[int]) -> list[dict[str, Any]]:
    """A row for each seed and one for all, of means over LLMs f64 (j,) given for each seed."""
    rows: list[dict[str, Any]] = []
    means, replicates, n_groups = [], [], set()
    for i, (of_seed, group) in enumerate(zip(values, groups, strict=True)):
        there = ~np.isnan(of_seed)
        weights = resamples.weights(i, group).astype(np.float64) * there  # (b, j)
        mass = weights.sum(axis=1)
        total = weights @ np.nan_to_num(of_seed)
        drawn = np.divide(total, mass, out=np.full(len(mass), np.nan), where=mass > 0)
        mean = float(of_seed[there].mean()) if there.any() else float("nan")
        means.append(mean)
        replicates.append(drawn)
        n_groups |= set(group[there].tolist())
        low, high = _within_range(interval(drawn, len(np.unique(group[there]))))
        rows.append({"seed": seeds[i], "value": mean, "ci_low": low, "ci_high": high, "n_llms": int(there.sum())})
    known = [m for m in means if not np.isnan(m)]
    low, high = _within_range(interval(resamples.pool(np.array(means), np.stack(replicates)), len(n_groups)))
    n_llms = sum(row["n_llms"] for row in rows) // len(rows)
    value = float(np.mean(known)) if known else float("nan")
    return [{"seed": None, "value": value, "ci_low": low, "ci_high": high, "n_llms": n_llms}, *rows]


def _within_range(bounds: tuple[float, float]) -> tuple[float, float]:
    """All metrics here lie in [0, 1]; percentiles taken further out need not."""
    low, high = np.clip(bounds, 0, 1)
    return float(low), float(high)
