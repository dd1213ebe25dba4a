"""What a router keeps of its training data, to take in LLMs later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from recroute.data import Dataset
from recroute.errors import DataError, RouterError

if TYPE_CHECKING:
    from recroute.routers.unseen.prior import LLMPrior

PRIOR = "prior.npz"
PROMPTS = "prompts.parquet"
COLUMNS = ("instance_id", "prompt", "task")


@dataclass
class Background:
    """Training prompts, and what the known LLMs' scores on them say about unseen ones.

    Parameters
    ----------
    prompts : polars.DataFrame
        The n training prompts that have a record: `instance_id, task` and, where there are texts, `prompt`.
    train : Dataset, optional
        Where the prior is to be learned from, if there is none yet. Not a copy.
    known_prior : LLMPrior, optional
    """

    prompts: pl.DataFrame
    train: Dataset | None = None
    known_prior: LLMPrior | None = None

    @classmethod
    def of(cls, train: Dataset) -> Background:
        seen = np.flatnonzero(train.interactions.instance_counts)
        if len(seen) < train.n_instances:
            train = train.take_instances(seen)
        return cls(train.instances.select([name for name in COLUMNS if name in train.instances.columns]), train)

    def prior(self) -> LLMPrior:
        """Learned when it is first needed.

        Raises DataError if there are too few LLMs to learn from.
        """
        from recroute.routers.unseen.prior import LLMPrior

        if self.known_prior is None:
            assert self.train is not None  # one of the two is there
            self.known_prior = LLMPrior.learn(self.train)
        return self.known_prior

    def write(self, folder: Path) -> None:
        """Write both into a folder; nothing where there are too few LLMs for a prior."""
        try:
            prior = self.prior()
        except DataError:
            return
        prior.save(folder / PRIOR)
        self.prompts.write_parquet(folder / PROMPTS)

    @classmethod
    def read(cls, folder: Path) -> Background | None:
        """What `write` wrote; None if it was not called.

        Raises RouterError if the files are damaged.
        """
        from recroute.routers.unseen.prior import LLMPrior

        if not ((folder / PRIOR).is_file() and (folder / PROMPTS).is_file()):
            return None
        try:
            return cls(pl.read_parquet(folder / PROMPTS, glob=False), known_prior=LLMPrior.load(folder / PRIOR))
        except (pl.exceptions.PolarsError, OSError, ValueError) as error:
            raise RouterError(f"{folder} cannot be read: {error}; fit the router again") from None
