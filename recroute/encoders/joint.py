"""Several views of one text side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, Encoder
from recroute.data.vectors import as_vectors
from recroute.errors import RouterError


@dataclass(frozen=True)
class JointEncoder:
    """The vectors of several encoders, one after the other: the main one first.

    Parameters
    ----------
    parts : tuple of Encoder
    widths : tuple of int
        Dimensions of each.
    """

    parts: tuple[Encoder, ...]
    widths: tuple[int, ...]

    @property
    def name(self) -> str:
        return "+".join(part.name for part in self.parts)

    def encode(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors f32 (b, d)."""
        return np.hstack([encode_texts(part, prompts) for part in self.parts])

    def columns(self, name: str) -> slice | None:
        """Where the vectors of the part called `name` stand; None if it is no part."""
        ends = np.cumsum(self.widths)
        for part, end, width in zip(self.parts, ends, self.widths, strict=True):
            if part.name == name:
                return slice(int(end - width), int(end))
        return None


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


def encode_texts(encoder: Encoder, prompts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors f32 (b, d) of prompts; RouterError unless the encoder gives one of finite numbers for each."""
    vectors = as_vectors(encoder.encode(prompts), f"the vectors of encoder {encoder.name!r}", error=RouterError)
    if len(vectors) != len(prompts):
        raise RouterError(f"encoder {encoder.name!r} gives {len(vectors)} vectors for {len(prompts)} prompts; mend it")
    return vectors
