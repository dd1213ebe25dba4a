"""Synthetic data sets for which the right choices are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from recroute.data import Dataset, InteractionMatrix, Preferences

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
    """A data set with three kinds of prompts; LLM l solves kind l % 3 and fails the others, up to noise.

    The text of a prompt alone determines which LLMs solve it. Every LLM solves a third of the prompts, so that none is
    better than another overall.

    Parameters
    ----------
    n_instances, n_llms : int
    noise : float
        Share of flipped scores.
    missing : float
        Share of unobserved scores.
    costs : bool
        Whether records have costs: 0.001 USD for the first three LLMs, 0.002 USD for the next three, and so on, each
        varied by up to a fifth.
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


def twins_dataset(*, n_instances: int = 240, seed: int = 0) -> Dataset:
    """A data set with two kinds of prompts that their text does not tell apart; a first answer does.

    On the first kind, 60% of the prompts, `twin-1` and `twin-2` mostly succeed and `rival` mostly fails; on the other
    it is the reverse. `weak` mostly fails on both. So by text the ranking is `twin-1`, `twin-2`, `rival`, `weak`, and
    after a failure of `twin-1` the best LLM is `rival`.

    Parameters
    ----------
    n_instances : int
    seed : int
    """
    rng = np.random.default_rng(seed)
    first = rng.random(n_instances) < 0.6
    chance = np.where(first[:, None], [0.97, 0.85, 0.05, 0.1], [0.05, 0.05, 0.9, 0.1])
    scores = (rng.random(chance.shape) < chance).astype(np.float32)
    words = rng.choice(["alpha", "beta", "gamma", "delta"], size=(n_instances, 6))
    instances = pl.DataFrame(
        {
            "instance_id": [f"i{i:04d}" for i in range(n_instances)],
            "prompt": [f"{' '.join(row)} {i}" for i, row in enumerate(words)],
            "task": ["t"] * n_instances,
        }
    )
    llms = pl.DataFrame({"llm_id": ["twin-1", "twin-2", "rival", "weak"]})
    return Dataset("twins", InteractionMatrix.from_dense(scores), instances, llms)


def drawn_preferences(
    dataset: Dataset, n_battles: int, *, noise: float = 0.1, first_shown: float = 0.0, seed: int = 0
) -> Dataset:
    """The data set with simulated battles, pairwise judgements of two answers, in place of its scores.

    Parameters
    ----------
    dataset : Dataset
    n_battles : int
        Each battle is of a random instance and two random LLMs that have a score for it. The higher score wins; equal
        scores are a tie.
    noise : float
        Share of the battles that are decided by a coin toss.
    first_shown : float
        Share of the battles that the answer shown first wins, whatever the scores.
    seed : int
    """
    rng = np.random.default_rng(seed)
    block = dataset.interactions.dense()
    row = rng.choice(np.flatnonzero((~np.isnan(block)).sum(axis=1) >= 2), n_battles)
    draw = np.where(np.isnan(block[row]), np.inf, rng.random((n_battles, dataset.n_llms)))
    a, b = np.argpartition(draw, 1, axis=1)[:, :2].T
    flip = rng.random(n_battles) < 0.5  # because the order that argpartition returns is not random
    a, b = np.where(flip, b, a), np.where(flip, a, b)
    outcome = (1 + np.sign(block[row, a] - block[row, b])) / 2
    luck = rng.random(n_battles)
    outcome = np.where(luck < noise, rng.integers(0, 2, n_battles), outcome)
    outcome = np.where(luck > 1 - first_shown, 1.0, outcome)
    index = (row.astype(np.int32), a.astype(np.int32), b.astype(np.int32))
    nothing = InteractionMatrix.from_dense(np.full_like(block, np.nan))
    return replace(dataset, interactions=nothing, preferences=Preferences(*index, outcome.astype(np.float32)))
