"""Which encoder a data set gets."""

from __future__ import annotations

import numpy as np

from recroute.data import Dataset, Encoder, Precomputed
from recroute.encoders.joint import JointEncoder, vectors_of
from recroute.encoders.surface import SurfaceEncoder
from recroute.encoders.tfidf import TfidfEncoder
from recroute.errors import DataError, UnknownNameError

ENCODERS = ("auto", "precomputed", "tfidf")


def fit_encoder(train: Dataset, kind: str = "auto") -> Encoder | None:
    """The encoder for `train`.

    Parameters
    ----------
    train : Dataset
        Only its prompts are used to fit.
    kind : {"auto", "precomputed", "tfidf"}
        "auto" takes the vectors the data set came with and adds TF-IDF and surface features where there are
        prompts; "tfidf" does without the vectors, "precomputed" without the prompts. Routers read the first of
        these views unless their hyperparameter `views` says "all".

    Returns
    -------
    Encoder, or None if "auto" finds neither vectors nor prompts.

    Raises
    ------
    UnknownNameError
        If `kind` is none of the three.
    DataError
        If the data set lacks what `kind` needs.
    """
    if kind not in ENCODERS:
        raise UnknownNameError("encoder", kind, ENCODERS)
    vectors = _own_vectors(train.encoder)
    if kind == "precomputed" and vectors is None:
        raise DataError(f"{train.name} has no embeddings.npz; use --encoder tfidf")
    if kind == "tfidf" and train.prompts is None:
        raise DataError(f"{train.name} has no prompts to fit TF-IDF on; add a prompt column to instances.parquet")
    if vectors is not None and (kind == "precomputed" or train.prompts is None):
        return vectors
    if train.prompts is None:
        return None
    parts: list[Encoder] = [TfidfEncoder.fit(train.prompts), SurfaceEncoder.fit(train.prompts)]
    if vectors is not None and kind == "auto":
        parts.insert(0, vectors)
    one = train.take_instances(np.arange(1))
    return JointEncoder(tuple(parts), tuple(vectors_of(one, part).shape[1] for part in parts))


def main_encoder(encoder: Encoder) -> Encoder:
    """The first view."""
    return encoder.parts[0] if isinstance(encoder, JointEncoder) else encoder


def view_encoder(encoder: Encoder, views: str) -> Encoder:
    """What of an encoder a router reads.

    Parameters
    ----------
    encoder : Encoder
    views : {"embedding", "tfidf", "all"}
        The first view; TF-IDF, also where the data set came with vectors; or all of them.

    Raises
    ------
    DataError
        If "tfidf" is asked for where there are only vectors.
    """
    if views == "all":
        return encoder
    if views == "embedding":
        return main_encoder(encoder)
    parts = encoder.parts if isinstance(encoder, JointEncoder) else (encoder,)
    found = next((part for part in parts if isinstance(part, TfidfEncoder)), None)
    if found is None:
        raise DataError(
            "views=tfidf needs TF-IDF, and here are only the vectors that the data set came with; add prompts and "
            "take the encoder auto or tfidf, or take views=embedding"
        )
    return found


def _own_vectors(encoder: Encoder | None) -> Encoder | None:
    """The vectors a data set came with, also where views were added to them."""
    if encoder is None:
        return None
    first = main_encoder(encoder)
    return first if isinstance(first, Precomputed) else None
