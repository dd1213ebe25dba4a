"""Which LLMs are of one family."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

NO_FAMILY = ("", "other", "unknown", "none")  # how tables say that a family is not known


def family_groups(llms: pl.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """A number for each LLM's family.

    Returns
    -------
    group int64 (m,) : the same for LLMs of one family; an LLM of no known family has its own.
    named bool (m,) : whether its family is known.
    """
    names = llms["family"].fill_null("").to_list() if "family" in llms.columns else [""] * llms.height
    named = np.array([name.strip().lower() not in NO_FAMILY for name in names], dtype=bool)
    labels = [
        f"family {name}" if known else f"llm {i}" for i, (name, known) in enumerate(zip(names, named, strict=True))
    ]
    return np.unique(labels, return_inverse=True)[1].astype(np.int64), named
