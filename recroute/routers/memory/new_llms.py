"""Unseen LLMs that are being added to a router: their scores, metadata and posterior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import NoneType

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.bridges import fit_ridge
from recroute.data import Dataset, IdMap, InteractionMatrix
from recroute.data.schema import LLMS, check_columns
from recroute.errors import DataError
from recroute.routers.memory.mixture import NORMAL
from recroute.routers.memory.posterior import Posterior
from recroute.routers.memory.prior import LLMPrior
from recroute.util.arguments import check_kind
from recroute.util.numeric import Array, Floats

N_FOLDS = 5


@dataclass(frozen=True, eq=False)
class NewLLMs:
    """Everything a router needs to derive its parameters for j unseen LLMs.

    Parameters
    ----------
    table : polars.DataFrame
        j rows: `llm_id` and metadata.
    scores : f32 (n, j)
        Scores on the training prompts, NaN where not run.
    prior : LLMPrior
    posterior : Posterior
    known : int (q,)
        Positions in the router of the LLMs that the prior was learned from; LLMs added later are not among them.
    rows : int (q,)
        Positions of the same LLMs in the prior.
    costs : f32 (k, j), optional
        Costs of the answers to k prompts, NaN where unknown.
    """

    table: pl.DataFrame
    scores: Floats
    prior: LLMPrior
    posterior: Posterior
    known: NDArray[np.int64]
    rows: NDArray[np.int64]
    costs: Floats | None = None

    @classmethod
    def of(
        cls,
        scores: Floats,
        table: pl.DataFrame,
        prior: LLMPrior,
        router_ids: IdMap,
        costs: Floats | None = None,
    ) -> NewLLMs:
        position = {name: i for i, name in enumerate(router_ids)}
        pairs = [(position[name], row) for row, name in enumerate(prior.llm_ids.tolist()) if name in position]
        known, rows = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return cls(table, scores, prior, prior.posterior(scores, table), known, rows, costs)

    @property
    def llm_ids(self) -> list[str]:
        return self.table["llm_id"].to_list()

    @cached_property
    def deviation(self) -> Array:
        """Standard deviation f64 (j,) of the mean score over the training prompts, from the calibrated 90% interval."""
        half = np.diff(self.posterior.interval, axis=1)[:, 0] / 2
        return np.asarray(half / NORMAL)

    def parameters(self, of_known: NDArray[np.floating]) -> Array:
        """Predict a router's parameters for the new LLMs, f64 (j, p), from those of its known LLMs, float (m, p).

        Ridge regression of the parameters on the LLMs' vectors, with a penalty chosen by leave-one-out. The vectors are
        scaled so that distances between them are differences in scores.
        """
        return self._predicted(of_known[self.known], slice(None), self.posterior.vectors)

    def parameter_errors(self, of_known: NDArray[np.floating]) -> Array:
        """Mean squared error f64 (p,) of `parameters`, by cross-validation over the known LLMs."""
        values, fold = of_known[self.known], np.arange(len(self.known)) % min(N_FOLDS, len(self.known))
        errors = np.empty(values.shape)
        for k in range(fold.max() + 1):
            held = fold == k
            errors[held] = values[held] - self._predicted(values[~held], ~held, self.prior.vectors[self.rows[held]])
        return np.asarray((errors**2).mean(axis=0))

    def _predicted(self, values: NDArray[np.floating], of: NDArray[np.bool_] | slice, vectors: Array) -> Array:
        """Parameters f64 (j, p) of LLMs with these vectors, from the values of some of the known ones."""
        scale = np.sqrt((self.prior.loadings**2).sum(axis=0))
        with threadpool_limits(1):
            weight, offset = fit_ridge(self.prior.vectors[self.rows[of]] * scale, values)
        return vectors * scale @ weight + offset  # (j, 1 + k) x (1 + k, p)


def read_scores(
    interactions: InteractionMatrix | Dataset | None, llm_table: pl.DataFrame | None, instance_ids: Sequence[str]
) -> tuple[Floats, pl.DataFrame]:
    """Scores f32 (n, j) on the training prompts and table of the j LLMs, from the arguments of `Router.add_llms`."""
    if llm_table is None:
        if not isinstance(interactions, Dataset):
            raise DataError("the ids of the LLMs are missing; give a table of LLMs with a column llm_id")
        llm_table = interactions.llms
    check_kind(interactions, (InteractionMatrix, Dataset, NoneType), "interactions")
    table = check_table(llm_table)
    n, j = len(instance_ids), table.height
    if interactions is None:
        return np.full((n, j), np.nan, dtype=np.float32), table
    if isinstance(interactions, Dataset):
        order = interactions.llm_ids.to_index(table["llm_id"].to_list())
        rows = _training_rows(interactions, instance_ids)
        scores = np.full((n, j), np.nan, dtype=np.float32)
        scores[rows] = interactions.take_llms(order).interactions.dense()
        return scores, table
    if (interactions.n_instances, interactions.n_llms) != (n, j):
        raise DataError(
            f"the interactions are {interactions.n_instances} x {interactions.n_llms}; give a row for each of the {n} "
            f"training prompts and a column for each of the {j} LLMs in the table"
        )
    return interactions.dense(), table


def read_costs(interactions: InteractionMatrix | Dataset | None, table: pl.DataFrame) -> Floats | None:
    """Costs f32 (k, j) of the answers of the j LLMs in the table; None if there are none."""
    if isinstance(interactions, Dataset):
        interactions = interactions.take_llms(interactions.llm_ids.to_index(table["llm_id"].to_list())).interactions
    return None if interactions is None else interactions.dense_costs()


def check_table(llm_table: pl.DataFrame) -> pl.DataFrame:
    """Validate the table of unseen LLMs; DataError if it is invalid or empty."""
    table = check_columns(llm_table, LLMS, "the table of LLMs")
    if table.is_empty():
        raise DataError("the table of LLMs has no rows; give one for each LLM to add")
    return table


def _training_rows(data: Dataset, instance_ids: Sequence[str]) -> NDArray[np.int64]:
    position = {name: i for i, name in enumerate(instance_ids)}
    unknown = [name for name in data.instance_ids if name not in position]
    if unknown:
        examples = ", ".join(repr(name) for name in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        raise DataError(
            f"{len(unknown)} of {data.n_instances} instances of {data.name} are not training prompts of the router: "
            f"{examples}; remove them, or use the ids the router was fitted with"
        )
    return np.array([position[name] for name in data.instance_ids], dtype=np.int64)
