"""From what policies reached to rows with intervals, and the posterior against the other policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from recroute.attempts.policies import NEXT, POSTERIOR, Played
from recroute.attempts.settings import CascadeSettings
from recroute.experiment.bootstrap import Bootstrap
from recroute.experiment.compare import COMPARISON_COLUMNS, Estimate, paired, with_holm
from recroute.experiment.rows import COLUMNS, rows_of_seeds
from recroute.util.numeric import AnyArray, Array, known_mean, ratio

Key = tuple[str, str, str, int]  # router, policy, group, pool size
SCORE, CALLS, COST, HEADROOM, SLOPE = "score_at_k", "calls_at_k", "cost_at_k", "headroom_closed", "slope"
MORE = {"policy": pl.String, "n_attempts": pl.Int64}
ROW_COLUMNS = {**COLUMNS, **MORE}
PAIR_COLUMNS = {**COMPARISON_COLUMNS, **MORE}
ORACLE, SINGLE = ("oracle", "oracle"), ("best_single", "fixed_order")
LINES = {  # what the posterior is compared with: policies of the same router, and those of the baselines
    NEXT: None,
    "fixed_order": "best_single",
    "fixed_set": "best_single",
    "task_order": "task_best",
    "task_set": "task_best",
}


def rows_of(
    found: Sequence[Mapping[Key, Played]], ids: Sequence[AnyArray], seeds: Sequence[int], settings: CascadeSettings
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of a Cascade, and its comparisons; `found` and the ids of the test instances are of each seed."""
    resamples = Bootstrap([np.asarray(each, dtype=np.str_) for each in ids], seeds[0], settings.n_resamples)
    n = len(np.unique(np.concatenate(ids)))
    estimates: dict[tuple[Key, str, int], Estimate] = {}
    for key in [key for key in found[0] if all(key in of_seed for of_seed in found)]:
        for k in settings.attempts:
            for metric, tables in _tables([of_seed[key] for of_seed in found], k):
                drawn = [known_mean(table, resamples.weights(i, ids[i])) for i, table in enumerate(tables)]
                estimates[key, metric, k] = np.array([known_mean(table)[0] for table in tables]), np.stack(drawn)
    estimates |= dict(_headroom(estimates)) | dict(_slopes(estimates))
    rows: list[dict[str, Any]] = []
    for ((router, policy, group, size), metric, k), (values, replicates) in estimates.items():
        head = {"router": router, "policy": policy, "group": group, "pool_size": size or None}
        head |= {"n_attempts": k, "metric": metric}
        counts = [n, *map(len, ids)]
        within = (0.0, 1.0) if metric == SCORE else None
        of_metric = rows_of_seeds(head, seeds, values, replicates, pool=resamples.pool, counts=counts, within=within)
        rows += [{**row, "n_instances": count} for row, count in zip(of_metric, counts, strict=True)]
    lines = ((SCORE, LINES),) if settings.target is None else ((SCORE, {NEXT: None}), (COST, {NEXT: None}))
    found_pairs = [row for metric, others in lines for row in _pairs(estimates, metric, others, n, resamples)]
    pairs = with_holm(found_pairs, ("group", "pool_size", "n_attempts", "metric"))
    return pl.DataFrame(rows, schema=ROW_COLUMNS), pl.DataFrame(pairs, schema=PAIR_COLUMNS)


def _tables(played: Sequence[Played], k: int) -> Iterator[tuple[str, list[Array]]]:
    """Values f64 (n,) of each seed after k attempts, by metric; a pool of fewer LLMs has its last attempt."""
    tables = {SCORE: [each.score for each in played], CALLS: [each.calls for each in played]}
    costs = [each.cost for each in played if each.cost is not None]
    if len(costs) == len(played):
        tables[COST] = costs
    for metric, of_seed in tables.items():
        yield metric, [table[:, min(k, table.shape[1]) - 1] for table in of_seed]


def _headroom(estimates: Mapping[tuple[Key, str, int], Estimate]) -> Iterator[tuple[tuple[Key, str, int], Estimate]]:
    """How far each policy comes from the best single LLM, tried once, to the oracle."""
    first = min(k for _, _, k in estimates)
    for (key, metric, k), (values, replicates) in estimates.items():
        if metric != SCORE:
            continue
        low, high = (estimates[(*bound, *key[2:]), SCORE, first] for bound in (SINGLE, ORACLE))
        yield (
            (key, HEADROOM, k),
            (ratio(values - low[0], high[0] - low[0]), ratio(replicates - low[1], high[1] - low[1])),
        )


def _slopes(estimates: Mapping[tuple[Key, str, int], Estimate]) -> Iterator[tuple[tuple[Key, str, int], Estimate]]:
    """Slope of the score on log2 of the pool size, where there are several sizes; its size is 0, for none."""
    curves: dict[tuple[str, str, str, int], dict[int, Estimate]] = {}
    for ((router, policy, group, size), metric, k), estimate in estimates.items():
        if metric == SCORE:
            curves.setdefault((router, policy, group, k), {})[size] = estimate
    for (router, policy, group, k), curve in curves.items():
        if len(curve) > 1:
            x = np.log2(sorted(curve))
            weight = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
            values, replicates = (
                np.tensordot(weight, np.stack([curve[size][i] for size in sorted(curve)]), axes=1) for i in range(2)
            )
            yield ((router, policy, group, 0), SLOPE, k), (values, replicates)


def _pairs(
    estimates: Mapping[tuple[Key, str, int], Estimate],
    metric: str,
    lines: Mapping[str, str | None],
    n: int,
    resamples: Bootstrap,
) -> Iterator[dict[str, Any]]:
    """The posterior of each router less each of the lines, in one metric."""
    for ((router, policy, group, size), of, k), estimate in estimates.items():
        if of != metric or policy != POSTERIOR:
            continue
        for line, owner in lines.items():
            other = estimates.get(((owner or router, line, group, size), metric, k))
            if other is None or (k == 1 and owner is None):  # the first attempt is the same
                continue
            head = {"router": router, "baseline": line, "group": group, "pool_size": size, "metric": metric}
            head |= {"policy": POSTERIOR, "n_attempts": k}
            yield {**head, **paired(estimate, other, n, resamples.pool)}
