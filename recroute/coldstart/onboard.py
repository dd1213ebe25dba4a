"""Taking an unseen LLM into a router, or an old one out: what to run, what is known, what it changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.coldstart.anchors import select_anchors
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

NEXT = 16  # prompts that would be run next
N_ALIKE = 5


@dataclass(frozen=True, eq=False)
class Expectation(Shown):
    """What is expected of one LLM on the training prompts; intervals are 90% ones.

    Parameters
    ----------
    llm_id : str
    n_answers, n_prompts : int
        Scores it has, and training prompts there are.
    mean : float
    interval : (float, float)
    tasks : polars.DataFrame
        `task, n_prompts, n_answers, mean, low, high`.
    alike : polars.DataFrame
        `llm_id, difference, mean`: the known LLMs nearest to what is expected of it: root mean squared difference of
        expected scores, and mean score.
    n_next : int
        Prompts more, at most 16, ...
    next_width : float
        ... and how wide the interval of the mean is then expected to be.
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

    @property
    def width(self) -> float:
        """Width of `interval`."""
        return self.interval[1] - self.interval[0]

    def document(self) -> Document:
        """The expected mean score, of each task and of all, the LLMs most alike, and what more answers would tell."""
        low, high = self.interval
        after = f"{self.n_answers:,} of {self.n_prompts:,} prompts" if self.n_answers else "no prompt"
        alike = (f"{name} (mean {mean:.3f})" for name, mean in self.alike.select("llm_id", "mean").iter_rows())
        rows = [
            [task, Number(n_prompts, form=",d"), Number(n_answers, form=",d"), Number(*score)]
            for task, n_prompts, n_answers, *score in self.tasks.iter_rows()
        ]
        heads = ["task", "prompts", "run", "mean, 90% interval"]
        return Document(
            title=f"What is expected of {self.llm_id}",
            verdict=[
                f"{self.llm_id}, after {after}: expected mean score {self.mean:.3f} "
                f"(90% interval {low:.3f} to {high:.3f})",
                f"most alike: {', '.join(alike)}",
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
        }


@checked
def expect(router: Router, results: Dataset | None, llm: pl.DataFrame) -> Expectation:
    """What is expected of an unseen LLM.

    Parameters
    ----------
    router : Router
    results : Dataset, optional
        Scores of it.
    llm : polars.DataFrame
        One row: `llm_id` and what is known beside the scores.

    Raises
    ------
    RouterError, DataError
        As `Router.add_llms`.
    """
    prior, scores, llm = _prepare(router, results, llm)
    posterior = prior.posterior(scores[:, None], llm)
    seen = ~np.isnan(scores)
    n_tasks = len(prior.task_names)
    low, high = posterior.task_interval[0].T
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
    n_next = min(NEXT, int((~seen).sum()))
    return Expectation(
        llm_id=llm["llm_id"][0],
        n_answers=int(seen.sum()),
        n_prompts=len(scores),
        mean=float(posterior.mean[0]),
        interval=(float(posterior.interval[0, 0]), float(posterior.interval[0, 1])),
        tasks=tasks,
        alike=alike,
        n_next=n_next,
        next_width=_next_width(prior, scores, posterior, llm, n_next),
    )


@checked
def next_anchors(
    router: Router,
    k: int,
    llm: pl.DataFrame,
    *,
    results: Dataset | None = None,
    strategy: str = "active",
    seed: int = 0,
) -> pl.DataFrame:
    """The next k training prompts to run on an unseen LLM: `instance_id, prompt, task`, most telling first.

    Raises
    ------
    DataError
        If fewer than k are left, and as `Router.add_llms`.
    RouterError
        If the router does not keep its prompts.
    """
    prior, scores, llm = _prepare(router, results, llm)
    chosen = select_anchors(prior, k, strategy=strategy, scores=scores, llm=llm, seed=seed)
    prompts = router.training_prompts[chosen]
    return prompts.select([name for name in ("instance_id", "prompt", "task") if name in prompts.columns])


def choices(router: Router, llms: Sequence[str] | None = None) -> tuple[NDArray[np.int64], Floats]:
    """The LLM that the router chooses for each training prompt, int (n,), and its predicted score f32 (n,).

    At most 2,000 prompts, evenly spread.

    Raises RouterError if the router does not keep its training prompts or cannot read them, because they have neither
    text nor vectors.
    """
    ranking = router.rank(router.training_sample(), 1, llms)
    return ranking.llm_index[:, 0].astype(np.int64), ranking.predicted_score[:, 0]


@dataclass(frozen=True, eq=False)
class Withdrawal(Shown):
    """What it changes that an LLM is gone, on training prompts.

    Parameters
    ----------
    llm_id : str
    share : float
        Of the prompts, that it was chosen for.
    successors : polars.DataFrame
        `llm_id, share`: who takes over so much of them, most first.
    before, after : float
        Mean predicted score of the chosen LLM over all prompts.
    """

    llm_id: str
    share: float
    successors: pl.DataFrame
    before: float
    after: float

    def document(self) -> Document:
        """How often it was chosen, who takes over, and the predicted score before and after."""
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
    """The router without an LLM, and what that changes: None where the router cannot read its training prompts.

    Raises as `Router.remove_llms`.
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
    """The prior, the LLM's scores f32 (n,) on the training prompts, and its checked row."""
    check_takes_unseen(router)
    scores, llm = read_scores(results, llm, router.training_prompts["instance_id"].to_list())
    if llm.height != 1:
        raise DataError(f"the table has {llm.height} LLMs; give one row")
    refuse_known(router, llm["llm_id"].to_list())
    return router.prior, scores[:, 0], llm


def _next_width(prior: LLMPrior, scores: Floats, posterior: Posterior, llm: pl.DataFrame, k: int) -> float:
    """Width of the mean's interval after the k most telling prompts, whatever they are answered."""
    chosen = select_anchors(prior, k, scores=scores, llm=llm)
    L, cov = prior.loadings[chosen], posterior.covariance[0]
    reached = L @ cov  # (k, 1 + f)
    then = cov - reached.T @ np.linalg.solve(reached @ L.T + np.diag(prior.noise[chosen]), reached)
    closed = ~np.isnan(scores)
    n_now = int(closed.sum())
    closed[chosen] = True
    everything = np.arange(len(scores))
    deviation = prior.deviation(~closed[:, None], then[None], everything)[0]
    half: Array = NORMAL * deviation * np.interp(np.log2(1 + n_now + k), np.log2(1 + prior.answers), prior.scale[:, 0])
    return float(min(posterior.mean[0] + half, 1) - max(posterior.mean[0] - half, 0))
