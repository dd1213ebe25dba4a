"""A data set: the interaction matrix, what is known of its instances and LLMs, and the prompts' vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.description import document_of
from recroute.data.encoding import Encoder, as_vectors, check_encoder
from recroute.data.ids import IdMap
from recroute.data.matrix import InteractionMatrix
from recroute.data.preferences import Preferences, pair_table
from recroute.data.records import (
    Records,
    id_table,
    score_matrix,
    side_table,
    side_tables,
    verdict_matrix,
    with_task,
)
from recroute.data.schema import INSTANCES, LLMS, check_columns
from recroute.data.task_means import compute_task_means
from recroute.errors import DataError, UnknownNameError, one_line
from recroute.report.document import Document
from recroute.report.shown import Tabular
from recroute.util.arguments import as_index, checked
from recroute.util.mapped import take_rows
from recroute.util.numeric import Array, Positions


@dataclass(frozen=True, eq=False)
class Dataset(Tabular):
    """n instances, m LLMs, and the scores observed between them.

    It is indexed like its matrix: `dataset[rows, llms]`, where each is a slice, positions or flags.

    Parameters
    ----------
    name : str
    interactions : InteractionMatrix (n, m)
    instances : polars.DataFrame
        n rows in the order of the matrix: `instance_id, task` and, if known, `prompt, benchmark, split`.
    llms : polars.DataFrame
        m rows in the order of the matrix: `llm_id` and, if known, `family, n_params_b, price_in, price_out`.
    embeddings : f32 (n, d), optional
        A vector for each instance. Those of a large folder stay in its file (`MappedRows`): rows that are indexed are
        read, and arithmetic reads all.
    encoder : Encoder, optional
        What made the embeddings; set exactly when they are.
    card : mapping
        Free text: title, source, licence, what a score means.
    pools : polars.DataFrame, optional
        Pools of candidate LLMs that came with the data, a row for each member: `group, pool_size, llm_id` and,
        where each benchmark has its own, `benchmark`.
    preferences : Preferences, optional
        Battles of two LLMs on an instance, beside scores or in their place.
    verdicts : InteractionMatrix (n, m), optional
        1 where a check passed the answer, 0 where it did not: what a program can know of an answer, unlike its score.

    Raises
    ------
    DataError
        If the parts do not fit together.
    """

    name: str
    interactions: InteractionMatrix
    instances: pl.DataFrame
    llms: pl.DataFrame
    embeddings: NDArray[np.float32] | None = None
    encoder: Encoder | None = None
    card: Mapping[str, Any] = field(default_factory=dict)
    pools: pl.DataFrame | None = None
    preferences: Preferences | None = None
    verdicts: InteractionMatrix | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", one_line(self.name))  # it is for messages and titles
        n, m = self.interactions.n_instances, self.interactions.n_llms
        if (self.instances.height, self.llms.height) != (n, m):
            raise DataError(
                f"{self.name}: the matrix is {n} x {m}, the tables have {self.instances.height} instances "
                f"and {self.llms.height} LLMs"
            )
        self.interactions.check_scores()
        if self.verdicts is not None and self.verdicts.shape != (n, m):
            raise DataError(f"{self.name}: the verdicts are {self.verdicts.shape}, the scores {n, m}")
        if self.preferences is not None and not self.preferences.fit(n, m):
            raise DataError(f"{self.name}: preferences about instances or LLMs beyond the tables of {n} and {m}")
        object.__setattr__(self, "instances", check_columns(self.instances, INSTANCES, f"the instances of {self.name}"))
        object.__setattr__(self, "llms", check_columns(self.llms, LLMS, f"the LLMs of {self.name}"))
        if (self.embeddings is None) != (self.encoder is None):
            raise DataError(f"{self.name}: embeddings and their encoder go together; give both or neither")
        if self.encoder is not None:
            check_encoder(self.encoder, self.name)
        if self.embeddings is not None:
            found = as_vectors(self.embeddings, f"the embeddings of {self.name}", self._instance_name)
            if len(found) != n:
                raise DataError(f"{self.name}: {len(found)} embeddings for {n} instances")
            object.__setattr__(self, "embeddings", found)

    def _instance_name(self, row: int) -> str:
        return f"instance {self.instances['instance_id'][row]!r}"

    @classmethod
    def from_records(
        cls,
        records: Records | Any,
        *,
        name: str = "records",
        instances: Any = None,
        llms: Any = None,
        card: Mapping[str, Any] | None = None,
        preferences: Any = None,
    ) -> Dataset:
        """Build from a table of evaluated answers, of preferences (see `pair_table`), or both.

        Every table may be polars, pandas, pyarrow or a dict of columns. `records` is None where there are only
        preferences. Without tables of instances or LLMs the ids come from
        the records and preferences, in alphabetical order; a missing `task` column becomes the one task "all".
        Raises DataError for ids the tables do not know, for pairs of instance and LLM that occur twice, and where
        there is neither a record nor a preference.
        """
        if not (records is None or isinstance(records, Records)):
            records = Records.from_frame(records)
        battles = None if preferences is None else pair_table(preferences, "preferences")
        if records is None and (battles is None or battles.is_empty()):
            raise DataError(f"{name} has neither records nor preferences; one row of either is needed")
        instances, llms = side_tables(
            records, battles, side_table(instances, "instance_id"), side_table(llms, "llm_id")
        )
        if records is None:
            matrix = InteractionMatrix.empty(instances.height, llms.height)
        else:
            matrix = score_matrix(records, instances, llms)
        found = cls(name=name, interactions=matrix, instances=instances, llms=llms, card=dict(card or {}))
        return found if battles is None else found.with_preferences(battles)

    @classmethod
    def from_matrix(
        cls,
        matrix: Any,
        llm_ids: Any,
        instance_ids: Any,
        *,
        name: str = "matrix",
        instances: Any = None,
        llms: Any = None,
        card: Mapping[str, Any] | None = None,
    ) -> Dataset:
        """Build from a matrix of scores, instances in rows and LLMs in columns.

        Parameters
        ----------
        matrix : (n, m)
            An array, NaN where nothing was observed; or scipy's csr, csc or coo, in which a stored 0 is a failure and
            what is absent was not observed. Beware of `csr_matrix(array)`: it drops zeros.
        llm_ids, instance_ids : list of str or int
            Names of the columns and of the rows; whole numbers become text.
        name : str
        instances, llms : frame, optional
            What is known of each, as in `from_records`, in any order.
        card : mapping, optional

        Raises
        ------
        DataError
            If the ids do not fit the matrix, or a score is not in [0, 1].

        Examples
        --------
        >>> data = Dataset.from_matrix([[1, 0], [float("nan"), 0.5]], ["llama", "qwen"], [7, 8])
        >>> data.interactions.n_observed, data.instance_ids.ids
        (3, ('7', '8'))
        """
        scores = InteractionMatrix.from_matrix(matrix)
        rows = id_table(instance_ids, "instance_id", scores.n_instances, instances)
        columns = id_table(llm_ids, "llm_id", scores.n_llms, llms)
        return cls(name=name, interactions=scores, instances=with_task(rows), llms=columns, card=dict(card or {}))

    @property
    def shape(self) -> tuple[int, int]:
        """n, m."""
        return self.interactions.shape

    def __len__(self) -> int:
        return self.n_instances

    def __getitem__(self, index: Any) -> Dataset:
        rows, llms = index if isinstance(index, tuple) and len(index) == 2 else (index, ...)
        found = self if rows is ... else self.take_instances(_positions(rows, self.n_instances))
        return found if llms is ... else found.take_llms(_positions(llms, self.n_llms))

    def to_polars(self) -> pl.DataFrame:
        """The records: `instance_id, task, llm_id, score` and, where there are costs, `cost`."""
        rows, columns = self.interactions.coordinates()
        records = self.instances.select("instance_id", "task")[rows].with_columns(
            self.llms["llm_id"][columns], pl.Series("score", self.interactions.scores.data)
        )
        costs = self.interactions.costs
        return records if costs is None else records.with_columns(pl.Series("cost", costs.data))

    @property
    def n_instances(self) -> int:
        return self.interactions.n_instances

    @property
    def n_llms(self) -> int:
        return self.interactions.n_llms

    @property
    def n_preferences(self) -> int:
        return 0 if self.preferences is None else len(self.preferences)

    @property
    def is_rated(self) -> NDArray[np.bool_]:
        """Whether an instance has a record or a preference, bool (n,)."""
        seen = self.interactions.instance_counts > 0
        if self.preferences is not None:
            seen[self.preferences.instance_index] = True
        return seen

    def require_scores(self, what: str) -> None:
        """Raise DataError where there are only preferences, which `what` cannot do with."""
        if self.interactions.n_observed == 0 and self.preferences is not None:
            raise DataError(f"{self.name} has only preferences, and {what} needs scores; add records")

    @cached_property
    def instance_ids(self) -> IdMap:
        return IdMap(self.instances["instance_id"], kind="instance")

    @cached_property
    def llm_ids(self) -> IdMap:
        return IdMap(self.llms["llm_id"], kind="llm")

    @cached_property
    def tasks(self) -> NDArray[np.str_]:
        """Task of each instance, str (n,)."""
        return self.instances["task"].to_numpy().astype(np.str_)

    @cached_property
    def task_means(self) -> tuple[NDArray[np.str_], Array, Array]:
        """See `recroute.data.means.task_means`; pools and routers ask for them again and again."""
        return compute_task_means(self.interactions, self.tasks)

    @property
    def prompts(self) -> list[str] | None:
        """Prompt of each instance, or None where the data set has no texts."""
        return self.instances["prompt"].to_list() if "prompt" in self.instances.columns else None

    def take_instances(self, index: Positions) -> Dataset:
        """The data set with these instances only, in this order; `index` int (k,), or bool (n,)."""
        index = as_index(index, self.n_instances, "instances")
        preferences = self.preferences
        return replace(
            self,
            interactions=self.interactions.take_instances(index),
            instances=self.instances[index],
            embeddings=None if self.embeddings is None else take_rows(self.embeddings, index),
            preferences=None if preferences is None else preferences.take_instances(index, self.n_instances),
            verdicts=None if self.verdicts is None else self.verdicts.take_instances(index),
        )

    def evaluated(self) -> Dataset:
        """The instances that have a record; this data set itself where all have."""
        seen = np.flatnonzero(self.interactions.instance_counts)
        return self if len(seen) == self.n_instances else self.take_instances(seen)

    def take_llms(self, index: Positions) -> Dataset:
        """The data set with these LLMs only, in this order; `index` int (k,), or bool (m,)."""
        index = as_index(index, self.n_llms, "LLMs")
        preferences = self.preferences
        return replace(
            self,
            interactions=self.interactions.take_llms(index),
            llms=self.llms[index],
            preferences=None if preferences is None else preferences.take_llms(index, self.n_llms),
            verdicts=None if self.verdicts is None else self.verdicts.take_llms(index),
        )

    @checked
    def take_benchmark(self, name: str) -> Dataset:
        """The instances of one benchmark, the LLMs with a record or battle there, and its own pools.

        Raises UnknownNameError if the data set does not have it.
        """
        column = "benchmark" if "benchmark" in self.instances.columns else "task"
        benchmark = self.instances[column].to_numpy()
        if not (benchmark == name).any():
            raise UnknownNameError("benchmark", name, sorted(set(benchmark)))
        part = self.take_instances(np.flatnonzero(benchmark == name))
        there = part.interactions.llm_counts > 0
        if part.preferences is not None:
            there[part.preferences.llm_a] = there[part.preferences.llm_b] = True
        part = part.take_llms(np.flatnonzero(there))
        pools = self.pools
        if pools is not None and "benchmark" in pools.columns:
            pools = pools.filter(pl.col("benchmark") == name)
        return replace(part, name=f"{self.name}/{name}", pools=pools)

    @checked
    def take_covered(self, share: float) -> Dataset:
        """The data set with the LLMs that were evaluated on at least this share of the instances.

        Raises DataError if there is none.
        """
        n_records = self.interactions.llm_counts
        kept = np.flatnonzero(n_records >= share * self.n_instances)
        if len(kept) == 0:
            best = n_records.max() / self.n_instances
            raise DataError(f"{self.name}: no LLM was evaluated on {share:g} of the instances; the most is {best:.3f}")
        return self if len(kept) == self.n_llms else self.take_llms(kept)

    def with_embeddings(self, embeddings: NDArray[np.float32], encoder: Encoder) -> Dataset:
        """The data set with these vectors f32 (n, d), made by `encoder`, which encodes new prompts too."""
        found = replace(self, embeddings=embeddings, encoder=encoder)
        known = ("instance_ids", "llm_ids", "tasks", "task_means")  # the same instances and LLMs
        vars(found).update({name: vars(self)[name] for name in known if name in vars(self)})
        return found

    def with_preferences(self, preferences: Any) -> Dataset:
        """The data set with these preferences, a table as `pair_table` takes it."""
        battles = pair_table(preferences, "preferences")
        return replace(
            self, preferences=Preferences.from_frame(battles, self.instance_ids, self.llm_ids, "preferences")
        )

    def with_verdicts(self, table: Any, source: str = "verdicts") -> Dataset:
        """The data set with the verdicts of a check on its answers.

        Parameters
        ----------
        table : frame
            `instance_id, llm_id, verdict`: 1 or true where the check passed, 0 or false where it did not, null where
            there was none. Rows of instances and LLMs that the data set lacks are left out.
        source : str
            What messages call the table.

        Raises
        ------
        DataError
            For another verdict, a missing column, and a pair of instance and LLM that occurs twice.
        """
        return replace(self, verdicts=verdict_matrix(table, self.instance_ids, self.llm_ids, source))

    def __repr__(self) -> str:
        vectors = "no embeddings" if self.embeddings is None else f"{self.embeddings.shape[1]} dimensions"
        return (
            f"Dataset({self.name!r}: {self.n_instances:,} instances x {self.n_llms:,} LLMs, "
            f"{self.interactions.n_observed:,} records, density {self.interactions.density:.3f}, "
            f"{f'{self.n_preferences:,} preferences, ' if self.preferences is not None else ''}{vectors})"
        )

    def document(self) -> Document:
        """What is in it, and a table of the tasks."""
        return document_of(self)


def _positions(index: Any, n: int) -> Positions:
    """Positions or flags as they are given; those of a slice among n."""
    return np.arange(n)[index] if isinstance(index, slice) else np.atleast_1d(index)
