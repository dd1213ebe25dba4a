"""What `evaluate` and `scale` are asked for, and the pools that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from recroute.data import Dataset
from recroute.errors import DataError
from recroute.evaluation.published import published_beside
from recroute.experiment.bootstrap import N_RESAMPLES
from recroute.experiment.controls import SHUFFLES, shuffled
from recroute.experiment.prepare import all_splits, with_vectors
from recroute.experiment.protocol import DATA, JUDGE, Protocol
from recroute.pools import GROUPS, OWN, ROUTEREVAL_GROUPS, Pool, largest_pool, make_pools, own_pools
from recroute.splits import HOLDOUTS, Split, take_train_fraction
from recroute.util.settings import setting

PoolsOf = Callable[[Split], list[Pool]]
WHOLE = "all"  # the group of the pool of all LLMs
BASELINES = ("oracle", "random", "best_single", "task_best", "knn")  # in every table, also when they win
MIXES = ("oracle_mix(p=0.25)", "oracle_mix(p=0.5)", "oracle_mix(p=0.75)")
POOL_SIZES = (3, 5, 10, 100, 1000)


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings(Protocol):
    """What `evaluate` is asked for; one pool holds all LLMs."""

    holdout: str | None = setting(
        None,
        choices=HOLDOUTS,
        help="task or benchmark: each in turn is the test set, in place of --split.",
        panel=DATA,
    )
    reference: str | None = setting(
        None, help="Reference for V_R: a number, a RouterEval benchmark or an LLM id.", panel=JUDGE
    )
    baseline: str = setting(
        "best_single", help="Compare every router with this one, paired, with Holm's correction.", panel=JUDGE
    )
    shuffle: str | None = setting(
        None,
        choices=SHUFFLES,
        help="A control. text: training prompts swap their texts; scores: each LLM's scores swap prompts.",
        panel=JUDGE,
    )
    headroom: bool | None = setting(
        None, help="Note what luck alone would show. Default: if it takes seconds.", panel=JUDGE
    )
    n_resamples: int = setting(N_RESAMPLES, low=1, help="Bootstrap resamples behind the intervals.", option="")
    train_fraction: float = setting(1.0, help="Share of the training instances that is fitted on.", option="")

    @property
    def beside(self) -> list[str]:
        """Routers that stand beside those asked for."""
        return [*BASELINES, self.baseline]

    def pools(self, dataset: Dataset) -> tuple[PoolsOf, list[str]]:
        """The pools of each split, and what a reader has to know of them."""
        whole = Pool(WHOLE, dataset.n_llms, np.arange(dataset.n_llms))
        return lambda parts: [whole], []

    def more(self, dataset: Dataset, rows: pl.DataFrame) -> dict[str, Any]:
        """What else is known of a result."""
        return {}

    def splits(self, dataset: Dataset, seed: int) -> Iterator[Split]:
        """The splits of a seed, without vectors: one, or one for each kind of prompt that is held out."""
        return all_splits(dataset, split=self.split, holdout=self.holdout, seed=seed)

    def n_splits(self, dataset: Dataset) -> int:
        """Number of splits of all seeds."""
        kinds = dataset.instances[self.holdout].n_unique() if self.holdout in dataset.instances.columns else 1
        return len(self.seeds) * kinds

    def fitted_on(self, bare: Split) -> Split:
        """The split as routers are fitted on it: with the fraction asked for, vectors, and the control."""
        return shuffled(with_vectors(take_train_fraction(bare, self.train_fraction), self.encoder), self.shuffle)


@dataclass(frozen=True, kw_only=True)
class ScaleSettings(EvaluationSettings):
    """What `scale` is asked for: the same in growing pools."""

    pool_sizes: Sequence[int] | None = setting(
        None, help="Sizes of the pools. Default: 3,5,10,100,1000; of own pools every size."
    )
    groups: Sequence[str] = setting(
        ROUTEREVAL_GROUPS,
        choices=(*GROUPS, OWN),
        help="Of all_strong, all_weak, strong_to_weak, nested; or own: the pools that came with the data.",
    )
    pool_basis: str = setting(
        "train",
        choices=("train", "all"),
        help="Choose pools on train, or on all instances as RouterEval does (looks at test).",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.pool_sizes is not None and not self.pool_sizes) or not self.groups:
            raise DataError("scale needs at least one pool size and one group")

    @property
    def beside(self) -> list[str]:
        return [*super().beside, *MIXES]

    def pools(self, dataset: Dataset) -> tuple[PoolsOf, list[str]]:
        dataset.require_scores("pool scaling")
        return self._own(dataset) if OWN in self.groups else self._selected(dataset)

    def more(self, dataset: Dataset, rows: pl.DataFrame) -> dict[str, Any]:
        return {"published": published_beside(dataset, rows)}

    def _own(self, dataset: Dataset) -> tuple[PoolsOf, list[str]]:
        """The pools that came with the data, the same for every seed."""
        if others := [group for group in self.groups if group != OWN]:
            raise DataError(f"the group own brings groups of its own; run {', '.join(others)} apart from it")
        pools = own_pools(dataset, self.pool_sizes)
        notes = ["pools are those that came with the data; RouterEval chose its own on all instances, test among them"]
        if missing := sorted(set(self.pool_sizes or ()) - {pool.size for pool in pools}):
            notes.append(f"{dataset.name} has no pools of size {', '.join(map(str, missing))}")
        return lambda parts: pools, notes

    def _selected(self, dataset: Dataset) -> tuple[PoolsOf, list[str]]:
        """Pools that `make_pools` chooses for each seed."""
        sizes, on_train, notes = self.pool_sizes or POOL_SIZES, self.pool_basis == "train", []
        if not on_train:
            notes.append("pools were chosen on all instances, test among them, as RouterEval does")
        # One limit for all seeds and groups: the curves of all have the same points.
        bases = iter([dataset])
        if on_train:
            bases = (parts.train for seed in self.seeds for parts in self.splits(dataset, seed))
        limit = min(largest_pool(basis, self.groups) for basis in bases)
        if (largest := max(sizes)) > limit:
            notes.append(
                f"pool size {largest} is more than the {limit} LLMs every group can take: {limit} stands for it"
            )
        kept = sorted({min(size, limit) for size in sizes})
        return lambda parts: make_pools(parts.train if on_train else dataset, self.groups, kept, parts.seed), notes
