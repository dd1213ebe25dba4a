"""Table of each router's choice for each test instance, with its score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from recroute.data import Dataset
from recroute.metrics import Outcome
from recroute.pools import Pool
from recroute.routers import Router

CHOICE_COLUMNS = ("seed", "group", "pool_size", "router", "instance_id", "llm_id", "score", "judged_by")


def choice_table(
    seed: int, pool: Pool, outcomes: Mapping[str, Outcome], routers: Sequence[Router], dataset: Dataset
) -> pl.DataFrame:
    """Choices of every router on one pool and test set.

    Returns
    -------
    polars.DataFrame
        With `CHOICE_COLUMNS`. `llm_id` is the router's choice. `score` is the score that the metrics use, that of the
        LLM in `judged_by`, which differs from the choice if the choice was not evaluated on the instance. A router that
        chooses by chance has its expected score and no LLM.
    """
    # enums, because millions of strings would take more memory than the rest of a run
    llm_type = pl.Enum(list(dataset.llm_ids.ids))
    instance_type = pl.Enum(list(dataset.instance_ids.ids))
    llm_ids = pl.Series(dataset.llm_ids.ids, dtype=llm_type).gather(pool.llm_index)
    by_chance = {router.label for router in routers if router.chooses_by_chance}
    first = next(iter(outcomes.values()))
    instance_id = pl.Series(first.instance_id.tolist(), dtype=instance_type)
    tables = []
    for label, outcome in outcomes.items():
        no_llm = pl.Series([None] * len(outcome), dtype=llm_type)
        taken, judged_by = (
            no_llm if label in by_chance else llm_ids.gather(columns) for columns in (outcome.choice, outcome.judged_by)
        )
        table = pl.DataFrame(
            {
                "instance_id": instance_id,
                "llm_id": taken,
                "score": pl.Series(outcome.chosen, dtype=pl.Float32, nan_to_null=True),
                "judged_by": judged_by,
            }
        )
        head = [
            pl.lit(seed, dtype=pl.Int64).alias("seed"),
            pl.lit(pool.group, dtype=pl.Categorical).alias("group"),
            pl.lit(pool.size, dtype=pl.Int64).alias("pool_size"),
            pl.lit(label, dtype=pl.Categorical).alias("router"),
        ]
        tables.append(table.with_columns(head).select(CHOICE_COLUMNS))
    return pl.concat(tables)
