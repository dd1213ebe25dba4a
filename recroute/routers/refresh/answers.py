"""Feedback as a router reads it."""

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
    """Scores of n answers, and p battles, with the prompts they are of.

    Parameters
    ----------
    scored : Prompts
        n of them, one for each answer.
    llm_index : int64 (n,)
    score : f64 (n,)
    fought : Prompts
        p of them, one for each battle.
    llm_a, llm_b : int64 (p,)
    lead : f64 (p,)
        From -1, a lost, over 0, a tie, to 1, a won.
    decisions : uint64 (k,)
        See `Feedback.decisions`.
    """

    scored: Prompts
    llm_index: Index
    score: Array
    fought: Prompts
    llm_a: Index
    llm_b: Index
    lead: Array
    decisions: NDArray[np.uint64]

    @classmethod
    def of(cls, feedback: Feedback, router: RouterCore) -> Answers:
        """Those of `feedback`.

        Raises
        ------
        DataError
            If it is about an LLM that the router does not know.
        RouterError
            If it lacks what the router reads of a prompt, or its vectors are of another encoder.
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
        scored, fought = (_prompts(table, router, source) for table in (records, pairs))
        return cls(scored, llm_index, score, fought, llm_a, llm_b, lead, feedback.decisions)


def predicted_cells(router: RouterCore, prompts: Prompts, llm_index: Index) -> Array:
    """The predicted score of one LLM for each prompt, f64 (n,)."""
    found = np.empty(len(llm_index))
    for start in range(0, prompts.n, ROWS_AT_ONCE):  # few enough to score for all LLMs
        rows = np.arange(start, min(start + ROWS_AT_ONCE, prompts.n))
        llms, column = np.unique(llm_index[rows], return_inverse=True)
        found[rows] = router.predicted_score(prompts.take(rows), llms)[np.arange(len(rows)), column]
    return found


def _positions(table: pl.DataFrame, column: str, router: RouterCore, source: str) -> Index:
    if table.is_empty():
        return np.zeros(0, dtype=np.int64)
    for row, name in enumerate(table[column]):
        if name not in router.llm_ids_:
            raise DataError(
                f"llm {name!r} in {source}, row {row} is not one of the router's {len(router.llm_ids_)} LLMs; take it "
                "in with recroute onboard first, or leave its rows out"
            )
    return router.llm_ids_.to_index(table[column]).astype(np.int64)


def _prompts(table: pl.DataFrame, router: RouterCore, source: str) -> Prompts:
    """A prompt for each row, with what the router reads of it."""
    n, reads = table.height, router.reads
    for needed, column in (("prompts", "prompt"), ("task", "task")):
        if n and reads == needed and (column not in table.columns or table[column].null_count()):
            raise RouterError(
                f"{router.label} reads the {column} of each instance, and {source} lacks it; give it a column {column}"
            )
    texts = table["prompt"].to_list() if n and reads == "prompts" else None
    tasks = table["task"].to_numpy().astype(np.str_) if n and reads == "task" else None
    vectors: dict[str, Floats] = {}
    if n and reads in ("text", "prompts") and (encoder := router.encoder_) is not None:
        vectors = by_encoder(_vectors(table, encoder, source), encoder)
    return Prompts(n, source, texts=texts, tasks=tasks, vectors=vectors)


def _vectors(table: pl.DataFrame, encoder: Encoder, source: str) -> Floats:
    """Vectors f32 (n, d): those of the feedback, and where it has none those of the prompts."""
    empty = pl.Series([None] * table.height)
    vector, name, prompt = (
        table[column] if column in table.columns else empty for column in ("vector", "encoder", "prompt")
    )
    for row, other in enumerate(name):
        if other != encoder.name and (other is not None or vector[row] is not None):
            raise RouterError(
                f"the vector of {source}, row {row} is of encoder {other!r}, and the router reads {encoder.name!r}; "
                "give feedback on prompts that this router has routed"
            )
    bare = np.flatnonzero(vector.is_null().to_numpy())
    if (lacking := next((int(i) for i in bare if prompt[int(i)] is None), None)) is not None:
        raise RouterError(f"{source}, row {lacking} has neither prompt nor vector, and the router reads text; add one")
    width = {len(found) for found in vector.drop_nulls()}
    encoded = encode_texts(encoder, [prompt[int(i)] for i in bare]) if len(bare) else None
    width |= set() if encoded is None else {encoded.shape[1]}
    if len(width) > 1:
        raise RouterError(f"the vectors of {source} are of different lengths: {sorted(width)}; mend them")
    vectors = np.empty((table.height, width.pop()), dtype=np.float32)
    if encoded is not None:
        vectors[bare] = encoded
    if len(bare) < table.height:
        given = vector.drop_nulls().explode().to_numpy().reshape(-1, vectors.shape[1])
        vectors[~vector.is_null().to_numpy()] = given
    if not (finite := np.isfinite(vectors).all(axis=1)).all():
        raise RouterError(f"the vector of {source}, row {int(finite.argmin())} has a value that is not finite; fix it")
    return vectors
