"""The k best LLMs of each instance, with a fixed rule for ties, and condensed rankings for unobserved cells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recroute.util.numeric import Index

N_GROUPS = 256


def tie_order(llm_mean: NDArray[np.floating]) -> NDArray[np.int64]:
    """Order in which ties of predicted scores are broken: higher training mean first, then lower index.

    >>> tie_order(np.array([0.2, 0.7, 0.7]))
    array([1, 2, 0])
    """
    return np.lexsort((np.arange(len(llm_mean)), -np.asarray(llm_mean)))


def top_k(predicted: NDArray[np.float32], k: int, order: NDArray[np.int64]) -> NDArray[np.int32]:
    """Columns of the k largest values of each row, largest first; ties in the order of `order`.

    Parameters
    ----------
    predicted : f32 (b, m)
    k : int
    order : int (m,)
        Columns from most to least preferred among ties, see `tie_order`.

    Returns
    -------
    int32 (b, k)

    Examples
    --------
    >>> top_k(np.array([[0.5, 0.5, 0.1]]), 1, order=np.array([1, 0, 2]))
    array([[1]], dtype=int32)
    """
    ordered = predicted[:, order]  # ties now resolve by position
    if k == 1:
        return order[ordered.argmax(axis=1)[:, None]].astype(np.int32)
    if k < ordered.shape[1]:  # much cheaper than sorting whole rows
        last = -np.partition(-ordered, k - 1, axis=1)[:, [k - 1]]
        above, equal = ordered > last, ordered == last
        kept = above | (equal & (equal.cumsum(axis=1) <= k - above.sum(axis=1, keepdims=True)))
        columns = np.nonzero(kept)[1].reshape(len(ordered), k)
    else:
        columns = np.broadcast_to(np.arange(k), ordered.shape)
    best = np.argsort(-np.take_along_axis(ordered, columns, axis=1), axis=1, kind="stable")
    return order[np.take_along_axis(columns, best, axis=1)].astype(np.int32)


def least_of_top_k(predicted: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """Lower bound f32 (b, 1) of the k largest values of each row, which few other values reach.

    It is the k-th largest of the maxima of groups of columns, much cheaper to find than the k-th largest value.

    Examples
    --------
    >>> least_of_top_k(np.array([[0.5, 0.2, 0.1]], dtype=np.float32), 2)
    array([[0.2]], dtype=float32)
    """
    n = max(N_GROUPS, 8 * k)
    if (size := predicted.shape[1] // n) > 1:  # ignoring the remaining columns can only lower the bound
        predicted = predicted[:, : size * n].reshape(len(predicted), size, n).max(axis=1)
    at = predicted.shape[1] - k
    return np.partition(predicted, at, axis=1)[:, at : at + 1]


LOWEST = np.finfo(np.float32).min


class Choices(NamedTuple):
    """Choices for b instances, and the LLMs that they are judged by.

    Parameters
    ----------
    first : int64 (b,)
        Column of the highest-ranked LLM.
    judged : int64 (b,)
        Column of the highest-ranked LLM with a score on the instance; `first` if no LLM has one.
    """

    first: Index
    judged: Index


def condensed(
    first: NDArray[np.integer], scores: NDArray[np.floating], predicted: NDArray[np.float32], order: Index
) -> Choices:
    """Judge choices `first` int (b,) by the best-ranked LLM that has a score on the instance.

    A choice that was not evaluated has no score, and leaving out such instances would favour routers that choose LLMs
    not run on the hard instances. So LLMs that were not evaluated on an instance are removed from its ranking. Only
    rows whose first choice has no score are ranked again.
    Source: Sakai, Alternatives to bpref, SIGIR 2007 (condensed lists).

    Parameters
    ----------
    first : int (b,)
    scores : float (b, m)
        NaN where unobserved.
    predicted : f32 (b, m)
        Predictions by which `first` is best.
    order : int (m,)
        All columns, in the order that breaks ties, see `tie_order`.

    Examples
    --------
    >>> nan = float("nan")
    >>> scores = np.array([[nan, 0.2, 0.9], [1.0, nan, 0.0]])
    >>> predicted = np.array([[0.9, 0.8, 0.1], [0.9, 0.8, 0.1]], dtype=np.float32)
    >>> condensed(np.array([0, 0]), scores, predicted, np.arange(3)).judged
    array([1, 0])
    """
    taken = np.asarray(first, dtype=np.int64)
    missed = np.flatnonzero(np.isnan(scores[np.arange(len(taken)), taken]))
    missed = missed[~np.isnan(scores[missed]).all(axis=1)]
    if len(missed) == 0:
        return Choices(taken, taken)
    seen = ~np.isnan(scores[missed])
    judged = taken.copy()
    judged[missed] = top_k(np.where(seen, predicted[missed].clip(min=LOWEST), -np.inf), 1, order)[:, 0]
    return Choices(taken, judged)


def first_evaluated(scores: NDArray[np.floating], order: Index) -> Index:
    """Columns int64 (b,) of the first LLM in `order` int (m,) that has a score on each instance.

    Judges choices that do not depend on the prompt, such as the best single LLM, in the same way as routers.

    >>> first_evaluated(np.array([[0.5, 1.0], [0.5, float("nan")]]), order=np.array([1, 0]))
    array([1, 0])
    """
    always = np.full(len(scores), order[0])
    return condensed(always, scores, np.broadcast_to(np.float32(0), scores.shape), order).judged
