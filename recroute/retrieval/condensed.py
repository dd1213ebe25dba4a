"""Which LLM a choice is judged by where scores are incomplete: the best-ranked one that was evaluated."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recroute.retrieval.top_k import top_k
from recroute.util.numeric import Index

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
