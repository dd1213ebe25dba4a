"""Per-instance ranking and calibration of a router's predictions, over the observed cells."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from recroute.data.cells import CELLS_IN_CACHE, row_blocks
from recroute.metrics.observed import RANKS, Observed
from recroute.util.numeric import Array, ratio

N_BINS = 15


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predicted scores P compared with observed scores S on n instances; unobserved cells are ignored.

    All fields are sums or shares per instance, so a bootstrap resample is a weighting of instances and the cells (n, m)
    need not be kept.

    Parameters
    ----------
    ndcg, hit : f64 (n, len(RANKS))
        See `recroute.metrics.ranking`.
    reciprocal_rank : f64 (n,)
    n_cells : f64 (n,)
        Observed cells.
    squared_error : f64 (n,)
        Sum of (P - S)^2.
    gap : f32 (n, N_BINS)
        Sum of P - S over the cells whose P, clipped to [0, 1], lies in each of equal bins.
    n_solved, above, below : f64 (n,)
        Cells with S of at least .5; the sum over them of the share of failures (of all instances) predicted lower;
        the sum over the instance's failures of the share of successes predicted higher. Equal predictions count half.
    """

    ndcg: Array
    hit: Array
    reciprocal_rank: Array
    n_cells: Array
    squared_error: Array
    gap: NDArray[np.float32]
    n_solved: Array
    above: Array
    below: Array

    def take(self, index: NDArray[np.integer]) -> Predictions:
        """Restrict to these instances; `above` and `below` remain shares of all instances."""
        return Predictions(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def judge(predicted: NDArray[np.floating], observed: Observed) -> Predictions:
    """Compare predicted scores (n, m) with observed ones.

    A row without observed scores has NaN for its ranking, and no cells.
    """
    n, m = predicted.shape
    parts = [_judge_rows(predicted[rows], observed, rows) for rows in row_blocks(n, m, CELLS_IN_CACHE)]
    ndcg, hit, reciprocal_rank, squared_error, gap = map(np.concatenate, zip(*parts, strict=True))
    empty = ~observed.judged
    hit[empty], reciprocal_rank[empty] = np.nan, np.nan  # nDCG is NaN already where nothing can be gained
    above, below = _placements(predicted[observed.seen].astype(np.float32), observed.tags, n)
    return Predictions(
        ndcg=ndcg,
        hit=hit,
        reciprocal_rank=reciprocal_rank,
        n_cells=observed.n_cells,
        squared_error=squared_error,
        gap=gap,
        n_solved=observed.n_solved,
        above=above,
        below=below,
    )


def _judge_rows(
    predicted: NDArray[np.floating], observed: Observed, rows: slice
) -> tuple[Array, Array, Array, Array, NDArray[np.float32]]:
    """nDCG, hits, reciprocal rank, squared error and gaps of some instances."""
    seen, gains = observed.seen[rows], observed.gains[rows]
    ranking = _ranking(np.where(seen, predicted, -np.inf), gains, observed.is_best[rows], observed.first_gains[rows])
    error = np.where(seen, predicted, 0).astype(np.float64) - gains
    return *ranking, (error**2).sum(axis=1), _gaps(predicted, error, seen)


def _gaps(predicted: NDArray[np.floating], error: Array, seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    n = len(predicted)
    place = np.where(seen, predicted, 0).astype(np.float64) * N_BINS
    bins = np.clip(place, 0, N_BINS - 1).astype(np.int64) + N_BINS * np.arange(n)[:, None]
    return np.bincount(bins.ravel(), error.ravel(), minlength=n * N_BINS).reshape(n, N_BINS).astype(np.float32)


def _placements(values: NDArray[np.float32], tags: NDArray[np.uint32], n: int) -> tuple[Array, Array]:
    """Placements of n instances' successes and failures, see `auc`, from the observed cells' predictions f32 (c,).

    A prediction and its tag (see `Observed`) in one word are sorted in half the time of an argsort.
    """
    bits = (values + np.float32(0)).view(np.uint32)  # no negative zero
    rising = np.where(bits >> np.uint32(31), ~bits, bits | np.uint32(1 << 31))  # integers in the order of the floats
    words = (rising.astype(np.uint64) << np.uint64(32)) | tags
    words.sort()
    value, tag = words >> np.uint64(32), (words & np.uint64(2**32 - 1)).astype(np.int64)
    start = np.flatnonzero(np.append(True, value[1:] != value[:-1]))  # of each run of equal predictions
    length = np.diff(start, append=len(value))
    wins = np.add.reduceat(tag & 1, start)
    losses = length - wins
    lower = (losses.cumsum() - 0.5 * losses) / max(losses.sum(), 1)  # share of failures below each run
    higher = 1 - (wins.cumsum() - 0.5 * wins) / max(wins.sum(), 1)
    above, below = (np.bincount(tag, np.repeat(share, length), minlength=2 * n) for share in (lower, higher))
    return above[1::2].astype(np.float64), below[::2].astype(np.float64)


def _ranking(
    key: NDArray[np.floating], gain: NDArray[np.floating], is_best: NDArray[np.bool_], ideal: Array
) -> tuple[Array, Array, Array]:
    """nDCG, hits and reciprocal rank in expectation over the orders of equal predictions.

    `key` is -inf and `gain` 0 where unobserved: those cells come last, gain nothing and are never the best.
    """
    (n, m), width = key.shape, ideal.shape[1]
    expected = _first_gains(key, gain, width)
    discount, ndcg = 1 / np.log2(np.arange(width) + 2), np.empty((n, len(RANKS)))
    for column, k in enumerate(RANKS):
        ndcg[:, column] = ratio(expected[:, :k] @ discount[:k], ideal[:, :k] @ discount[:k])  # (n, k) x (k,)
    first = np.where(is_best, key, -np.inf).max(axis=1, keepdims=True)  # the best-placed of an instance's best LLMs
    level = key == first
    return ndcg, *_first_best((key > first).sum(axis=1), level.sum(axis=1), (level & is_best).sum(axis=1), m)


def _first_gains(key: NDArray[np.floating], gain: NDArray[np.floating], width: int) -> Array:
    """Expected gain at each of the first ranks, f64 (n, width)."""
    at = np.argpartition(-key, width - 1, axis=1)[:, :width]
    values = np.take_along_axis(key, at, axis=1)
    by_value = np.argsort(-values, axis=1, kind="stable")
    at, values = np.take_along_axis(at, by_value, axis=1), np.take_along_axis(values, by_value, axis=1)
    equal = values[:, :, None] == values[:, None, :]  # (n, width, width)
    earned = np.take_along_axis(gain, at, axis=1).astype(np.float64)
    expected = (equal * earned[:, None, :]).sum(axis=2) / equal.sum(axis=2)
    last = values[:, -1:]  # its run may go on behind the first ranks
    run = key == last
    mean = np.where(run, gain, 0).sum(axis=1, dtype=np.float64) / run.sum(axis=1)
    return np.where(values == last, mean[:, None], expected)


def _first_best(
    before: NDArray[np.int64], length: NDArray[np.int64], n_best: NDArray[np.int64], m: int
) -> tuple[Array, Array]:
    """Chance of a best LLM in the first k, and expected 1 / rank of the first, when a run stands in random order.

    Of `length` LLMs of a run that follows `before` others `n_best` are best. The first j hold none of them with
    chance C(length - n_best, j) / C(length, j).
    """
    from scipy.special import gammaln

    def none_in(j: NDArray[np.int64], t: NDArray[np.int64], h: NDArray[np.int64]) -> Array:
        left = t - h - j
        j, left_or_0 = np.clip(j, 0, t), np.maximum(left, 0)
        logs = gammaln(t - h + 1) - gammaln(left_or_0 + 1) - gammaln(t + 1) + gammaln(t - j + 1)
        return np.where(left >= 0, np.exp(logs), 0.0)

    hit = np.stack([1 - none_in(np.clip(k - before, 0, length), length, n_best) for k in RANKS], axis=1)
    hit[:, [k >= m for k in RANKS]] = np.nan  # the whole pool: every ranking hits
    reciprocal = 1 / (before + 1.0)
    for i in np.flatnonzero(n_best < length):
        j = np.arange(length[i] - n_best[i] + 2)
        survival = none_in(j, length[i], n_best[i])  # C.., of the first j none is best
        reciprocal[i] = ((survival[:-1] - survival[1:]) / (before[i] + j[1:])).sum()
    return hit, reciprocal
