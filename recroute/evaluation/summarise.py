"""Rows of an `Evaluation`: every metric per seed and pooled, means over groups and sizes, and the slope."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.experiment.bootstrap import Bootstrap, Products
from recroute.experiment.compare import comparisons
from recroute.experiment.outcomes import unobserved_notes
from recroute.experiment.rows import COLUMNS, row_of
from recroute.metrics import METRICS, Outcome
from recroute.util.numeric import Array, known_mean

COMPARED = [name for name, metric in METRICS.items() if metric.compared == "by pool"]


@dataclass(frozen=True)
class Cell:
    """Outcomes of all routers on one pool and seed, whose test part has `n_test` instances."""

    seed: int
    group: str
    pool_size: int
    outcomes: dict[str, Outcome]
    n_test: int


@dataclass(frozen=True, eq=False)
class Estimate:
    """A value with its bootstrap replicates f64 (b,), for one seed or pooled."""

    value: float
    replicates: Array


Key = tuple[str, str, int | None, str]  # router, group, pool size, metric


def summarise(
    cells: list[Cell], seed: int, n_resamples: int, baseline: str | None = None
) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """Rows of an Evaluation, comparisons with the baseline, and notes on choices that were not evaluated.

    Only pools finished by every seed are pooled, so the rows of an interrupted run are comparable.
    """
    seeds = list(dict.fromkeys(cell.seed for cell in cells))
    bootstrap = Bootstrap([_test_ids(cells, s) for s in seeds], seed, n_resamples)
    by_seed: dict[Key, dict[int, Estimate]] = {}
    n_instances: dict[tuple[str, int | None, bool], int] = {}
    for cell in cells:
        first = next(iter(cell.outcomes.values()))
        weights = Products(bootstrap.weights(seeds.index(cell.seed), first.instance_id))
        n_judged = int(np.count_nonzero(first.judged))
        n_instances[cell.group, cell.pool_size, False] = n_judged or len(first)
        n_instances[cell.group, cell.pool_size, True] = _n_decided(cell)
        for router, outcome in cell.outcomes.items():
            for name, metric in METRICS.items():
                drawn = metric(outcome, weights) if metric.interval else np.full(len(weights), np.nan)
                estimate = Estimate(float(metric(outcome)[0]), drawn)
                by_seed.setdefault((router, cell.group, cell.pool_size, name), {})[cell.seed] = estimate
    by_seed = {key: found for key, found in by_seed.items() if not np.isnan([e.value for e in found.values()]).all()}
    by_seed = _with_curve(_with_group_mean(by_seed))
    rows: list[dict[str, Any]] = []
    compared: dict[Key, tuple[Array, Array]] = {}
    for key, found in by_seed.items():
        router, group, size, metric_name = key
        kind = metric_name in METRICS and METRICS[metric_name].of == "preferences"
        n = n_instances.get((group, size, kind)) or max(n for key, n in n_instances.items() if key[2] == kind)
        head = {"router": router, "group": group, "pool_size": size, "metric": metric_name, "n_instances": n}
        within = METRICS[metric_name].within if metric_name in METRICS else None
        if len(found) == len(seeds):
            values, replicates = _stacked(found)
            if metric_name in COMPARED:
                compared[key] = (values, replicates)
            pooled = bootstrap.pool(values, replicates)
            rows.append(row_of({**head, "seed": None}, float(known_mean(values)[0]), pooled, n, within))
        if len(seeds) > 1:
            rows += [row_of({**head, "seed": s}, each.value, each.replicates, n, within) for s, each in found.items()]
    pairs = comparisons(compared, baseline or "", max(n_instances.values()), bootstrap.pool)
    return pl.DataFrame(rows, schema=COLUMNS), pairs, _notes(cells)


def _n_decided(cell: Cell) -> int:
    """Number of instances with a preference that is not a tie."""
    counts = (outcome.agreement.n_decided for outcome in cell.outcomes.values() if outcome.agreement is not None)
    return int(np.count_nonzero(next(counts, np.zeros(0))))


def _test_ids(cells: Iterable[Cell], seed: int) -> NDArray[np.str_]:
    """Test instances of a seed; pools may lack some, on which none of their LLMs was evaluated."""
    ids: dict[str, None] = {}
    for outcome in (next(iter(cell.outcomes.values())) for cell in cells if cell.seed == seed):
        ids.update(dict.fromkeys(outcome.instance_id.tolist()))
    return np.array(list(ids))


def _stacked(found: dict[int, Estimate]) -> tuple[Array, Array]:
    """Values f64 (n_seeds,) and replicates f64 (n_seeds, b)."""
    return np.array([e.value for e in found.values()]), np.stack([e.replicates for e in found.values()])


def _with_group_mean(by_seed: dict[Key, dict[int, Estimate]]) -> dict[Key, dict[int, Estimate]]:
    """Add the group "mean" for sizes that all groups have."""
    groups: dict[Key, list[dict[int, Estimate]]] = {}
    for (router, _, size, metric), found in by_seed.items():
        groups.setdefault((router, "mean", size, metric), []).append(found)
    n_groups = max(len(members) for members in groups.values())
    means = {key: _average(members) for key, members in groups.items() if len(members) == n_groups > 1}
    return {**by_seed, **means}


def _average(members: list[dict[int, Estimate]]) -> dict[int, Estimate]:
    shared = [seed for seed in members[0] if all(seed in found for found in members)]
    return {
        seed: Estimate(
            float(np.mean([found[seed].value for found in members])),
            np.mean([found[seed].replicates for found in members], axis=0),
        )
        for seed in shared
    }


def _with_curve(by_seed: dict[Key, dict[int, Estimate]]) -> dict[Key, dict[int, Estimate]]:
    """Add summaries of each curve: the mean over pool sizes, and "slope", that of mu on log2 of the pool size."""
    curves: dict[tuple[str, str, str], dict[int, dict[int, Estimate]]] = {}
    for (router, group, size, metric), found in by_seed.items():
        if metric in COMPARED and size is not None:
            curves.setdefault((router, group, metric), {})[size] = found
    n_sizes = max((len(curve) for curve in curves.values()), default=0)
    more: dict[Key, dict[int, Estimate]] = {}
    for (router, group, metric), curve in curves.items():
        if len(curve) == n_sizes > 1:
            x = np.log2(sorted(curve))
            more[router, group, None, metric] = _combined(curve, np.full(n_sizes, 1 / n_sizes))
            if metric == "mean_score":
                more[router, group, None, "slope"] = _combined(curve, (x - x.mean()) / ((x - x.mean()) ** 2).sum())
    return {**by_seed, **{key: found for key, found in more.items() if found}}


def _combined(curve: dict[int, dict[int, Estimate]], weight: Array) -> dict[int, Estimate]:
    """Weighted sum over sizes in ascending order, for each seed that has all sizes."""
    points = [curve[size] for size in sorted(curve)]
    return {
        seed: Estimate(
            float(weight @ [point[seed].value for point in points]),
            weight @ np.stack([point[seed].replicates for point in points]),
        )
        for seed in points[0]
        if all(seed in point for point in points)
    }


def _notes(cells: list[Cell]) -> list[str]:
    """Notes on incomplete data."""
    share: dict[str, list[float]] = {}
    for cell in cells:
        for router, outcome in cell.outcomes.items():
            if outcome.judged.any():
                share.setdefault(router, []).append(float(METRICS["unobserved_choice"](outcome)[0]))
    notes = unobserved_notes({router: max(found) for router, found in share.items()})
    n, of = max((c.n_test - len(next(iter(c.outcomes.values()))), c.n_test) for c in cells)
    if n:
        notes.append(
            f"up to {n:,} of {of:,} test instances have no score for any LLM of a pool and are left out for all routers"
        )
    return notes
