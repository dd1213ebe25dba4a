"""A split of a data set."""

from dataclasses import dataclass
from importlib import import_module

from recroute.data import Dataset


@dataclass(frozen=True, repr=False)
class Split:
    """Three disjoint sets of instances over the same LLMs.

    Parameters
    ----------
    train, valid, test : Dataset
    name : str
        "random", "own", or what is held out, such as "task gsm8k".
    seed : int
    note : str
        What was done that a reader of the results should know; empty if nothing.
    """

    train: Dataset
    valid: Dataset
    test: Dataset
    name: str
    seed: int
    note: str = ""

    def parts(self) -> dict[str, Dataset]:
        return {"train": self.train, "valid": self.valid, "test": self.test}

    def __repr__(self) -> str:
        sizes = ", ".join(f"{part} {data.n_instances:,}" for part, data in self.parts().items())
        return f"Split({self.name!r}, seed {self.seed}: {sizes} instances; {self.train.n_llms:,} LLMs)"

    def _repr_html_(self) -> str:
        """What a notebook shows: the sizes of the parts."""
        return str(import_module("recroute.report").split_notebook(self))
