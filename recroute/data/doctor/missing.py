"""What is missing, and whether by chance; instances and tasks that cannot tell LLMs apart."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.dataset import Dataset
from recroute.data.doctor.finding import Finding, some

DATE_COLUMNS = ("date", "created", "created_at", "release_date")
SMALL_TASK = 50  # instances: a tenth of them, the test part, is fewer than five
Array = NDArray[np.float64]


def check_missing(dataset: Dataset) -> list[Finding]:
    """Missing cells that follow task, LLM, date or difficulty rather than chance."""
    matrix = dataset.interactions
    n, m = matrix.n_instances, matrix.n_llms
    n_missing = n * m - matrix.n_observed
    if n_missing == 0:
        return []
    observed = ~np.isnan(matrix.dense())
    names, task = np.unique(dataset.tasks, return_inverse=True)
    size = np.bincount(task)
    member = (task == np.arange(len(names))[:, None]).astype(np.float32)
    covered = (member @ observed.astype(np.float32)) / size[:, None]  # (tasks, LLMs)
    never = covered == 0
    in_whole_tasks = float((never * size[:, None]).sum()) / n_missing
    by_llm = observed.mean(axis=0)
    density = matrix.density
    spread = float(by_llm.var() / max(density * (1 - density) / n, 1e-12))
    values = {
        "n_missing": int(n_missing),
        "share_in_whole_tasks": round(in_whole_tasks, 4),
        "llm_variance_over_chance": round(spread, 2),
        "n_complete_llms": int((by_llm == 1).sum()),
    }
    causes = []
    if in_whole_tasks > 0.05:
        causes.append(f"task ({in_whole_tasks:.0%} of the missing cells lie in tasks an LLM was never run on)")
    if spread > 3:
        causes.append(f"LLM (coverage varies {spread:.0f} times as much as by chance, from {by_llm.min():.0%} to 100%)")
    for where, r in _by_date(dataset, observed).items():
        values[f"date_correlation_{where}"] = round(r, 3)
        if abs(r) > 0.2:
            causes.append(f"date of the {where} (rank correlation with coverage {r:+.2f})")
    solved = np.nan_to_num(matrix.dense()).sum(axis=1) / np.maximum(observed.sum(axis=1), 1)
    r = _rank_correlation(solved, observed.mean(axis=1))
    values["difficulty_correlation"] = round(r, 3)
    if abs(r) > 0.2 and n >= 30:
        causes.append(f"difficulty (rank correlation of an instance's mean with its coverage {r:+.2f})")
    if not causes:
        text = f"{n_missing / (n * m):.1%} of the cells are missing, as if by chance"
        return [Finding("missing", "note", text, "nothing to do", values=values)]
    return [
        Finding(
            "missing",
            "warning",
            f"{n_missing / (n * m):.1%} of the cells are missing, by {'; by '.join(causes)}",
            f"compare LLMs by standardised means, or on the {values['n_complete_llms']:,} LLMs with every cell "
            "(--min-coverage 1)",
            values=values,
        )
    ]


def check_instances(dataset: Dataset) -> list[Finding]:
    """Instances that nobody or everybody solves, and tasks too small to say anything."""
    matrix = dataset.interactions
    ids = np.array(dataset.instance_ids.ids)
    count = np.diff(matrix.scores.indptr)
    total = np.asarray(matrix.scores.sum(axis=1, dtype=np.float64)).ravel()
    enough = count >= 2
    findings = []
    kinds = {
        "unsolved": (enough & (total == 0), "no LLM solves", "check their answer keys; they count against every LLM"),
        "always_solved": (
            enough & (total == count),
            "every LLM solves",
            "nothing to do; they tell no LLM from another",
        ),
        "unobserved": (count == 0, "nobody was asked", "leave them out"),
    }
    for check, (which, text, mend) in kinds.items():
        if which.any():
            names = tuple(ids[which].tolist())
            evidence = f"{len(names):,} of {len(ids):,} instances {text}: {some(names)}"
            findings.append(Finding(check, "note", evidence, mend, instances=names))
    tasks, sizes = np.unique(dataset.tasks, return_counts=True)
    small = [f"{task} ({size})" for task, size in zip(tasks, sizes, strict=True) if size < SMALL_TASK]
    if small:
        findings.append(
            Finding(
                "small_tasks",
                "warning",
                f"{len(small)} of {len(tasks)} tasks have fewer than {SMALL_TASK} instances: {some(small)}",
                "say nothing about single tasks of this size: half right is known to within 14 points at best",
                values={"tasks": small},
            )
        )
    return findings


def _by_date(dataset: Dataset, observed: NDArray[np.bool_]) -> dict[str, float]:
    """Rank correlation of coverage with a column of dates, where there is one."""
    found = {}
    for where, table, axis in (("LLM", dataset.llms, 0), ("instance", dataset.instances, 1)):
        for column in (name for name in DATE_COLUMNS if name in table.columns):
            day = table[column].cast(pl.String).str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
            known = day.is_not_null().to_numpy()
            if known.sum() >= 10:
                number = day.to_physical().cast(pl.Float64).to_numpy()[known]
                found[where] = _rank_correlation(number, observed.mean(axis=axis)[known])
    return found


def _rank_correlation(a: Array, b: Array) -> float:
    from scipy.stats import rankdata

    x, y = rankdata(a), rankdata(b)
    return 0.0 if x.std() == 0 or y.std() == 0 else float(np.corrcoef(x, y)[0, 1])
