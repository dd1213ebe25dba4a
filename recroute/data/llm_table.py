"""What is known of an LLM beside its scores: its family, and its size and prices as features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

NUMBERS = ("n_params_b", "price_in", "price_out")
NO_FAMILY = ("", "other", "unknown", "none")  # how tables say that a family is not known
SMALLEST = 1e-3  # a price of 0 has no logarithm


@dataclass(frozen=True, eq=False)
class LLMFeatures:
    """Family, one column each, and the logarithms of parameters and prices, standardised; all 0 where unknown.

    Parameters
    ----------
    families : str (f,)
    center, spread : f64 (3,)
        Mean and standard deviation of the logarithms of `NUMBERS` over the LLMs it was fitted on.
    """

    families: NDArray[np.str_]
    center: NDArray[np.float64]
    spread: NDArray[np.float64]

    @classmethod
    def fit(cls, llms: pl.DataFrame) -> LLMFeatures:
        """Fit on a table of LLMs, whose columns beside `llm_id` may all be missing."""
        families = sorted(set(llms["family"].drop_nulls().to_list())) if "family" in llms.columns else []
        logs = logarithms(llms)
        known = np.isfinite(logs)
        count = np.maximum(known.sum(axis=0), 1)
        center = np.nansum(logs, axis=0) / count
        spread = np.sqrt(np.nansum((logs - center) ** 2, axis=0) / count)
        return cls(np.array(families, dtype=np.str_), center, np.where(spread > 0, spread, 1))

    def __call__(self, llms: pl.DataFrame) -> NDArray[np.float32]:
        """Features f32 (m, f + 3) of a table of LLMs; a family that was not there in `fit` is unknown."""
        family = np.array(
            llms["family"].fill_null("").to_list() if "family" in llms.columns else [""] * llms.height, dtype=np.str_
        )
        one_hot = family[:, None] == self.families[None, :]  # (m, f)
        numbers = np.nan_to_num((logarithms(llms) - self.center) / self.spread)
        return np.column_stack([one_hot, numbers]).astype(np.float32)


def logarithms(llms: pl.DataFrame) -> NDArray[np.float64]:
    """Logarithms of `NUMBERS` f64 (m, 3), NaN where unknown."""
    logs = np.full((llms.height, len(NUMBERS)), np.nan)
    for i, column in enumerate(NUMBERS):
        if column in llms.columns:
            values = llms[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
            logs[:, i] = np.log10(np.maximum(values, SMALLEST))
    return logs


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
