"""LLMs that say nothing: the same score on everything, or on the whole of a task where that cannot be skill."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.data.dataset import Dataset
from recroute.data.doctor.finding import Finding, llm_s, some

MIN_RECORDS = 50  # in a task


def check_constant(dataset: Dataset) -> list[Finding]:
    """LLMs with one score on all instances, and good LLMs with 0 (bad ones with 1) on all of a task."""
    scores = dataset.interactions.dense()
    low, high = np.nanmin(scores, axis=0, initial=2), np.nanmax(scores, axis=0, initial=-1)
    constant = (low == high) & ((~np.isnan(scores)).sum(axis=0) >= 2)
    findings = []
    if constant.any():
        llms = tuple(np.array(dataset.llm_ids.ids)[constant].tolist())
        text = f"{llm_s(len(llms), 'has', 'have')} the same score on every instance: {some(llms)}"
        mend = "leave them out: nothing can be learned of them"
        findings.append(Finding("constant_llm", "warning", text, mend, llms=llms))
    return findings + _constant_in_task(dataset, scores, constant)


def _constant_in_task(dataset: Dataset, scores: NDArray[np.float32], constant: NDArray[np.bool_]) -> list[Finding]:
    names, task = np.unique(dataset.tasks, return_inverse=True)
    if len(names) < 2:
        return []
    ids = np.array(dataset.llm_ids.ids)
    observed = ~np.isnan(scores)
    raw = np.nan_to_num(scores)
    peers = raw.sum(axis=1) / np.maximum(observed.sum(axis=1), 1)  # (n,)
    surplus = np.where(observed, raw - peers[:, None], 0)
    found: dict[str, dict[str, list[str]]] = {}
    for t, name in enumerate(names):
        own = task == t
        n, total = observed[own].sum(axis=0), raw[own].sum(axis=0, dtype=np.float64)
        elsewhere = surplus[~own].sum(axis=0)  # above 0: better than the average LLM on the same instances
        enough = (n >= MIN_RECORDS) & (observed[~own].sum(axis=0) >= MIN_RECORDS) & ~constant
        kinds = {"0": enough & (total == 0) & (elsewhere > 0), "1": enough & (total == n) & (elsewhere < 0)}
        if parts := {score: ids[which].tolist() for score, which in kinds.items() if which.any()}:
            found[str(name)] = parts
    if not found:
        return []
    llms = tuple(dict.fromkeys(llm for parts in found.values() for part in parts.values() for llm in part))
    listed = "; ".join(
        f"{len(part):,} with {score} on all of {name} though {'better' if score == '0' else 'worse'} than the average "
        f"LLM elsewhere ({some(part, 2)})"
        for name, parts in found.items()
        for score, part in parts.items()
    )
    return [
        Finding(
            "constant_in_task",
            "warning",
            f"{llm_s(len(llms), 'has', 'have')} scores on a whole task that cannot be skill: {listed}",
            "answers that were not parsed, or an LLM that always names the same choice: leave these LLMs out of the "
            "task, or out altogether; a router that trusts task means would take those with 1",
            llms=llms,
            values=found,
        )
    ]
