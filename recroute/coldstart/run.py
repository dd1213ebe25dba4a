"""How well unseen LLMs are known after so many anchors, and how well routing among them works."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.coldstart.holdout import described
from recroute.coldstart.result import COLUMNS, ColdStart
from recroute.coldstart.rounds import Round, play_rounds
from recroute.coldstart.routing import N_POOLS, Bench, benches, can_take_unseen
from recroute.data import Dataset
from recroute.errors import DataError, RouterError
from recroute.evaluation.bootstrap import Bootstrap, interval
from recroute.evaluation.loop import usable
from recroute.evaluation.provenance import environment, split_digest
from recroute.routers import Router
from recroute.routers.unseen.families import family_groups
from recroute.routers.unseen.posterior import Array

ANCHORS = (0, 1, 2, 4, 8, 16, 32, 64, 128)
ROUTER = "fold-in"
# In every table, also when they win.
BASELINES = ("best_single", "task_best", "knn")
SHARE = "share_of_full"
Labels = NDArray[np.str_]
Progress = Callable[[int, int], None]


@dataclass
class _Seen:
    """What is gathered over rounds: values by seed, for each key (router, pool, strategy, k, metric)."""

    of_llms: dict[tuple[str, int, str], dict[int, Array]] = field(default_factory=dict)
    routed: dict[tuple[str, str, str | None, int | None], dict[int, Array]] = field(default_factory=dict)
    full: dict[tuple[str, str], dict[int, Array]] = field(default_factory=dict)
    groups: dict[int, Labels] = field(default_factory=dict)
    n_train: dict[int, int] = field(default_factory=dict)
    test_ids: dict[int, Labels] = field(default_factory=dict)
    pool_sizes: dict[tuple[str, int], int] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)


def coldstart(
    dataset: Dataset,
    routers: Sequence[Router | str] = (),
    *,
    strategies: Sequence[str] = ("random", "active"),
    anchors: Sequence[int] = ANCHORS,
    holdout: str | None = None,
    split: str | None = None,
    encoder: str = "auto",
    pool_size: int = 10,
    n_seeds: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
) -> ColdStart:
    """Hold LLMs out, ask them a few training prompts, and see what that tells: of their scores, and for routing.

    Parameters
    ----------
    dataset : Dataset
    routers : list of Router or str
        Routers that take unseen LLMs. Each is fitted on the known LLMs, takes the unseen ones in with their anchors'
        scores (`Router.add_llms`), and chooses on test prompts in pools of unseen LLMs only, and in pools of which half
        is known; 50 of each are drawn. With any, `best_single`, `task_best` and `knn` are added. Without any, routing
        is not measured.
    strategies : sequence of str
        See `select_anchors`; "active" hears every answer before it asks on.
    anchors : sequence of int
        How many prompts are asked.
    holdout : {"family", "random"}, optional
        See `unseen_llms`.
    split : {"own", "random"}, optional
        See `split_dataset`; the anchors are training prompts.
    encoder : {"auto", "precomputed", "tfidf"}
        See `fit_encoder`.
    pool_size : int
        LLMs in a pool.
    n_seeds, seed : int
        Seeds `seed`, `seed + 1`, ...: each has its own split and unseen LLMs.
    progress : callable, optional
        Called with the rounds done and the rounds in all.

    Returns
    -------
    ColdStart. Its rows for the router "fold-in" say how well the unseen LLMs are known: means over unseen LLMs, of
    their observed training prompts that were *not* asked:

    - `mean_score_error`: |expected mean score - mean score|; `plain_mean_error`: the same for the anchors' plain mean
      (from one anchor on).
    - `brier`: mean of (expected score - score)^2.
    - `auc`: chance that a success of the LLM (score at least .5) was expected higher than a failure of it.
    - `interval_coverage`, `interval_width`: of the 90% interval of the mean score over *all* training prompts, where
      the LLM has every score; `task_interval_coverage`: mean over tasks of that of the task's mean score.

    Their 95% intervals resample families, or LLMs of no known family. The rows of the other routers say how well
    routing works, in the group (pool) "unseen" or "mixed": `mean_score` on test, and `share_of_full`, that score over
    the one of the same router fitted on all scores of all LLMs. Their intervals resample test instances.
    After a KeyboardInterrupt the seeds that were finished are kept.

    Raises
    ------
    RecrouteError
        For an unknown name, a router that takes no unseen LLMs, or too few LLMs or records.
    """
    _check(anchors, n_seeds, pool_size)
    chosen, notes = _routers(dataset, routers)
    seeds = list(range(seed, seed + n_seeds))
    total = n_seeds * len(strategies) * len(anchors)
    group, _ = family_groups(dataset.llms)
    seen, finished, done = _Seen(), list[int](), 0
    at: dict[str, Bench] = {}
    rounds = play_rounds(dataset, strategies=strategies, anchors=anchors, holdout=holdout, split=split, seeds=seeds)
    try:
        for played in rounds:
            if played.seed not in seen.groups:
                at = benches(chosen, played, encoder, pool_size) if chosen else {}
                _begin(seen, played, at, group)
            for metric, values in per_llm(played).items():
                seen.of_llms.setdefault((played.strategy, played.n_anchors, metric), {})[played.seed] = values
            for label, bench in at.items():
                for pool, scores in bench.chosen(played).items():
                    key = (label, pool, played.strategy, played.n_anchors)
                    seen.routed.setdefault(key, {})[played.seed] = scores
            done += 1
            if done == total // n_seeds * (len(finished) + 1):
                finished.append(played.seed)
            if progress:
                progress(done, total)
    except KeyboardInterrupt:
        if not finished:
            raise
        notes.append("interrupted: only the seeds that were finished are in the table")
    rows = [*_rows_of_llms(seen, finished, seed), *_rows_of_routing(seen, finished, seed)]
    info = {
        "dataset": {
            "name": dataset.name,
            "n_instances": dataset.n_instances,
            "n_llms": dataset.n_llms,
            "n_records": dataset.interactions.n_observed,
            "density": round(dataset.interactions.density, 6),
            "simulated": bool(dataset.card.get("simulated", False)),
            "holdout": described(dataset, holdout),
        },
        "seed": seed,
        "seeds": finished,
        "strategies": list(strategies),
        "anchors": list(anchors),
        "n_pools": N_POOLS,
        "notes": notes,
        "complete": len(finished) == n_seeds,
        "splits": seen.digests,
        "routers": {router.label: {"name": router.name, **router.hyperparameters()} for router in chosen},
        "environment": environment(),
    }
    return ColdStart(_table(rows), info)


def _check(anchors: Sequence[int], n_seeds: int, pool_size: int) -> None:
    if not anchors or min(anchors) < 0 or len(set(anchors)) < len(anchors):
        raise DataError(f"anchors {list(anchors)}: give different whole numbers, each at least 0")
    if n_seeds < 1:
        raise DataError(f"n_seeds={n_seeds} has to be at least 1")
    if pool_size < 2:
        raise DataError(f"pool_size={pool_size} has to be at least 2")


def _routers(dataset: Dataset, routers: Sequence[Router | str]) -> tuple[list[Router], list[str]]:
    """Those that were asked for and the baselines, and what to know of those left out."""
    if not routers:
        return [], []
    chosen, notes = usable(dataset, [*routers, *BASELINES])
    for router in chosen:
        if not can_take_unseen(router):
            raise RouterError(
                f"{router.label} takes no unseen LLMs (recroute routers lists those that do); leave it out"
            )
    return chosen, notes


def _begin(seen: _Seen, played: Round, at: dict[str, Bench], group: NDArray[Any]) -> None:
    """What is the same for all rounds of a seed."""
    seed = played.seed
    seen.groups[seed] = group[played.unseen].astype(np.str_)
    seen.n_train[seed] = played.prior.n_instances
    seen.test_ids[seed] = np.array(played.split.test.instance_ids.ids)
    seen.digests[str(seed)] = split_digest(played.split)
    for label, bench in at.items():
        for pool, scores in bench.full.items():
            seen.full.setdefault((label, pool), {})[seed] = scores
            seen.pool_sizes[pool, seed] = len(bench.pools[pool][0])
    for pool, bounds in (next(iter(at.values())).bounds() if at else {}).items():
        for name, scores in bounds.items():
            seen.routed.setdefault((name, pool, None, None), {})[seed] = scores


def _rows_of_llms(seen: _Seen, seeds: list[int], seed: int) -> list[dict[str, Any]]:
    resamples = Bootstrap([seen.groups[s] for s in seeds], seed)
    rows = []
    for (strategy, k, metric), of_seed in seen.of_llms.items():
        head = {"router": ROUTER, "strategy": strategy, "n_anchors": k, "metric": metric}
        for row in _rows(resamples, [of_seed[s] for s in seeds], [seen.groups[s] for s in seeds], seeds):
            used = [row["seed"]] if row["seed"] is not None else seeds
            rows.append(head | row | {"n_instances": sum(seen.n_train[s] for s in used) // len(used)})
    return rows


def _rows_of_routing(seen: _Seen, seeds: list[int], seed: int) -> list[dict[str, Any]]:
    resamples = Bootstrap([seen.test_ids[s] for s in seeds], seed)

    def estimate(of_seed: dict[int, Array]) -> tuple[Array, Array]:
        """Means f64 (seeds,) and replicates f64 (seeds, b)."""
        values = np.array([np.nanmean(of_seed[s]) for s in seeds])
        replicates = [_resampled_mean(resamples.weights(i, seen.test_ids[s]), of_seed[s]) for i, s in enumerate(seeds)]
        return values, np.stack(replicates)

    full = {key: estimate(of_seed) for key, of_seed in seen.full.items()}
    rows: list[dict[str, Any]] = []
    for (label, pool, strategy, k), of_seed in seen.routed.items():
        n = sum(len(seen.test_ids[s]) for s in seeds) // len(seeds)
        size = sum(seen.pool_sizes[pool, s] for s in seeds) // len(seeds)
        head = {"router": label, "group": pool, "pool_size": size, "strategy": strategy, "n_anchors": k}
        values, replicates = estimate(of_seed)
        metrics = {"mean_score": (values, replicates)}
        if strategy is not None:
            of_full, drawn = full[label, pool]
            metrics[SHARE] = (values / of_full, replicates / drawn)
        for metric, (means, resampled) in metrics.items():
            low, high = interval(resamples.pool(means, resampled), n)
            rows.append(
                head
                | {"metric": metric, "seed": None, "value": float(means.mean()), "ci_low": low, "ci_high": high}
                | {"n_instances": n}
            )
            for i, s in enumerate(seeds):
                low, high = interval(resampled[i], n)
                rows.append(
                    head
                    | {"metric": metric, "seed": s, "value": float(means[i]), "ci_low": low, "ci_high": high}
                    | {"n_instances": len(seen.test_ids[s]), "pool_size": seen.pool_sizes[pool, s]}
                )
    for (label, pool), (values, replicates) in full.items():
        low, high = interval(resamples.pool(values, replicates), len(seen.test_ids[seeds[0]]))
        rows.append(
            {"router": label, "group": pool, "strategy": "all scores", "metric": "mean_score"}
            | {"value": float(values.mean()), "ci_low": low, "ci_high": high}
            | {"n_instances": len(seen.test_ids[seeds[0]])}
        )
    return rows


def _resampled_mean(weights: NDArray[np.float32], values: Array) -> Array:
    """Weighted means f64 (b,) over what is not NaN."""
    there = ~np.isnan(values)
    kept = weights[:, there].astype(np.float64)
    mass = kept.sum(axis=1)
    found: Array = np.divide(kept @ values[there], mass, out=np.full(len(mass), np.nan), where=mass > 0)
    return found


def _table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in COLUMNS} for row in rows], schema=COLUMNS)


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
