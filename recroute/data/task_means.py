"""Mean score of each LLM in each task, comparable also where LLMs were evaluated on different instances."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from recroute.data.cells import CELLS_IN_CACHE, DenseCells, indicators, row_blocks, shared_out
from recroute.data.matrix import InteractionMatrix
from recroute.util.numeric import Array, Positions

PRIOR_RECORDS = 10.0  # about the noise variance of a 0/1 score over the variance of LLMs' skill within a task


def compute_task_means(matrix: InteractionMatrix, tasks: NDArray[np.str_]) -> tuple[NDArray[np.str_], Array, Array]:
    """See `recroute.data.means.task_means`."""
    seen = np.flatnonzero(matrix.instance_counts)
    names, task = np.unique(tasks[seen], return_inverse=True)
    n_t = np.bincount(task, minlength=len(names)).astype(np.float64)
    sums = _sums_dense if isinstance(matrix.cells, DenseCells) else _sums_sparse
    k, surplus, task_mean = sums(matrix, task, seen, len(names))
    return names, means_of_sums(k, surplus, task_mean, n_t), n_t


def means_of_sums(k: Array, surplus: Array, level: Array, n: Array) -> Array:
    """Means f64 (t, m) from sums by task and LLM.

    Parameters
    ----------
    k, surplus : f64 (t, m)
        Records, and their summed deviations from the instances' means.
    level, n : f64 (t,)
        Sum of the instances' means, and number of instances.
    """
    n = np.maximum(n, 1e-12)[:, None]
    weight = k / np.maximum(k + PRIOR_RECORDS * (1 - k / n), 1e-12)
    return level[:, None] / n + weight * surplus / np.maximum(k, 1)


def over_tasks(means: Array, n: Array) -> Array:
    """Means f64 (m,) of task means f64 (t, m), weighted by the tasks' sizes f64 (t,).

    Rounded to 12 digits, so that LLMs with equal scores tie in whatever order these were added up.
    """
    return np.round(n @ means / max(n.sum(), 1), 12)


def _sums_sparse(
    matrix: InteractionMatrix, task: NDArray[np.int64], seen: Positions, n_tasks: int
) -> tuple[Array, Array, Array]:
    """By task and LLM: records and summed deviations from the instances' means, f64 (t, m); and those means (t,).

    `task` int (k,) are the tasks of the instances `seen` int (k,), which have a record.
    """
    member = scipy.sparse.csr_matrix((np.ones(len(seen)), (task, seen)), shape=(n_tasks, matrix.n_instances))
    scores = matrix.scores
    observed, values = indicators(scores), scores.astype(np.float64)
    row_mean = np.asarray(values.sum(axis=1)).ravel() / np.maximum(matrix.instance_counts, 1)
    k = (member @ observed).toarray()  # (t, n) x (n, m) -> (t, m)
    surplus = (member @ values).toarray() - (member @ scipy.sparse.diags(row_mean) @ observed).toarray()
    return k, surplus, member @ row_mean


def _sums_dense(
    matrix: InteractionMatrix, task: NDArray[np.int64], seen: Positions, n_tasks: int
) -> tuple[Array, Array, Array]:
    """The same, some rows of one task at a time."""
    m, counts = matrix.n_llms, matrix.instance_counts
    ordered = seen[np.argsort(task, kind="stable")]
    starts = np.concatenate([[0], np.cumsum(np.bincount(task, minlength=n_tasks))])
    pieces = [
        (t, ordered[starts[t] + rows.start : starts[t] + rows.stop])
        for t in range(n_tasks)
        for rows in row_blocks(starts[t + 1] - starts[t], m, CELLS_IN_CACHE // 2)  # in double precision
    ]

    def sums(piece: tuple[int, Positions]) -> tuple[int, Positions, Array, Array | int, Array]:
        t, rows = piece
        block, observed = matrix.block(rows)
        scores = block.astype(np.float64)
        mean = scores.sum(axis=1) / counts[rows]
        if (counts[rows] == m).all():
            scores -= mean[:, None]
            return t, rows, mean, len(rows), scores.sum(axis=0)
        scores -= mean[:, None] * observed
        return t, rows, mean, observed.sum(axis=0), scores.sum(axis=0)

    k, surplus, row_mean = np.zeros((n_tasks, m)), np.zeros((n_tasks, m)), np.zeros(matrix.n_instances)
    for t, rows, mean, n_records, deviation in shared_out(matrix.shape, pieces, sums):
        k[t] += n_records
        surplus[t] += deviation
        row_mean[rows] = mean
    level: Array = np.bincount(task, row_mean[seen], n_tasks).astype(np.float64)
    return k, surplus, level
