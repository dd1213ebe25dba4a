"""Onboarding: which prompts to run on an unseen LLM, what to expect of it, and what removing an LLM changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.coldstart.anchors import select_anchors
from recroute.coldstart.likeness import Likeness, likeness, widened
from recroute.data import Dataset
from recroute.errors import DataError, RouterError
from recroute.report.document import Document, Number, Table
from recroute.report.shown import Shown
from recroute.routers import Router
from recroute.routers.memory.grow import check_takes_unseen, refuse_known
from recroute.routers.memory.mixture import NORMAL
from recroute.routers.memory.new_llms import read_scores
from recroute.routers.memory.posterior import Posterior
from recroute.routers.memory.prior import LLMPrior
from recroute.routers.ranking import format_score
from recroute.util.arguments import checked
from recroute.util.numeric import Array, Floats

N_NEXT = 16  # prompts that would be run next
N_ALIKE = 5  # most similar LLMs listed


@dataclass(frozen=True, eq=False)
class Expectation(Shown):
    """Expected scores of one LLM on the training prompts; intervals are 90% intervals.

    The intervals of an LLM that is unlike the known ones also span those of the plain means of its answers.

    Parameters
    ----------
    llm_id : str
    n_answers, n_prompts : int
        Numbers of its scores and of training prompts.
    mean : float
        Expected mean score.
    interval : (float, float)
        Interval of the mean score.
    tasks : polars.DataFrame
        `task, n_prompts, n_answers, mean, low, high`.
    alike : polars.DataFrame
        The most similar known LLMs: `llm_id, difference, mean`, where `difference` is the root mean squared difference
        of expected scores.
    n_next : int
        Number of further prompts that `next_width` refers to, at most 16.
    next_width : float
        Expected width of the interval after these prompts.
    likeness : Likeness, optional
        Whether its answers are like those of a known LLM; None if there are too few answers or known LLMs to tell.
    """

    llm_id: str
    n_answers: int
    n_prompts: int
    mean: float
    interval: tuple[float, float]
    tasks: pl.DataFrame
    alike: pl.DataFrame
    n_next: int
    next_width: float
    likeness: Likeness | None = None

    @property
    def unlike(self) -> bool:
        """Whether its answers are unlike those of any known LLM."""
        return self.likeness is not None and self.likeness.unlike

    @property
    def width(self) -> float:
        """Width of `interval`."""
        return self.interval[1] - self.interval[0]

    def document(self) -> Document:
        """Expected mean score, overall and by task, the most similar LLMs, and the effect of further answers."""
        low, high = self.interval
        after = f"{self.n_answers:,} of {self.n_prompts:,} prompts" if self.n_answers else "no prompt"
        alike = (f"{name} (mean {mean:.3f})" for name, mean in self.alike.select("llm_id", "mean").iter_rows())
        rows = [
            [task, Number(n_prompts, form=",d"), Number(n_answers, form=",d"), Number(*score)]
            for task, n_prompts, n_answers, *score in self.tasks.iter_rows()
        ]
        heads = ["task", "prompts", "run", "mean, 90% interval"]
        warning = [self.likeness.sentence(self.llm_id)] if self.likeness is not None and self.unlike else []
        return Document(
            title=f"Expectation for {self.llm_id}",
            verdict=[
                f"{self.llm_id}, after {after}: expected mean score {self.mean:.3f} "
                f"(90% interval {low:.3f} to {high:.3f})",
                *warning,
                f"most similar: {', '.join(alike)}",
                f"{self.n_next} more prompts are expected to narrow the interval from {high - low:.3f} to "
                f"{self.next_width:.3f}",
            ],
            blocks=[Table(title="expected mean score by task", heads=heads, rows=rows)],
        )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "llm": self.llm_id,
            "n_answers": self.n_answers,
            "n_prompts": self.n_prompts,
            "mean": self.mean,
            "ci_low": self.interval[0],
            "ci_high": self.interval[1],
            "tasks": self.tasks.to_dicts(),
            "alike": self.alike.to_dicts(),
            "next": {"n_prompts": self.n_next, "interval_width": self.next_width},
            "likeness": None if self.likeness is None else self.likeness.to_dict(),
        }


@checked
def expect(router: Router, results: Dataset | None, llm: pl.DataFrame) -> Expectation:
    """Expected scores of an unseen LLM.

    Parameters
    ----------
    router : Router
    results : Dataset, optional
        Scores of the LLM on training prompts.
    llm : polars.DataFrame
        One row: `llm_id` and metadata.

    Returns
    -------
    Expectation

    Raises
    ------
    RouterError, DataError
        As `Router.add_llms`.
    """
    prior, scores, llm = _prepare(router, results, llm)
    posterior = prior.posterior(scores[:, None], llm)
    seen = ~np.isnan(scores)
    n_tasks = len(prior.task_names)
    intervals = np.vstack([posterior.interval[0], posterior.task_interval[0]])  # (1 + t, 2)
    if (found := _likeness(router, prior, scores)) is not None and found.unlike:
        intervals = widened(intervals, scores[seen], prior.task[seen])
    low, high = intervals[1:].T
    tasks = pl.DataFrame(
        {
            "task": prior.task_names,
            "n_prompts": np.bincount(prior.task, minlength=n_tasks),
            "n_answers": np.bincount(prior.task[seen], minlength=n_tasks),
            "mean": posterior.task_mean[0],
            "low": low,
            "high": high,
        }
    )
    away = prior.vectors - posterior.vectors  # (m, 1 + k)
    second_moment = prior.loadings.T @ prior.loadings / len(scores)
    difference = np.sqrt(((away @ second_moment) * away).sum(axis=1))
    first = np.argsort(difference, kind="stable")[:N_ALIKE]
    known_mean = prior.vectors @ prior.loadings.mean(axis=0)
    alike = pl.DataFrame({"llm_id": prior.llm_ids[first], "difference": difference[first], "mean": known_mean[first]})
    n_next = min(N_NEXT, int((~seen).sum()))
    return Expectation(
        llm_id=llm["llm_id"][0],
        n_answers=int(seen.sum()),
        n_prompts=len(scores),
        mean=float(posterior.mean[0]),
        interval=(float(intervals[0, 0]), float(intervals[0, 1])),
        tasks=tasks,
        alike=alike,
        n_next=n_next,
        next_width=_next_width(prior, scores, posterior, llm, n_next),
        likeness=found,
    )


@checked
def next_anchors(
    router: Router,
    k: int,
    llm: pl.DataFrame,
    *,
    results: Dataset | None = None,
    strategy: str | None = None,
    seed: int = 0,
) -> pl.DataFrame:
    """Choose the next k training prompts to run on an unseen LLM.

    Parameters
    ----------
    router : Router
    k : int
    llm : polars.DataFrame
        One row: `llm_id` and metadata.
    results : Dataset, optional
        Scores of the LLM so far.
    strategy : str, optional
        As in `select_anchors`. Default: "batch" without results, "active" with results.
    seed : int
        As in `select_anchors`.

    Returns
    -------
    polars.DataFrame
        `instance_id, prompt, task`, most informative first.

    Raises
    ------
    DataError
        If fewer than k prompts are left, and as `Router.add_llms`.
    RouterError
        If the router does not keep its training prompts.
    """
    prior, scores, llm = _prepare(router, results, llm)
    strategy = strategy or usual_strategy(results)
    chosen = select_anchors(prior, k, strategy=strategy, scores=scores, llm=llm, seed=seed)
    prompts = router.training_prompts[chosen]
    return prompts.select([name for name in ("instance_id", "prompt", "task") if name in prompts.columns])


def usual_strategy(results: Dataset | None) -> str:
    """Strategy of anchors that measures best: for a batch without any results, or given some."""
    return "batch" if results is None else "active"


def choices(router: Router, llms: Sequence[str] | None = None) -> tuple[NDArray[np.int64], Floats]:
    """Choice int (n,) and predicted score f32 (n,) of the router for at most 2,000 evenly spaced training prompts.

    Raises RouterError if the router does not keep its training prompts, or these have neither text nor vectors.
    """
    ranking = router.rank(router.training_sample(), 1, llms)
    return ranking.llm_index[:, 0].astype(np.int64), ranking.predicted_score[:, 0]


@dataclass(frozen=True, eq=False)
class Withdrawal(Shown):
    """Effect of removing an LLM on the choices for training prompts.

    Parameters
    ----------
    llm_id : str
    share : float
        Share of the prompts for which it was chosen.
    successors : polars.DataFrame
        `llm_id, share`: LLMs that these prompts go to, and their share of them, largest first.
    before, after : float
        Mean predicted score of the choices over all prompts.
    """

    llm_id: str
    share: float
    successors: pl.DataFrame
    before: float
    after: float

    def document(self) -> Document:
        """How often the LLM was chosen, its successors, and the predicted score before and after."""
        heirs = ", ".join(f"{name} {share:.0%}" for name, share in self.successors.head(N_ALIKE).iter_rows())
        return Document(
            title=f"Without {self.llm_id}",
            verdict=[
                f"{self.llm_id} was chosen for {self.share:.1%} of the training prompts",
                *([f"its prompts go to: {heirs}"] if heirs else []),
                f"predicted mean score of the choices: {format_score(self.before, '.4f')} with it, "
                f"{format_score(self.after, '.4f')} without ({self.after - self.before:+.4f})",
            ],
        )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        successors = self.successors.to_dicts()
        return {"share": self.share, "successors": successors, "before": self.before, "after": self.after}


def withdraw(router: Router, llm_id: str) -> tuple[Router, Withdrawal | None]:
    """Remove an LLM and summarise the effect; the summary is None if the router cannot read its training prompts.

    Errors are those of `Router.remove_llms`.
    """
    remaining = router.remove_llms([llm_id])
    try:
        chosen, before = choices(router)
        instead, after = choices(remaining)
    except RouterError:
        return remaining, None
    hit = chosen == int(router.llm_index([llm_id])[0])
    heirs, count = np.unique(instead[hit], return_counts=True)
    order = np.argsort(-count, kind="stable")
    successors = pl.DataFrame(
        {
            "llm_id": [remaining.llm_ids_.ids[i] for i in heirs[order]],
            "share": count[order] / max(hit.sum(), 1),
        },
        schema={"llm_id": pl.String, "share": pl.Float64},
    )
    return remaining, Withdrawal(llm_id, float(hit.mean()), successors, float(before.mean()), float(after.mean()))


def _prepare(router: Router, results: Dataset | None, llm: pl.DataFrame) -> tuple[LLMPrior, Floats, pl.DataFrame]:
    """Prior, scores f32 (n,) of the LLM on the training prompts, and its validated row of metadata."""
    check_takes_unseen(router)
    scores, llm = read_scores(results, llm, router.training_prompts["instance_id"].to_list())
    if llm.height != 1:
        raise DataError(f"the table has {llm.height} LLMs; give exactly one")
    refuse_known(router, llm["llm_id"].to_list())
    return router.prior, scores[:, 0], llm


def _likeness(router: Router, prior: LLMPrior, scores: Floats) -> Likeness | None:
    """Check of the LLM's answers against those of the LLMs of the fit; None if it cannot be made."""
    background = router.background_
    if background is None or background.evidence is None:
        return None
    rows = np.flatnonzero(~np.isnan(scores))
    llms = background.llms
    known = background.evidence.scores.take_instances(rows).take_llms(np.arange(llms.height)).dense()
    return likeness(scores[rows], known, llms, prior.task_names[prior.task[rows]])


def _next_width(prior: LLMPrior, scores: Floats, posterior: Posterior, llm: pl.DataFrame, k: int) -> float:
    """Width of the interval of the mean score after the k most informative prompts, whatever their scores."""
    chosen = select_anchors(prior, k, scores=scores, llm=llm)
    L, cov = prior.loadings[chosen], posterior.covariance[0]
    reached = L @ cov  # (k, 1 + f)
    then = cov - reached.T @ np.linalg.solve(reached @ L.T + np.diag(prior.noise[chosen]), reached)
    known = ~np.isnan(scores)
    n_now = int(known.sum())
    known[chosen] = True
    deviation = prior.deviation(~known[:, None], then[None], np.arange(len(scores)))[0]
    half: Array = NORMAL * deviation * prior.at(np.array(n_now + k), prior.scale[:, 0])
    return float(min(posterior.mean[0] + half, 1) - max(posterior.mean[0] - half, 0))
