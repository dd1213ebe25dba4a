"""The exact scores and vectors of a router's training prompts, kept to explain its choices."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.data import InteractionMatrix
from recroute.errors import RouterError
from recroute.retrieval import Neighbors

Arrays = Mapping[str, NDArray[Any]]
VECTORS = "vectors"
HELD = "arrays.npz:"  # before the name of an array that the router has itself
WORTH_SHARING = 1000  # cells


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the LLMs of a router scored on its training prompts.

    Parameters
    ----------
    scores : InteractionMatrix (n, m)
        Observed scores, a row for each training prompt that has a record, a column for each LLM of the router.
    vectors : f32 (n, d), optional
        Of the prompts, in the space the router reads; None where it reads no text.
    """

    scores: InteractionMatrix
    vectors: NDArray[np.float32] | None

    @cached_property
    def neighbors(self) -> Neighbors:
        """Search among the prompts' vectors, which have to be there."""
        assert self.vectors is not None
        return Neighbors(self.vectors)

    def grown(self, scores: NDArray[np.float32]) -> Evidence:
        """With more LLMs, whose scores f32 (n, j) are NaN where they were not run."""
        return Evidence(self.scores.with_llms(InteractionMatrix.from_dense(scores)), self.vectors)

    def take_llms(self, kept: NDArray[np.int64]) -> Evidence:
        """With the LLMs at these positions only."""
        return Evidence(self.scores.take_llms(kept), self.vectors)

    def write(self, folder: Path, held: Arrays) -> dict[str, str]:
        """Write a file for each array that is not one of the router's own, `held`; where each of them is, by name."""
        arrays = self.scores.state() | ({} if self.vectors is None else {VECTORS: self.vectors})
        places = {}
        for name, array in arrays.items():
            if (same := _same(array, held)) is not None:
                places[name] = f"{HELD}{same}"
            else:
                places[name] = f"evidence-{name}.npy"
                np.save(folder / places[name], array, allow_pickle=False)
        return places


class EvidenceFiles:
    """Evidence in a router's folder, mapped and not read before it is needed.

    The mapping keeps what it is where the folder is replaced meanwhile. Hashes are checked at first use.

    Parameters
    ----------
    folder : Path
    places : mapping
        What `Evidence.write` gave.
    digests : mapping
        SHA-256 of each file.
    held : mapping
        The router's own arrays.

    Raises
    ------
    RouterError
        If a file or an array is missing or damaged, at once or at first use.
    """

    def __init__(self, folder: Path, places: Mapping[str, str], digests: Mapping[str, str], held: Arrays) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}
        self._unchecked: dict[Path, tuple[str, str]] = {}
        for name, place in places.items():
            if place.startswith(HELD):
                self._arrays[name] = held[place.removeprefix(HELD)]
                continue
            file = folder / Path(place).name
            try:
                self._arrays[name] = np.load(file, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                raise _damaged(file, str(error)) from None
            self._unchecked[file] = (name, digests[place])

    @cached_property
    def evidence(self) -> Evidence:
        for file, (name, digest) in self._unchecked.items():
            if hashlib.sha256(self._arrays[name].base).hexdigest() != digest:  # type: ignore[arg-type]  # the mapping
                raise _damaged(file, "its SHA-256 differs from router.json")
        scores = {name: array for name, array in self._arrays.items() if name != VECTORS}
        return Evidence(InteractionMatrix.of_state(scores), self._arrays.get(VECTORS))


def _same(array: NDArray[Any], held: Arrays) -> str | None:
    """Name of the array among `held` that is the same, if that saves something."""
    if array.size < WORTH_SHARING:
        return None
    for name, other in held.items():
        if other.dtype == array.dtype and other.shape == array.shape and np.array_equal(other, array):
            return name
    return None


def _damaged(file: Path, why: str) -> RouterError:
    return RouterError(f"{file} is missing or damaged ({why}); fit the router again")
