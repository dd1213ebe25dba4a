"""Training data kept by a router: prompts, LLM table, scores, vectors and the prior of unseen LLMs."""

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
from recroute.data.schema import INSTANCES, LLMS, check_columns, require_columns
from recroute.data.tables import read_table
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
    """Training prompts, the LLMs' scores on them, and the prior of unseen LLMs learned from these.

    Parameters
    ----------
    prompts : polars.DataFrame
        The n training prompts that have a record: `instance_id, task` and, if there are texts, `prompt`.
    llms : polars.DataFrame
        The LLMs of the fit that the router still has: `llm_id` and metadata.
    kept : Evidence or EvidenceFiles, optional
        Scores of these LLMs, followed by those of LLMs added later, and prompt vectors. None in folders of older
        versions.
    known_prior : LLMPrior, optional
        The prior, if it was learned already.
    """

    prompts: pl.DataFrame
    llms: pl.DataFrame
    kept: Evidence | EvidenceFiles | None = None
    known_prior: LLMPrior | None = None

    @classmethod
    def of(cls, train: Dataset, *, with_vectors: bool) -> Background:
        """Keep these training data; `with_vectors` says whether the router reads their vectors."""
        train = train.evaluated()
        prompts, llms = (
            table.select([name for name in names if name in table.columns])
            for table, names in ((train.instances, COLUMNS), (train.llms, LLMS))
        )
        return cls(prompts, llms, Evidence(train.interactions, train.embeddings if with_vectors else None))

    def prior(self) -> LLMPrior:
        """Prior of unseen LLMs, learned at first use from the LLMs of the fit that the router still has.

        Raises DataError if there are too few LLMs to learn from, RouterError if the router keeps no scores.
        """
        if self.known_prior is None:
            if (evidence := self.evidence) is None:
                raise RouterError(
                    "this router was saved by an older version without the scores from which a prior of unseen LLMs is "
                    "learned; fit it again"
                )
            scores = evidence.scores.take_llms(np.arange(self.llms.height))
            self.known_prior = LLMPrior.learn(Dataset("the training data", scores, self.prompts, self.llms))
        return self.known_prior

    @property
    def evidence(self) -> Evidence | None:
        """Scores and vectors, read from the router's folder at first use."""
        return self.kept.evidence if isinstance(self.kept, EvidenceFiles) else self.kept

    def sample(self, rows: Index, llm_ids: IdMap, encoder: Encoder | None) -> Prompts:
        """Training prompts at these positions, with the scores and vectors that are kept.

        `llm_ids` are the LLMs of the scores, `encoder` is the encoder of the vectors.
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
        """Task names str (t,) in alphabetical order, and the position of each prompt's task among them, int (n,)."""
        names, code = np.unique(self.prompts["task"].to_numpy().astype(np.str_), return_inverse=True)
        return names, code

    def grown(self, scores: NDArray[np.float32]) -> Background:
        """Append LLMs with scores f32 (n, j), NaN where they were not run."""
        return self if self.evidence is None else replace(self, kept=self.evidence.grown(scores))

    def take_llms(self, kept: Index) -> Background:
        """Keep the LLMs at these positions only."""
        llms = self.llms[kept[kept < self.llms.height]]
        return replace(self, llms=llms, kept=None if self.evidence is None else self.evidence.take_llms(kept))

    def take_prompts(self, kept: Index) -> Background:
        """Keep the prompts at these positions only; the prior is learned again from them when it is asked for."""
        evidence = None if self.evidence is None else self.evidence.take_prompts(kept)
        return replace(self, prompts=self.prompts[kept], kept=evidence, known_prior=None)

    def write(self, folder: Path, held: Mapping[str, NDArray[Any]]) -> dict[str, str]:
        """Write everything to the router's folder; returns the file of each array of the evidence.

        Arrays that equal one of the router's own (`held`) are not written again.
        """
        write_parquet(folder / PROMPTS, self.prompts)
        write_parquet(folder / KNOWN, self.llms)
        if self.known_prior is not None:
            self.known_prior.save(folder / PRIOR)
        return {} if self.evidence is None else self.evidence.write(folder, held)

    @classmethod
    def read(cls, folder: Path, description: Description, held: Arrays, sizes: dict[str, int]) -> Self:
        """Read what `write` wrote.

        Parameters
        ----------
        folder : Path
        description : Description
            Names the files; all of their hashes were checked, except those of the evidence.
        held : mapping of str to array
            The router's own arrays.
        sizes : dict of str to int
            Known dimensions; the number of prompts is added.

        Raises
        ------
        RouterError
            If a file is damaged, or the files disagree about the prompts or LLMs.
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
            raise RouterError(f"{folder / PRIOR} and {PROMPTS} list different prompts; fit the router again")
        return cls(prompts, llms, kept, prior)


def _read_llms(file: Path, llm_ids: list[str]) -> pl.DataFrame:
    """Table of the LLMs of the fit, which come first among the router's LLMs; DataError if it does not match these."""
    table = check_columns(read_table(file), LLMS, str(file))
    require_columns(table, ("llm_id",), str(file))
    if table.is_empty():
        raise DataError(f"{file} has no rows")
    if table["llm_id"].to_list() != llm_ids[: table.height]:
        raise DataError(f"{file} lists other LLMs than the router")
    return table.select([name for name in LLMS if name in table.columns])


def read_prompts(file: Path, n: int | None) -> pl.DataFrame:
    """Table of training prompts; DataError if it is damaged, lacks a column or does not have n rows (if n is given)."""
    table = check_columns(read_table(file), INSTANCES, str(file))
    if table.is_empty() or table.height != (n or table.height):
        raise DataError(f"{file} has {table.height} prompts, but the router was fitted on {n or 'at least one'}")
    require_columns(table, ("task",), str(file))
    IdMap(table["instance_id"], kind="instance")
    return table.select([name for name in COLUMNS if name in table.columns])
