"""`Split`, and taking a fraction of its training instances."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.errors import DataError
from recroute.report.document import Cell, Document, Number, Table
from recroute.report.shown import Shown
from recroute.util.numeric import Index, Positions


@dataclass(frozen=True, repr=False)
class Split(Shown):
    """Three disjoint sets of instances over the same LLMs.

    Parameters
    ----------
    train, valid, test : Dataset
    name : str
        "random", "own", or what is held out, such as "task gsm8k".
    seed : int
    note : str
        Note for the reader of the results; may be empty.
    """

    train: Dataset
    valid: Dataset
    test: Dataset
    name: str
    seed: int
    note: str = ""

    def parts(self) -> dict[str, Dataset]:
        return {"train": self.train, "valid": self.valid, "test": self.test}

    def take_llms(self, index: Positions) -> Split:
        """The split with the LLMs at these positions only."""
        train, valid, test = (data.take_llms(index) for data in self.parts().values())
        return replace(self, train=train, valid=valid, test=test)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{part} {data.n_instances:,}" for part, data in self.parts().items())
        return f"Split({self.name!r}, seed {self.seed}: {sizes} instances; {self.train.n_llms:,} LLMs)"

    def document(self) -> Document:
        """Table of the sizes of the parts."""
        rows: list[list[Cell]] = [
            [
                name,
                *(Number(n, form=",d") for n in (part.n_instances, part.interactions.n_observed, len(set(part.tasks)))),
            ]
            for name, part in self.parts().items()
        ]
        return Document(
            title=f"Split {self.name} of {self.train.name}",
            facts=f"{self.train.n_llms:,} LLMs; seed {self.seed}{'; ' * bool(self.note)}{self.note}",
            blocks=[Table(heads=["part", "instances", "records", "tasks"], rows=rows)],
            simulated=bool(self.train.card.get("simulated")),
        )


def take_train_fraction(split: Split, fraction: float) -> Split:
    """Reduce the training instances of a split to a fraction; validation and test instances do not change.

    Fractions of one split are nested: a larger fraction contains a smaller one. They are stratified: every task is
    reduced by the same fraction, to within one instance (systematic sampling within the task, from a random start).

    Parameters
    ----------
    split : Split
        Its seed determines the order in which instances are taken.
    fraction : float
        In (0, 1]; 1 returns the split itself.

    Raises
    ------
    DataError
        If the fraction is outside (0, 1], or leaves fewer than two instances.
    """
    if not 0 < fraction <= 1:
        raise DataError(f"training fraction {fraction:g} is outside (0, 1]; give shares such as 0.1 or 1")
    if fraction == 1:
        return split
    n = split.train.n_instances
    n_taken = round(fraction * n)
    if n_taken < 2:
        raise DataError(
            f"training fraction {fraction:g} of {n} training instances leaves {n_taken}; use at least {2 / n:.2g}"
        )
    first = _order(split.train.tasks, np.random.default_rng([split.seed, 13]))[:n_taken]
    return replace(split, train=split.train.take_instances(np.sort(first)))


def _order(tasks: NDArray[np.str_], rng: np.random.Generator) -> Index:
    """Positions int (n,) in an order in which every prefix contains each task in proportion, to within one."""
    _, task = np.unique(tasks, return_inverse=True)
    shuffled = rng.permutation(len(tasks))
    shuffled = shuffled[np.argsort(task[shuffled], kind="stable")]  # task by task, in random order within
    size = np.bincount(task)
    rank = np.arange(len(tasks)) - np.repeat(np.cumsum(size) - size, size)
    start = rng.random(len(size))
    of = task[shuffled]
    return shuffled[np.argsort((rank + start[of]) / size[of], kind="stable")]
