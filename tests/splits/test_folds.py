"""Folds hold every instance out once."""

import numpy as np

from recroute.data import Dataset
from recroute.splits import make_folds
from recroute.splits.folds import draw_folds


def test_folds_keep_equal_prompts_together_and_spread_the_tasks(planted: Dataset) -> None:
    twice = planted.take_instances(np.concatenate([np.arange(240), np.arange(30)]))
    fold = draw_folds(twice, 4, seed=0)
    np.testing.assert_array_equal(fold[:30], fold[240:])
    counts = np.array(
        [np.bincount(fold[:240][planted.tasks == task], minlength=4) for task in np.unique(planted.tasks)]
    )
    assert counts.min() == counts.max() == 20


def test_each_instance_is_held_out_once(planted: Dataset) -> None:
    folds = make_folds(planted, 5, seed=1)
    assert sorted(np.concatenate([fold.index for fold in folds])) == list(range(planted.n_instances))
    for fold in folds:
        ids = np.array(planted.instance_ids.ids)
        assert list(fold.parts.test.instance_ids) == ids[fold.index].tolist()
        assert not set(fold.parts.train.instance_ids) & set(fold.parts.test.instance_ids)


def test_there_are_no_more_folds_than_prompts(planted: Dataset) -> None:
    assert len(make_folds(planted.take_instances([0, 1, 0]), 5, seed=0)) == 2
