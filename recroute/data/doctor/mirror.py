"""LLMs whose scores fall where those of the others rise: an error rate or a loss among accuracies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.data.dataset import Dataset
from recroute.data.doctor.finding import Finding, llm_s, some
from recroute.util.numeric import Array, ratio

MIRRORED = -0.2  # item-rest correlation
CLEAR = 5.0  # standard errors below 0: there are many LLMs and tasks
MIN_RECORDS = 20


def check_mirrored(dataset: Dataset) -> list[Finding]:
    """LLMs with a clearly negative item-rest correlation, over all tasks or in one."""
    if dataset.n_llms < 2:
        return []
    scores = dataset.interactions.dense()
    names, task = np.unique(dataset.tasks, return_inverse=True)
    own, rest = _deviations(scores, task)
    ids = np.array(dataset.llm_ids.ids)
    whole = _correlation(own, rest)
    everywhere = _is_mirrored(whole, own)
    found: dict[str, dict[str, float]] = {}
    if everywhere.any():
        found["all tasks"] = _rounded(ids, whole, everywhere)
    for t, name in enumerate(names) if len(names) > 1 else ():
        part = own[task == t]
        r = _correlation(part, rest[task == t])
        if (here := _is_mirrored(r, part) & ~everywhere).any():
            found[str(name)] = _rounded(ids, r, here)
    if not found:
        return []
    llms = tuple(dict.fromkeys(llm for part in found.values() for llm in part))
    where = "; ".join(f"{name}: {some(list(part))}" for name, part in found.items())
    lowest = min(r for part in found.values() for r in part.values())
    text = (
        f"{llm_s(len(llms), 'has', 'have')} scores that mirror the others' (item-rest correlation below {MIRRORED}, "
        f"down to {lowest:.2f}), in {where}"
    )
    mend = "check whether these scores are errors or losses, and import 1 - score for them"
    return [Finding("mirrored_scores", "warning", text, mend, llms=llms, values={"correlation": found})]


def _deviations(scores: NDArray[np.float32], task: NDArray[np.integer]) -> tuple[Array, Array]:
    """Scores of each LLM, and the mean of the others on the same instance, about the LLM's means in each task.

    Both are f64 (n, m), NaN where the LLM has no score or is alone.
    """
    seen = ~np.isnan(scores)
    raw = np.nan_to_num(scores).astype(np.float64)
    rest = ratio(raw.sum(axis=1, keepdims=True) - raw, seen.sum(axis=1, keepdims=True) - seen)
    rest[~seen] = np.nan
    own = np.where(np.isnan(rest), np.nan, scores)
    for t in range(task.max() + 1):
        rows = task == t
        for values in (own, rest):
            known = (~np.isnan(values[rows])).sum(axis=0)
            values[rows] -= ratio(np.nansum(values[rows], axis=0), known)
    return own, rest


def _correlation(own: Array, rest: Array) -> Array:
    """Correlation of each column with its partner, f64 (m,); 0 where one of them is constant."""
    x, y = np.nan_to_num(own), np.nan_to_num(rest)
    norm = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
    return ratio((x * y).sum(axis=0), np.where(norm > 1e-9, norm, 0), 0.0)


def _is_mirrored(r: Array, own: Array) -> NDArray[np.bool_]:
    n = (~np.isnan(own)).sum(axis=0)
    z = np.arctanh(np.clip(r, -0.9999, 0.9999)) * np.sqrt(np.maximum(n - 3, 0))
    return (r < MIRRORED) & (z < -CLEAR) & (n >= MIN_RECORDS)


def _rounded(ids: NDArray[np.str_], r: Array, which: NDArray[np.bool_]) -> dict[str, float]:
    return {str(ids[j]): round(float(r[j]), 3) for j in np.flatnonzero(which)}
