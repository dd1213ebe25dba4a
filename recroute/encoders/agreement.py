"""Whether the vectors that a data set came with are those that an encoder makes of its prompts."""

from __future__ import annotations

import numpy as np

from recroute.data import Dataset
from recroute.encoders.choose import main_encoder

EQUAL = 0.999  # vectors stored with 16 bits are nearer than this to those they were rounded from


def agreement(came_with: Dataset, encoded: Dataset) -> str:
    """One line on the same instances with the vectors they came with, and with new ones."""
    assert came_with.encoder is not None
    assert came_with.embeddings is not None
    assert encoded.encoder is not None
    assert encoded.embeddings is not None
    theirs, ours = came_with.embeddings, encoded.embeddings
    which = f"the vectors that {came_with.name} came with ({came_with.encoder.name.partition(':')[2] or 'unnamed'})"
    name = main_encoder(encoded.encoder).name
    if theirs.shape != ours.shape:
        return f"{which} are {theirs.shape[1]} wide, those of {name} {ours.shape[1]}: another encoder made them"
    lengths = np.linalg.norm(theirs, axis=1) * np.linalg.norm(ours, axis=1)
    cosine = (theirs * ours).sum(axis=1) / np.maximum(lengths, 1e-12)
    n_equal = int((cosine > EQUAL).sum())
    return (
        f"{which} are those of {name} for {n_equal} of {len(cosine)} prompts (cosine above {EQUAL}; "
        f"median {np.median(cosine):.5f}, least {cosine.min():.3f}); its own are used"
    )
