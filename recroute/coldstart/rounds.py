"""Rounds of a cold start: known LLMs are held out, and their scores on anchors revealed step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.coldstart.anchors import select_anchors
from recroute.coldstart.holdout import unseen_llms
from recroute.coldstart.settings import ColdStartSettings
from recroute.data import Dataset
from recroute.errors import DataError, argument
from recroute.routers.memory.calibrate import ask
from recroute.routers.memory.prior import LLMPrior
from recroute.splits import Split, split_dataset
from recroute.util.numeric import Array, Floats


@dataclass(frozen=True, eq=False)
class Round:
    """Scores revealed of the unseen LLMs after k anchors chosen by one strategy.

    Parameters
    ----------
    seed : int
    strategy : str
    n_anchors : int
    split : Split
        With all LLMs.
    known, unseen : int64 (m,), int64 (j,)
        Positions of the LLMs.
    prior : LLMPrior
        Learned from the known LLMs on the training prompts.
    answers : f32 (n, j)
        All scores of the unseen LLMs on the training prompts, NaN where unobserved.
    scores : f32 (n, j)
        Scores on the anchors, NaN elsewhere.
    """

    seed: int
    strategy: str
    n_anchors: int
    split: Split
    known: NDArray[np.int64]
    unseen: NDArray[np.int64]
    prior: LLMPrior
    answers: Floats
    scores: Floats


def play_rounds(dataset: Dataset, settings: ColdStartSettings) -> Iterator[Round]:
    """Rounds for every seed, strategy and number of anchors, in this order.

    Unseen LLMs whose number of records does not exceed the largest number of anchors are left out.

    Raises
    ------
    UnknownNameError
        If the kind of holdout does not exist.
    DataError
        If no unseen LLM has enough records.
    """
    most = max(settings.anchors)
    for seed in settings.seeds:
        parts = split_dataset(dataset, kind=settings.split, seed=seed)
        unseen = unseen_llms(dataset, holdout=settings.holdout, seed=seed)
        known = np.setdiff1d(np.arange(dataset.n_llms), unseen)
        answers = parts.train.take_llms(unseen).interactions.dense()
        enough = (~np.isnan(answers)).sum(axis=0) > most
        if not enough.any():
            raise DataError(
                f"{dataset.name}: no unseen LLM of seed {seed} has over {most} records; use fewer {argument('anchors')}"
            )
        unseen, answers = unseen[enough], answers[:, enough]
        prior = LLMPrior.learn(parts.train.take_llms(known), seed=seed)
        for strategy in settings.strategies:
            asked = _asked(prior, strategy, answers, most, dataset.take_llms(unseen), seed)
            for k in settings.anchors:
                if strategy == "medoids":  # its shorter selections are not the start of longer ones
                    asked = _asked(prior, strategy, answers, k, dataset.take_llms(unseen), seed)
                scores = np.full_like(answers, np.nan)
                np.put_along_axis(scores, asked[:k], np.take_along_axis(answers, asked[:k], 0), 0)
                yield Round(seed, strategy, k, parts, known, unseen, prior, answers, scores)


def _asked(prior: LLMPrior, strategy: str, answers: Floats, k: int, unseen: Dataset, seed: int) -> NDArray[np.int64]:
    """Anchors int64 (k, j) of each LLM, among the prompts that it has a score on.

    "random" draws different prompts for each LLM; the other strategies give LLMs with the same records the same ones.
    """
    if strategy == "active":
        return ask(prior, answers, k, unseen.llms)
    unavailable = np.where(np.isnan(answers), np.float32(0), np.float32(np.nan))
    if strategy != "random" and np.isnan(unavailable).all():
        return np.repeat(select_anchors(prior, k, strategy=strategy, seed=seed)[:, None], answers.shape[1], axis=1)
    columns = [
        select_anchors(prior, k, strategy=strategy, scores=unavailable[:, j], seed=seed * unseen.n_llms + j)
        for j in range(unseen.n_llms)
    ]
    return np.stack(columns, axis=1)


def per_llm(played: Round) -> dict[str, Array]:
    """Metrics of `coldstart` for each unseen LLM, f64 (j,); NaN where undefined."""
    posterior = played.prior.posterior(played.scores, played.split.train.take_llms(played.unseen).llms)
    answers, columns = played.answers.astype(np.float64), posterior.columns.astype(np.float64)
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
    low, high = posterior.interval.T
    values["interval_coverage"] = np.where(complete, (low <= mean) & (mean <= high), np.nan)
    values["interval_width"] = np.where(complete, high - low, np.nan)
    names = played.prior.task_names
    task_mean = np.stack([answers[played.prior.task == t].mean(axis=0) for t in range(len(names))], axis=1)  # (j, t)
    low, high = posterior.task_interval.transpose(2, 0, 1)
    inside = ((low <= task_mean) & (task_mean <= high)).mean(axis=1)
    values["task_interval_coverage"] = np.where(complete, inside, np.nan)
    return values


def _auc(expected: Array, scores: Array) -> float:
    """Probability that a success is predicted higher than a failure; ties count half, NaN without one of the two."""
    from scipy.stats import rankdata

    solved = scores >= 0.5
    n, n_solved = len(solved), int(solved.sum())
    if n_solved in (0, n):
        return float("nan")
    return float((rankdata(expected)[solved].mean() - (n_solved + 1) / 2) / (n - n_solved))
