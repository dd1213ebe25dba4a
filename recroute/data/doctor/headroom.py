"""Is there anything to route?

The oracle is above the best single LLM even where routing cannot help: with enough LLMs somebody is lucky on every
instance. How far above luck alone would take it follows from a Rasch model, in which LLMs differ in ability and
instances in difficulty and no LLM is better at one kind of instance than at another.

Of all LLMs together the oracle tells nothing: it is the share of instances that anybody solves, and a model with the
margins of the data has that share by construction. So the oracle is compared in pools of some of the LLMs, with the
difficulties learned from all of them, and beside it the best LLM of each task, which no margin fixes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.data.dataset import Dataset
from recroute.data.doctor.finding import Finding
from recroute.util.numeric import Array

N_DRAWS = 200
N_GRID = 61
N_ROUNDS = 40
POOLS = (3, 10, 100, 1000)
CLEAR = 3.0  # standard deviations: some ten comparisons are made
SOLVED = 0.5  # graded scores count as solved from here, in the data and in the draws alike


@dataclass(frozen=True, eq=False)
class Rasch:
    """P(LLM j solves instance i) = sigmoid(ability[j] - difficulty[i]), difficulty from a distribution on a grid.

    Parameters
    ----------
    ability : f64 (m,)
    grid : f64 (g,)
        Difficulties.
    posterior : f64 (n, g)
        Distribution of each instance's difficulty given its answers.
    """

    ability: Array
    grid: Array
    posterior: Array


@dataclass(frozen=True)
class Headroom:
    """A gain over the best single LLM of a pool: as observed, and under the Rasch model with a 95% interval.

    Parameters
    ----------
    kind : {"oracle", "task"}
        What gains: the best LLM of each instance, or the best LLM of each task.
    pool_size : int
    observed, luck, luck_low, luck_high : float
    excess : float
        Observed minus luck, in standard deviations of the draws.
    """

    kind: str
    pool_size: int
    observed: float
    luck: float
    luck_low: float
    luck_high: float
    excess: float

    def __str__(self) -> str:
        interval = f"[{self.luck_low:.3f}, {self.luck_high:.3f}]"
        return f"{self.observed:.3f} observed, {self.luck:.3f} {interval} by luck, best {self.pool_size:,} LLMs"


def check_headroom(dataset: Dataset, seed: int) -> list[Finding]:
    """Compare the headroom with what luck alone would show, in pools of the best LLMs of several sizes."""
    if dataset.n_llms < 2 or dataset.n_instances < 10:
        return []
    table = rasch_headroom(dataset, seed)
    told = [row for row in table if row.kind == "task" or row.pool_size < dataset.n_llms]
    if not told:
        return []
    shown = "; ".join(
        f"{text}: {max(rows, key=lambda row: row.excess)}"
        for kind, text in (("oracle", "oracle over best single LLM"), ("task", "best LLM per task over best single"))
        if (rows := [row for row in told if row.kind == kind])
    )
    values = {"pools": [_as_values(row) for row in table]}
    real = {row.kind for row in told if row.excess > CLEAR}
    if not real:
        text = f"no sign of anything to route: LLMs that differ in ability alone would show as much ({shown})"
        mend = "expect no better than the best single LLM, unless prompts tell more than tasks"
        if dataset.interactions.costs is not None:
            mend += "; what there is to route for is cost"
        return [Finding("headroom", "warning", text, mend, values=values)]
    text, mend = f"there is something to route: more than luck ({shown})", "nothing to do"
    if "oracle" not in real:
        text = f"some LLMs are better at some tasks; beyond that the oracle has no more than luck makes ({shown})"
        mend = "expect about the gain of the best LLM per task"
    return [Finding("headroom", "note", text, mend, values=values)]


def _as_values(row: Headroom) -> dict[str, object]:
    return {
        "kind": row.kind,
        "pool_size": row.pool_size,
        "headroom": round(row.observed, 4),
        "luck": round(row.luck, 4),
        "luck_ci": [round(row.luck_low, 4), round(row.luck_high, 4)],
        "excess_sd": round(row.excess, 2),
        "luck_share": round(row.luck / row.observed, 3) if row.observed > 0 else None,
    }


def rasch_headroom(dataset: Dataset, seed: int = 0, n_draws: int = N_DRAWS) -> list[Headroom]:
    """Headroom in the pools of the best 3, 10, 100, 1000 and all LLMs, beside `n_draws` draws of the Rasch model.

    The draws have the margins of the data in expectation: each takes the instances' difficulties from their
    posterior and the answers from the model, in the observed cells. LLMs that were not asked half of the instances
    (of the task) are nobody's best.
    """
    scores = dataset.interactions.dense()
    observed = ~np.isnan(scores)
    kept, evaluated = observed.any(axis=1), observed.any(axis=0)
    observed = observed[kept][:, evaluated]
    solved = (np.nan_to_num(scores[kept][:, evaluated]) >= SOLVED) & observed
    task = np.unique(dataset.tasks[kept], return_inverse=True)[1]
    model = fit_rasch(solved, observed)
    order = np.argsort(-model.ability, kind="stable")
    rng = np.random.default_rng([seed, 7])
    cumulative = model.posterior.cumsum(axis=1)
    draws = [(cumulative < rng.random((len(cumulative), 1)) * cumulative[:, -1:]).sum(axis=1) for _ in range(n_draws)]
    table = []
    n_llms = observed.shape[1]
    for size in sorted({min(size, n_llms) for size in (*POOLS, n_llms)}):
        pool = order[:size]
        asked: NDArray[np.bool_] = np.asarray(observed[:, pool].any(axis=1))
        parts = [_Part(observed[rows][:, pool]) for rows in _rows_by_task(task, asked)]
        wins = [solved[rows][:, pool].sum(axis=0) for rows in _rows_by_task(task, asked)]
        real = _gains(float(solved[asked][:, pool].any(axis=1).mean()), wins, parts)
        luck = np.array([_draw(model, pool, parts, [g[r] for r in _rows_by_task(task, asked)], rng) for g in draws])
        low, high = np.quantile(luck, [0.025, 0.975], axis=0)
        for i, kind in enumerate(("oracle", "task") if len(parts) > 1 else ("oracle",)):
            mean, spread = float(luck[:, i].mean()), max(float(luck[:, i].std()), 0.5 / len(solved))
            table.append(Headroom(kind, size, real[i], mean, float(low[i]), float(high[i]), (real[i] - mean) / spread))
    return table


class _Part:
    """Which cells of one task were observed, for the LLMs of a pool."""

    def __init__(self, seen: NDArray[np.bool_]) -> None:
        self.seen = seen.astype(np.float32)
        self.n = len(seen)
        self.count = self.seen.sum(axis=0, dtype=np.float64)
        self.complete = bool(seen.all())

    def by_difficulty(self, grid: NDArray[np.integer]) -> Array:
        """Instances of each difficulty that each LLM was asked, f64 (m, g)."""
        of_grid = np.zeros((self.n, N_GRID), dtype=np.float32)
        of_grid[np.arange(self.n), grid] = 1
        if self.complete:
            return np.broadcast_to(of_grid.sum(axis=0, dtype=np.float64), (self.seen.shape[1], N_GRID))
        return (self.seen.T @ of_grid).astype(np.float64)


def _rows_by_task(task: NDArray[np.integer], asked: NDArray[np.bool_]) -> list[NDArray[np.integer]]:
    return [np.flatnonzero((task == t) & asked) for t in np.unique(task[asked])]


def _gains(oracle: float, wins: list[Array], parts: list[_Part]) -> tuple[float, float]:
    """Gain of the oracle, and of the best LLM per task, over the best single LLM.

    LLMs that were asked different tasks are compared by means standardised to the tasks: one that was asked the easy
    ones only is not the best single LLM for it.
    """
    n = sum(part.n for part in parts)
    count = sum(part.count for part in parts)
    means, by_task = np.zeros(len(wins[0])), 0.0
    for won, part in zip(wins, parts, strict=True):
        enough = part.count >= 0.5 * part.n
        average = won.sum() / max(part.count.sum(), 1)
        of_task = np.where(enough, won / np.maximum(part.count, 1), average)
        means += of_task * part.n / n
        by_task += float(of_task[enough].max(initial=0.0)) * part.n / n
    single = float(means[count >= 0.5 * n].max(initial=0.0))
    return oracle - single, by_task - single


def fit_rasch(solved: NDArray[np.bool_], observed: NDArray[np.bool_]) -> Rasch:
    """Marginal maximum likelihood by EM: abilities free, difficulties from one discrete distribution.

    Parameters
    ----------
    solved, observed : bool (n, m)
    """
    seen, hit = observed.astype(np.float32), (solved & observed).astype(np.float32)
    count = seen.sum(axis=0, dtype=np.float64)
    wins = hit.sum(axis=0, dtype=np.float64)
    share = (wins + 0.5) / (count + 1)
    ability = np.log(share / (1 - share))
    grid = np.linspace(-8, 8, N_GRID)
    weight = np.exp(-(grid**2) / 18)
    weight /= weight.sum()
    n_solved = hit.sum(axis=1, dtype=np.float64)
    posterior = np.full((len(seen), N_GRID), 1 / N_GRID)
    for _ in range(N_ROUNDS):
        logit = ability[:, None] - grid[None, :]  # (m, g)
        failures = np.logaddexp(0, logit)
        # log P(answers of i | g) = sum over its LLMs of y * logit - log(1 + exp(logit)), up to a constant
        log_p = -n_solved[:, None] * grid[None, :] - seen @ failures.astype(np.float32) + np.log(weight)[None, :]
        log_p -= log_p.max(axis=1, keepdims=True)
        posterior = np.exp(log_p)
        posterior /= posterior.sum(axis=1, keepdims=True)
        weight = np.maximum(posterior.mean(axis=0), 1e-12)
        weight /= weight.sum()
        at_grid = (seen.T @ posterior.astype(np.float32)).astype(np.float64)  # (m, g) expected instances
        p = 1 / (1 + np.exp(-logit))
        gradient = wins - (at_grid * p).sum(axis=1) - 0.01 * ability
        ability = ability + np.clip(gradient / ((at_grid * p * (1 - p)).sum(axis=1) + 0.01), -1, 1)
    return Rasch(ability, grid, posterior)


def _draw(
    model: Rasch,
    pool: NDArray[np.integer],
    parts: list[_Part],
    grids: list[NDArray[np.integer]],
    rng: np.random.Generator,
) -> tuple[float, float]:
    """The gains in one draw from the model, its difficulties given task by task."""
    logit = model.ability[pool][:, None] - model.grid[None, :]  # (m, g)
    failures = np.logaddexp(0, logit).astype(np.float32)
    p = 1 / (1 + np.exp(-logit))
    solved, wins = 0, []
    for part, grid in zip(parts, grids, strict=True):
        # -log P(nobody solves i) = sum over its LLMs of log(1 + exp(logit))
        nobody = np.einsum("im,mi->i", part.seen, failures[:, grid]).astype(np.float64)
        solved += int((rng.random(part.n) < -np.expm1(-nobody)).sum())
        count = part.by_difficulty(grid)
        spread = np.sqrt((count * p * (1 - p)).sum(axis=1))
        wins.append((count * p).sum(axis=1) + rng.normal(size=len(pool)) * spread)
    return _gains(solved / sum(part.n for part in parts), wins, parts)
