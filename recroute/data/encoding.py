"""What turns a prompt into a vector, as data sets and routers see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from recroute.errors import RouterError


@runtime_checkable
class Encoder(Protocol):
    """Text to vector. `name` identifies the space: vectors of equal names can be compared."""

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
    """

    source: str

    @property
    def name(self) -> str:
        return f"precomputed:{self.source}"

    def encode(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        raise RouterError(
            f"the vectors of {self.source!r} came with the data set and new text cannot get one; "
            "fit with --encoder tfidf to route raw prompts, or, where you have the model, with --encoder sentence:MODEL"
        )


@dataclass(frozen=True)
class Named(Precomputed):
    """Vectors of a space that is known by its encoder's name only, such as those that a service logs."""

    @property
    def name(self) -> str:
        return self.source
