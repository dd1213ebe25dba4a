"""Paired bootstrap over test instances, crossed with seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

N_RESAMPLES = 1000
LEVEL = 0.95


class Bootstrap:
    """Weights that every router, group and pool size of a run shares, so that differences are paired.

    A resample draws the test instances of all seeds with replacement, by id: an instance in the test sets of
    two seeds gets the same weight in both. It also draws the seeds with replacement. Where each seed has a test
    set of its own the second draw counts part of the first again, so the intervals are wide rather than narrow.

    Parameters
    ----------
    instance_ids : list of str (n_s,), one for each seed
    seed : int
    n_resamples : int
    """

    def __init__(self, instance_ids: Sequence[NDArray[np.str_]], seed: int, n_resamples: int = N_RESAMPLES) -> None:
        rng = np.random.default_rng([seed, 3])
        known, position = np.unique(np.concatenate(instance_ids), return_inverse=True)
        draws = rng.multinomial(len(known), np.full(len(known), 1 / len(known)), size=n_resamples).astype(np.float32)
        ends = np.cumsum([len(ids) for ids in instance_ids])[:-1]
        self._ids = instance_ids
        self._weights = [draws[:, part] for part in np.split(position, ends)]
        n_seeds = len(instance_ids)
        self._seed_weights = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=n_resamples).astype(
            np.float64
        )

    def weights(self, seed_index: int, instance_ids: NDArray[np.str_]) -> NDArray[np.float32]:
        """Weights f32 (b, n) of these instances, which are some of the seed's, in its order."""
        of_seed = self._weights[seed_index]
        if len(instance_ids) == of_seed.shape[1]:
            return of_seed
        return of_seed[:, np.isin(self._ids[seed_index], instance_ids)]

    def pool(self, replicates: Array) -> Array:
        """Replicates of the mean over seeds, f64 (b,), from those of each seed (n_seeds, b); NaN is left out."""
        weights = self._seed_weights.T * ~np.isnan(replicates)
        total = (weights * np.nan_to_num(replicates)).sum(axis=0)
        mass = weights.sum(axis=0)
        mean: Array = np.divide(total, mass, out=np.full(len(mass), np.nan), where=mass > 0)
        return mean


def interval(replicates: Array) -> tuple[float, float]:
    """Percentile interval of the replicates (b,); NaN without any."""
    known = replicates[~np.isnan(replicates)]
    if len(known) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
