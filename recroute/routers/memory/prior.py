"""`LLMPrior`: the prior of unseen LLMs, learned from the known ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from recroute.data import Dataset
from recroute.data.llm_table import family_groups
from recroute.errors import DataError
from recroute.routers.factorisation import factorise
from recroute.routers.memory.batch import batch_order
from recroute.routers.memory.calibrate import MIN_LLMS, calibration
from recroute.routers.memory.metadata import Metadata
from recroute.routers.memory.mixture import Mixture
from recroute.routers.memory.posterior import shrink_loadings
from recroute.util.arguments import checked
from recroute.util.arrays import ArrayError, check_arrays
from recroute.util.files import new_file
from recroute.util.npz import NpzError, read_npz
from recroute.util.state import arrays_of, made, rules_of

MAX_FACTORS = 24
SPREAD = 0.1


@dataclass(frozen=True, repr=False, eq=False)
class LLMPrior(Mixture):
    """Prior of unseen LLMs: the model of `Mixture`, learned from the scores of known LLMs, with a file format."""

    def __repr__(self) -> str:
        (n, width), m = self.loadings.shape, len(self.llm_ids)
        return f"LLMPrior({m:,} known LLMs, {n:,} training prompts, {width - 1} factors)"

    @classmethod
    @checked
    def learn(cls, train: Dataset, *, n_factors: int | None = None, calibrated: bool = True, seed: int = 0) -> LLMPrior:
        """Learn from the scores of known LLMs; cells may be unobserved.

        Parameters
        ----------
        train : Dataset
        n_factors : int, optional
            Default: a third of the number of LLMs, at most 24.
        calibrated : bool
            Whether to calibrate means and intervals by cross-validation over the known LLMs.
        seed : int

        Raises
        ------
        DataError
            If fewer than 4 LLMs have records.
        """
        if (n_llms := np.count_nonzero(train.interactions.llm_counts)) < MIN_LLMS:
            raise DataError(
                f"{train.name} has {n_llms} LLMs with records; a prior of unseen LLMs needs at least {MIN_LLMS}"
            )
        answers, scale, trust = np.zeros(1), np.ones((1, 2)), np.zeros(1)
        if calibrated:
            plain = partial(cls.learn, n_factors=n_factors, calibrated=False, seed=seed)
            answers, scale, trust = calibration(train, plain, seed)
        n_factors = n_factors or max(1, min(MAX_FACTORS, train.n_llms // 3))
        task_names, task = np.unique(train.tasks, return_inverse=True)
        with threadpool_limits(1):
            matrix = train.interactions
            mean, left, right = factorise(matrix, n_factors, seed)
            vectors = np.column_stack([mean, right])
            loadings, noise = shrink_loadings(matrix, np.column_stack([np.ones(len(left)), left]), vectors)
            order = batch_order(matrix, loadings, vectors, family_groups(train.llms)[0], task, seed)
        return cls(
            instance_ids=np.array(train.instance_ids.ids),
            task=task,
            task_names=task_names,
            llm_ids=np.array(train.llm_ids.ids),
            loadings=loadings,
            vectors=vectors,
            noise=noise,
            metadata=Metadata.learn(train.llms, vectors @ loadings.mean(axis=0), seed),
            spread=SPREAD,
            answers=answers,
            scale=scale,
            trust=trust,
            order=order,
        )

    def save(self, path: str | Path) -> None:
        """Write one `.npz` file, atomically."""
        with new_file(Path(path)) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays_of(self))  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path) -> LLMPrior:
        """Read what `save` wrote; DataError if the file is damaged or something else."""
        try:
            content = read_npz(Path(path))
            check_arrays(content, rules_of(cls), {})
        except (NpzError, ArrayError) as error:
            raise DataError(f"{path} is not a valid prior: {error}; learn it again") from None
        prior: LLMPrior = made(cls, content)
        return prior
