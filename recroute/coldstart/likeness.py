"""Whether the answers of an LLM are like those of any known LLM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.llm_table import family_groups
from recroute.routers.memory.posterior import MIN_EXPECTED
from recroute.routers.refresh.change import wilson
from recroute.util.numeric import Array, Floats

RATE = 0.05  # share of LLMs of new families that may be reported
THRESHOLD = 0.005  # of the p-value, which is approximate: with it the measured share stays within RATE
MIN_ANSWERS, MAX_ANSWERS = 4, 256  # of more, so many are drawn at random
MIN_FAMILIES, MIN_LLMS = 3, 5  # that have all of the answers, to compare with
MAX_COMPARED = 300
PRIOR_LLMS = 2.0  # weight of the mean 1/2 and the variance 1/4 of a score in those of a prompt, in LLMs


@dataclass(frozen=True)
class Likeness:
    """Check of an LLM's answers against those of the known LLMs to the same prompts.

    Parameters
    ----------
    p_value : float
        About the probability that an LLM of a new family gives answers that are at least as unusual.
    task : str, optional
        The task on which its answers differ most from what its other answers imply, if these are more unusual than its
        answers as a whole.
    direction : str
        "below" or "above" what is implied, on this task.
    """

    p_value: float
    task: str | None = None
    direction: str = ""

    @property
    def unlike(self) -> bool:
        """Whether to report the LLM as unlike the known ones."""
        return self.p_value < THRESHOLD

    def sentence(self, llm_id: str) -> str:
        """Report on an unlike LLM."""
        what = (
            "its answers are unlike those of any known LLM"
            if self.task is None
            else f"its scores on {self.task} are far {self.direction} what its other answers imply"
        )
        return (
            f"do not trust the expectation for {llm_id}: {what} (p = {self.p_value:.2g}); check the format and scoring "
            "of its answers, and run it on more prompts"
        )

    def to_dict(self) -> dict[str, object]:
        """Ready for JSON."""
        task = {"task": self.task, "direction": self.direction} if self.task is not None else {}
        return {"unlike": self.unlike, "p_value": self.p_value, **task}


def likeness(scores: Floats, known: Floats, llms: pl.DataFrame, task: NDArray[np.str_]) -> Likeness | None:
    """Check the answers of an LLM against those of the known LLMs to the same prompts.

    Two statistics are computed for the LLM, and in the same way for known LLMs, each compared with those of other
    families only: the likelihood of the answers (`_surprisals`), and the task that differs most from what the other
    answers imply (`_task_differences`). The p-value of each is that of a t-test of a new family against the families of
    the known LLMs; the smaller is doubled, because there are two. On psychometric checks of this kind see Meijer
    and Sijtsma, Methodology review: evaluating person fit, Applied Psychological Measurement 2001.

    Parameters
    ----------
    scores : f32 (k,)
        Answers of the LLM; none is NaN.
    known : f32 (k, m)
        Those of the known LLMs to the same prompts, NaN where unobserved; LLMs that lack one are left out.
    llms : polars.DataFrame
        m rows, with families where they are known.
    task : str (k,)

    Returns
    -------
    Likeness or None
        None if there are too few answers, or too few known LLMs with all of them, to tell.
    """
    if len(scores) > MAX_ANSWERS:
        rows = np.sort(np.random.default_rng(0).choice(len(scores), MAX_ANSWERS, replace=False))
        scores, known, task = scores[rows], known[rows], task[rows]
    complete = ~np.isnan(known).any(axis=0)
    group, named = family_groups(llms)
    group, named = group[complete], named[complete]
    if len(np.unique(group[named])) < MIN_FAMILIES:  # too few families to compare with: every LLM is one
        group, named = np.arange(len(group)), np.ones(len(group), dtype=bool)
    compared = np.flatnonzero(named)
    if len(compared) > MAX_COMPARED:
        compared = np.sort(np.random.default_rng(0).choice(compared, MAX_COMPARED, replace=False))
    if len(scores) < MIN_ANSWERS or len(compared) < MIN_LLMS:
        return None
    block = known[:, complete].astype(np.float64)
    answers = np.column_stack([block[:, compared], scores])  # (k, c + 1)
    group_of = np.append(group[compared], -1)
    surprisal = _surprisals(answers, group_of, block, group)
    difference, at = _task_differences(answers, group_of, block, group, task)
    whole, of_task = (_p_value(values, group_of) for values in (surprisal, np.abs(difference)))
    if of_task >= whole:
        return Likeness(min(2 * whole, 1.0))
    return Likeness(min(2 * of_task, 1.0), str(at[-1]), "below" if difference[-1] < 0 else "above")


def widened(intervals: Array, answers: Floats, task: NDArray[np.int64]) -> Array:
    """Intervals f64 (1 + t, 2) that also span Wilson's intervals of the plain means.

    Parameters
    ----------
    intervals : f64 (1 + t, 2)
        Of the mean score, and of the mean score on each of t tasks.
    answers : f32 (k,)
    task : int64 (k,)
        Position of each answer's task.
    """
    n_tasks = len(intervals) - 1
    count = np.append(len(answers), np.bincount(task, minlength=n_tasks))
    total = np.append(answers.sum(), np.bincount(task, answers, minlength=n_tasks))
    low, high = wilson(total / np.maximum(count, 1), count)
    answered = count > 0  # nothing is known of the other tasks
    low, high = np.where(answered, low, 0), np.where(answered, high, 1)
    return np.column_stack([np.minimum(intervals[:, 0], low), np.maximum(intervals[:, 1], high)])


def _surprisals(answers: Array, group_of: NDArray[np.int64], block: Array, group: NDArray[np.int64]) -> Array:
    """Negative log likelihood per answer f64 (c,), if an LLM is like one of another family, up to a few answers.

    The likelihood is the mean over LLMs l of `prod_i p[i,l]**s[i] * (1 - p[i,l])**(1 - s[i])` for answers s, where p is
    the score of l clipped to [0.1, 0.9].
    """
    p = np.clip(block, MIN_EXPECTED, 1 - MIN_EXPECTED)
    log_likelihood = answers.T @ np.log(p) + (1 - answers).T @ np.log1p(-p)  # (c, k) x (k, m)
    other = group_of[:, None] != group[None, :]
    log_likelihood[~other] = -np.inf
    top = log_likelihood.max(axis=1)
    mean = np.exp(log_likelihood - top[:, None]).sum(axis=1) / other.sum(axis=1)
    return np.asarray(-(top + np.log(mean)) / len(answers))


def _task_differences(
    answers: Array, group_of: NDArray[np.int64], block: Array, group: NDArray[np.int64], task: NDArray[np.str_]
) -> tuple[Array, NDArray[np.str_]]:
    """Largest difference between a task's answers and what the others imply, f64 (c,), in standard deviations.

    Answers are Gaussian with the mean and covariance of the LLMs of other families. Given the answers to other tasks,
    those to task t have the covariance `V = inv(P[t,t])` and differ by `V @ (P @ away)[t]` from their mean, where P is
    the inverse of the covariance of all answers. Also returns the task, str (c,).
    """
    names = np.unique(task)
    found = np.zeros((len(names), answers.shape[1]))
    total, square = block.sum(axis=1), block @ block.T
    for g in np.unique(group_of) if len(names) > 1 else ():
        family = block[:, group == g]
        mean, precision = _moments(total - family.sum(axis=1), square - family @ family.T, (group != g).sum())
        own = np.flatnonzero(group_of == g)
        weighted = precision @ (answers[:, own] - mean[:, None])  # (k, a)
        for t, name in enumerate(names):
            rows = np.flatnonzero(task == name)
            weight = np.linalg.inv(precision[np.ix_(rows, rows)]).sum(axis=0)
            found[t, own] = weight @ weighted[rows] / np.sqrt(weight.sum())
    largest = np.abs(found).argmax(axis=0)
    return found[largest, np.arange(found.shape[1])], names[largest]


def _moments(total: Array, square: Array, m: int) -> tuple[Array, Array]:
    """Mean f64 (k,) and inverse covariance f64 (k, k) of m answers, from their sums f64 (k,) and products f64 (k, k).

    Correlations are shrunk to their mean, the more the fewer LLMs there are for each prompt.
    """
    k = len(total)
    cov = square / m - np.outer(total, total) / m**2
    variance = (m * np.diag(cov) + PRIOR_LLMS / 4) / (m + PRIOR_LLMS)
    sd, own_sd = np.sqrt(variance), np.sqrt(np.maximum(np.diag(cov), 1e-9))
    correlation = cov / np.outer(own_sd, own_sd)
    common = np.clip((correlation.sum() - np.trace(correlation)) / (k * (k - 1)), 0, 0.9)
    cov = (m * cov + k * common * np.outer(sd, sd)) / (m + k)
    np.fill_diagonal(cov, variance + 0.01)
    return (total + PRIOR_LLMS / 2) / (m + PRIOR_LLMS), np.linalg.inv(cov)


def _p_value(values: Array, group_of: NDArray[np.int64]) -> float:
    """P-value of the last value, of a new family, against the others, whose families are all but the last `group_of`.

    A t-test in which all families count alike. Its degrees of freedom are those of the variances between and within
    families, by Satterthwaite, An approximate distribution of estimates of variance components, Biometrics 1946.
    """
    from scipy.stats import t

    known = values[:-1]
    _, of, count = np.unique(group_of[:-1], return_inverse=True, return_counts=True)
    n, f = len(known), len(count)
    weight = 1 / count[of] / f
    mean = float(weight @ known)
    variance = float(weight @ (known - mean) ** 2) * f / (f - 1)
    if variance <= 1e-12 * max(mean**2, 1e-12):
        return float(values[-1] <= mean + 1e-9)
    mean_of = np.bincount(of, known) / count
    within = ((known - mean_of[of]) ** 2).sum() / max(n - f, 1)
    apart = (count * (mean_of - known.mean()) ** 2).sum() / (f - 1)  # within families, and between them
    between = max(float(apart - within), 0.0) / ((n - (count**2).sum() / n) / (f - 1))
    share = between / (between + within)
    freedom = 1 / (share**2 / (f - 1) + (1 - share) ** 2 / max(n - f, 1))
    return float(t.sf((values[-1] - mean) / np.sqrt(variance * (1 + 1 / f)), freedom))
