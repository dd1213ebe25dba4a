"""`evaluate`: routers on the whole pool. `scale`: routers as the pool grows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from recroute.data import Dataset
from recroute.errors import DataError, UnknownNameError
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.loop import WHOLE, PoolsOf, run
from recroute.evaluation.published import published_beside
from recroute.experiment.bootstrap import N_RESAMPLES
from recroute.experiment.old_protocol import Progress, Protocol
from recroute.experiment.run import usable
from recroute.pools import GROUPS, OWN, ROUTEREVAL_GROUPS, Pool, largest_pool, make_pools, own_pools
from recroute.routers import Router, as_routers, make_router
from recroute.splits import Split
from recroute.util.arguments import as_texts, as_whole_numbers, checked

# In every table, also when they win.
BASELINES = ("oracle", "random", "best_single", "task_best", "knn")
MIX_SHARES = (0.25, 0.5, 0.75)
POOL_SIZES = (3, 5, 10, 100, 1000)


@checked
def evaluate(
    dataset: Dataset,
    routers: Iterable[Router | str],
    *,
    split: str | None = None,
    holdout: str | None = None,
    encoder: str = "auto",
    reference: str | None = None,
    baseline: str = "best_single",
    shuffle: str | None = None,
    headroom: bool | None = None,
    seeds: Sequence[int] = (0,),
    n_resamples: int = N_RESAMPLES,
    progress: Progress | None = None,
    train_fraction: float = 1.0,
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
    holdout : {"task", "benchmark"}, optional
        Instead of a split by instance each task (or benchmark) in turn is the test set, and nothing is learned from it
        (see `holdout_splits`). Each has a group of its own, such as "task gsm8k"; the group "mean" is their mean.
    reference : str, optional
        See `reference_scores`.
    baseline : str
        Router that all others are compared with, paired, in `Evaluation.comparisons`; added if it is not there.
    shuffle : {"text", "scores"}, optional
        A control (see `recroute.experiment.controls.shuffled`): every training prompt gets the text of another one, or
        every LLM's scores are permuted among prompts, so that text says nothing. A router that shrinks what it cannot
        tell falls back to the best single LLM; one below it was fitted to noise. The pools stay those of the data.
    headroom : bool, optional
        Say in a note how far the oracle, and the best LLM per task, are above what luck alone would show (a Rasch
        model, see `recroute.data.doctor.headroom`). Default: where the data are small enough for it to take seconds.
    seeds : list of int
        Each seed draws its own split (a split that the data set brings stays) and seeds the routers.
    n_resamples : int
        Bootstrap resamples behind the intervals.
    progress : callable, optional
        Called with the pools done and the pools in all.
    train_fraction : float
        Share of the training instances that encoder and routers are fitted on, see `take_train_fraction`. Pools are
        chosen on all of them, so that they stay the same whatever the share.

    Returns
    -------
    Evaluation with the group "all", or one group for each kind of prompt held out. After a KeyboardInterrupt it holds
    what was finished.

    Raises
    ------
    RecrouteError
        If the data set cannot be split, a name is unknown, or no router can be fitted on it.
    """

    def whole(data: Split) -> list[Pool]:
        return [Pool(WHOLE, dataset.n_llms, np.arange(dataset.n_llms))]

    protocol = Protocol(
        split=split,
        holdout=holdout,
        encoder=encoder,
        reference=reference,
        baseline=baseline,
        shuffle=shuffle,
        headroom=headroom,
        seeds=seeds,
        n_resamples=n_resamples,
        progress=progress,
        train_fraction=train_fraction,
    )
    chosen, notes = usable(dataset, [*as_routers(routers), *BASELINES, baseline])
    return run(dataset, chosen, whole, protocol, notes)


@checked
def scale(
    dataset: Dataset,
    routers: Iterable[Router | str],
    *,
    pool_sizes: Sequence[int] | None = None,
    groups: Sequence[str] = ROUTEREVAL_GROUPS,
    pool_basis: str = "train",
    split: str | None = None,
    holdout: str | None = None,
    encoder: str = "auto",
    reference: str | None = None,
    baseline: str = "best_single",
    shuffle: str | None = None,
    headroom: bool | None = None,
    seeds: Sequence[int] = (0,),
    n_resamples: int = N_RESAMPLES,
    progress: Progress | None = None,
    train_fraction: float = 1.0,
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
    dataset.require_scores("pool scaling")
    groups = as_texts(groups, "groups")
    pool_sizes = None if pool_sizes is None else as_whole_numbers(pool_sizes, "pool_sizes")
    if pool_basis not in ("train", "all"):
        raise DataError(f"pool basis {pool_basis!r} is neither train nor all")
    if (pool_sizes is not None and not pool_sizes) or not groups:
        raise DataError("scale needs at least one pool size and one group")
    mixes = [make_router("oracle_mix", p=p) for p in MIX_SHARES]
    protocol = Protocol(
        split=split,
        holdout=holdout,
        encoder=encoder,
        reference=reference,
        baseline=baseline,
        shuffle=shuffle,
        headroom=headroom,
        seeds=seeds,
        n_resamples=n_resamples,
        progress=progress,
        train_fraction=train_fraction,
    )
    chosen, notes = usable(dataset, [*as_routers(routers), *BASELINES, baseline, *mixes])
    if OWN in groups:
        pools_of, more_notes = _own(dataset, groups, pool_sizes)
    else:
        pools_of, more_notes = _selected(dataset, groups, pool_sizes or POOL_SIZES, pool_basis, protocol)
    found = run(dataset, chosen, pools_of, protocol, [*notes, *more_notes])
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
    protocol: Protocol,
) -> tuple[PoolsOf, list[str]]:
    """Pools that `make_pools` chooses for each seed, and what to know of them."""
    notes = []
    for group in groups:
        if group not in GROUPS:
            raise UnknownNameError("group", group, (*GROUPS, OWN))
    if pool_basis == "all":
        notes.append("pools were chosen on all instances, test among them, as RouterEval does")
    # One limit for all seeds and groups: the curves of all have the same points.
    bases = iter([dataset])
    if pool_basis == "train":
        bases = (parts.train for seed in protocol.seeds for parts in protocol.splits(dataset, seed))
    limit = min(largest_pool(basis, groups) for basis in bases)
    if (largest := max(sizes)) > limit:
        notes.append(f"pool size {largest} is more than the {limit} LLMs every group can take: {limit} stands for it")
    kept = sorted({min(size, limit) for size in sizes})
    return lambda parts: make_pools(parts.train if pool_basis == "train" else dataset, groups, kept, parts.seed), notes
