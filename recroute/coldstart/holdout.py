"""Choice of the LLMs that are held out as unseen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.data.llm_table import family_groups
from recroute.errors import DataError, UnknownNameError, argument

HOLDOUTS = ("family", "random")
SHARE = 0.2
MAX_SHARE = 0.3  # a family that would raise the held-out share above this is skipped


def unseen_llms(dataset: Dataset, *, holdout: str | None = None, seed: int = 0) -> NDArray[np.int64]:
    """Positions int64 (j,) of about a fifth of the LLMs, to be held out as unseen.

    Parameters
    ----------
    dataset : Dataset
    holdout : {"family", "random"}, optional
        "family": whole families in random order, until a fifth of the LLMs is held out; LLMs without a family are never
        held out. "random": random LLMs. Default: "family" if at least two families are known.
    seed : int

    Raises
    ------
    UnknownNameError
        If `holdout` is something else.
    DataError
        If there are no families that can be held out.
    """
    group, named = family_groups(dataset.llms)
    families = np.unique(group[named])
    holdout = described(dataset, holdout)
    rng = np.random.default_rng([seed, 5])
    m = dataset.n_llms
    if holdout == "random":
        return np.sort(rng.permutation(m)[: max(1, round(SHARE * m))])
    if len(families) < 2:
        raise DataError(f"{dataset.name} has {len(families)} families of LLMs; use {argument('holdout', 'random')}")
    unseen = np.zeros(m, dtype=bool)
    for family in rng.permutation(families):
        members = group == family
        if unseen.sum() < SHARE * m and (unseen | members).sum() <= MAX_SHARE * m:
            unseen |= members
    if not unseen.any():
        mend = f"use {argument('holdout', 'random')}"
        raise DataError(f"every family of {dataset.name} is over {MAX_SHARE:g} of the LLMs; {mend}")
    return np.flatnonzero(unseen)


def described(dataset: Dataset, holdout: str | None) -> str:
    """Kind of holdout, with its default resolved; UnknownNameError if there is no such kind."""
    group, named = family_groups(dataset.llms)
    holdout = holdout or ("family" if len(np.unique(group[named])) >= 2 else "random")
    if holdout not in HOLDOUTS:
        raise UnknownNameError("holdout", holdout, HOLDOUTS)
    return holdout
