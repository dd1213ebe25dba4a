"""`split_dataset`: splits by instance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, prompt_groups
from recroute.errors import DataError, UnknownNameError, argument
from recroute.splits.split import Split
from recroute.util.arguments import as_whole_number, checked

SPLITS = ("own", "random")
PARTS = ("train", "valid", "test")
TRAIN, VALID, TEST = range(3)
DROPPED = -1


@checked
def split_dataset(dataset: Dataset, *, kind: str | None = None, seed: int = 0) -> Split:
    """Split by instance, stratified by task; duplicate prompts stay in the same part.

    Parameters
    ----------
    dataset : Dataset
    kind : {"own", "random"}, optional
        "random": 80/10/10. "own": the `split` column; if it has no validation instances, an eighth of the training
        instances is used for validation. Default: "own" if the data set has the column.
    seed : int

    Raises
    ------
    UnknownNameError
        If `kind` is something else.
    DataError
        If `kind` is "own" and the `split` column is missing or has an unknown value, or if there are fewer than ten
        distinct prompts.

    Notes
    -----
    Prompts are compared after Unicode normalisation (NFKC), lower-casing and collapsing white space. An "own" split
    keeps all test instances and drops training and validation instances that have the prompt of a test instance.
    """
    has_own = "split" in dataset.instances.columns
    kind = kind or ("own" if has_own else "random")
    if kind not in SPLITS:
        raise UnknownNameError("split", kind, SPLITS)
    if kind == "own" and not has_own:
        raise DataError(f"{dataset.name} has no split column in its instances; use {argument('split', 'random')}")
    rng = np.random.default_rng(as_whole_number(seed, "seed", low=0))
    group = prompt_groups(dataset)
    note = ""
    if kind == "own":
        part = _drop_leaks(_own_parts(dataset), group)
        if n_leaks := int(np.count_nonzero(part == DROPPED)):
            note = f"{n_leaks} training or validation instances share a prompt with a test instance and were left out"
        if not (part == VALID).any():
            train = np.flatnonzero(part == TRAIN)
            part[train[draw_parts(group[train], dataset.tasks[train], (VALID,), 8, rng) == VALID]] = VALID
    else:
        part = draw_parts(group, dataset.tasks, (TEST, VALID), 10, rng)
    taken = {}
    for code, name in enumerate(PARTS):
        index = np.flatnonzero(part == code)
        if len(index) == 0:
            raise DataError(
                f"{dataset.name}: the {kind} split leaves no {name} instance; at least ten prompts are needed"
            )
        taken[name] = dataset.take_instances(index)
    return Split(**taken, name=kind, seed=seed, note=note)


def draw_parts(
    group: NDArray[np.int64],
    tasks: NDArray[np.str_],
    parts: tuple[int, ...],
    out_of: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw one of every `out_of` groups for each of `parts`; the rest is for training.

    The groups are sorted by task, in random order within a task, and every block of `out_of` consecutive groups gives
    one to each part. So every task is split in proportion, to within one group, however small it is.
    """
    _, first = np.unique(group, return_index=True)
    n_groups = len(first)
    row = np.lexsort((rng.random(n_groups), tasks[first]))
    of_group = np.full(n_groups, TRAIN)
    for start in range(0, n_groups, out_of):
        run = rng.permutation(row[start : start + out_of])
        if len(run) < out_of:  # the last block is short; fill it up with placeholders
            run = rng.permutation(np.concatenate([run, np.full(out_of - len(run), DROPPED)]))
        for part, chosen in zip(parts, run, strict=False):
            if chosen != DROPPED:
                of_group[chosen] = part
    _, position = np.unique(group, return_inverse=True)
    return of_group[position]


def _own_parts(dataset: Dataset) -> NDArray[np.int64]:
    column = dataset.instances["split"].to_list()
    for row, value in enumerate(column):
        if value not in PARTS:
            instance = dataset.instance_ids.ids[row]
            raise DataError(
                f"split {value!r} of instance {instance!r} is not one of {', '.join(PARTS)}; fix it or use "
                f"{argument('split', 'random')}"
            )
    return np.array([PARTS.index(value) for value in column])


def _drop_leaks(part: NDArray[np.int64], group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Drop validation instances with a test prompt, and training instances with a test or validation prompt."""
    part = part.copy()
    for kept in (TEST, VALID):
        leaks = np.isin(group, group[part == kept]) & (part < kept) & (part != DROPPED)
        part[leaks] = DROPPED
    return part
