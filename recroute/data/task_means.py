"""Mean score of each LLM in each task, comparable also where LLMs were evaluated on different instances."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recroute.data.cells import DenseCells, pass_over
from recroute.data.matrix import InteractionMatrix
from recroute.util.numeric import Array

PRIOR_RECORDS = 10.0  # about the noise variance of a 0/1 score over the variance of LLMs' skill within a task


def compute_task_means(matrix: InteractionMatrix, tasks: NDArray[np.str_]) -> tuple[NDArray[np.str_], Array, Array]:
    """See `recroute.data.means.task_means`."""
    seen = np.flatnonzero(matrix.instance_counts)
    names, task = np.unique(tasks[seen], return_inverse=True)
    member = sp.csr_matrix((np.ones(len(seen)), (task, seen)), shape=(len(names), matrix.n_instances))
    n_t = np.bincount(task, minlength=len(names)).astype(np.float64)
    k, surplus, task_mean = (_sums_dense if isinstance(matrix.cells, DenseCells) else _sums_sparse)(matrix, member)
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


def _sums_sparse(matrix: InteractionMatrix, member: sp.csr_matrix) -> tuple[Array, Array, Array]:
    """By task and LLM: records and summed deviations from the instances' means, f64 (t, m); and those means (t,)."""
    scores = matrix.scores
    observed = sp.csr_matrix((np.ones(scores.nnz), scores.indices, scores.indptr), shape=scores.shape)
    values = scores.astype(np.float64)
    row_mean = np.asarray(values.sum(axis=1)).ravel() / np.maximum(matrix.instance_counts, 1)
    k = (member @ observed).toarray()  # (t, n) x (n, m) -> (t, m)
    surplus = (member @ values).toarray() - (member @ sp.diags(row_mean) @ observed).toarray()
    return k, surplus, member @ row_mean


def _sums_dense(matrix: InteractionMatrix, member: sp.csr_matrix) -> tuple[Array, Array, Array]:
    """The same, some rows at a time."""
    t, m = member.shape[0], matrix.n_llms
    counts = matrix.instance_counts

    def sums(rows: slice) -> tuple[Array, Array, Array]:
        block, observed = matrix.block(rows)
        scores, of_task = block.astype(np.float64), member[:, rows]
        row_mean = scores.sum(axis=1) / np.maximum(counts[rows], 1)
        if (counts[rows] == m).all():
            scores -= row_mean[:, None]
            k = np.broadcast_to(np.asarray(of_task.sum(axis=1)), (t, m))
        else:
            scores -= row_mean[:, None] * observed
            k = (of_task @ observed).astype(np.float64)  # (t, b) x (b, m)
        return k, of_task @ scores, of_task @ row_mean

    k, surplus, task_mean = np.zeros((t, m)), np.zeros((t, m)), np.zeros(t)
    for part in pass_over(matrix.shape, sums):
        k += part[0]
        surplus += part[1]
        task_mean += part[2]
    return k, surplus, task_mean
