"""Cross-validation of trials on folds whose vectors and pools are prepared once for all trials."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from recroute.data import Dataset
from recroute.errors import DataError, argument
from recroute.experiment.outcomes import pool_outcomes
from recroute.experiment.prepare import with_vectors
from recroute.experiment.reference import reference_scores
from recroute.metrics import METRICS
from recroute.pools import Pool, common_sizes, make_pools
from recroute.routers import Router
from recroute.splits import Split, make_folds
from recroute.tuning.settings import TuneSettings


@dataclass(frozen=True)
class Validation:
    """Cross-validation folds of the training and validation instances, without test instances.

    Parameters
    ----------
    folds : tuple of Split
        With vectors; routers are fitted on `train` and judged on `test` of each.
    pools : tuple of tuple of Pool
        Pools of each fold.
    metrics : tuple of str
        Names in `METRICS`.
    """

    folds: tuple[Split, ...]
    pools: tuple[tuple[Pool, ...], ...]
    metrics: tuple[str, ...]

    @classmethod
    def of(cls, data: Dataset, settings: TuneSettings) -> Validation:
        """Split `data` into folds; each fits its encoder and chooses its pools on its training instances."""
        folds = [
            with_vectors(fold.parts, settings.encoder) for fold in make_folds(data, settings.n_folds, settings.seed)
        ]
        sizes, _ = common_sizes((fold.train for fold in folds), settings.groups, settings.pool_sizes)
        pools = tuple(_pools(fold, settings, sizes) for fold in folds)
        return cls(tuple(folds), pools, tuple(settings.metrics))

    def values(self, router: Router, fold: int) -> tuple[float, ...]:
        """Value of each metric for a router on one fold, averaged over the fold's pools.

        Raises
        ------
        DataError
            If a metric is undefined on all pools.
        """
        parts, rows = self.folds[fold], []
        reference = reference_scores(parts.test, None)
        for pool in self.pools[fold]:
            (outcome,) = pool_outcomes([router], parts, pool.llm_index, reference).values()
            rows.append([float(METRICS[metric](outcome)[0]) for metric in self.metrics])
        table = np.array(rows)  # (pools, metrics)
        table[~np.isfinite(table)] = np.nan  # such as a ratio to 0
        for metric, column in zip(self.metrics, table.T, strict=True):
            if np.isnan(column).all():
                raise DataError(
                    f"{metric} is undefined for {router.label}; choose other {argument('metrics', option='metric')}"
                )
        return tuple(np.nanmean(table, axis=0).tolist())


def _pools(fold: Split, settings: TuneSettings, sizes: list[int]) -> tuple[Pool, ...]:
    """Pools of a fold with at least one LLM that was evaluated on a test instance of the fold."""
    pools = [
        replace(pool, size=len(pool.llm_index))
        for pool in make_pools(fold.train, settings.groups, sizes, settings.seed)
        if fold.test.take_llms(pool.llm_index).interactions.n_observed
    ]
    if not pools:
        raise DataError(
            f"no LLM of any pool was evaluated on the instances of {fold.name}; use fewer "
            f"{argument('n_folds', option='folds')}"
        )
    return tuple(pools)
