"""Choose the few LLMs worth deploying, and say what they reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data import Dataset, llm_means
from recroute.encoders import encode_dataset
from recroute.errors import DataError, UnknownNameError
from recroute.experiment.prepare import prepare_split
from recroute.experiment.provenance import dataset_facts, environment, split_digest
from recroute.pool_choice.choose import candidates, chosen_pools
from recroute.pool_choice.deployed import replacements_of, tasks_of
from recroute.pool_choice.judge import Judged, average, judge
from recroute.pool_choice.objectives import OBJECTIVES, oracle_value, routed_value
from recroute.pool_choice.result import PoolChoice
from recroute.pool_choice.rows import ALL, ORACLE, RANDOM, ROUTED, SINGLE, STRONG, Key, incomplete_notes, rows_of
from recroute.pools import make_pools
from recroute.retrieval import tie_order
from recroute.routers import Router, as_router
from recroute.splits import Split
from recroute.util.arguments import as_seeds, as_texts, as_whole_number, checked

N_RANDOM = 5  # random pools of each size and seed
Progress = Callable[[int, int], None]
GROUP_OF = {"routed": ROUTED, "oracle": ORACLE}


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """What was asked for, see `choose_pool`."""

    size: int
    objective: str
    keep: Sequence[str]
    budget: float | None


@dataclass(eq=False)
class _Found:
    """What is gathered over seeds."""

    judged: dict[Key, dict[int, Judged]] = field(default_factory=dict)
    test_ids: dict[int, NDArray[np.str_]] = field(default_factory=dict)
    pools: dict[int, dict[tuple[str, int], list[str]]] = field(default_factory=dict)  # by seed: objective, size
    n_llms: dict[int, int] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    tasks: pl.DataFrame | None = None
    replacements: pl.DataFrame | None = None


@checked
def choose_pool(
    dataset: Dataset,
    size: int = 5,
    *,
    router: Router | str = "auto",
    objective: str = "routed",
    keep: Sequence[str] = (),
    budget: float | None = None,
    split: str | None = None,
    encoder: str = "auto",
    seeds: Sequence[int] = (0,),
    progress: Progress | None = None,
) -> PoolChoice:
    """The LLMs worth deploying: pools of 1 to `size` LLMs, chosen on training prompts and judged on test.

    Parameters
    ----------
    dataset : Dataset
    size : int
        LLMs in the largest pool.
    router : Router or str
        What will choose among the deployed LLMs; fitted anew.
    objective : {"routed", "oracle"}
        What the pool in `llms` is chosen for: the score that the router reaches (`routed_value`), or the best score in
        the pool (`oracle_value`). The rows have both. Either way the pool grows by the LLM that gains most, then LLMs
        are exchanged until no exchange gains.
    keep : sequence of str
        Ids of LLMs that are in every pool.
    budget : float, optional
        USD per 1,000 prompts: LLMs whose mean cost on train is above it are left out of all groups but "all".
    split, encoder
        See `prepare_split`.
    seeds : list of int
        Each seed draws its own split and chooses its own pools.
    progress : callable, optional
        Called with the pools judged and the pools in all.

    Returns
    -------
    PoolChoice. Groups of its rows: "chosen_routed" and "chosen_oracle"; "all_strong" of the same size, as RouterEval
    selects them, and "random", the mean of five, both chosen on train; "best_single" of train, and "all" LLMs. Metrics:

    - `mean_score`: what the router, fitted on the training scores of the pool alone, reaches on test; `share_of_all`:
      the same over what it reaches with all LLMs.
    - `oracle`: mean of the best observed score in the pool; `oracle_share_of_all`: over that of all LLMs.
    - `unobserved_choice`: share of first choices that nobody evaluated; these are judged by the router's next choice
      that was. Test instances that were run on no LLM of a pool count for none of the pool's metrics.
    - `mean_cost`: mean USD of the choices, where costs are known.

    Intervals: 95% paired bootstrap over test instances, crossed with seeds. After a KeyboardInterrupt the seeds that
    were finished are kept.

    Raises
    ------
    RecrouteError
        For an unknown name, a size that does not fit, a budget without costs, or a router that cannot be fitted.
    """
    if objective not in OBJECTIVES:
        raise UnknownNameError("objective", objective, OBJECTIVES)
    seeds, keep = as_seeds(seeds), as_texts(keep, "keep")
    chooser = replace(as_router(router))
    wanted = _Wanted(size=as_whole_number(size, "size"), objective=objective, keep=keep, budget=budget)
    dataset = encode_dataset(dataset, encoder)
    found, complete = _Found(), True
    try:
        for i, seed in enumerate(seeds):
            parts = prepare_split(dataset, split=split, seed=seed, encoder=encoder)
            found.notes += [parts.note] if parts.note else []

            def report(done: int, of: int, i: int = i) -> None:
                if progress:
                    progress(i * of + done, len(seeds) * of)

            _one_seed(found, parts, chooser, wanted, report)
    except KeyboardInterrupt:
        if not found.test_ids:
            raise
        complete = False
        found.notes.append("interrupted: only the seeds that were finished are in the table")
    first = seeds[0]
    assert found.tasks is not None
    assert found.replacements is not None
    rows = rows_of(_with_size_of_all(found), found.test_ids, chooser.label)
    found.notes += incomplete_notes(rows, found.judged)
    info = {
        "dataset": {**dataset_facts(dataset), "n_test": len(found.test_ids[first])},
        "seed": first,
        "seeds": list(found.test_ids),
        "size": size,
        "objective": objective,
        "router": chooser.label,
        "keep": list(keep),
        "budget": budget,
        "notes": list(dict.fromkeys(found.notes)),
        "complete": complete,
        "splits": found.digests,
        "environment": environment(),
    }
    llms = found.pools[first][objective, size]
    return PoolChoice(llms, rows, _pool_table(found, first), found.tasks, found.replacements, info)


def _one_seed(found: _Found, parts: Split, router: Router, wanted: _Wanted, progress: Progress) -> None:
    """Choose and judge all pools of a seed; of the first seed also what a person who deploys the pool asks."""
    size, objective = wanted.size, wanted.objective
    allowed, kept = candidates(parts.train, size, wanted.keep, wanted.budget)
    if left_out := parts.train.n_llms - len(allowed):
        above = "" if wanted.budget is None else f", or a known cost of at most {wanted.budget:g} USD per 1,000 prompts"
        found.notes.append(f"seed {parts.seed}: {left_out} LLMs without a record on train{above}, are left out")
    whole = replace(parts, test=parts.test.take_instances(_with_record(parts.test)))
    everyone = np.flatnonzero(parts.train.interactions.llm_counts)  # above the budget too: what it costs in quality
    train, test = parts.train.take_llms(allowed), whole.test.take_llms(allowed)
    train = train.evaluated()
    parts = replace(parts, train=train, valid=parts.valid.take_llms(allowed), test=test)
    values = {
        "routed": routed_value(train, replace(router, seed=parts.seed), parts.seed),
        "oracle": oracle_value(train),
    }
    chosen = {name: chosen_pools(value, train, size, kept) for name, value in values.items()}
    groups = _groups(found, train, chosen, size, parts.seed)
    judged: dict[Key, Judged] = {(ALL, 0): judge(router, whole, everyone)}
    for done, ((group, k), pools) in enumerate(groups.items(), 1):
        judged[group, k] = average([judge(router, parts, pool) for pool in pools])
        progress(done, len(groups))
    ids = train.llm_ids.ids
    if found.tasks is None:
        pool = chosen[objective][size]
        found.tasks = tasks_of(values["routed"], train, pool)
        found.replacements = replacements_of(values[objective], parts, router, pool, judged[GROUP_OF[objective], size])
    for key, result in judged.items():
        found.judged.setdefault(key, {})[parts.seed] = result
    found.pools[parts.seed] = {
        (name, k): [ids[i] for i in pool] for name, pools in chosen.items() for k, pool in pools.items()
    }
    found.n_llms[parts.seed] = len(everyone)
    found.digests[str(parts.seed)] = split_digest(parts)
    found.test_ids[parts.seed] = np.array(test.instance_ids.ids)  # last: now the seed is finished


def _with_record(data: Dataset) -> NDArray[np.int64]:
    return np.flatnonzero(data.interactions.instance_counts)


def _groups(
    found: _Found, train: Dataset, chosen: dict[str, dict[int, list[int]]], size: int, seed: int
) -> dict[Key, list[Any]]:
    """The pools of each group and size; of random ones several."""
    groups: dict[Key, list[Any]] = {
        (SINGLE, 1): [tie_order(llm_means(train))[:1]],
    }
    for name, pools in chosen.items():
        groups |= {(GROUP_OF[name], k): [pool] for k, pool in pools.items()}
    sizes = range(1, size + 1)
    try:
        strong = make_pools(train, [STRONG], sizes, seed)
    except DataError as error:  # no LLM within RouterEval's limits
        found.notes.append(f"without {STRONG}: {error}")
        strong = []
    groups |= {(STRONG, pool.size): [pool.llm_index] for pool in strong if pool.size in sizes}
    rng = np.random.default_rng([seed, 5])
    orders = [rng.permutation(train.n_llms) for _ in range(N_RANDOM)]
    return groups | {(RANDOM, k): [order[:k] for order in orders] for k in sizes}


def _with_size_of_all(found: _Found) -> dict[Key, dict[int, Judged]]:
    """The group of all LLMs under their number: the mean over seeds, whose training prompts may know others."""
    sizes = [found.n_llms[seed] for seed in found.test_ids]
    return {(group, k or sum(sizes) // len(sizes)): of_seed for (group, k), of_seed in found.judged.items()}


def _pool_table(found: _Found, first: int) -> pl.DataFrame:
    rows = [
        {
            "objective": objective,
            "pool_size": size,
            "llm_id": llm,
            "n_seeds": sum(llm in pools[objective, size] for pools in found.pools.values()),
        }
        for (objective, size), pool in found.pools[first].items()
        for llm in pool
    ]
    return pl.DataFrame(rows)
