"""Controls: training data in which part of the signal is destroyed on purpose, and what luck alone would show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from recroute.data import Dataset, InteractionMatrix
from recroute.data.doctor.finding import Finding
from recroute.errors import UnknownNameError
from recroute.splits import Split

SHUFFLES = ("text", "scores")
CHEAP_CELLS = 1_000_000  # the headroom of as many takes a few seconds


def shuffled(split: Split, control: str | None) -> Split:
    """The split with its training part shuffled; validation and test stay as they are.

    Parameters
    ----------
    split : Split
        Seeds the shuffle.
    control : {"text", "scores"}, optional
        "text": every training prompt gets the text and vector of another one; what the LLMs have in common stays.
        "scores": every LLM's scores are permuted among the training prompts it was run on, for each LLM anew; only how
        good it is on average stays. Costs stay with the prompts. Battles are permuted among the prompts that have any.

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
        train, said = _with_other_texts(split.train, rng), "every training prompt has the text of another one"
    else:
        train, said = _with_other_scores(split.train, rng), "each LLM's training scores are those of other prompts"
    return replace(split, train=train, note="; ".join(filter(None, [split.note, f"control: {said}"])))


def headroom(dataset: Dataset, wanted: bool | None, seed: int) -> Finding | None:
    """What the doctor says of the room for routing beside a Rasch model in which there is none.

    It reads all instances, test among them: it is about the data, and nothing is chosen by it. By default (None) only
    where it takes seconds. None where the data are too few to tell.
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
    fought = train.preferences
    if fought is not None:
        fought = replace(fought, instance_index=rng.permutation(fought.instance_index))
    mixed_scores = InteractionMatrix.from_csr(scores, train.interactions.costs)
    return replace(train, interactions=mixed_scores, preferences=fought)
