"""What turns a prompt into a vector, as data sets and routers see it, and what vectors have to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recroute.data.schema import LARGEST
from recroute.errors import DataError, RecrouteError, RouterError, argument
from recroute.util.mapped import ROWS_AT_ONCE, MappedRows


@runtime_checkable
class Encoder(Protocol):
    """Text to vector. `name` identifies the space: vectors of equal names can be compared.

    One whose vectors anybody can make again from the prompts, as those of TF-IDF, may have `of_prompts = True`:
    they are no part of the data, and `write_dataset` leaves them out.
    """

    @property
    def name(self) -> str: ...

    def encode(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors f32 (b, d) of the prompts."""
        ...


@dataclass(frozen=True)
class Precomputed:
    """Vectors that came with a data set: known instances have one, new text cannot get one.

    Parameters
    ----------
    source : str
        The encoder that made them, as `embeddings.npz` names it.
    named : bool
        Whether `source` is the encoder's full name, as in the vectors that a service logs.
    """

    kind: ClassVar[str] = "precomputed"

    source: str
    named: bool = False

    @property
    def name(self) -> str:
        return self.source if self.named else f"precomputed:{self.source}"

    def encode(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        raise RouterError(
            f"the vectors of {self.source!r} came with the data set and new text cannot get one; "
            f"fit with {argument('encoder', 'tfidf')} to route raw prompts, or, where you have the model, with "
            f"{argument('encoder', 'sentence:MODEL')}"
        )

    def facts(self) -> dict[str, Any]:
        """What `router.json` says of it besides kind and name."""
        return {"source": self.source}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any], folder: Path) -> Precomputed:
        """The encoder that `facts` describes."""
        return cls(facts["source"], named=facts["name"] == facts["source"])


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
    def width(self) -> int:
        """Dimensions of a vector."""
        return sum(self.widths)

    @property
    def name(self) -> str:
        return "+".join(part.name for part in self.parts)

    def encode(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors f32 (b, d)."""
        return np.hstack([encode_texts(part, prompts) for part in self.parts])

    def columns(self, name: str) -> slice | None:
        """Where the vectors of the part called `name` stand; None if it is no part."""
        ends = np.cumsum(self.widths)
        for part, end, width in zip(self.parts, ends.tolist(), self.widths, strict=True):
            if part.name == name:
                return slice(end - width, end)
            if isinstance(part, JointEncoder) and (inner := part.columns(name)) is not None:
                return slice(end - width + inner.start, end - width + inner.stop)
        return None


def as_vectors(
    values: ArrayLike,
    what: str,
    row_name: Callable[[int], str] = lambda row: f"vector {row}",
    error: type[RecrouteError] = DataError,
) -> NDArray[np.float32]:
    """Vectors f32 (b, d) from an array of floats or integers.

    Parameters
    ----------
    values : float or int (b, d)
    what : str
        What messages call them, such as "the vectors of records".
    row_name : callable
        What messages call one row.
    error : class of RecrouteError
        What is raised.

    Raises
    ------
    RecrouteError
        If they have no two dimensions or no width, hold anything but real numbers, or a value that is not finite or too
        large for 32 bits.

    Examples
    --------
    >>> as_vectors([[1, 2]], "the vectors")
    array([[1., 2.]], dtype=float32)
    """
    if isinstance(values, MappedRows) and values.largest <= LARGEST:
        return cast(NDArray[np.float32], values)
    try:
        given = np.asarray(values)
    except ValueError:  # rows of different lengths
        raise error(f"{what} differ in length; give an array f32 (n, d)") from None
    if given.dtype.kind not in "fiu":
        raise error(f"{what} are {given.dtype}, not real numbers; give an array f32 (n, d)")
    if given.ndim != 2 or given.shape[1] == 0:
        raise error(f"{what} have the shape {given.shape}; give an array f32 (n, d), one row for each prompt")
    with np.errstate(over="ignore", invalid="ignore"):
        vectors: NDArray[np.float32] = given.astype(np.float32, copy=False)
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        part = vectors[start : start + ROWS_AT_ONCE]
        good = (part >= -LARGEST) & (part <= LARGEST)  # NaN is neither
        if not good.all():
            row = int(np.flatnonzero(~good.all(axis=1))[0])
            value = given[start + row][~good[row]][0]
            why = "too large for 32 bits; scale the vectors" if np.isfinite(value) else "not finite; encode it again"
            raise error(f"{what}: {row_name(start + row)} has a value that is {why} (it is {value:g})")
    return vectors


def encode_texts(encoder: Encoder, prompts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors f32 (b, d) of prompts; RouterError unless the encoder gives one of finite numbers for each."""
    vectors = as_vectors(encoder.encode(prompts), f"the vectors of {type(encoder).__name__}", error=RouterError)
    if len(vectors) != len(prompts):
        raise RouterError(f"encoder {encoder.name!r} gives {len(vectors)} vectors for {len(prompts)} prompts; fix it")
    return vectors


def check_encoder(encoder: Any, source: str) -> None:
    """Raise DataError unless it has what an encoder has."""
    name = getattr(encoder, "name", None)
    if isinstance(encoder, type) or not isinstance(name, str) or not callable(getattr(encoder, "encode", None)):
        raise DataError(
            f"the encoder of {source} is {type(encoder).__name__}, which lacks a name or encode(); give an object with "
            "`name`, a text (equal names mean equal vectors), and `encode(prompts)`, which gives vectors f32 (b, d)"
        )


def given_vectors(
    encoder: Encoder, vectors: NDArray[np.float32], source: str
) -> tuple[NDArray[np.float32] | None, str]:
    """Of a data set's vectors f32 (n, d) those that came with it, and what made them; None where all follow from texts.

    Raises DataError if an encoder made them that a dataset folder cannot hold.
    """
    parts = encoder.parts if isinstance(encoder, JointEncoder) else (encoder,)
    given = [part for part in parts if not getattr(part, "of_prompts", False)]
    if not given:
        return None, ""
    first = given[0]
    if len(given) > 1 or not isinstance(first, Precomputed):
        raise DataError(
            f"the vectors of {source} are by the encoder {first.name!r} ({type(first).__name__}), which a dataset "
            "folder cannot hold, so that new prompts would get none; to keep the vectors alone, write "
            f"dataset.with_embeddings(dataset.embeddings, recroute.data.Precomputed({first.name!r}))"
        )
    columns = encoder.columns(first.name) if isinstance(encoder, JointEncoder) else None
    return vectors if columns is None else vectors[:, columns], first.source
