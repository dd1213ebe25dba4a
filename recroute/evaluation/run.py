"""`evaluate`: routers on the whole pool. `scale`: routers as the pool grows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from recroute.data import Dataset
from recroute.errors import DataError, RouterError, UnknownNameError
from recroute.evaluation.bootstrap import N_RESAMPLES
from recroute.evaluation.choices import choice_table
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.outcomes import pool_outcomes
from recroute.evaluation.prepare import prepare_split
from recroute.evaluation.provenance import environment, split_digest
from recroute.evaluation.published import published_beside
from recroute.evaluation.reference import reference_scores
from recroute.evaluation.summarise import Cell, summarise
from recroute.pools import GROUPS, OWN, ROUTEREVAL_GROUPS, Pool, largest_pool, make_pools, own_pools
from recroute.routers import Router, make_router
from recroute.splits import Split, split_dataset

# In every table, also when they win.
BASELINES = ("oracle", "random", "best_single", "task_best", "knn")
MIX_SHARES = (0.25, 0.5, 0.75)
POOL_SIZES = (3, 5, 10, 100, 1000)

TEST_USE = (
    "routers are fitted, and every choice of theirs is made, on training instances; "
    "test is scored once, afterwards, for all of them"
)

Progress = Callable[[int, int], None]
PoolsOf = Callable[[Split], list[Pool]]


def evaluate(
    dataset: Dataset,
    routers: Iterable[Router | str],
    *,
    split: str | None = None,
    encoder: str = "auto",
    reference: str | None = None,
    baseline: str = "best_single",
    shuffle: str | None = None,
    seeds: Sequence[int] = (0,),
    n_resamples: int = N_RESAMPLES,
    progress: Progress | None = None,
) -> Evaluation:
    """Top-1 routing quality with all LLMs of the data set as the pool.

    Parameters
    ----------
    dataset : Dataset
    routers : list of Router or str
        Routers (fitted or not: each is fitted anew) or registry names. `oracle`, `random`, `best_single`,
        `task_best` and `knn` are added.
    split, encoder
        See `prepare_split`.
    reference : str, optional
        See `reference_scores`.
    baseline : str
        Router that all others are compared with, paired, in `Evaluation.comparisons`; added if it is not there.
    shuffle : {"text"}, optional
        A control: every training prompt gets the text of another one, so that text says nothing. A router that
        shrinks what it cannot tell falls back to the best single LLM; one below it was fitted to noise.
    seeds : list of int
        Each seed draws its own split (a split that the data set brings stays) and seeds the routers.
    n_resamples : int
        Bootstrap resamples behind the intervals.
    progress : callable, optional
        Called with the pools done and the pools in all.

    Returns
    -------
    Evaluation with the group "all". After a KeyboardInterrupt it holds what was finished.

    Raises
    ------
    RecrouteError
        If the data set cannot be split, a name is unknown, or no router can be fitted on it.
    """

    def whole(data: Split) -> list[Pool]:
        return [Pool("all", dataset.n_llms, np.arange(dataset.n_llms))]

    chosen, notes = _usable(dataset, [*routers, *BASELINES, baseline])
    prepare = partial(prepare_split, dataset, split=split, encoder=encoder, shuffle=shuffle)
    return _run(dataset, chosen, notes, whole, prepare, reference, baseline, seeds, n_resamples, progress)


def scale(
    dataset: Dataset,
    routers: Iterable[Router | str],
    *,
    pool_sizes: Sequence[int] | None = None,
    groups: Sequence[str] = ROUTEREVAL_GROUPS,
    pool_basis: str = "train",
    split: str | None = None,
    encoder: str = "auto",
    reference: str | None = None,
    baseline: str = "best_single",
    shuffle: str | None = None,
    seeds: Sequence[int] = (0,),
    n_resamples: int = N_RESAMPLES,
    progress: Progress | None = None,
) -> Evaluation:
    """Top-1 routing quality as the pool of candidate LLMs grows.

    Every router is fitted on each pool alone, as RouterEval does: a pool of 10 knows nothing of other LLMs.
    Beside the routers the result has r_o(p) for p = .25, .5, .75, the mean over the groups (group "mean")
    and the slope of mu on log2 of the pool size (metric "slope").

    Parameters
    ----------
    pool_sizes : list of int, optional
        Sizes beyond what every group can take become that largest size, once. Default: 3, 5, 10, 100 and 1000.
    groups : list of str
        See `make_pools`. Or "own" alone: the pools that came with the data, which keep their groups and sizes
        (`pool_sizes` restricts them), see `own_pools`.
    pool_basis : {"train", "all"}
        The instances that pools are chosen on; "all" is RouterEval's choice and looks at test.

    The other parameters, the result and the errors are those of `evaluate`. Where RouterEval published baselines for
    the same benchmark, groups and pool size, `info["published"]` has them.
    """
    if pool_basis not in ("train", "all"):
        raise DataError(f"pool basis {pool_basis!r} is neither train nor all")
    if (pool_sizes is not None and not pool_sizes) or not groups:
        raise DataError("scale needs at least one pool size and one group")
    mixes = [make_router("oracle_mix", p=p) for p in MIX_SHARES]
    chosen, notes = _usable(dataset, [*routers, *BASELINES, baseline, *mixes])
    prepare = partial(prepare_split, dataset, split=split, encoder=encoder, shuffle=shuffle)
    if OWN in groups:
        pools_of, more_notes = _own(dataset, groups, pool_sizes)
    else:
        pools_of, more_notes = _selected(dataset, groups, pool_sizes or POOL_SIZES, pool_basis, split, seeds)
    notes += more_notes
    found = _run(dataset, chosen, notes, pools_of, prepare, reference, baseline, seeds, n_resamples, progress)
    return replace(found, info={**found.info, "published": published_beside(dataset, found.rows)})


def _own(dataset: Dataset, groups: Sequence[str], sizes: Sequence[int] | None) -> tuple[PoolsOf, list[str]]:
    """The pools that came with the data, the same for every seed, and what to know of them."""
    if others := [group for group in groups if group != OWN]:
        raise DataError(f"the group own brings groups of its own; run {', '.join(others)} apart from it")
    pools = own_pools(dataset, sizes)
    notes = ["pools are those that came with the data; RouterEval chose its own on all instances, test among them"]
    if missing := sorted(set(sizes or ()) - {pool.size for pool in pools}):
        notes.append(f"{dataset.name} has no pools of size {', '.join(map(str, missing))}")
    return lambda parts: pools, notes


def _selected(
    dataset: Dataset,
    groups: Sequence[str],
    sizes: Sequence[int],
    pool_basis: str,
    split: str | None,
    seeds: Sequence[int],
) -> tuple[PoolsOf, list[str]]:
    """Pools that `make_pools` chooses for each seed, and what to know of them."""
    notes = []
    for group in groups:
        if group not in GROUPS:
            raise UnknownNameError("group", group, (*GROUPS, OWN))
    if pool_basis == "all":
        notes.append("pools were chosen on all instances, test among them, as RouterEval does")
    # One limit for all seeds and groups: the curves of all have the same points.
    bases = (split_dataset(dataset, kind=split, seed=s).train if pool_basis == "train" else dataset for s in seeds)
    limit = min(largest_pool(basis, groups) for basis in bases)
    if (largest := max(sizes)) > limit:
        notes.append(f"pool size {largest} is more than the {limit} LLMs every group can take: {limit} stands for it")
    kept = sorted({min(size, limit) for size in sizes})
    return lambda parts: make_pools(parts.train if pool_basis == "train" else dataset, groups, kept, parts.seed), notes


def _run(
    dataset: Dataset,
    routers: list[Router],
    notes: list[str],
    pools_of: PoolsOf,
    prepare: Callable[..., Split],
    reference: str | None,
    baseline: str,
    seeds: Sequence[int],
    n_resamples: int,
    progress: Progress | None,
) -> Evaluation:
    """All seeds and pools; an interrupt ends the loop and keeps what is finished."""
    cells: list[Cell] = []
    choices: list[pl.DataFrame] = []
    digests: dict[str, str] = {}
    complete = True
    parts: Split | None = None
    try:
        for i, seed in enumerate(seeds):
            parts = prepare(seed=seed)
            digest = split_digest(parts)
            against = reference_scores(parts.test, reference)
            pools = pools_of(parts)
            for j, pool in enumerate(pools):
                outcomes = pool_outcomes(routers, parts, pool.llm_index, against)
                taken = choice_table(seed, pool, outcomes, routers, dataset)
                cells.append(Cell(seed, pool.group, pool.size, outcomes))
                choices.append(taken)
                digests[str(seed)] = digest
                if progress:
                    progress(i * len(pools) + j + 1, len(seeds) * len(pools))
    except KeyboardInterrupt:
        if not cells:
            raise
        complete = False
        notes.append("interrupted: only the pools that were finished are in the table")
    assert parts is not None
    if parts.note:
        notes.append(parts.note)
    baseline = make_router(baseline).label
    try:
        rows, pairs, more_notes = summarise(cells, seeds[0], n_resamples, baseline)
    except KeyboardInterrupt:  # minutes of fitting are not thrown away for seconds of resampling
        rows, pairs, more_notes = summarise(cells, seeds[0], n_resamples, baseline)
    info = {
        "dataset": _describe(dataset, parts),
        "seed": seeds[0],
        "seeds": list(seeds),
        "notes": [*notes, *more_notes],
        "complete": complete,
        "splits": digests,
        "routers": {router.label: {"name": router.name, **router.hyperparameters()} for router in routers},
        "environment": environment(),
        "test_use": TEST_USE,
    }
    return Evaluation(rows, info, pairs, pl.concat(choices[: len(cells)]))


def _usable(dataset: Dataset, wanted: Iterable[Router | str]) -> tuple[list[Router], list[str]]:
    """The routers that can be fitted on the data set, each label once, and a line for those that cannot."""
    lacking = {}  # what a router may need and the data set does not have
    if dataset.prompts is None:
        lacking["prompts"] = "no prompts"
        if dataset.embeddings is None:
            lacking["text"] = "neither prompts nor embeddings"
    routers: dict[str, Router] = {}
    refused: dict[str, list[str]] = {}
    for item in wanted:
        router = make_router(item) if isinstance(item, str) else replace(item)
        if router.needs in lacking:
            refused.setdefault(lacking[router.needs], []).append(router.label)
        else:
            routers.setdefault(router.label, router)
    notes = [
        f"left out, because {dataset.name} has {reason}: {', '.join(dict.fromkeys(labels))}"
        for reason, labels in refused.items()
    ]
    if not routers:
        raise RouterError(f"none of the routers can be fitted on {dataset.name}")
    return list(routers.values()), notes


def _describe(dataset: Dataset, parts: Split) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "n_instances": dataset.n_instances,
        "n_llms": dataset.n_llms,
        "n_records": dataset.interactions.n_observed,
        "density": round(dataset.interactions.density, 6),
        "simulated": bool(dataset.card.get("simulated", False)),
        "split": parts.name,
        "n_train": parts.train.n_instances,
        "n_valid": parts.valid.n_instances,
        "n_test": parts.test.n_instances,
        "encoder": parts.train.encoder.name if parts.train.encoder else None,
    }
