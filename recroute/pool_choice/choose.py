"""`choose_pool`: the few LLMs worth deploying, chosen on training prompts and judged on test prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from recroute.data import Dataset, llm_means
from recroute.errors import DataError
from recroute.experiment.protocol import Progress, Protocol
from recroute.experiment.run import Run
from recroute.pool_choice.candidates import candidates, chosen_pools
from recroute.pool_choice.choice import PoolChoice
from recroute.pool_choice.deployed import replacements_of, tasks_of
from recroute.pool_choice.judge import Judged, average, judge
from recroute.pool_choice.objectives import OBJECTIVES, oracle_value, routed_value
from recroute.pool_choice.rows import ALL, ORACLE, RANDOM, ROUTED, SINGLE, STRONG, Key, incomplete_notes, rows_of
from recroute.pools import make_pools
from recroute.retrieval import tie_order
from recroute.routers import Router, as_router
from recroute.splits import Split
from recroute.util.arguments import checked
from recroute.util.settings import setting, takes_settings

N_RANDOM = 5  # random pools of each size and seed
GROUP_OF = {"routed": ROUTED, "oracle": ORACLE}


@dataclass(frozen=True, kw_only=True)
class PoolSettings(Protocol):
    """Settings of `choose_pool`."""

    size: int = setting(5, low=1, help="LLMs in the largest pool; smaller pools are shown too.")
    objective: str = setting(
        "routed", choices=OBJECTIVES, help="routed: the score the router reaches; oracle: the best score in the pool."
    )
    keep: Sequence[str] = setting((), help="Ids of LLMs that every pool contains: a,b.")
    budget: float | None = setting(
        None, low=0, help="USD per 1,000 prompts; LLMs whose mean cost on train is higher are left out."
    )


@dataclass(frozen=True, eq=False)
class SeedPools:
    """The pools chosen with one seed, judged on test.

    Parameters
    ----------
    parts : Split
        With only the LLMs that may be chosen.
    pools : dict of (objective, size) to list of str
    judged : dict of (group, size) to Judged
        The group of all LLMs has size 0, because their number differs between seeds.
    n_llms : int
        Number of LLMs with a record on train.
    notes : list of str
    deployed : tuple of polars.DataFrame, optional
        `tasks` and `replacements` of a PoolChoice.
    """

    parts: Split
    pools: dict[tuple[str, int], list[str]]
    judged: dict[Key, Judged]
    n_llms: int
    notes: list[str]
    deployed: tuple[pl.DataFrame, pl.DataFrame] | None


@checked
@takes_settings(PoolSettings, without=("size",))
def choose_pool(
    dataset: Dataset,
    size: int = 5,
    *,
    router: Router | str = "auto",
    progress: Progress | None = None,
    **settings: Any,
) -> PoolChoice:
    """Choose pools of 1 to `size` LLMs to deploy on training prompts, and judge them on test prompts.

    Parameters
    ----------
    dataset : Dataset
    size : int
        LLMs in the largest pool.
    router : Router or str
        The router that will choose among the deployed LLMs. Copies of it are fitted; it is left unchanged.
    **settings
    progress : callable, optional
        Called with the number of pools judged and the total number.

    Returns
    -------
    PoolChoice. For either objective, the pool is grown by the LLM that gains most, then LLMs are exchanged until no
    exchange gains. `llms` is chosen for `objective`; the rows have both. Groups of the rows:

    - "chosen_routed", "chosen_oracle": pools chosen for either objective.
    - "all_strong": strong LLMs as RouterEval selects them, and "random": the mean of five random pools; both of the
      same sizes.
    - "best_single": the LLM with the highest mean score on train.
    - "all": all LLMs with a record on train.

    Metrics:

    - `mean_score`: mean test score of the router fitted on the training scores of the pool alone; `share_of_all`: that
      score divided by its score with all LLMs.
    - `oracle`: mean of the best observed score in the pool; `oracle_share_of_all`: divided by that of all LLMs.
    - `unobserved_choice`: share of first choices that were not evaluated; these are judged by the router's next choice
      that was. Test instances without a score for any LLM of a pool do not count for that pool.
    - `mean_cost`: mean USD of the choices, if costs are known.

    Intervals: 95% paired bootstrap over test instances, crossed with seeds. After a KeyboardInterrupt, the result has
    the seeds that were finished.

    Raises
    ------
    RecrouteError
        If a name is unknown, the size does not fit, a budget is given without costs, or the router cannot be fitted.
    """
    return measure(PoolSettings(size=size, **settings), dataset, replace(as_router(router)), progress)


def measure(settings: PoolSettings, dataset: Dataset, router: Router, progress: Progress | None = None) -> PoolChoice:
    """`choose_pool` with checked settings."""
    run = Run(settings.encoded(dataset), settings.seeds, [router], progress=progress)
    found: list[SeedPools] = []
    with run.keeping():
        for seed in settings.seeds:
            found.append(_of_seed(settings, settings.parts(run.dataset, seed), router, run, is_first=not found))
            run.saw(found[-1].parts)
            run.note(*found[-1].notes)
            run.finished.append(seed)
    found = found[: len(run.finished)]
    n_llms = sum(of.n_llms for of in found) // len(found)
    judged = {
        (group, size or n_llms): [of.judged[group, size] for of in found]
        for group, size in found[0].judged
        if all((group, size) in of.judged for of in found)  # a seed may have no all_strong
    }
    ids = [np.array(of.parts.test.instance_ids.ids) for of in found]
    rows = rows_of(judged, ids, run.finished, router.label)
    run.note(*incomplete_notes(rows, judged))
    info = run.info(
        {"n_test": len(ids[0])},
        size=settings.size,
        objective=settings.objective,
        router=router.label,
        keep=settings.keep,
        budget=settings.budget,
    )
    assert found[0].deployed is not None
    llms = found[0].pools[settings.objective, settings.size]
    return PoolChoice(rows, info, llms, _pool_table([of.pools for of in found]), *found[0].deployed)


def _of_seed(settings: PoolSettings, parts: Split, router: Router, run: Run, *, is_first: bool) -> SeedPools:
    """Choose and judge all pools of a seed; `deployed` is set for the first seed only."""
    size, objective = settings.size, settings.objective
    allowed, kept = candidates(parts.train, size, settings.keep, settings.budget)
    notes = []
    if left_out := parts.train.n_llms - len(allowed):
        budget = "" if settings.budget is None else f" or beyond the budget {settings.budget:g}"
        notes.append(f"seed {parts.seed}: left out {left_out} LLMs without a record on train{budget}")
    whole = replace(parts, test=parts.test.evaluated())
    everyone = np.flatnonzero(parts.train.interactions.llm_counts)  # also those above the budget
    train, test = parts.train.take_llms(allowed).evaluated(), whole.test.take_llms(allowed)
    parts = replace(parts, train=train, valid=parts.valid.take_llms(allowed), test=test)
    values = {
        "routed": routed_value(train, replace(router, seed=parts.seed), parts.seed),
        "oracle": oracle_value(train),
    }
    chosen = {name: chosen_pools(value, train, size, kept) for name, value in values.items()}
    groups = _groups(train, chosen, size, parts.seed, notes)
    judged: dict[Key, Judged] = {(ALL, 0): judge(router, whole, everyone)}
    for key, pools in groups.items():
        judged[key] = average([judge(router, parts, pool) for pool in pools])
        run.step(len(settings.seeds) * len(groups))
    deployed = None
    if is_first:
        pool, of_pool = chosen[objective][size], judged[GROUP_OF[objective], size]
        changes = replacements_of(values[objective], parts, router, pool, of_pool)
        deployed = tasks_of(values["routed"], train, pool), changes
    ids = train.llm_ids.ids
    named = {(name, k): [ids[i] for i in pool] for name, pools in chosen.items() for k, pool in pools.items()}
    return SeedPools(parts, named, judged, len(everyone), notes, deployed)


def _groups(
    train: Dataset, chosen: dict[str, dict[int, list[int]]], size: int, seed: int, notes: list[str]
) -> dict[Key, list[Any]]:
    """The pools of each group and size (several for "random"); adds a note if there is no all_strong pool."""
    groups: dict[Key, list[Any]] = {(SINGLE, 1): [tie_order(llm_means(train))[:1]]}
    for name, pools in chosen.items():
        groups |= {(GROUP_OF[name], k): [pool] for k, pool in pools.items()}
    sizes = range(1, size + 1)
    try:
        strong = make_pools(train, [STRONG], sizes, seed)
    except DataError as error:  # no LLM within RouterEval's limits
        notes.append(f"without {STRONG}: {error}")
        strong = []
    groups |= {(STRONG, pool.size): [pool.llm_index] for pool in strong if pool.size in sizes}
    rng = np.random.default_rng([seed, 5])
    orders = [rng.permutation(train.n_llms) for _ in range(N_RANDOM)]
    return groups | {(RANDOM, k): [order[:k] for order in orders] for k in sizes}


def _pool_table(pools: list[dict[tuple[str, int], list[str]]]) -> pl.DataFrame:
    """`pools` of a PoolChoice: the first seed's pools, and the number of seeds that chose each LLM."""
    return pl.DataFrame(
        {
            "objective": objective,
            "pool_size": size,
            "llm_id": llm,
            "n_seeds": sum(llm in of_seed[objective, size] for of_seed in pools),
        }
        for (objective, size), pool in pools[0].items()
        for llm in pool
    )
