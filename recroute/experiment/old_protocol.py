"""How a run is carried out, whatever its pools are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from recroute.data import Dataset
from recroute.experiment.prepare import all_splits
from recroute.splits import Split
from recroute.util.arguments import as_seeds

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What `evaluate` and `scale` have in common; their docstrings say what each part means."""

    split: str | None
    holdout: str | None
    encoder: str
    reference: str | None
    baseline: str
    shuffle: str | None
    headroom: bool | None
    seeds: Sequence[int]
    n_resamples: int
    progress: Progress | None
    train_fraction: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "seeds", as_seeds(self.seeds))

    def splits(self, dataset: Dataset, seed: int) -> Iterator[Split]:
        """The splits of a seed without vectors: one, or one for each kind of prompt that is held out."""
        return all_splits(dataset, split=self.split, holdout=self.holdout, seed=seed)

    def n_folds(self, dataset: Dataset) -> int:
        """Number of splits of a seed."""
        return dataset.instances[self.holdout].n_unique() if self.holdout in dataset.instances.columns else 1
