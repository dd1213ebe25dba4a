"""What a router keeps of its training data, to explain its choices and to take in LLMs later."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data import Dataset, IdMap
from recroute.data.reading import read_table
from recroute.data.schema import INSTANCES, check_columns, require_columns
from recroute.errors import DataError, RouterError
from recroute.routers.memory.evidence import Evidence, EvidenceFiles
from recroute.util.files import write_parquet

if TYPE_CHECKING:
    from recroute.routers.memory.prior import LLMPrior

PRIOR = "prior.npz"
PROMPTS = "prompts.parquet"
COLUMNS = ("instance_id", "prompt", "task")


@dataclass(eq=False)
class Background:
    """Training prompts, what LLMs scored on them, and what that says about unseen ones.

    Parameters
    ----------
    prompts : polars.DataFrame
        The n training prompts that have a record: `instance_id, task` and, where there are texts, `prompt`.
    train : Dataset, optional
        Where the prior is to be learned from, if there is none yet. Not a copy.
    known_prior : LLMPrior, optional
    kept : Evidence or EvidenceFiles, optional
        None in folders of older versions.
    """

    prompts: pl.DataFrame
    train: Dataset | None = None
    known_prior: LLMPrior | None = None
    kept: Evidence | EvidenceFiles | None = None

    @classmethod
    def of(cls, train: Dataset, *, with_vectors: bool) -> Background:
        """Of training data that carry the vectors the router reads, if it reads any."""
        train = train.evaluated()
        evidence = Evidence(train.interactions, train.embeddings if with_vectors else None)
        return cls(
            train.instances.select([name for name in COLUMNS if name in train.instances.columns]), train, kept=evidence
        )

    def prior(self) -> LLMPrior:
        """Learned when it is first needed.

        Raises DataError if there are too few LLMs to learn from, RouterError if there was no prior in the folder.
        """
        from recroute.routers.memory.prior import LLMPrior

        if self.known_prior is None:
            if self.train is None:
                raise RouterError(
                    "this router was saved without a prior for unseen LLMs (it takes none, or was fitted on too few "
                    "LLMs); fit it again"
                )
            self.known_prior = LLMPrior.learn(self.train)
        return self.known_prior

    @property
    def evidence(self) -> Evidence | None:
        """Read when it is first needed."""
        return self.kept.evidence if isinstance(self.kept, EvidenceFiles) else self.kept

    @cached_property
    def tasks(self) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
        """Names of the prompts' tasks, str (t,) in alphabetical order, and each prompt's place among them, int (n,)."""
        names, code = np.unique(self.prompts["task"].to_numpy().astype(np.str_), return_inverse=True)
        return names, code

    def grown(self, scores: NDArray[np.float32]) -> Background:
        """With more LLMs, whose scores f32 (n, j) are NaN where they were not run."""
        return self if self.evidence is None else replace(self, kept=self.evidence.grown(scores))

    def take_llms(self, kept: NDArray[np.int64]) -> Background:
        """With the evidence of the LLMs at these positions only."""
        return self if self.evidence is None else replace(self, kept=self.evidence.take_llms(kept))

    def write(self, folder: Path, held: Mapping[str, NDArray[Any]], *, with_prior: bool) -> dict[str, str]:
        """Write all into a folder, without a prior where there are too few LLMs; where the evidence is, by name.

        Arrays that the router holds itself are not written twice.
        """
        write_parquet(folder / PROMPTS, self.prompts)
        if with_prior:
            with suppress(DataError, RouterError):
                self.prior().save(folder / PRIOR)
        return {} if self.evidence is None else self.evidence.write(folder, held)

    @classmethod
    def read(cls, folder: Path, files: Collection[str], kept: EvidenceFiles | None, sizes: dict[str, int]) -> Self:
        """What `write` wrote.

        Parameters
        ----------
        folder : Path
        files : collection of str
            Names of the files whose hashes were checked.
        kept : EvidenceFiles, optional
        sizes : dict of str to int
            The router's dimensions; the number of prompts is added.

        Raises
        ------
        RouterError
            If the files are damaged, or not about the same prompts.
        """
        from recroute.routers.memory.prior import LLMPrior

        if kept is not None:
            kept.check_shapes(sizes)
        try:
            prompts = read_prompts(folder / PROMPTS, sizes.get("n_prompts"))
            prior = LLMPrior.load(folder / PRIOR) if PRIOR in files else None
        except DataError as error:
            raise RouterError(f"{str(error).partition(';')[0]}; fit the router again") from None
        sizes["n_prompts"] = prompts.height
        if prior is not None and prior.instance_ids.tolist() != prompts["instance_id"].to_list():
            raise RouterError(f"{folder / PRIOR} is about other prompts than {PROMPTS}; fit the router again")
        return cls(prompts, None, prior, kept)


def read_prompts(file: Path, n: int | None) -> pl.DataFrame:
    """The table of training prompts, of which there have to be n, if that is known.

    Raises DataError if it is damaged or not such a table; what it announces is compared before it is read.
    """
    table = check_columns(read_table(file), INSTANCES, str(file))
    if table.is_empty() or table.height != (n or table.height):
        raise DataError(f"{file} has {table.height} prompts, and the router was fitted on {n or 'some'}")
    require_columns(table, ("task",), str(file))
    IdMap(tuple(table["instance_id"].to_list()), kind="instance")
    return table.select([name for name in COLUMNS if name in table.columns])
