"""A part of the training instances: nested, stratified, drawn anew for each seed."""

from itertools import pairwise

import numpy as np
import pytest

from recroute.data import Dataset
from recroute.errors import DataError
from recroute.splits import split_dataset, take_train_fraction

FRACTIONS = (0.03, 0.1, 0.25, 0.5, 1.0)


def taken(planted: Dataset, fraction: float, seed: int = 0) -> set[str]:
    return set(take_train_fraction(split_dataset(planted, seed=seed), fraction).train.instance_ids)


def test_smaller_fractions_lie_in_larger_ones(planted: Dataset) -> None:
    n = split_dataset(planted).train.n_instances
    found = [taken(planted, fraction) for fraction in FRACTIONS]
    assert [len(ids) for ids in found] == [round(fraction * n) for fraction in FRACTIONS]
    assert all(small < large for small, large in pairwise(found))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fraction", [0.03, 0.1, 0.5])
def test_every_task_has_its_share_to_within_one(planted: Dataset, fraction: float, seed: int) -> None:
    whole = split_dataset(planted, seed=seed)
    part = take_train_fraction(whole, fraction)
    for task in np.unique(whole.train.tasks):
        expected = fraction * (whole.train.tasks == task).sum()
        assert abs((part.train.tasks == task).sum() - expected) <= 1
    assert part.test.instance_ids == whole.test.instance_ids
    assert part.valid.instance_ids == whole.valid.instance_ids


def test_the_seed_decides_and_decides_alone(planted: Dataset) -> None:
    assert taken(planted, 0.1, seed=1) == taken(planted, 0.1, seed=1)
    assert taken(planted, 0.1, seed=1) != taken(planted, 0.1, seed=2)


@pytest.mark.parametrize(("fraction", "said"), [(0, "outside"), (1.1, "outside"), (0.001, "use at least 0.01")])
def test_impossible_fractions_are_refused(planted: Dataset, fraction: float, said: str) -> None:
    with pytest.raises(DataError, match=said):
        taken(planted, fraction)
