"""A split with vectors, ready for routers."""

from __future__ import annotations

from dataclasses import replace

from recroute.data import Dataset
from recroute.encoders import fit_encoder, vectors_of
from recroute.splits import Split, split_dataset


def prepare_split(dataset: Dataset, *, split: str | None = None, seed: int = 0, encoder: str = "auto") -> Split:
    """Split a data set and give every part its vectors, from an encoder fitted on training prompts only.

    Parameters
    ----------
    dataset : Dataset
    split : {"own", "random"}, optional
        See `split_dataset`.
    seed : int
    encoder : {"auto", "precomputed", "tfidf"}
        See `fit_encoder`; a data set without any text stays without vectors.
    """
    parts = split_dataset(dataset, kind=split, seed=seed)
    fitted = fit_encoder(parts.train, encoder)
    if fitted is None or fitted is parts.train.encoder:
        return parts
    train, valid, test = (data.with_embeddings(vectors_of(data, fitted), fitted) for data in parts.parts().values())
    return replace(parts, train=train, valid=valid, test=test)
