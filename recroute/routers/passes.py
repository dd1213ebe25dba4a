"""Passes over a score matrix, some rows at a time and on all cores, with the same sums on every machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.data import InteractionMatrix
from recroute.data.cells import row_blocks

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Part = TypeVar("Part")


def pass_over(matrix: InteractionMatrix, work: Callable[[slice], Part]) -> Iterator[Part]:
    """What `work` makes of each block of rows, in their order.

    Blocks are worked on by as many threads as there are cores, one BLAS thread each; because their results come in
    the order of the rows, a sum of them does not depend on the number of threads.
    """
    blocks = row_blocks(matrix.n_instances, matrix.n_llms)
    n_threads = min(len(blocks), os.cpu_count() or 1)
    with threadpool_limits(limits=1, user_api="blas"):
        if n_threads == 1:
            yield from map(work, blocks)
            return
        with ThreadPoolExecutor(n_threads) as pool:
            rest = iter(blocks)
            waiting = [pool.submit(work, rows) for rows in islice(rest, n_threads)]
            while waiting:  # no more blocks at once than threads: their results take memory
                done = waiting.pop(0).result()
                waiting += [pool.submit(work, rows) for rows in islice(rest, 1)]
                yield done


def leading_subspace(
    matrix: InteractionMatrix, row: Array, column: Array, n_factors: int, n_passes: int, seed: int
) -> tuple[Array, Array]:
    """Leading factors of `scores - row - column`, 0 where unobserved, by randomised subspace iteration.

    Parameters
    ----------
    matrix : InteractionMatrix (n, m)
    row, column : f64 (n,), f64 (m,)
    n_factors : int
        k, at most the smaller side.
    n_passes : int
        Passes over the matrix; each multiplies with the residual and its transpose.
    seed : int

    Returns
    -------
    left f64 (n, k), right f64 (m, k) with orthonormal columns, the strongest first : residual is about left @ right.T

    Source: Halko, Martinsson and Tropp, Finding structure with randomness, SIAM Review 2011.
    """
    n, m = matrix.n_instances, matrix.n_llms
    width = min(n_factors + 8, n, m)
    basis = np.random.default_rng(seed).standard_normal((m, width))
    left = np.empty((n, width))
    row32, column32 = row.astype(np.float32), column.astype(np.float32)
    for _ in range(n_passes):
        basis = np.linalg.qr(basis)[0]
        basis32 = basis.astype(np.float32)

        def work(rows: slice, basis32: Floats = basis32) -> tuple[slice, Floats, Array]:
            residual, observed = matrix.block(rows)
            observed *= row32[rows, None] + column32
            residual -= observed
            product = residual @ basis32  # (b, m) x (m, w)
            return rows, product, (product.T @ residual).astype(np.float64)

        image = np.zeros((width, m))
        for rows, product, back in pass_over(matrix, work):
            left[rows] = product
            image += back
        known, basis = basis, image.T
    strength, axes = np.linalg.eigh(known.T @ basis)  # of (R V)'(R V): the strongest directions within the basis
    axes = axes[:, np.argsort(-strength)[:n_factors]]
    return left @ axes, known @ axes


def orthogonal(bias: Array, instance_factors: Array, llm_factors: Array) -> tuple[Array, Array, Array]:
    """The same model with centred orthonormal instance factors, the strongest first.

    Parameters
    ----------
    bias : f64 (m,)
    instance_factors : f64 (n, k)
    llm_factors : f64 (m, k)

    Returns
    -------
    mean f64 (m,), left f64 (n, k), right f64 (m, k)
    """
    centre = instance_factors.mean(axis=0)
    left, R = np.linalg.qr(instance_factors - centre)
    axes, strength, right = np.linalg.svd(R @ llm_factors.T, full_matrices=False)
    left = left @ axes
    sign = signs(left)
    return bias + llm_factors @ centre, left * sign, right.T * strength * sign


def signs(left: Array) -> Array:
    """The sign of a singular vector is arbitrary: the largest entry is made positive, so that fits can be compared."""
    return np.asarray(np.sign(left[np.abs(left).argmax(axis=0), np.arange(left.shape[1])] + 1e-300))
