"""Negative controls: shuffled training data, and the headroom compared with chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from recroute.data import Dataset, InteractionMatrix
from recroute.data.doctor.finding import Finding
from recroute.errors import UnknownNameError
from recroute.splits import Split

SHUFFLES = ("text", "scores")
CHEAP_CELLS = 1_000_000  # cells for which the headroom takes a few seconds


def shuffled(split: Split, control: str | None) -> Split:
    """Shuffle the training part of a split; validation and test instances do not change.

    Parameters
    ----------
    split : Split
        Its seed determines the shuffle.
    control : {"text", "scores"}, optional
        "text": texts and vectors are permuted among the training prompts, so only the relations between LLMs remain.
        "scores": each LLM's scores are permuted among the training prompts it was run on, independently for each LLM,
        so only its mean score remains. Costs stay with their prompts. Battles are permuted among the prompts that have
        any.

    Raises
    ------
    UnknownNameError
        If `control` is something else.
    """
    if control is None:
        return split
    if control not in SHUFFLES:
        raise UnknownNameError("control", control, SHUFFLES)
    rng = np.random.default_rng([split.seed, 11])
    if control == "text":
        train, note = _with_other_texts(split.train, rng), "every training prompt has the text of another one"
    else:
        train, note = _with_other_scores(split.train, rng), "each LLM's training scores are those of other prompts"
    return replace(split, train=train, note="; ".join(filter(None, [split.note, f"control: {note}"])))


def headroom(dataset: Dataset, wanted: bool | None, seed: int) -> Finding | None:
    """Finding of the doctor on the headroom for routing, compared with a Rasch model that has none.

    It uses all instances, including test instances, because it describes the data and affects no choice. If `wanted` is
    None, it is computed only if it takes seconds. Returns None if the data are too few.
    """
    from recroute.data.doctor.headroom import check_headroom

    if dataset.interactions.n_observed == 0:
        return None
    if wanted is None:
        wanted = dataset.n_instances * dataset.n_llms <= CHEAP_CELLS
    findings = check_headroom(dataset, seed) if wanted else []
    return findings[0] if findings else None


def _with_other_texts(train: Dataset, rng: np.random.Generator) -> Dataset:
    order = rng.permutation(train.n_instances)
    texts = [pl.col("prompt").gather(order)] if train.prompts is not None else []
    vectors = None if train.embeddings is None else train.embeddings[order]
    return replace(train, instances=train.instances.with_columns(texts), embeddings=vectors)


def _with_other_scores(train: Dataset, rng: np.random.Generator) -> Dataset:
    matrix = train.interactions.scores
    by_llm = np.argsort(matrix.indices, kind="stable")  # cells, LLM by LLM
    mixed = np.lexsort((rng.random(matrix.nnz), matrix.indices))  # the same, in random order within each LLM
    scores = matrix.copy()
    scores.data[by_llm] = matrix.data[mixed]
    preferences = train.preferences
    if preferences is not None:
        preferences = replace(preferences, instance_index=rng.permutation(preferences.instance_index))
    mixed_scores = InteractionMatrix.from_csr(scores, train.interactions.costs)
    return replace(train, interactions=mixed_scores, preferences=preferences)
