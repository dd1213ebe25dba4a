"""Rows with intervals of a `ColdStart`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.coldstart.result import COLUMNS
from recroute.coldstart.rounds import Round
from recroute.coldstart.routing import Bench
from recroute.experiment.bootstrap import Bootstrap
from recroute.experiment.rows import row_of, rows_of_seeds
from recroute.util.numeric import Array, known_mean, ratio

ROUTER = "fold-in"
SHARE = "share_of_full"
Labels = NDArray[np.str_]
Row = dict[str, Any]


@dataclass(eq=False)
class Seen:
    """Values collected over rounds, by key (router, pool, strategy, k, metric) and seed."""

    of_llms: dict[tuple[str, int, str], dict[int, Array]] = field(default_factory=dict)
    routed: dict[tuple[str, str, str | None, int | None], dict[int, Array]] = field(default_factory=dict)
    full: dict[tuple[str, str], dict[int, Array]] = field(default_factory=dict)
    groups: dict[int, Labels] = field(default_factory=dict)
    n_train: dict[int, int] = field(default_factory=dict)
    test_ids: dict[int, Labels] = field(default_factory=dict)
    pool_sizes: dict[tuple[str, int], int] = field(default_factory=dict)
    left_out: dict[int, float] = field(default_factory=dict)

    def begin(self, played: Round, at: Mapping[str, Bench], group: NDArray[Any]) -> None:
        """Record what all rounds of a seed share."""
        seed = played.seed
        self.groups[seed] = group[played.unseen].astype(np.str_)
        self.n_train[seed] = played.prior.n_instances
        self.test_ids[seed] = np.array(played.split.test.instance_ids.ids)
        for label, bench in at.items():
            for pool, scores in bench.full.items():
                self.full.setdefault((label, pool), {})[seed] = scores
                self.pool_sizes[pool, seed] = len(bench.pools[pool][0])
        first = next(iter(at.values()), None)  # pools are equal for all routers
        self.left_out[seed] = first.left_out() if first else 0.0
        for pool, bounds in (first.bounds() if first else {}).items():
            for name, scores in bounds.items():
                self.routed.setdefault((name, pool, None, None), {})[seed] = scores

    def add(self, played: Round, of_llms: Mapping[str, Array], at: Mapping[str, Bench]) -> None:
        """Record the values of a round."""
        for metric, values in of_llms.items():
            self.of_llms.setdefault((played.strategy, played.n_anchors, metric), {})[played.seed] = values
        for label, bench in at.items():
            for pool, scores in bench.chosen(played).items():
                self.routed.setdefault((label, pool, played.strategy, played.n_anchors), {})[played.seed] = scores


def rows_of(seen: Seen, seeds: list[int], seed: int) -> pl.DataFrame:
    """Rows of a `ColdStart`, for the finished seeds."""
    rows = [*_of_llms(seen, seeds, seed), *_of_routing(seen, seeds, seed)]
    return pl.DataFrame([{name: row.get(name) for name in COLUMNS} for row in rows], schema=COLUMNS)


def _of_llms(seen: Seen, seeds: list[int], seed: int) -> list[Row]:
    """Rows on the prediction of unseen LLMs; intervals resample families."""
    groups = [seen.groups[s] for s in seeds]
    resamples = Bootstrap(groups, seed)
    rows = []
    for (strategy, k, metric), of_seed in seen.of_llms.items():
        head = {"router": ROUTER, "strategy": strategy, "n_anchors": k, "metric": metric}
        values = [of_seed[s] for s in seeds]  # f64 (j,) each
        there = [~np.isnan(value) for value in values]
        known = [np.unique(group[own]) for group, own in zip(groups, there, strict=True)]
        found = rows_of_seeds(
            head,
            seeds,
            np.array([known_mean(value)[0] for value in values]),
            np.stack([known_mean(v, resamples.weights(i, groups[i])) for i, v in enumerate(values)]),
            pool=resamples.pool,
            counts=[len(np.unique(np.concatenate(known))), *map(len, known)],
            within=(0, 1),
        )
        n_llms = [int(own.sum()) for own in there]
        n_train = [seen.n_train[s] for s in seeds]
        for row, llms, n in zip(found, _with_mean(n_llms), _with_mean(n_train), strict=True):
            rows.append({**row, "n_llms": llms, "n_instances": n})
    return rows


def _of_routing(seen: Seen, seeds: list[int], seed: int) -> list[Row]:
    """Rows on routing: mean scores, and these relative to full data; intervals resample test instances."""
    ids = [seen.test_ids[s] for s in seeds]
    resamples = Bootstrap(ids, seed)

    def estimate(of_seed: dict[int, Array]) -> tuple[Array, Array]:
        """Means f64 (seeds,) and replicates f64 (seeds, b)."""
        drawn = [known_mean(of_seed[s], resamples.weights(i, ids[i])) for i, s in enumerate(seeds)]
        return np.array([known_mean(of_seed[s])[0] for s in seeds]), np.stack(drawn)

    full = {key: estimate(of_seed) for key, of_seed in seen.full.items()}
    counts = _with_mean([len(own) for own in ids])
    rows: list[Row] = []
    for (label, pool, strategy, k), of_seed in seen.routed.items():
        head = {"router": label, "group": pool, "strategy": strategy, "n_anchors": k}
        sizes = _with_mean([seen.pool_sizes[pool, s] for s in seeds])
        reached, drawn = estimate(of_seed)
        found = {"mean_score": (reached, drawn)}
        if strategy is not None:
            of_full, drawn_full = full[label, pool]
            found[SHARE] = (ratio(reached, of_full), ratio(drawn, drawn_full))
        for metric, (values, drawn) in found.items():
            of_metric = rows_of_seeds(
                {**head, "metric": metric}, seeds, values, drawn, pool=resamples.pool, counts=[counts[0]] * len(counts)
            )
            for row, size, n in zip(of_metric, sizes, counts, strict=True):
                rows.append({**row, "pool_size": size, "n_instances": n})
    for (label, pool), (values, drawn) in full.items():
        head = {"router": label, "group": pool, "strategy": "all scores", "metric": "mean_score"}
        n = len(ids[0])
        rows.append(row_of({**head, "n_instances": n}, float(values.mean()), resamples.pool(values, drawn), n))
    return rows


def _with_mean(counts: list[int]) -> list[int]:
    """The mean of the counts, rounded down, followed by the counts."""
    return [sum(counts) // len(counts), *counts]
