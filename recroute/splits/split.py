"""A split of a data set."""

from dataclasses import dataclass

from recroute.data import Dataset


@dataclass(frozen=True)
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
