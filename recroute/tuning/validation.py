"""What a trial is judged by: cross-validation on pools, all that trials share made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from recroute.data import Dataset
from recroute.errors import DataError, UnknownNameError
from recroute.evaluation.outcomes import pool_outcomes
from recroute.evaluation.reference import reference_scores
from recroute.experiment.prepare import with_vectors
from recroute.metrics import METRICS
from recroute.pools import GROUPS, Pool, largest_pool, make_pools
from recroute.routers import Router
from recroute.splits import Split, make_folds


@dataclass(frozen=True)
class ValidationFold:
    """Instances to fit on and instances to judge on (both as `parts`, with vectors), and the pools."""

    parts: Split
    pools: tuple[Pool, ...]


@dataclass(frozen=True)
class Validation:
    """Folds of the training and validation instances; test instances are in none.

    Parameters
    ----------
    folds : tuple of ValidationFold
    metrics : tuple of str
        Names of `METRICS`.
    """

    folds: tuple[ValidationFold, ...]
    metrics: tuple[str, ...]

    def values(self, router: Router, fold: int) -> tuple[float, ...]:
        """Each metric of a router on one fold: the mean over its pools.

        Raises
        ------
        DataError
            If a metric has no value there.
        """
        parts, found = self.folds[fold].parts, []
        against = reference_scores(parts.test, None)
        for pool in self.folds[fold].pools:
            (outcome,) = pool_outcomes([router], parts, pool.llm_index, against).values()
            found.append([float(METRICS[metric](outcome)[0]) for metric in self.metrics])
        table = np.array(found)  # (pools, metrics)
        table[~np.isfinite(table)] = np.nan  # a ratio to nothing is no value
        for metric, column in zip(self.metrics, table.T, strict=True):
            if np.isnan(column).all():
                raise DataError(f"{metric} has no value for {router.label}; choose another --metric")
        return tuple(np.nanmean(table, axis=0).tolist())


def make_validation(
    data: Dataset,
    *,
    metrics: Sequence[str],
    pool_sizes: Sequence[int],
    groups: Sequence[str],
    n_folds: int,
    encoder: str = "auto",
    seed: int = 0,
) -> Validation:
    """Folds with vectors and pools.

    Parameters
    ----------
    data : Dataset
        Training and validation instances.
    metrics : list of str
    pool_sizes, groups : list
        See `scale`; pools are chosen on the instances that the fold fits on.
    n_folds : int
        Equal prompts are in one fold, tasks are spread evenly.
    encoder : {"auto", "precomputed", "tfidf", "sentence:MODEL"}
        Fitted on the instances that the fold fits on.
    seed : int
        Of folds and pools.

    Raises
    ------
    UnknownNameError
        For an unknown metric or group.
    """
    for metric in metrics:
        if metric not in METRICS:
            raise UnknownNameError("metric", metric, METRICS)
    for group in groups:
        if group not in GROUPS:
            raise UnknownNameError("group", group, GROUPS)
    splits = [with_vectors(fold.parts, encoder) for fold in make_folds(data, n_folds, seed)]
    limit = min(largest_pool(parts.train, groups) for parts in splits)
    sizes = sorted({min(size, limit) for size in pool_sizes})
    folds = []
    for parts in splits:
        pools = [
            replace(pool, size=len(pool.llm_index))
            for pool in make_pools(parts.train, groups, sizes, seed)
            if parts.test.take_llms(pool.llm_index).interactions.n_observed
        ]
        if not pools:
            raise DataError(f"no LLM of any pool was evaluated on the instances of {parts.name}; take fewer folds")
        folds.append(ValidationFold(parts, tuple(pools)))
    return Validation(tuple(folds), tuple(metrics))
