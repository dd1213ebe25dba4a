"""Which LLMs play the unseen ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.data.llm_table import family_groups
from recroute.errors import DataError, UnknownNameError

HOLDOUTS = ("family", "random")
SHARE = 0.2
MOST = 0.3  # a family that would take the unseen ones beyond this share is passed over


def unseen_llms(dataset: Dataset, *, holdout: str | None = None, seed: int = 0) -> NDArray[np.int64]:
    """Positions int64 (j,) of the LLMs held out: about a fifth.

    Parameters
    ----------
    dataset : Dataset
    holdout : {"family", "random"}, optional
        "family": whole families in random order, until a fifth of the LLMs is held out; LLMs of no known family stay
        known. "random": any LLMs. Default: "family" where two families or more are known.
    seed : int

    Raises
    ------
    UnknownNameError
        If `holdout` is neither.
    DataError
        If there are no families to hold out.
    """
    group, named = family_groups(dataset.llms)
    families = np.unique(group[named])
    holdout = described(dataset, holdout)
    rng = np.random.default_rng([seed, 5])
    m = dataset.n_llms
    if holdout == "random":
        return np.sort(rng.permutation(m)[: max(1, round(SHARE * m))])
    if len(families) < 2:
        raise DataError(f"{dataset.name} knows {len(families)} families of LLMs; hold LLMs out at random instead")
    unseen = np.zeros(m, dtype=bool)
    for family in rng.permutation(families):
        members = group == family
        if unseen.sum() < SHARE * m and (unseen | members).sum() <= MOST * m:
            unseen |= members
    if not unseen.any():
        raise DataError(f"every family of {dataset.name} is over {MOST:g} of the LLMs; hold LLMs out at random instead")
    return np.flatnonzero(unseen)


def described(dataset: Dataset, holdout: str | None) -> str:
    """The kind of holdout that `unseen_llms` takes; UnknownNameError if there is no such kind."""
    group, named = family_groups(dataset.llms)
    holdout = holdout or ("family" if len(np.unique(group[named])) >= 2 else "random")
    if holdout not in HOLDOUTS:
        raise UnknownNameError("holdout", holdout, HOLDOUTS)
    return holdout
