"""Settings of `evaluate` and `scale`, and the pools that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from recroute.data import Dataset
from recroute.errors import DataError
from recroute.evaluation.published import published_beside
from recroute.experiment.bootstrap import N_RESAMPLES
from recroute.experiment.controls import SHUFFLES, shuffled
from recroute.experiment.prepare import all_splits, with_vectors
from recroute.experiment.protocol import DATA, JUDGE, Protocol
from recroute.pools import GROUPS, OWN, ROUTEREVAL_GROUPS, Pool, common_sizes, make_pools, own_pools, whole_pool
from recroute.splits import HOLDOUTS, Split, take_train_fraction
from recroute.util.settings import setting

PoolsOf = Callable[[Split], list[Pool]]
BASELINES = ("oracle", "random", "best_single", "task_best", "knn")  # in every table, even if they win
MIXES = ("oracle_mix(p=0.25)", "oracle_mix(p=0.5)", "oracle_mix(p=0.75)")
POOL_SIZES = (3, 5, 10, 100, 1000)


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings(Protocol):
    """Settings of `evaluate`, which has one pool of all LLMs."""

    holdout: str | None = setting(
        None,
        choices=HOLDOUTS,
        help="Use each task (or benchmark) in turn as the test set, instead of a split.",
        panel=DATA,
    )
    reference: str | None = setting(
        None, help="Reference for V_R: a number, a RouterEval benchmark or an LLM id.", panel=JUDGE
    )
    baseline: str = setting(
        "best_single", help="Router to compare with: paired comparisons with Holm's correction.", panel=JUDGE
    )
    shuffle: str | None = setting(
        None,
        choices=SHUFFLES,
        help="Negative control. text: permute the texts of the training prompts; scores: permute each LLM's scores.",
        panel=JUDGE,
    )
    headroom: bool | None = setting(
        None, help="Note what chance alone would show. Default: if it takes only seconds.", panel=JUDGE
    )
    n_resamples: int = setting(N_RESAMPLES, low=1, help="Number of bootstrap resamples for the intervals.", option="")
    train_fraction: float = setting(1.0, help="Share of the training instances to fit on.", option="")

    @property
    def beside(self) -> list[str]:
        """Routers that are added to the requested ones."""
        return [*BASELINES, self.baseline]

    def pools(self, dataset: Dataset) -> tuple[PoolsOf, list[str]]:
        """Function from a split to its pools, and notes for the reader."""
        whole = whole_pool(dataset)
        return lambda parts: [whole], []

    def more(self, dataset: Dataset, rows: pl.DataFrame) -> dict[str, Any]:
        """Additional entries of a result's `info`."""
        return {}

    def splits(self, dataset: Dataset, seed: int) -> Iterator[Split]:
        """Splits of a seed, without vectors: one, or one for each held-out task or benchmark."""
        return all_splits(dataset, split=self.split, holdout=self.holdout, seed=seed)

    def n_splits(self, dataset: Dataset) -> int:
        """Total number of splits over all seeds."""
        kinds = dataset.instances[self.holdout].n_unique() if self.holdout in dataset.instances.columns else 1
        return len(self.seeds) * kinds

    def fitted_on(self, bare: Split) -> Split:
        """Split that routers are fitted on: with the training fraction, vectors and the control applied."""
        return shuffled(with_vectors(take_train_fraction(bare, self.train_fraction), self.encoder), self.shuffle)


@dataclass(frozen=True, kw_only=True)
class ScaleSettings(EvaluationSettings):
    """Settings of `scale`: those of `evaluate`, with growing pools."""

    pool_sizes: Sequence[int] | None = setting(
        None, help="Pool sizes. Default: 3,5,10,100,1000; with groups own, every size."
    )
    groups: Sequence[str] = setting(
        ROUTEREVAL_GROUPS,
        choices=(*GROUPS, OWN),
        help="Any of all_strong, all_weak, strong_to_weak, nested; or own: the pools that came with the data.",
    )
    pool_basis: str = setting(
        "train",
        choices=("train", "all"),
        help="Choose pools on training instances, or on all instances as RouterEval does (which uses test instances).",
        panel=JUDGE,
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
        """Pools that came with the data, equal for all seeds."""
        if others := [group for group in self.groups if group != OWN]:
            raise DataError(f"the group own cannot be combined with others; run {', '.join(others)} separately")
        pools = own_pools(dataset, self.pool_sizes)
        notes = ["pools came with the data; RouterEval chose its pools on all instances, including test instances"]
        if missing := sorted(set(self.pool_sizes or ()) - {pool.size for pool in pools}):
            notes.append(f"{dataset.name} has no pools of size {', '.join(map(str, missing))}")
        return lambda parts: pools, notes

    def _selected(self, dataset: Dataset) -> tuple[PoolsOf, list[str]]:
        """Pools that `make_pools` chooses for each seed."""
        sizes, on_train, notes = self.pool_sizes or POOL_SIZES, self.pool_basis == "train", []
        if not on_train:
            notes.append("pools were chosen on all instances, including test instances, as RouterEval does")
        bases = iter([dataset])
        if on_train:
            bases = (parts.train for seed in self.seeds for parts in self.splits(dataset, seed))
        kept, of_sizes = common_sizes(bases, self.groups, sizes)
        if list(sizes) != list(POOL_SIZES):  # nobody asked for the default
            notes += of_sizes
        return lambda parts: make_pools(parts.train if on_train else dataset, self.groups, kept, parts.seed), notes
