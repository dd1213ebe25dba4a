"""A uniformly random LLM for every prompt."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.routers.base import Prompts, Router, Scores
from recroute.util.numeric import Index


@dataclass(kw_only=True)
class Random(Router):
    """Predicts a uniform random number for each instance and LLM, a hash of seed, instance and LLM.

    So a prompt gets the same LLM alone or in a batch. Evaluation uses the closed form, the mean over the pool.
    """

    name: ClassVar[str] = "random"
    kind: ClassVar[str] = "baseline"
    chooses_by_chance: ClassVar[bool] = True

    def _fit(self, train: Dataset) -> None:
        pass

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        return uniform_noise(self.seed, prompts, [self.llm_ids_.ids[i] for i in llm_index])

    def distribution(self, predicted: Scores) -> NDArray[np.float64]:
        """Uniform over the pool, f64 (b, m)."""
        return np.full(predicted.shape, 1 / predicted.shape[1])

    def expected_score(self, observed: NDArray[np.float32]) -> NDArray[np.float64]:
        """Mean over the observed LLMs of each instance, f64 (b,)."""
        return np.asarray(np.nanmean(observed, axis=1, dtype=np.float64))


def uniform_noise(seed: int, prompts: Prompts, llms: Iterable[str]) -> Scores:
    """Uniform numbers in [0, 1), f32 (b, m), each a hash of the seed, the prompt (its `keys`) and the LLM id."""
    rows = np.array([_hash(b"%d/" % seed + key) for key in prompts.keys], dtype=np.uint64)
    columns = np.array([_hash(llm.encode("utf8", "surrogatepass")) for llm in llms], dtype=np.uint64)
    # splitmix64 of the combined hashes; uint64 arithmetic wraps around on purpose
    mixed = rows[:, None] ^ (columns * np.uint64(0x9E3779B97F4A7C15))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return ((mixed >> np.uint64(40)) / np.float32(2**24)).astype(np.float32)


def _hash(key: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")
