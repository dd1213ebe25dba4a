"""Several views of one text side by side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, Encoder
from recroute.data.encoding import JointEncoder, encode_texts
from recroute.errors import RouterError

__all__ = ["JointEncoder", "encode_texts", "encoder_width", "vectors_of"]


def encoder_width(encoder: Encoder) -> int | None:
    """Dimensions of an encoder's vectors, where it says so before it encodes."""
    width = getattr(encoder, "width", None)
    return width if isinstance(width, int) else None


def vectors_of(dataset: Dataset, encoder: Encoder) -> NDArray[np.float32]:
    """Vectors f32 (n, d) of a data set's instances by `encoder`: those it carries where it can, else new ones.

    Raises
    ------
    RouterError
        If the data set carries none and has no prompts, or `encoder` cannot read text.
    """
    carried = dataset.encoder
    if carried is not None and dataset.embeddings is not None:
        if carried.name == encoder.name:
            return dataset.embeddings
        if isinstance(carried, JointEncoder) and (columns := carried.columns(encoder.name)) is not None:
            return dataset.embeddings[:, columns]
    if isinstance(encoder, JointEncoder):
        return np.hstack([vectors_of(dataset, part) for part in encoder.parts])
    if dataset.prompts is None:
        raise RouterError(f"{dataset.name} has no prompts to encode, and no vectors of {encoder.name}; add either")
    return encode_texts(encoder, dataset.prompts)
