"""A deployed pool: which LLM answers which task, and which LLM replaces one that is withdrawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from recroute.data import Dataset, llm_means
from recroute.pool_choice.judge import Judged, judge
from recroute.pool_choice.rows import difference
from recroute.pools import PoolValue, replacements
from recroute.retrieval import tie_order
from recroute.routers import Router
from recroute.splits import Split
from recroute.util.numeric import known_mean


def tasks_of(routed: PoolValue, train: Dataset, pool: list[int]) -> pl.DataFrame:
    """Shares of each task's training prompts that the router sends to each LLM of the pool, out of fold.

    Returns
    -------
    polars.DataFrame `task, n_instances, llm_id, share`, with a row for each task and LLM, in the order of the pool.
    """
    choice = routed.choices(pool)
    rows = []
    for task in sorted(set(train.tasks.tolist())):
        of_task = choice[train.tasks == task]
        rows += [
            {"task": task, "n_instances": len(of_task), "llm_id": train.llm_ids.ids[llm], "share": float(share)}
            for llm in pool
            for share in [(of_task == llm).mean()]
        ]
    return pl.DataFrame(rows)


def replacements_of(value: PoolValue, split: Split, router: Router, pool: list[int], judged: Judged) -> pl.DataFrame:
    """The best replacement for each LLM of the pool, by the objective on train, and its effect on test.

    Parameters
    ----------
    value : PoolValue
        The objective that the pool was chosen for.
    split : Split
    router : Router
    pool : list of int
        Includes LLMs to keep, which can be withdrawn too.
    judged : Judged
        The pool on test.

    Returns
    -------
    polars.DataFrame `llm_id, replacement, mean_score, difference, ci_low, ci_high`; without rows if the pool already
    has every LLM.
    """
    numbers = ("mean_score", "difference", "ci_low", "ci_high")
    schema: dict[str, Any] = {"llm_id": pl.String, "replacement": pl.String, **dict.fromkeys(numbers, pl.Float64)}
    ids, order = split.train.llm_ids.ids, tie_order(llm_means(split.train))
    rows = []
    for i, exchanged in enumerate(replacements(value, pool) if len(pool) < value.n_llms else []):
        best = int(order[exchanged[order].argmax()])
        after = judge(router, split, [*pool[:i], best, *pool[i + 1 :]])
        gap, low, high = difference(after, judged, np.array(split.test.instance_ids.ids), split.seed)
        rows.append(
            {"llm_id": ids[pool[i]], "replacement": ids[best], "mean_score": float(known_mean(after.chosen)[0])}
            | {"difference": gap, "ci_low": low, "ci_high": high}
        )
    return pl.DataFrame(rows, schema=schema)
