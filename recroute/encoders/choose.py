"""Which encoder a data set gets."""

from __future__ import annotations

from typing import Any

import numpy as np

from recroute.data import Dataset, Encoder
from recroute.encoders.joint import JointEncoder, vectors_of
from recroute.encoders.registry import REGISTRY, kind_of
from recroute.encoders.sentence import Progress, SentenceEncoder
from recroute.errors import DataError, UnknownNameError

ENCODERS = ("auto", "precomputed", "tfidf")
SENTENCE = "sentence:"  # and a model


def fit_encoder(train: Dataset, kind: str = "auto") -> Encoder | None:
    """The encoder for `train`.

    Parameters
    ----------
    train : Dataset
        Only its prompts are used to fit.
    kind : {"auto", "precomputed", "tfidf", "sentence:MODEL"}
        "auto" takes the vectors the data set came with or was given, with the encoder that made them, and adds TF-IDF
        and surface features where there are prompts; "tfidf" does without the vectors, "precomputed" without the
        prompts. "sentence:MODEL" has a
        `SentenceEncoder` in the place of the vectors. Routers read the first of these views unless their
        hyperparameter `views` says "all".

    Returns
    -------
    Encoder, or None if "auto" finds neither vectors nor prompts.

    Raises
    ------
    UnknownNameError
        If `kind` is none of these.
    DataError
        If the data set lacks what `kind` needs.
    RouterError
        If it needs the extra `text`.
    """
    vectors: Encoder | None
    if (model := _sentence_model(kind)) is not None:
        vectors = _sentence_encoder(train, model)
    else:
        vectors = _own_vectors(train.encoder)
    if kind == "precomputed" and vectors is None:
        raise DataError(f"{train.name} has no vectors (embeddings.npz); use --encoder tfidf")
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


def encode_dataset(dataset: Dataset, kind: str, progress: Progress | None = None) -> Dataset:
    """The data set with the vectors of the sentence encoder that `kind` names; itself where it names none.

    Nothing of it is fitted, so that it is done once, before splits and folds. Done again, it gives what it got.

    Parameters
    ----------
    dataset : Dataset
    kind : str
        See `fit_encoder`, whose errors it raises.
    progress : callable, optional
        Called with the prompts done and the prompts in all.
    """
    if (model := _sentence_model(kind)) is None:
        return dataset
    encoder = _sentence_encoder(dataset, model)
    if encoder is _own_vectors(dataset.encoder):
        return dataset
    assert dataset.prompts is not None  # _sentence_encoder
    return dataset.with_embeddings(encoder.encode(dataset.prompts, progress), encoder)


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
    found = next((part for part in parts if kind_of(part) == "tfidf"), None)
    if found is None:
        raise DataError(
            "views=tfidf needs TF-IDF, and here are only the vectors that the data set came with; add prompts and "
            "take the encoder auto or tfidf, or take views=embedding"
        )
    return found


def _own_vectors(encoder: Encoder | None) -> Encoder | None:
    """What made the vectors that a data set came with or was given, without the views that `fit_encoder` added."""
    n_joined = len(joining := _joining())
    if not isinstance(encoder, JointEncoder) or [type(part) for part in encoder.parts[-n_joined:]] != joining:
        return encoder
    given, widths = encoder.parts[:-n_joined], encoder.widths[:-n_joined]
    return JointEncoder(given, widths) if len(given) > 1 else next(iter(given), None)


def _joining() -> list[Any]:
    """The encoders that are views of the prompts beside the vectors of a data set, fitted on train."""
    return [cls for name in REGISTRY.built_in if getattr(cls := REGISTRY.get(name), "joins", False)]


def _sentence_model(kind: str) -> str | None:
    """The model that "sentence:MODEL" names; None for the other kinds, UnknownNameError if it is none of these."""
    if kind.startswith(SENTENCE):
        return kind.removeprefix(SENTENCE)
    if kind not in ENCODERS:
        raise UnknownNameError("encoder", kind, (*ENCODERS, f"{SENTENCE}MODEL"))
    return None


def _sentence_encoder(dataset: Dataset, model: str) -> SentenceEncoder:
    """The encoder of a model: the very one that the data set has its vectors from, if it is that."""
    if dataset.prompts is None:
        raise DataError(f"{dataset.name} has no prompts to encode; add a prompt column to instances.parquet")
    carried = _own_vectors(dataset.encoder)
    if isinstance(carried, SentenceEncoder) and carried.is_of(model):
        return carried
    return SentenceEncoder.open(model)


EQUAL = 0.999  # vectors stored with 16 bits are nearer than this to those they were rounded from


def agreement(came_with: Dataset, encoded: Dataset) -> str:
    """One line on the same instances with the vectors they came with, and with new ones."""
    assert came_with.encoder is not None
    assert came_with.embeddings is not None
    assert encoded.encoder is not None
    assert encoded.embeddings is not None
    theirs, ours = came_with.embeddings, encoded.embeddings
    which = f"the vectors that {came_with.name} came with ({came_with.encoder.name.partition(':')[2] or 'unnamed'})"
    name = main_encoder(encoded.encoder).name
    if theirs.shape != ours.shape:
        return f"{which} are {theirs.shape[1]} wide, those of {name} {ours.shape[1]}: another encoder made them"
    lengths = np.linalg.norm(theirs, axis=1) * np.linalg.norm(ours, axis=1)
    cosine = (theirs * ours).sum(axis=1) / np.maximum(lengths, 1e-12)
    n_equal = int((cosine > EQUAL).sum())
    return (
        f"{which} are those of {name} for {n_equal} of {len(cosine)} prompts (cosine above {EQUAL}; "
        f"median {np.median(cosine):.5f}, least {cosine.min():.3f}); its own are used"
    )
