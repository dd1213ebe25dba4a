"""What is missing, and whether by chance; instances and tasks that cannot tell LLMs apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.dataset import Dataset
from recroute.data.doctor.finding import Finding, some
from recroute.data.doctor.overlap import few_shared
from recroute.errors import either
from recroute.util.numeric import Array

DATE_COLUMNS = ("date", "created", "created_at", "release_date")
FEW = 0.01  # share of missing cells that changes no mean by much
UNUSUAL = 3.0  # variance of a coverage over what chance would give it
SMALL_TASK = 50  # instances: a tenth of them, the test part, is fewer than five


def check_missing(dataset: Dataset) -> list[Finding]:
    """Missing cells that follow task, instance, LLM, date or difficulty rather than chance."""
    matrix = dataset.interactions
    n, m = matrix.n_instances, matrix.n_llms
    n_missing = n * m - matrix.n_observed
    if n_missing == 0 or few_shared(dataset):  # which `check_overlap` reports
        return []
    scores = matrix.dense()
    observed = ~np.isnan(scores)
    by_llm = observed.mean(axis=0)
    causes, values = _by_task(dataset, observed)
    spread = float(by_llm.var() * n / _variance(matrix.density))
    values |= {
        "n_missing": int(n_missing),
        "llm_variance_over_chance": round(spread, 2),
        "n_complete_llms": int((by_llm == 1).sum()),
    }
    if spread > UNUSUAL:
        worst = int(by_llm.argmin())
        share = (1 - by_llm[worst]) * n / n_missing
        alone = f", which has {share:.0%} of the missing cells" if share > 0.5 else ""
        name = dataset.llm_ids.ids[worst]
        causes.append(f"by LLM ({by_llm[worst]:.0%} of the instances for {name}{alone}, up to {by_llm.max():.0%})")
    for where, r in _by_date(dataset, observed).items():
        values[f"date_correlation_{where}"] = round(r, 3)
        if abs(r) > 0.2:
            causes.append(f"by date of the {where} (rank correlation with coverage {r:+.2f})")
    solved = np.nan_to_num(scores).sum(axis=1) / np.maximum(observed.sum(axis=1), 1)
    r = _rank_correlation(solved, observed.mean(axis=1))
    values["difficulty_correlation"] = round(r, 3)
    if abs(r) > 0.2 and n >= 30:
        causes.append(f"by difficulty (rank correlation of an instance's mean with its coverage {r:+.2f})")
    text, mend = f"{n_missing / (n * m):.1%} of the cells are missing", "nothing to do"
    if not causes:
        return [Finding("missing", "note", f"{text}, as if by chance", mend, values=values)]
    mend = "compare LLMs by standardised means (recroute does)"
    if n_complete := values["n_complete_llms"]:
        cover = either("--min-coverage 1", "dataset.take_covered(1)")
        mend += f", or the {n_complete:,} LLMs with every cell alone ({cover})"
    severity = "warning" if n_missing > FEW * n * m else "note"
    return [Finding("missing", severity, f"{text}: {'; '.join(causes)}", mend, values=values)]


def _by_task(dataset: Dataset, observed: NDArray[np.bool_]) -> tuple[list[str], dict[str, Any]]:
    """Whether coverage follows the tasks, and the instances within them."""
    names, task = np.unique(dataset.tasks, return_inverse=True)
    size = np.bincount(task)
    member = (task == np.arange(len(names))[:, None]).astype(np.float32)
    covered = (member @ observed.astype(np.float32)) / size[:, None]  # (tasks, LLMs)
    m = observed.shape[1]
    n_missing = float(observed.size - observed.sum())
    in_whole_tasks = float(((covered == 0) * size[:, None]).sum()) / n_missing
    mean, row = covered.mean(axis=1), observed.mean(axis=1)
    by_task = float((size * (mean - row.mean()) ** 2).sum()) * m / _variance(row.mean()) / max(len(names) - 1, 1)
    by_row = float(((row - mean[task]) ** 2).sum()) * m / max(sum(map(_variance, mean[task])), 1e-12)
    values = {
        "share_in_whole_tasks": round(in_whole_tasks, 4),
        "task_variance_over_chance": round(by_task, 2),
        "instance_variance_over_chance": round(by_row, 2),
    }
    causes = []
    if in_whole_tasks > 0.05:
        causes.append(f"by task ({in_whole_tasks:.0%} of the missing cells are of LLMs without any score in the task)")
    elif by_task > UNUSUAL:
        causes.append(f"by task (from {mean.min():.1%} of the cells in {names[mean.argmin()]} to {mean.max():.1%})")
    if by_row > UNUSUAL:
        few, of_all = np.count_nonzero(row < 0.5), len(row)
        causes.append(f"by instance ({few:,} of {of_all:,} instances have a score from fewer than half of the LLMs)")
    return causes, values


def _variance(share: float) -> float:
    return max(float(share * (1 - share)), 1e-12)


def check_instances(dataset: Dataset) -> list[Finding]:
    """Instances that nobody or everybody solves, and tasks too small to say anything."""
    matrix = dataset.interactions
    ids = np.array(dataset.instance_ids.ids)
    count = matrix.instance_counts
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
            shares = _shares(dataset, which)
            mostly = [f"{task} ({share:.0%})" for task, share in shares.items() if share > 0.5]
            suspect = check == "unsolved" and bool(mostly)
            if mostly:
                evidence += f"; more than half of {', '.join(mostly)}"
            if suspect:
                mend = "check how these tasks are scored: as it is, they tell next to nothing"
            severity = "warning" if suspect else "note"
            findings.append(Finding(check, severity, evidence, mend, instances=names, values={"by_task": shares}))
    return findings + _small_tasks(dataset)


def _small_tasks(dataset: Dataset) -> list[Finding]:
    tasks, sizes = np.unique(dataset.tasks, return_counts=True)
    small = [f"{task} ({size})" for task, size in zip(tasks, sizes, strict=True) if size < SMALL_TASK]
    if not small:
        return []
    text = f"{len(small)} of {len(tasks)} tasks have fewer than {SMALL_TASK} instances: {some(small)}"
    mend = "say nothing about single tasks of this size: half right is known to within 14 points at best"
    return [Finding("small_tasks", "warning", text, mend, values={"tasks": small})]


def _shares(dataset: Dataset, which: NDArray[np.bool_]) -> dict[str, float]:
    """Share of `which` in each task that is not small and has any, the largest first."""
    names, task = np.unique(dataset.tasks, return_inverse=True)
    size, found = np.bincount(task), np.bincount(task[which], minlength=len(names))
    order = [t for t in np.argsort(-found / size, kind="stable") if found[t] and size[t] >= SMALL_TASK]
    return {str(names[t]): round(float(found[t] / size[t]), 4) for t in order}


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
