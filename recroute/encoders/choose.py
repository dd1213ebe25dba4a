"""Which encoder a data set gets."""

from __future__ import annotations

from recroute.data import Dataset, Encoder, Precomputed
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
        "auto" takes the vectors the data set came with, otherwise TF-IDF, otherwise None.

    Raises
    ------
    UnknownNameError
        If `kind` is none of the three.
    DataError
        If the data set lacks what `kind` needs.
    """
    if kind not in ENCODERS:
        raise UnknownNameError("encoder", kind, ENCODERS)
    has_vectors = isinstance(train.encoder, Precomputed)
    if kind == "precomputed" and not has_vectors:
        raise DataError(f"{train.name} has no embeddings.npz; use --encoder tfidf")
    if has_vectors and kind != "tfidf":
        return train.encoder
    if train.prompts is not None:
        return TfidfEncoder.fit(train.prompts)
    if kind == "tfidf":
        raise DataError(f"{train.name} has no prompts to fit TF-IDF on; add a prompt column to instances.parquet")
    return None
