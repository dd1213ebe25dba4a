"""Choice and fitting of the encoder of a data set."""

from __future__ import annotations

from typing import Any

import numpy as np

from recroute.data import Dataset, Encoder
from recroute.encoders.function import as_encoder
from recroute.encoders.joint import JointEncoder, encode_texts, vectors_of
from recroute.encoders.registry import REGISTRY, kind_of
from recroute.encoders.sentence import Progress, SentenceEncoder
from recroute.errors import DataError, UnknownNameError, argument

ENCODERS = ("auto", "precomputed", "tfidf")
SENTENCE = "sentence:"  # followed by the name of a model


def fit_encoder(train: Dataset, kind: str | Any = "auto") -> Encoder | None:
    """Fit the encoder of a training set.

    Parameters
    ----------
    train : Dataset
        Encoders are fitted on its prompts only.
    kind : {"auto", "precomputed", "tfidf", "sentence:MODEL"}, callable, or object with `encode`
        "auto" uses the vectors of the data set, if any, and adds TF-IDF and surface features if there are prompts.
        "tfidf" leaves out the vectors, "precomputed" uses only them. "sentence:MODEL" uses a `SentenceEncoder` instead
        of the vectors, and an encoder of your own (see `as_encoder`) replaces them too. Routers read the first of these
        views unless their hyperparameter `views` is "all".

    Returns
    -------
    Encoder or None
        None if "auto" finds neither vectors nor prompts.

    Raises
    ------
    UnknownNameError
        If `kind` is not one of these.
    DataError
        If the data set lacks what `kind` needs.
    RouterError
        If the extra `text` is needed and not installed.
    """
    vectors: Encoder | None
    if not isinstance(kind, str):
        vectors = as_encoder(kind)
    elif (model := _sentence_model(kind)) is not None:
        vectors = _sentence_encoder(train, model)
    else:
        vectors = _own_vectors(train.encoder)
    if kind == "precomputed" and vectors is None:
        raise DataError(f"{train.name} has no vectors (embeddings.npz); use {argument('encoder', 'tfidf')}")
    if kind == "tfidf" and train.prompts is None:
        raise DataError(f"{train.name} has no prompts to fit TF-IDF on; add a prompt column to instances.parquet")
    if vectors is not None and (kind == "precomputed" or train.prompts is None):
        return vectors
    if train.prompts is None:
        return None
    parts: list[Encoder] = [cls.fit(train.prompts) for cls in _joining()]
    if vectors is not None and kind != "tfidf":
        parts.insert(0, vectors)
    one = train.take_instances(np.arange(1))
    return JointEncoder(tuple(parts), tuple(vectors_of(one, part).shape[1] for part in parts))


def encode_dataset(dataset: Dataset, kind: str | Any, progress: Progress | None = None) -> Dataset:
    """Encode a data set with the sentence encoder named by `kind`, or with your own; other kinds return it unchanged.

    Such an encoder is not fitted, so this is done once, before splits and folds. It is idempotent.

    Parameters
    ----------
    dataset : Dataset
    kind : str, callable, or object with `encode`
        See `fit_encoder`, whose errors it raises.
    progress : callable, optional
        Called with the number of encoded prompts and the total number.
    """
    if not isinstance(kind, str):
        return _encoded(dataset, as_encoder(kind))
    if (model := _sentence_model(kind)) is None:
        return dataset
    encoder = _sentence_encoder(dataset, model)
    if encoder is _own_vectors(dataset.encoder):
        return dataset
    return dataset.with_embeddings(encoder.encode(_texts(dataset), progress), encoder)


def with_encoder(train: Dataset, kind: str | Any) -> Dataset:
    """A training set with the vectors of the encoder that `fit_encoder` fits on it."""
    train = encode_dataset(train, kind)
    fitted = fit_encoder(train, kind)
    if fitted is None or fitted is train.encoder:
        return train
    return train.with_embeddings(vectors_of(train, fitted), fitted)


def _encoded(dataset: Dataset, encoder: Encoder) -> Dataset:
    """Data set with the vectors of an encoder that is not fitted; unchanged if it has them."""
    carried = _own_vectors(dataset.encoder)
    if carried is not None and carried.name == encoder.name:
        return dataset
    return dataset.with_embeddings(encode_texts(encoder, _texts(dataset)), encoder)


def main_encoder(encoder: Encoder) -> Encoder:
    """First view of an encoder."""
    return encoder.parts[0] if isinstance(encoder, JointEncoder) else encoder


def view_encoder(encoder: Encoder, views: str) -> Encoder:
    """Part of an encoder that a router reads.

    Parameters
    ----------
    encoder : Encoder
    views : {"embedding", "tfidf", "all"}
        The first view, TF-IDF (even if the data set came with vectors), or all views.

    Raises
    ------
    DataError
        If `views` is "tfidf" and there are only vectors.
    """
    if views == "all":
        return encoder
    if views == "embedding":
        return main_encoder(encoder)
    parts = encoder.parts if isinstance(encoder, JointEncoder) else (encoder,)
    tfidf = next((part for part in parts if kind_of(part) == "tfidf"), None)
    if tfidf is None:
        raise DataError(
            "views=tfidf needs TF-IDF, but there are only the vectors that the data set came with; add prompts and use "
            "the encoder auto or tfidf, or use views=embedding"
        )
    return tfidf


def _own_vectors(encoder: Encoder | None) -> Encoder | None:
    """Encoder of the data set's own vectors, without the views that `fit_encoder` adds."""
    n_joined = len(joining := _joining())
    if not isinstance(encoder, JointEncoder) or [type(part) for part in encoder.parts[-n_joined:]] != joining:
        return encoder
    given, widths = encoder.parts[:-n_joined], encoder.widths[:-n_joined]
    return JointEncoder(given, widths) if len(given) > 1 else next(iter(given), None)


def _joining() -> list[Any]:
    """Encoder classes that `fit_encoder` fits on the prompts and adds to the vectors of a data set."""
    return [cls for name in REGISTRY.built_in if getattr(cls := REGISTRY.get(name), "joins", False)]


def _sentence_model(kind: str) -> str | None:
    """MODEL of "sentence:MODEL"; None for the other kinds, UnknownNameError for an unknown kind."""
    if kind.startswith(SENTENCE):
        return kind.removeprefix(SENTENCE)
    if kind not in ENCODERS:
        raise UnknownNameError("encoder", kind, (*ENCODERS, f"{SENTENCE}MODEL"))
    return None


def _texts(dataset: Dataset) -> list[str]:
    if dataset.prompts is None:
        raise DataError(f"{dataset.name} has no prompts to encode; add a prompt column to instances.parquet")
    return dataset.prompts


def _sentence_encoder(dataset: Dataset, model: str) -> SentenceEncoder:
    """Sentence encoder of a model; reuses the data set's encoder if it is of the same model."""
    _texts(dataset)
    carried = _own_vectors(dataset.encoder)
    if isinstance(carried, SentenceEncoder) and carried.is_of(model):
        return carried
    return SentenceEncoder.open(model)


MIN_COSINE = 0.999  # vectors rounded to 16 bits have a larger cosine with the original ones


def agreement(came_with: Dataset, encoded: Dataset) -> str:
    """Message that compares the vectors that came with a data set with newly encoded ones."""
    assert came_with.encoder is not None
    assert came_with.embeddings is not None
    assert encoded.encoder is not None
    assert encoded.embeddings is not None
    theirs, ours = came_with.embeddings, encoded.embeddings
    which = f"the vectors that {came_with.name} came with ({came_with.encoder.name.partition(':')[2] or 'unnamed'})"
    name = main_encoder(encoded.encoder).name
    if theirs.shape != ours.shape:
        return f"{which} are {theirs.shape[1]} wide, those of {name} {ours.shape[1]}: they come from another encoder"
    lengths = np.linalg.norm(theirs, axis=1) * np.linalg.norm(ours, axis=1)
    cosine = (theirs * ours).sum(axis=1) / np.maximum(lengths, 1e-12)
    n_equal = int((cosine > MIN_COSINE).sum())
    return (
        f"{which} equal those of {name} for {n_equal} of {len(cosine)} prompts (cosine above {MIN_COSINE}; "
        f"median {np.median(cosine):.5f}, minimum {cosine.min():.3f}); the newly encoded ones are used"
    )
