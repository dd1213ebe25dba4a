"""RouterEval's selection of candidates (arXiv 2503.10657)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.errors import DataError
from recroute.pools.best_scores import BestScores
from recroute.util.numeric import Index

MEAN_LIMITS = (0.1, 0.9)
FIFTH = 0.2
N_DRAWS = 1000


def eligible_llms(means: NDArray[np.float64]) -> Index:
    """LLMs whose mean score lies in [0.1, 0.9], from weak to strong; equal means by rising index."""
    low, high = MEAN_LIMITS
    kept = np.flatnonzero((means >= low) & (means <= high))
    if len(kept) == 0:
        raise DataError(
            f"no LLM has a mean score between {low} and {high}, so RouterEval's groups are empty; use --groups nested"
        )
    return kept[np.argsort(means[kept], kind="stable")].astype(np.int64)


def window(best: BestScores, size: int, *, strong: bool) -> Index:
    """The `size` neighbours by mean with the best oracle score among the top or bottom fifth.

    Parameters
    ----------
    best : BestScores
        Of e LLMs from weak to strong.
    size : int
        At most e.
    strong : bool
        Look in the top fifth, otherwise in the bottom one; either holds at least `size` LLMs.

    Returns
    -------
    int (size,), positions among the e; among equal oracle scores the weakest window.
    """
    fifth = max(size, int(FIFTH * best.n_llms))
    start = best.n_llms - fifth if strong else 0
    oracle = best.windows(start, start + fifth, size)
    return np.arange(size) + start + int(np.argmax(oracle))


def strong_to_weak(known: BestScores, size: int, rng: np.random.Generator) -> Index:
    """The best by oracle score of 1,000 draws of one LLM from each of `size` groups by rank.

    Parameters are those of `window`, and the draws' generator; the first of equally good draws is kept.
    """
    edges = np.linspace(0, known.n_llms, size + 1).astype(np.int64)  # groups differ by at most one LLM
    width = np.diff(edges)
    limit = known.of(slice(None))
    best, best_oracle = np.arange(0), -1.0
    for _ in range(N_DRAWS):
        draw = edges[:-1] + (rng.random(size) * width).astype(np.int64)
        oracle = known.of(draw)
        if oracle > best_oracle:
            best, best_oracle = draw, oracle
            if oracle >= limit:  # no draw can beat all LLMs together
                break
    return best
