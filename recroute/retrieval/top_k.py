"""The k best LLMs of each instance, equal scores by a stated rule."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recroute.util.numeric import Index

N_GROUPS = 256


def tie_order(llm_mean: NDArray[np.floating]) -> NDArray[np.int64]:
    """The rule for equal predicted scores: higher train mean first, then lower index.

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
        Columns from most to least preferred among equals, see `tie_order`.

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
    if k < ordered.shape[1]:  # a sort of all would cost more than everything else
        last = -np.partition(-ordered, k - 1, axis=1)[:, [k - 1]]
        above, equal = ordered > last, ordered == last
        kept = above | (equal & (equal.cumsum(axis=1) <= k - above.sum(axis=1, keepdims=True)))
        columns = np.nonzero(kept)[1].reshape(len(ordered), k)
    else:
        columns = np.broadcast_to(np.arange(k), ordered.shape)
    best = np.argsort(-np.take_along_axis(ordered, columns, axis=1), axis=1, kind="stable")
    return order[np.take_along_axis(columns, best, axis=1)].astype(np.int32)


def least_of_top_k(predicted: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """A value for each row, f32 (b, 1), that its k largest do not fall below, and few others reach.

    The k-th largest among the maxima of groups of columns: a fraction of what the k-th largest of all costs.

    Examples
    --------
    >>> least_of_top_k(np.array([[0.5, 0.2, 0.1]], dtype=np.float32), 2)
    array([[0.2]], dtype=float32)
    """
    n = max(N_GROUPS, 8 * k)
    if (size := predicted.shape[1] // n) > 1:  # the columns that are left over may only raise the value
        predicted = predicted[:, : size * n].reshape(len(predicted), size, n).max(axis=1)
    at = predicted.shape[1] - k
    return np.partition(predicted, at, axis=1)[:, at : at + 1]


LOWEST = np.finfo(np.float32).min


class Choices(NamedTuple):
    """What is chosen for b instances, and what that is judged by.

    Parameters
    ----------
    first : int64 (b,)
        Column of the highest-ranked LLM.
    judged : int64 (b,)
        Column of the highest-ranked LLM with a score on the instance; `first` where none has one.
    """

    first: Index
    judged: Index


def condensed(
    first: NDArray[np.integer], scores: NDArray[np.floating], predicted: NDArray[np.float32], order: Index
) -> Choices:
    """The choices `first` int (b,), condensed to the LLMs that have a score.

    A choice that nobody evaluated can neither be counted nor left out: left out, a router would look better the more
    often it takes an LLM that was not run on the hard instances. So the ranking is read without the LLMs that were not
    evaluated on the instance. Source: Sakai, Alternatives to bpref, SIGIR 2007 (condensed lists).

    Only rows whose first choice has no score are ranked again.

    Parameters
    ----------
    first : int (b,)
    scores : float (b, m)
        NaN where unobserved.
    predicted : f32 (b, m)
        What `first` is the best of.
    order : int (m,)
        All columns; equal predictions go by it, see `tie_order`.

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
    """The first LLM of an order of all, int (m,), with a score on each instance: columns int64 (b,).

    So a choice that does not depend on the prompt, such as the best single LLM, is judged as a router is.

    >>> first_evaluated(np.array([[0.5, 1.0], [0.5, float("nan")]]), order=np.array([1, 0]))
    array([1, 0])
    """
    always = np.full(len(scores), order[0])
    return condensed(always, scores, np.broadcast_to(np.float32(0), scores.shape), order).judged
