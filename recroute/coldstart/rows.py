"""From what was seen of unseen LLMs to rows with intervals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.coldstart.result import COLUMNS
from recroute.experiment.bootstrap import Bootstrap, interval_around
from recroute.util.numeric import Array, known_mean, ratio

ROUTER = "fold-in"
SHARE = "share_of_full"
Labels = NDArray[np.str_]


@dataclass(eq=False)
class Seen:
    """What is gathered over rounds: values by seed, for each key (router, pool, strategy, k, metric)."""

    of_llms: dict[tuple[str, int, str], dict[int, Array]] = field(default_factory=dict)
    routed: dict[tuple[str, str, str | None, int | None], dict[int, Array]] = field(default_factory=dict)
    full: dict[tuple[str, str], dict[int, Array]] = field(default_factory=dict)
    groups: dict[int, Labels] = field(default_factory=dict)
    n_train: dict[int, int] = field(default_factory=dict)
    test_ids: dict[int, Labels] = field(default_factory=dict)
    pool_sizes: dict[tuple[str, int], int] = field(default_factory=dict)
    left_out: dict[int, float] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)


def rows_of_llms(seen: Seen, seeds: list[int], seed: int) -> list[dict[str, Any]]:
    """What is known of the unseen LLMs; intervals resample families."""
    resamples = Bootstrap([seen.groups[s] for s in seeds], seed)
    rows = []
    for (strategy, k, metric), of_seed in seen.of_llms.items():
        head = {"router": ROUTER, "strategy": strategy, "n_anchors": k, "metric": metric}
        for row in _rows(resamples, [of_seed[s] for s in seeds], [seen.groups[s] for s in seeds], seeds):
            used = [row["seed"]] if row["seed"] is not None else seeds
            rows.append(head | row | {"n_instances": sum(seen.n_train[s] for s in used) // len(used)})
    return rows


def rows_of_routing(seen: Seen, seeds: list[int], seed: int) -> list[dict[str, Any]]:
    """What routers reach, and as a share of what they reach with full data; intervals resample test instances."""
    resamples = Bootstrap([seen.test_ids[s] for s in seeds], seed)

    def estimate(of_seed: dict[int, Array]) -> tuple[Array, Array]:
        """Means f64 (seeds,) and replicates f64 (seeds, b)."""
        values = np.array([np.nanmean(of_seed[s]) for s in seeds])
        replicates = [known_mean(of_seed[s], resamples.weights(i, seen.test_ids[s])) for i, s in enumerate(seeds)]
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
            metrics[SHARE] = (ratio(values, of_full), ratio(replicates, drawn))
        for metric, (means, resampled) in metrics.items():
            low, high = interval_around(float(means.mean()), resamples.pool(means, resampled), n)
            rows.append(
                head
                | {"metric": metric, "seed": None, "value": float(means.mean()), "ci_low": low, "ci_high": high}
                | {"n_instances": n}
            )
            for i, s in enumerate(seeds):
                low, high = interval_around(float(means[i]), resampled[i], n)
                rows.append(
                    head
                    | {"metric": metric, "seed": s, "value": float(means[i]), "ci_low": low, "ci_high": high}
                    | {"n_instances": len(seen.test_ids[s]), "pool_size": seen.pool_sizes[pool, s]}
                )
    for (label, pool), (values, replicates) in full.items():
        n = len(seen.test_ids[seeds[0]])
        low, high = interval_around(float(values.mean()), resamples.pool(values, replicates), n)
        rows.append(
            {"router": label, "group": pool, "strategy": "all scores", "metric": "mean_score"}
            | {"value": float(values.mean()), "ci_low": low, "ci_high": high}
            | {"n_instances": len(seen.test_ids[seeds[0]])}
        )
    return rows


def _rows(resamples: Bootstrap, values: list[Array], groups: list[Labels], seeds: list[int]) -> list[dict[str, Any]]:
    """A row for each seed and one for all, of means over LLMs f64 (j,) given for each seed."""
    rows: list[dict[str, Any]] = []
    means, replicates, n_groups = [], [], set()
    for i, (of_seed, group) in enumerate(zip(values, groups, strict=True)):
        there = ~np.isnan(of_seed)
        drawn = known_mean(of_seed, resamples.weights(i, group))
        mean = float(of_seed[there].mean()) if there.any() else float("nan")
        means.append(mean)
        replicates.append(drawn)
        n_groups |= set(group[there].tolist())
        low, high = _within_range(interval_around(mean, drawn, len(np.unique(group[there]))))
        rows.append({"seed": seeds[i], "value": mean, "ci_low": low, "ci_high": high, "n_llms": int(there.sum())})
    known = [m for m in means if not np.isnan(m)]
    value = float(np.mean(known)) if known else float("nan")
    pooled = resamples.pool(np.array(means), np.stack(replicates))
    low, high = _within_range(interval_around(value, pooled, len(n_groups)))
    n_llms = sum(row["n_llms"] for row in rows) // len(rows)
    return [{"seed": None, "value": value, "ci_low": low, "ci_high": high, "n_llms": n_llms}, *rows]


def _within_range(bounds: tuple[float, float]) -> tuple[float, float]:
    """All metrics here lie in [0, 1]; percentiles taken further out need not."""
    low, high = np.clip(bounds, 0, 1)
    return float(low), float(high)


def as_table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a frame with `COLUMNS`."""
    return pl.DataFrame([{name: row.get(name) for name in COLUMNS} for row in rows], schema=COLUMNS)
