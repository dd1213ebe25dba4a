"""`own_pools`: pools that came with the data, such as those of RouterEval's `router_dataset`."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import polars as pl

from recroute.data import Dataset
from recroute.errors import DataError, argument, either
from recroute.pools.make import ROUTEREVAL_GROUPS, Pool

OWN = "own"


def own_pools(dataset: Dataset, sizes: Collection[int] | None = None) -> list[Pool]:
    """Pools of `Dataset.pools`, with their own groups and sizes, smallest first.

    Parameters
    ----------
    dataset : Dataset
        With the instances of a single benchmark, because pools of several cannot be averaged.
    sizes : collection of int, optional
        Sizes to use (default: all).

    Raises
    ------
    DataError
        If the data have no pools or several benchmarks, if no pool has one of `sizes`, or if a pool lacks members,
        lists one twice, or lists an LLM that the data set does not have.
    """
    table = dataset.pools
    if table is None or table.is_empty():
        raise DataError(
            f"{dataset.name} has no pools of its own; import RouterEval's router_dataset, or let recroute choose pools "
            f"with {argument('groups', ','.join(ROUTEREVAL_GROUPS))}"
        )
    _refuse_mixture(dataset, table)
    there = sorted(set(table["pool_size"].to_list()))
    wanted = [size for size in there if sizes is None or size in sizes]
    if not wanted:
        asked = ", ".join(str(size) for size in sorted(sizes or ()))
        raise DataError(f"{dataset.name} has no pools of size {asked}; choose from {', '.join(map(str, there))}")
    chosen = table.filter(pl.col("pool_size").is_in(wanted)).sort("pool_size", maintain_order=True)
    pools = []
    for (group, size), members in chosen.group_by("group", "pool_size", maintain_order=True):
        llms = members["llm_id"].to_list()
        what = f"the {group} pool of {size} LLMs in {dataset.name}"
        if len(llms) != size or len(set(llms)) != size:
            raise DataError(f"{what} has {len(llms)} members, {len(set(llms))} of them distinct; import it again")
        lost = [llm for llm in llms if llm not in dataset.llm_ids]
        if lost:
            raise DataError(
                f"{what} has {len(lost)} LLMs that the data set lacks, such as {lost[0]!r}; leave out "
                f"{either('--min-coverage', 'take_covered')}, or import the data again"
            )
        pools.append(Pool(str(group), len(llms), dataset.llm_ids.to_index(llms).astype(np.int64)))
    return pools


def _refuse_mixture(dataset: Dataset, table: pl.DataFrame) -> None:
    if "benchmark" not in table.columns:
        return
    with_pools = sorted(set(table["benchmark"].to_list()))
    of_instances = set(dataset.instances["benchmark"]) if "benchmark" in dataset.instances.columns else set()
    if len(with_pools) > 1 or len(of_instances) > 1:
        one = either(f"--benchmark {with_pools[0]}", f"dataset.take_benchmark({with_pools[0]!r})")
        raise DataError(
            f"{dataset.name} has pools for {', '.join(with_pools)}, each with its own instances; choose one with {one}"
        )
