"""Scores of two kinds in one task, which cannot be compared: percent beside shares, marks beside right or wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.dataset import Dataset
from recroute.data.doctor.finding import Finding, some

MIN_RECORDS = 20
MIN_OF_EACH = 4  # scores of 0 and of 1, for an LLM to count as marked right or wrong
GRADED = 0.5  # share of scores strictly between 0 and 1 from which an LLM counts as graded
MEND = "bring the scores of all LLMs of a task to one scale before you import them"
Flags = NDArray[np.bool_]
Split = Callable[[NDArray[np.float32]], tuple[Flags, Flags]]


def check_kinds(dataset: Dataset) -> list[Finding]:
    """Tasks in which some LLMs have shares divided by 100, or only 0 and 1, and others do not."""
    scores = dataset.interactions.dense()
    kinds: tuple[tuple[str, str, Split], ...] = (
        ("error", "LLMs with no score above 0.01 beside others up to 1 (percent and shares)", _too_small),
        ("warning", "LLMs with only 0 and 1 beside others with graded scores", _right_or_wrong),
    )
    ids = np.array(dataset.llm_ids.ids)
    findings = []
    for severity, text, split in kinds:
        found: dict[str, list[str]] = {}
        for task in np.unique(dataset.tasks):
            odd, rest = split(scores[dataset.tasks == task])
            if odd.any() and rest.any():
                found[str(task)] = ids[odd if odd.sum() <= rest.sum() else rest].tolist()
        if found:
            findings.append(_finding(severity, text, found))
    return findings


def check_raw_kinds(records: pl.DataFrame) -> list[Finding]:
    """LLMs whose scores stay within [0, 1] while those of others run up to 100, in an unchecked table of records."""
    score = pl.col("score").cast(pl.Float64, strict=False).fill_nan(None)
    table = records.group_by("llm_id", maintain_order=True).agg(
        score.min().alias("low"), score.max().alias("high"), score.count().alias("n")
    )
    small = table.filter((pl.col("low") >= 0) & (pl.col("high") > 0) & (pl.col("high") <= 1) & (pl.col("n") >= 5))
    large = table.filter((pl.col("low") >= 0) & (pl.col("high") > 10) & (pl.col("high") <= 100))
    if small.is_empty() or large.is_empty():
        return []
    llms = [str(llm) for llm in min(small, large, key=len)["llm_id"]]
    return [_finding("error", "LLMs with scores from 0 to 1 beside others up to 100", {"all tasks": llms})]


def _finding(severity: str, text: str, found: dict[str, list[str]]) -> Finding:
    llms = tuple(dict.fromkeys(llm for part in found.values() for llm in part))
    where = some([f"{task} (the fewer: {some(part)})" for task, part in found.items()])
    return Finding("mixed_scales", severity, f"{text}, in {where}", MEND, llms=llms, values={"llms": found})


def _too_small(scores: NDArray[np.float32]) -> tuple[Flags, Flags]:
    """LLMs whose scores look divided by 100 once too often, and LLMs whose do not, bool (m,) each."""
    n = (~np.isnan(scores)).sum(axis=0)
    high = np.nanmax(scores, axis=0, initial=-1)
    return (n >= MIN_RECORDS) & (high > 0) & (high <= 0.0101), (n >= MIN_RECORDS) & (high > 0.1)


def _right_or_wrong(scores: NDArray[np.float32]) -> tuple[Flags, Flags]:
    """LLMs with only 0 and 1, some of each, and LLMs that are mostly graded, bool (m,) each."""
    n = (~np.isnan(scores)).sum(axis=0)
    zeros, ones = (scores == 0).sum(axis=0), (scores == 1).sum(axis=0)
    binary = (zeros + ones == n) & (zeros >= MIN_OF_EACH) & (ones >= MIN_OF_EACH)
    return (n >= MIN_RECORDS) & binary, (n >= MIN_RECORDS) & (n - zeros - ones > GRADED * n)
