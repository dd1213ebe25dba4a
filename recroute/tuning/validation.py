"""Cross-validation of trials: folds with vectors and pools, made once for all trials."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from recroute.data import Dataset
from recroute.errors import DataError
from recroute.experiment.outcomes import pool_outcomes
from recroute.experiment.prepare import with_vectors
from recroute.experiment.reference import reference_scores
from recroute.metrics import METRICS
from recroute.pools import Pool, largest_pool, make_pools
from recroute.routers import Router
from recroute.splits import Split, make_folds
from recroute.tuning.settings import TuneSettings


@dataclass(frozen=True)
class Validation:
    """Folds of the training and validation instances; test instances are in none.

    Parameters
    ----------
    folds : tuple of Split
        Fitted on `train` and judged on `test`, with vectors.
    pools : tuple of tuple of Pool
        Of each fold.
    metrics : tuple of str
        Names in `METRICS`.
    """

    folds: tuple[Split, ...]
    pools: tuple[tuple[Pool, ...], ...]
    metrics: tuple[str, ...]

    @classmethod
    def of(cls, data: Dataset, settings: TuneSettings) -> Validation:
        """Folds of `data`; each fits its encoder and chooses its pools on the instances that it trains on."""
        folds = [
            with_vectors(fold.parts, settings.encoder) for fold in make_folds(data, settings.n_folds, settings.seed)
        ]
        limit = min(largest_pool(fold.train, settings.groups) for fold in folds)
        sizes = sorted({min(size, limit) for size in settings.pool_sizes})
        pools = tuple(_pools(fold, settings, sizes) for fold in folds)
        return cls(tuple(folds), pools, tuple(settings.metrics))

    def values(self, router: Router, fold: int) -> tuple[float, ...]:
        """Each metric of a router on one fold: the mean over its pools.

        Raises
        ------
        DataError
            If a metric has no value there.
        """
        parts, rows = self.folds[fold], []
        reference = reference_scores(parts.test, None)
        for pool in self.pools[fold]:
            (outcome,) = pool_outcomes([router], parts, pool.llm_index, reference).values()
            rows.append([float(METRICS[metric](outcome)[0]) for metric in self.metrics])
        table = np.array(rows)  # (pools, metrics)
        table[~np.isfinite(table)] = np.nan  # a ratio to nothing is no value
        for metric, column in zip(self.metrics, table.T, strict=True):
            if np.isnan(column).all():
                raise DataError(f"{metric} has no value for {router.label}; choose another --metric")
        return tuple(np.nanmean(table, axis=0).tolist())


def _pools(fold: Split, settings: TuneSettings, sizes: list[int]) -> tuple[Pool, ...]:
    """Pools of a fold in which at least one LLM was evaluated on an instance it is judged on."""
    pools = [
        replace(pool, size=len(pool.llm_index))
        for pool in make_pools(fold.train, settings.groups, sizes, settings.seed)
        if fold.test.take_llms(pool.llm_index).interactions.n_observed
    ]
    if not pools:
        raise DataError(f"no LLM of any pool was evaluated on the instances of {fold.name}; take fewer folds")
    return tuple(pools)
