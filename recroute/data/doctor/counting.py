"""Columns that count rows: an index that was taken for the scores of an LLM."""

from __future__ import annotations

import numpy as np
import polars as pl

from recroute.data.dataset import Dataset
from recroute.data.doctor.finding import Finding, llm_s, some
from recroute.util.numeric import AnyArray, Array

MIN_ROWS = 20
EXACT = 1e-6  # of the range; 32-bit floats are exact to 6e-8
FILLED = 0.5  # share of the numbers between first and last that occur: some rows may have been left out


def check_counting(dataset: Dataset) -> list[Finding]:
    """LLMs whose scores are evenly spaced and all different, over all rows or starting anew in each task."""
    scores = dataset.interactions.dense()
    tasks = np.unique(dataset.tasks, return_inverse=True)[1]
    counting = tuple(
        llm
        for j, llm in enumerate(dataset.llm_ids.ids)
        if _counts(scores[:, j]) or _counts_in_tasks(scores[:, j], tasks)
    )
    return [_finding(counting)] if counting else []


def check_raw_counting(records: pl.DataFrame) -> list[Finding]:
    """LLMs whose scores count rows in an unchecked table of records."""
    score = pl.col("score").cast(pl.Float64, strict=False).fill_null(np.nan)
    parts = records.select("llm_id", score).group_by("llm_id", maintain_order=True)
    counting = tuple(str(llm) for (llm,), part in parts if _counts(part["score"].to_numpy()))
    return [_finding(counting)] if counting else []


def _finding(llms: tuple[str, ...]) -> Finding:
    text = f"{llm_s(len(llms), 'has', 'have')} scores that count rows, all different and evenly spaced: {some(llms)}"
    return Finding("counts_rows", "error", text, "leave this column out (it is an index, not an LLM)", llms=llms)


def _counts(scores: AnyArray) -> bool:
    """Whether the scores (k,), NaN where unobserved, are numbers of rows on some scale.

    >>> _counts(np.arange(40) / 39), _counts(np.arange(40) % 20 / 19)
    (True, False)
    """
    known: Array = np.sort(scores[~np.isnan(scores)].astype(np.float64))
    if len(known) < MIN_ROWS or not np.isfinite(known).all():
        return False
    steps = np.diff(known)
    numbers = np.round(steps / max(float(np.median(steps)), 1e-300))  # of rows from one score to the next
    n_rows = numbers.sum()
    if numbers.min() < 1 or len(known) < FILLED * n_rows:
        return False
    span = known[-1] - known[0]
    return bool(np.abs(np.cumsum(numbers) / n_rows - (known[1:] - known[0]) / span).max() <= EXACT)


def _counts_in_tasks(scores: AnyArray, tasks: AnyArray) -> bool:
    parts = [part for t in range(tasks.max() + 1) if len(part := scores[tasks == t])]
    return len(parts) > 1 and all(_counts(part) for part in parts)
