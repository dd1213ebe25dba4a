"""Several views of one text side by side."""

from __future__ import annotations

from recroute.data import Dataset, Encoder, Prompts
from recroute.data.encoding import JointEncoder, encode_texts
from recroute.util.numeric import Floats

__all__ = ["JointEncoder", "encode_texts", "encoder_width", "vectors_of"]


def encoder_width(encoder: Encoder) -> int | None:
    """Dimensions of an encoder's vectors, where it says so before it encodes."""
    width = getattr(encoder, "width", None)
    return width if isinstance(width, int) else None


def vectors_of(dataset: Dataset, encoder: Encoder) -> Floats:
    """Vectors f32 (n, d) of a data set's instances by `encoder`: those it carries where it can, else new ones.

    Raises
    ------
    RouterError
        If the data set carries none and has no prompts, or `encoder` cannot read text.
    """
    return Prompts.of(dataset).encoded(encoder)
