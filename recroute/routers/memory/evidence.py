"""Scores and vectors of a router's training prompts, in memory or memory-mapped from its folder."""

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
HELD = "arrays.npz:"  # prefix of the name of an array that is stored with the router's own
MIN_SHARED_SIZE = 1000  # cells of an array that is worth sharing


@dataclass(frozen=True, eq=False)
class Evidence:
    """Scores of the router's LLMs on its training prompts, and the prompts' vectors.

    Parameters
    ----------
    scores : InteractionMatrix (n, m)
        Observed scores: a row for each training prompt that has a record, a column for each LLM of the router.
    vectors : f32 (n, d), optional
        Vectors of the prompts as the router reads them; None if it reads no vectors.
    """

    scores: InteractionMatrix = several(InteractionMatrix, prefix="")
    vectors: NDArray[np.float32] | None = array("n_rows", "width", default=None, needed=False)

    @cached_property
    def neighbors(self) -> Neighbors:
        """Nearest-neighbour index of the prompt vectors, which must not be None."""
        assert self.vectors is not None
        return Neighbors(self.vectors)

    def grown(self, scores: NDArray[np.float32]) -> Evidence:
        """Append LLMs with scores f32 (n, j), NaN where they were not run."""
        return Evidence(self.scores.with_llms(InteractionMatrix.from_dense(scores)), self.vectors)

    def take_llms(self, kept: NDArray[np.int64]) -> Evidence:
        """Keep the LLMs at these positions only."""
        return Evidence(self.scores.take_llms(kept), self.vectors)

    def take_prompts(self, kept: NDArray[np.int64]) -> Evidence:
        """Keep the prompts at these positions only."""
        vectors = None if self.vectors is None else np.asarray(self.vectors[kept])
        return Evidence(self.scores.take_instances(kept), vectors)

    def write(self, folder: Path, held: Arrays) -> dict[str, str]:
        """Write one file per array, but none for an array equal to one in `held`; returns the file of each array."""
        places = {}
        for name, values in arrays_of(self).items():
            if (same := _same(values, held)) is not None:
                places[name] = f"{HELD}{same}"
            else:
                places[name] = f"evidence-{name}.npy"
                np.save(folder / places[name], values, allow_pickle=False)
        return places


class EvidenceFiles:
    """Evidence in a router's folder, memory-mapped at load and read at first use.

    The mapping stays valid if the folder is replaced in the meantime. Hashes are checked at first use.

    Parameters
    ----------
    folder : Path
    places : mapping of str to str
        File of each array, as `Evidence.write` returned it.
    digests : mapping of str to str
        SHA-256 of each file.
    held : mapping of str to array
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
                    raise _damaged(folder, f"no array holds the evidence {name}")
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
        """Raise RouterError unless the arrays have the shapes that the router's prompts and LLMs imply; reads no data.

        `sizes` are the known dimensions; the number of prompts is added.
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
            raise _damaged(self._folder, f"evidence of {own['n_columns']} LLMs, but the router has {self._n_llms}")

    @cached_property
    def evidence(self) -> Evidence:
        """The checked arrays; RouterError if a file is damaged."""
        for file, content, digest in self._unchecked:
            if hashlib.sha256(content).hexdigest() != digest:
                raise _damaged(file, "its SHA-256 differs from router.json")
        try:
            check_arrays(self._arrays, rules_of(Evidence, self._arrays), {})
            evidence: Evidence = made(Evidence, self._arrays)
        except (ArrayError, DataError) as error:
            raise _damaged(self._folder, f"evidence: {error}") from None
        scores = evidence.scores
        if (n_new := self._n_llms - scores.n_llms) < 0:
            raise _damaged(self._folder, f"evidence of {scores.n_llms} LLMs, but the router has {self._n_llms}")
        if n_new:  # older versions stored no evidence of LLMs that lightfm had placed by their metadata
            evidence = evidence.grown(np.full((scores.n_instances, n_new), np.nan, dtype=np.float32))
        return evidence


def _same(values: NDArray[Any], held: Arrays) -> str | None:
    """Name of an equal array among `held`; None if there is none or the array is small."""
    if values.size < MIN_SHARED_SIZE:
        return None
    for name, other in held.items():
        if other.dtype == values.dtype and other.shape == values.shape and np.array_equal(other, values):
            return name
    return None


def _damaged(file: Path, why: str) -> RouterError:
    return RouterError(f"{file} is missing or damaged ({why}); fit the router again")
