"""Prior weights of the known LLMs for an unseen one, from its family, size and prices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.llm_table import family_groups, logarithms
from recroute.util.numeric import Array
from recroute.util.state import array

BANDWIDTHS = (np.inf, 2.0, 1.0, 0.5, 0.25)  # standard deviations of a logarithm
BOOSTS = (0.0, 1.0, 2.0, 3.0, 4.0)
MAX_LLMS = 500  # LLMs used to choose bandwidth and boost


@dataclass(frozen=True, eq=False)
class Metadata:
    """Kernel weights of m known LLMs for an unseen one.

    `log_weight = -mean(((a - b) / bandwidth)**2) / 2 + boost * (same family)`, where a and b are logarithms of size and
    prices in standard deviations, and the mean is over the numbers known of both LLMs. If none is known, the LLM gets
    the average weight of the others.

    Parameters
    ----------
    families : str (m,)
        "" where unknown.
    numbers : f64 (m, 3)
        Base-10 logarithms of parameters and prices, divided by their standard deviations; NaN where unknown.
    deviations : f64 (3,)
        These standard deviations.
    bandwidth, boost : float
        Chosen on the known LLMs, see `learn`.
    """

    families: NDArray[np.str_] = array("n_known", kind="text")
    numbers: Array = array("n_known", "3", allow=("nan",))
    deviations: Array = array("3", low=1e-12)
    bandwidth: float = array(default=np.inf, low=1e-6, allow=("inf",))
    boost: float = array(default=0.0)

    @classmethod
    def learn(cls, llms: pl.DataFrame, mean_score: Array, seed: int = 0) -> Metadata:
        """Choose bandwidth and boost on the known LLMs.

        The bandwidth is the one that best predicts the LLMs' mean scores f64 (m,) from LLMs of other families, the
        boost the one that does so from all other LLMs. Ties go to the value that relies less on the metadata.
        """
        logs = logarithms(llms)
        known = np.isfinite(logs)
        count = np.maximum(known.sum(axis=0), 1)
        center = np.nansum(logs, axis=0) / count
        deviations = np.sqrt(np.nansum((logs - center) ** 2, axis=0) / count)
        deviations = np.where(deviations > 0, deviations, 1)
        group, named = family_groups(llms)
        unweighted = cls(_families(llms), logs / deviations, deviations)
        part = np.random.default_rng([seed, 11]).permutation(llms.height)[:MAX_LLMS]
        llms, group, mean_score = llms[part], group[part], mean_score[part]

        def error(bandwidth: float, boost: float, others: NDArray[np.bool_]) -> float:
            of_part = cls(unweighted.families[part], unweighted.numbers[part], deviations, bandwidth, boost)
            weights = np.where(others, np.exp(of_part.log_weights(llms)), 0) + 1e-300
            weights /= weights.sum(axis=1, keepdims=True)
            return round(float(((weights @ mean_score - mean_score) ** 2).mean()), 6)

        other_family = group[:, None] != group[None, :]
        if not (other_family.any() and (known.any() or named.any())):
            return unweighted
        bandwidth = min(BANDWIDTHS, key=lambda b: error(b, 0.0, other_family))
        boost = min(BOOSTS, key=lambda b: error(bandwidth, b, ~np.eye(len(part), dtype=bool)))
        return cls(unweighted.families, unweighted.numbers, deviations, bandwidth, boost)

    def log_weights(self, llms: pl.DataFrame) -> Array:
        """Log weights f64 (j, m) of the known LLMs for each of j unseen LLMs."""
        numbers = logarithms(llms) / self.deviations
        away = ((numbers[:, None] - self.numbers[None]) / self.bandwidth) ** 2  # (j, m, 3)
        known = np.isfinite(away)
        count = known.sum(axis=2)
        near = np.exp(-np.where(known, away, 0).sum(axis=2) / np.maximum(count, 1) / 2)
        average = (near * (count > 0)).sum(axis=1) / np.maximum((count > 0).sum(axis=1), 1)
        near = np.where(count > 0, near, np.where(average > 0, average, 1)[:, None])
        families = _families(llms)
        same = (families[:, None] == self.families[None]) & (families != "")[:, None]
        return np.log(np.maximum(near, 1e-12)) + self.boost * same


def _families(llms: pl.DataFrame) -> NDArray[np.str_]:
    """Family of each LLM, str (m,), "" where unknown."""
    _, named = family_groups(llms)
    names = llms["family"].fill_null("").to_list() if "family" in llms.columns else [""] * llms.height
    return np.where(named, np.array(names, dtype=np.str_), "")
