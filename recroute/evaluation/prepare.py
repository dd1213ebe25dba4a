"""A split with vectors, ready for routers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from recroute.data import Dataset
from recroute.encoders import fit_encoder, vectors_of
from recroute.errors import UnknownNameError
from recroute.splits import Split, split_dataset

SHUFFLES = ("text",)


def prepare_split(
    dataset: Dataset, *, split: str | None = None, seed: int = 0, encoder: str = "auto", shuffle: str | None = None
) -> Split:
    """Split a data set and give every part its vectors, from an encoder fitted on training prompts only.

    Parameters
    ----------
    dataset : Dataset
    split : {"own", "random"}, optional
        See `split_dataset`.
    seed : int
    encoder : {"auto", "precomputed", "tfidf"}
        See `fit_encoder`; a data set without any text stays without vectors.
    shuffle : {"text"}, optional
        Give every training prompt the text and vector of another one, as a control.

    Raises
    ------
    UnknownNameError
        If `shuffle` is something else.
    """
    if shuffle is not None and shuffle not in SHUFFLES:
        raise UnknownNameError("control", shuffle, SHUFFLES)
    parts = split_dataset(dataset, kind=split, seed=seed)
    fitted = fit_encoder(parts.train, encoder)
    if fitted is not None and fitted is not parts.train.encoder:
        train, valid, test = (data.with_embeddings(vectors_of(data, fitted), fitted) for data in parts.parts().values())
        parts = replace(parts, train=train, valid=valid, test=test)
    if shuffle is None:
        return parts
    said = "control: every training prompt has the text of another one"
    return replace(parts, train=_shuffled(parts.train, seed), note="; ".join(filter(None, [parts.note, said])))


def _shuffled(train: Dataset, seed: int) -> Dataset:
    """`train` with prompts and vectors that belong to other instances."""
    order = np.random.default_rng([seed, 11]).permutation(train.n_instances)
    texts = [pl.col("prompt").gather(order)] if train.prompts is not None else []
    vectors = None if train.embeddings is None else train.embeddings[order]
    return replace(train, instances=train.instances.with_columns(texts), embeddings=vectors)
