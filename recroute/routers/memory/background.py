"""What a router keeps of its training data, to explain its choices and to take in LLMs later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data import Dataset, Encoder, IdMap, Prompts
from recroute.data.prompts import by_encoder
from recroute.data.reading import read_table
from recroute.data.schema import INSTANCES, LLMS, check_columns, require_columns
from recroute.errors import DataError, RouterError
from recroute.routers.description import Description
from recroute.routers.memory.evidence import Evidence, EvidenceFiles
from recroute.routers.memory.prior import LLMPrior
from recroute.util.arrays import Arrays
from recroute.util.files import write_parquet
from recroute.util.numeric import Index

PRIOR = "prior.npz"
PROMPTS = "prompts.parquet"
KNOWN = "llms.parquet"
COLUMNS = ("instance_id", "prompt", "task")


@dataclass(eq=False)
class Background:
    """Training prompts, what LLMs scored on them, and what that says about unseen ones.

    Parameters
    ----------
    prompts : polars.DataFrame
        The n training prompts that have a record: `instance_id, task` and, where there are texts, `prompt`.
    llms : polars.DataFrame
        The LLMs that the router was fitted on and still has: `llm_id` and what is known of them beside their scores.
    kept : Evidence or EvidenceFiles, optional
        Of these LLMs, and behind them of those added since. None in folders of older versions.
    known_prior : LLMPrior, optional
        Once it was learned.
    """

    prompts: pl.DataFrame
    llms: pl.DataFrame
    kept: Evidence | EvidenceFiles | None = None
    known_prior: LLMPrior | None = None

    @classmethod
    def of(cls, train: Dataset, *, with_vectors: bool) -> Background:
        """Of training data that carry the vectors the router reads, if it reads any."""
        train = train.evaluated()
        prompts, llms = (
            table.select([name for name in names if name in table.columns])
            for table, names in ((train.instances, COLUMNS), (train.llms, LLMS))
        )
        return cls(prompts, llms, Evidence(train.interactions, train.embeddings if with_vectors else None))

    def prior(self) -> LLMPrior:
        """Learned when it is first needed, from the scores of the LLMs that the router was fitted on and still has.

        Raises DataError if there are too few LLMs to learn from, RouterError if there are no scores.
        """
        if self.known_prior is None:
            if (evidence := self.evidence) is None:
                raise RouterError(
                    "this router was saved by an older version without a prior for unseen LLMs, and without the scores "
                    "it is learned from; fit it again"
                )
            scores = evidence.scores.take_llms(np.arange(self.llms.height))
            self.known_prior = LLMPrior.learn(Dataset("the training data", scores, self.prompts, self.llms))
        return self.known_prior

    @property
    def evidence(self) -> Evidence | None:
        """Read when it is first needed."""
        return self.kept.evidence if isinstance(self.kept, EvidenceFiles) else self.kept

    def sample(self, rows: Index, llm_ids: IdMap, encoder: Encoder | None) -> Prompts:
        """The training prompts at these positions, with what is kept of their scores and of their vectors.

        `llm_ids` are the LLMs of the scores, `encoder` made the vectors.
        """
        table, evidence = self.prompts[rows], self.evidence
        kept = None if evidence is None else evidence.vectors
        return Prompts(
            len(rows),
            "the training prompts",
            table["instance_id"].to_list(),
            table["prompt"].to_list() if "prompt" in table.columns else None,
            table["task"].to_numpy().astype(np.str_),
            {} if kept is None or encoder is None else by_encoder(np.asarray(kept[rows]), encoder),
            llm_ids,
            None if evidence is None else evidence.scores.take_instances(rows),
        )

    @cached_property
    def tasks(self) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
        """Names of the prompts' tasks, str (t,) in alphabetical order, and each prompt's place among them, int (n,)."""
        names, code = np.unique(self.prompts["task"].to_numpy().astype(np.str_), return_inverse=True)
        return names, code

    def grown(self, scores: NDArray[np.float32]) -> Background:
        """With more LLMs, whose scores f32 (n, j) are NaN where they were not run."""
        return self if self.evidence is None else replace(self, kept=self.evidence.grown(scores))

    def take_llms(self, kept: Index) -> Background:
        """With the LLMs at these positions only."""
        llms = self.llms[kept[kept < self.llms.height]]
        return replace(self, llms=llms, kept=None if self.evidence is None else self.evidence.take_llms(kept))

    def write(self, folder: Path, held: Mapping[str, NDArray[Any]]) -> dict[str, str]:
        """Write all into a folder, the prior if it was learned; where each array of the evidence is, by name.

        Arrays that the router holds itself are not written twice.
        """
        write_parquet(folder / PROMPTS, self.prompts)
        write_parquet(folder / KNOWN, self.llms)
        if self.known_prior is not None:
            self.known_prior.save(folder / PRIOR)
        return {} if self.evidence is None else self.evidence.write(folder, held)

    @classmethod
    def read(cls, folder: Path, description: Description, held: Arrays, sizes: dict[str, int]) -> Self:
        """What `write` wrote.

        Parameters
        ----------
        folder : Path
        description : Description
            The hashes of the files it names were checked, but for the evidence's.
        held : mapping of str to array
            The router's own arrays.
        sizes : dict of str to int
            The router's dimensions; the number of prompts is added.

        Raises
        ------
        RouterError
            If the files are damaged, or not about the same prompts or LLMs.
        """
        files, ids, kept = description.sha256, list(description.llm_ids), None
        if description.evidence:
            kept = EvidenceFiles(folder, description.evidence, files, held)
            kept.check_shapes(sizes)
        try:
            prompts = read_prompts(folder / PROMPTS, sizes.get("n_prompts"))
            llms = _read_llms(folder / KNOWN, ids) if KNOWN in files else pl.DataFrame({"llm_id": ids})
            prior = LLMPrior.load(folder / PRIOR) if PRIOR in files else None
        except DataError as error:
            raise RouterError(f"{str(error).partition(';')[0]}; fit the router again") from None
        sizes["n_prompts"] = prompts.height
        if prior is not None and prior.instance_ids.tolist() != prompts["instance_id"].to_list():
            raise RouterError(f"{folder / PRIOR} is about other prompts than {PROMPTS}; fit the router again")
        return cls(prompts, llms, kept, prior)


def _read_llms(file: Path, llm_ids: list[str]) -> pl.DataFrame:
    """The table of LLMs that the router was fitted on, the first of its own; DataError if it is something else."""
    table = check_columns(read_table(file), LLMS, str(file))
    require_columns(table, ("llm_id",), str(file))
    if table.is_empty():
        raise DataError(f"{file} is about no LLM")
    if table["llm_id"].to_list() != llm_ids[: table.height]:
        raise DataError(f"{file} is about other LLMs than the router")
    return table.select([name for name in LLMS if name in table.columns])


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
