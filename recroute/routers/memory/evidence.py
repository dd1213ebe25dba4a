"""The exact scores and vectors of a router's training prompts, kept to explain its choices."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.data import InteractionMatrix
from recroute.errors import DataError, RouterError
from recroute.retrieval import Neighbors
from recroute.util.arrays import ArrayError, check_arrays, check_types
from recroute.util.npz import NpzError, map_npy
from recroute.util.state import array, arrays_of, made, rules_of, several

Arrays = Mapping[str, NDArray[Any]]
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

    scores: InteractionMatrix = several(InteractionMatrix, prefix="")
    vectors: NDArray[np.float32] | None = array("n_rows", "width", default=None, needed=False)

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
        places = {}
        for name, values in arrays_of(self).items():
            if (same := _same(values, held)) is not None:
                places[name] = f"{HELD}{same}"
            else:
                places[name] = f"evidence-{name}.npy"
                np.save(folder / places[name], values, allow_pickle=False)
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
        self._folder, self._n_llms = folder, 0
        self._arrays: dict[str, NDArray[Any]] = {}
        self._unchecked: list[tuple[Path, mmap, str]] = []
        for name, place in places.items():
            if place.startswith(HELD):
                if (own := held.get(place.removeprefix(HELD))) is None:
                    raise _damaged(folder, f"the evidence {name} is in no array of it")
                self._arrays[name] = own
                continue
            file = folder / place
            try:
                self._arrays[name], content = map_npy(file)
            except NpzError as error:
                raise _damaged(file, str(error)) from None
            if place not in digests:
                raise _damaged(file, "router.json has no SHA-256 of it")
            self._unchecked.append((file, content, digests[place]))

    def check_shapes(self, sizes: dict[str, int]) -> None:
        """Raise RouterError unless the arrays are those of the folder's prompts and LLMs, without reading them.

        `sizes` are the dimensions that are known; the number of prompts is added.
        """
        names = {"n_rows": "n_prompts", "width": "width"}
        own = {name: sizes[theirs] for name, theirs in names.items() if theirs in sizes}
        try:
            check_types(self._arrays, rules_of(Evidence, self._arrays), own)
        except ArrayError as error:
            raise _damaged(self._folder, f"evidence: {error}") from None
        self._n_llms = sizes["n_llms"]
        sizes |= {theirs: own[name] for name, theirs in names.items() if name in own}
        if own.get("n_columns", 0) > self._n_llms:
            raise _damaged(self._folder, f"evidence of {own['n_columns']} LLMs, and there are {self._n_llms}")

    @cached_property
    def evidence(self) -> Evidence:
        for file, content, digest in self._unchecked:
            if hashlib.sha256(content).hexdigest() != digest:
                raise _damaged(file, "its SHA-256 differs from router.json")
        try:
            check_arrays(self._arrays, rules_of(Evidence, self._arrays), {})
            found: Evidence = made(Evidence, self._arrays)
        except (ArrayError, DataError) as error:
            raise _damaged(self._folder, f"evidence: {error}") from None
        if (n_new := self._n_llms - found.scores.n_llms) < 0:
            raise _damaged(self._folder, f"evidence of {found.scores.n_llms} LLMs, and there are {self._n_llms}")
        if n_new:  # older versions kept nothing of LLMs that lightfm had placed by their metadata
            found = found.grown(np.full((found.scores.n_instances, n_new), np.nan, dtype=np.float32))
        return found


def _same(values: NDArray[Any], held: Arrays) -> str | None:
    """Name of the array among `held` that is the same, if that saves something."""
    if values.size < WORTH_SHARING:
        return None
    for name, other in held.items():
        if other.dtype == values.dtype and other.shape == values.shape and np.array_equal(other, values):
            return name
    return None


def _damaged(file: Path, why: str) -> RouterError:
    return RouterError(f"{file} is missing or damaged ({why}); fit the router again")
