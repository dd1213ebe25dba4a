"""Data with a known right answer."""

from __future__ import annotations

import numpy as np
import polars as pl

from recroute.data import Dataset, InteractionMatrix

WORDS = ("multiply the integers", "translate the sentence", "compile the program")


def planted_dataset(
    *,
    n_instances: int = 240,
    n_llms: int = 6,
    noise: float = 0.1,
    missing: float = 0.0,
    costs: bool = False,
    seed: int = 0,
) -> Dataset:
    """Three kinds of prompts; LLM l solves kind l % 3 and fails the others, up to noise.

    So the right LLMs are known from the text alone, every LLM is right on a third of the prompts, and no single
    LLM is better than another.

    Parameters
    ----------
    n_instances, n_llms : int
    noise : float
        Share of flipped scores.
    missing : float
        Share of unobserved cells.
    costs : bool
        The first three LLMs cost a tenth of a cent, the next three twice as much, and so on, give or take a fifth.
    seed : int
    """
    rng = np.random.default_rng(seed)
    kind = np.arange(n_instances) % len(WORDS)
    solves = (np.arange(n_llms) % len(WORDS))[None, :] == kind[:, None]
    scores = (solves ^ (rng.random(solves.shape) < noise)).astype(np.float32)
    scores[rng.random(scores.shape) < missing] = np.nan
    instances = pl.DataFrame(
        {
            "instance_id": [f"i{i:04d}" for i in range(n_instances)],
            "prompt": [f"{WORDS[k]} number {i}" for i, k in enumerate(kind)],
            "task": [WORDS[k].split()[0] for k in kind],
        }
    )
    llms = pl.DataFrame({"llm_id": [f"llm-{i}" for i in range(n_llms)]})
    interactions = InteractionMatrix.from_dense(scores)
    if costs:
        rows, columns = np.nonzero(~np.isnan(scores))
        cost = 0.001 * (1 + columns // len(WORDS)) * rng.uniform(0.8, 1.2, len(rows))
        interactions = InteractionMatrix.from_coordinates(rows, columns, scores[rows, columns], scores.shape, cost)
    return Dataset("planted", interactions, instances, llms)
