"""Cross-validation folds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, prompt_groups
from recroute.splits.split import Split
from recroute.util.numeric import Index


@dataclass(frozen=True, eq=False)
class Fold:
    """A fold: the positions `index` int (k,) of the held-out instances, and the split `parts`.

    The held-out instances are both `parts.test` and `parts.valid`, the others are `parts.train`.
    """

    index: Index
    parts: Split


def make_folds(dataset: Dataset, n_folds: int, seed: int) -> list[Fold]:
    """Cross-validation folds that hold out each instance once, see `draw_folds`."""
    return list(each_fold(dataset, n_folds, seed))


def each_fold(dataset: Dataset, n_folds: int, seed: int) -> Iterator[Fold]:
    """The folds of `make_folds`, one at a time: together they hold the data as often as there are folds."""
    member = draw_folds(dataset, n_folds, seed)
    for fold in range(member.max() + 1):
        yield _make_fold(dataset, member == fold, f"fold {fold}", seed)


def _make_fold(dataset: Dataset, is_held_out: NDArray[np.bool_], name: str, seed: int) -> Fold:
    index = np.flatnonzero(is_held_out)
    rest, held_out = dataset.take_instances(np.flatnonzero(~is_held_out)), dataset.take_instances(index)
    return Fold(index, Split(train=rest, valid=held_out, test=held_out, name=name, seed=seed))


def draw_folds(dataset: Dataset, n_folds: int, seed: int) -> Index:
    """Fold of each instance, int (n,); duplicate prompts share a fold, and tasks are spread evenly.

    There are at most as many folds as distinct prompts.
    """
    _, first, group = np.unique(prompt_groups(dataset), return_index=True, return_inverse=True)
    order = np.lexsort((np.random.default_rng([seed, 7]).random(len(first)), dataset.tasks[first]))
    of_group = np.empty(len(first), dtype=np.int64)
    of_group[order] = np.arange(len(first)) % min(n_folds, len(first))
    return of_group[group]
