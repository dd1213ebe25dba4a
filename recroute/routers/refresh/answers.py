"""Feedback in the form that a router reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data import Encoder, Prompts
from recroute.data.feedback import Feedback
from recroute.data.prompts import by_encoder
from recroute.encoders import encode_texts
from recroute.errors import DataError, RouterError
from recroute.routers.core import RouterCore
from recroute.util.numeric import Array, Floats, Index

ROWS_AT_ONCE = 2000


@dataclass(frozen=True, eq=False)
class Answers:
    """Scores of n answers and results of p comparisons, with their prompts.

    Parameters
    ----------
    scored : Prompts
        The n prompts of the answers.
    llm_index : int64 (n,)
        LLM that gave each answer.
    score : f64 (n,)
    compared : Prompts
        The p prompts of the comparisons.
    llm_a, llm_b : int64 (p,)
    lead : f64 (p,)
        1 if a won, 0 for a tie, -1 if b won.
    decisions : uint64 (k,)
        See `Feedback.decisions`.
    """

    scored: Prompts
    llm_index: Index
    score: Array
    compared: Prompts
    llm_a: Index
    llm_b: Index
    lead: Array
    decisions: NDArray[np.uint64]

    @classmethod
    def of(cls, feedback: Feedback, router: RouterCore) -> Answers:
        """Convert feedback for a router.

        Raises
        ------
        DataError
            If it names an LLM that the router does not know.
        RouterError
            If it lacks the text or task that the router reads, or its vectors are from another encoder.
        """
        source, nothing = feedback.source, pl.DataFrame()
        records = nothing if feedback.records is None else feedback.records
        pairs = nothing if feedback.preferences is None else feedback.preferences
        lead = 2 * pairs["outcome"].to_numpy().astype(np.float64) - 1 if pairs.height else np.zeros(0)
        score = records["score"].to_numpy().astype(np.float64) if records.height else np.zeros(0)
        llm_index, llm_a, llm_b = (
            _positions(table, column, router, source)
            for table, column in ((records, "llm_id"), (pairs, "llm_a"), (pairs, "llm_b"))
        )
        scored, compared = (_prompts(table, router, source) for table in (records, pairs))
        return cls(scored, llm_index, score, compared, llm_a, llm_b, lead, feedback.decisions)


def predicted_cells(router: RouterCore, prompts: Prompts, llm_index: Index) -> Array:
    """Predicted score f64 (n,) of the LLM at `llm_index` int (n,) for each prompt."""
    predicted = np.empty(len(llm_index))
    for start in range(0, prompts.n, ROWS_AT_ONCE):  # limits memory, because all LLMs of a block are scored
        rows = np.arange(start, min(start + ROWS_AT_ONCE, prompts.n))
        llms, column = np.unique(llm_index[rows], return_inverse=True)
        predicted[rows] = router.predicted_score(prompts.take(rows), llms)[np.arange(len(rows)), column]
    return predicted


def _positions(table: pl.DataFrame, column: str, router: RouterCore, source: str) -> Index:
    if table.is_empty():
        return np.zeros(0, dtype=np.int64)
    for row, name in enumerate(table[column]):
        if name not in router.llm_ids_:
            raise DataError(
                f"llm {name!r} in {source}, row {row} is not one of the router's {len(router.llm_ids_)} LLMs; add it "
                "with recroute onboard first, or remove its rows"
            )
    return router.llm_ids_.to_index(table[column]).astype(np.int64)


def _prompts(table: pl.DataFrame, router: RouterCore, source: str) -> Prompts:
    """One prompt for each row, with the text, task or vector that the router reads."""
    n, reads = table.height, router.reads
    for needed, column in (("prompts", "prompt"), ("task", "task")):
        if n and reads == needed and (column not in table.columns or table[column].null_count()):
            raise RouterError(
                f"{router.label} reads the {column} of each instance, and {source} lacks it; add a column {column}"
            )
    texts = table["prompt"].to_list() if n and reads == "prompts" else None
    tasks = table["task"].to_numpy().astype(np.str_) if n and reads == "task" else None
    vectors: dict[str, Floats] = {}
    if n and reads in ("text", "prompts") and (encoder := router.encoder_) is not None:
        vectors = by_encoder(_vectors(table, encoder, source), encoder)
    return Prompts(n, source, texts=texts, tasks=tasks, vectors=vectors)


def _vectors(table: pl.DataFrame, encoder: Encoder, source: str) -> Floats:
    """Vectors f32 (n, d) from the feedback; rows without one are encoded from their prompts."""
    empty = pl.Series([None] * table.height)
    vector, name, prompt = (
        table[column] if column in table.columns else empty for column in ("vector", "encoder", "prompt")
    )
    for row, other in enumerate(name):
        if other != encoder.name and (other is not None or vector[row] is not None):
            raise RouterError(
                f"the vector of {source}, row {row} is from encoder {other!r}, but the router reads {encoder.name!r}; "
                "give feedback on prompts that this router has routed"
            )
    bare = np.flatnonzero(vector.is_null().to_numpy())
    if (lacking := next((int(i) for i in bare if prompt[int(i)] is None), None)) is not None:
        raise RouterError(f"{source}, row {lacking} has neither prompt nor vector, and the router reads text; add one")
    width = {len(one) for one in vector.drop_nulls()}
    encoded = encode_texts(encoder, [prompt[int(i)] for i in bare]) if len(bare) else None
    width |= set() if encoded is None else {encoded.shape[1]}
    if len(width) > 1:
        raise RouterError(f"the vectors of {source} have different lengths: {sorted(width)}; make them equal")
    vectors = np.empty((table.height, width.pop()), dtype=np.float32)
    if encoded is not None:
        vectors[bare] = encoded
    if len(bare) < table.height:
        given = vector.drop_nulls().explode().to_numpy().reshape(-1, vectors.shape[1])
        vectors[~vector.is_null().to_numpy()] = given
    if not (finite := np.isfinite(vectors).all(axis=1)).all():
        raise RouterError(f"the vector of {source}, row {int(finite.argmin())} has a value that is not finite; fix it")
    return vectors
