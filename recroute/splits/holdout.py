"""`holdout_splits`: leave one task or benchmark out, to measure routing of new kinds of prompts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from recroute.data import Dataset, prompt_groups
from recroute.errors import DataError, UnknownNameError, argument
from recroute.splits.by_instance import TRAIN, VALID, draw_parts
from recroute.splits.split import Split

HOLDOUTS = ("task", "benchmark")


def holdout_splits(dataset: Dataset, by: str, *, seed: int = 0) -> Iterator[Split]:
    """Splits that hold out one task (or benchmark) each as the test set, in alphabetical order.

    Parameters
    ----------
    dataset : Dataset
    by : {"task", "benchmark"}
        Column of the instance table.
    seed : int
        Seed of the validation part, a ninth of the remaining instances.

    Yields
    ------
    Split
        Named after what it holds out, such as "task gsm8k". Other instances with the prompt of a test instance are
        dropped.

    Raises
    ------
    UnknownNameError
        If `by` is something else.
    DataError
        If the data set lacks the column, or it has fewer than two values or too few instances to train on.
    """
    if by not in HOLDOUTS:
        raise UnknownNameError("holdout", by, HOLDOUTS)
    if by not in dataset.instances.columns:
        raise DataError(f"{dataset.name} has no {by} column in its instances; add one, or use {argument('split')}")
    kinds = dataset.instances[by].to_numpy().astype(np.str_)
    names = np.unique(kinds)
    if len(names) < 2:
        raise DataError(f"{dataset.name} has only the {by} {names[0]!r}; holding it out leaves nothing to train on")
    group = prompt_groups(dataset)
    for name in names:
        test = np.flatnonzero(kinds == name)
        rest = np.flatnonzero((kinds != name) & ~np.isin(group, group[test]))
        part = draw_parts(group[rest], dataset.tasks[rest], (VALID,), 9, np.random.default_rng(seed))
        train, valid = rest[part == TRAIN], rest[part == VALID]
        if len(train) == 0 or len(valid) == 0:
            raise DataError(
                f"{dataset.name}: without the {by} {name!r} only {len(rest)} instances are left to train on"
            )
        leaks = len(kinds) - len(test) - len(rest)
        yield Split(
            train=dataset.take_instances(train),
            valid=dataset.take_instances(valid),
            test=dataset.take_instances(test),
            name=f"{by} {name}",
            seed=seed,
            note=f"{leaks} instances share a prompt with the held-out {by} {name} and were left out" if leaks else "",
        )
