"""Concatenated views of a text."""

from __future__ import annotations

from recroute.data import Dataset, Encoder, Prompts
from recroute.data.encoding import JointEncoder, encode_texts
from recroute.util.numeric import Floats

__all__ = ["JointEncoder", "encode_texts", "encoder_width", "vectors_of"]


def encoder_width(encoder: Encoder) -> int | None:
    """Dimension of an encoder's vectors; None if it is not known before encoding."""
    width = getattr(encoder, "width", None)
    return width if isinstance(width, int) else None


def vectors_of(dataset: Dataset, encoder: Encoder) -> Floats:
    """Vectors f32 (n, d) of a data set's instances by `encoder`; encodes the prompts if the data set has none.

    Raises
    ------
    RouterError
        If the data set has neither vectors of this encoder nor prompts, or `encoder` cannot read text.
    """
    return Prompts.of(dataset).encoded(encoder)
