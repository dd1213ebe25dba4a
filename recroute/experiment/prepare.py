"""`prepare_split`: splits with prompt vectors, ready for fitting routers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from recroute.data import Dataset
from recroute.encoders import encode_dataset, fit_encoder, vectors_of
from recroute.errors import DataError, argument
from recroute.experiment.controls import shuffled
from recroute.splits import Split, holdout_splits, split_dataset
from recroute.util.arguments import checked


@checked
def prepare_split(
    dataset: Dataset,
    *,
    split: str | None = None,
    seed: int = 0,
    encoder: str | Any = "auto",
    shuffle: str | None = None,
) -> Split:
    """Split a data set and encode its prompts, with an encoder fitted on the training prompts only.

    Parameters
    ----------
    dataset : Dataset
    split : {"own", "random"}, optional
        See `split_dataset`.
    seed : int
    encoder : {"auto", "precomputed", "tfidf", "sentence:MODEL"}, callable, or object with `encode`
        See `fit_encoder`. A data set without text stays without vectors.
    shuffle : {"text", "scores"}, optional
        Negative control, see `recroute.experiment.controls.shuffled`.

    Raises
    ------
    UnknownNameError
        If `shuffle` is something else.
    """
    dataset = encode_dataset(dataset, encoder)
    return shuffled(with_vectors(split_dataset(dataset, kind=split, seed=seed), encoder), shuffle)


def all_splits(dataset: Dataset, *, split: str | None, holdout: str | None, seed: int) -> Iterator[Split]:
    """Split of a seed, or with `holdout` a split for each task or benchmark (see `holdout_splits`)."""
    if holdout is None:
        yield split_dataset(dataset, kind=split, seed=seed)
        return
    if split is not None:
        raise DataError(
            f"{argument('holdout', holdout)} and {argument('split', split)} exclude each other; leave one out"
        )
    yield from holdout_splits(dataset, holdout, seed=seed)


def with_vectors(parts: Split, encoder: str | Any) -> Split:
    """Add vectors to a split, from an encoder fitted on its training prompts."""
    fitted = fit_encoder(parts.train, encoder)
    if fitted is None or fitted is parts.train.encoder:
        return parts
    each = {id(data): data for data in parts.parts().values()}  # validation and test part of a fold are the same object
    made = {key: data.with_embeddings(vectors_of(data, fitted), fitted) for key, data in each.items()}
    train, valid, test = (made[id(data)] for data in parts.parts().values())
    return replace(parts, train=train, valid=valid, test=test)
