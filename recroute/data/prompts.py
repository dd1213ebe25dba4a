"""Which instances ask the same."""

from __future__ import annotations

import unicodedata

import numpy as np
from numpy.typing import NDArray

from recroute.data.dataset import Dataset


def prompt_groups(dataset: Dataset) -> NDArray[np.int64]:
    """Equal numbers for instances with the same normalised prompt, int (n,); all different where there is no text.

    Prompts are compared after Unicode normalisation (NFKC), lower-casing and collapsing white space. An empty prompt
    is an unknown one and equals no other.
    """
    if dataset.prompts is None:
        return np.arange(dataset.n_instances)
    texts = [normalised(prompt) for prompt in dataset.prompts]
    known: dict[str | int, int] = {}
    return np.array([known.setdefault(text or row, len(known)) for row, text in enumerate(texts)], dtype=np.int64)


def normalised(prompt: str) -> str:
    """A prompt as it is compared.

    >>> normalised(" What  is this? ")
    'what is this?'
    """
    return " ".join(unicodedata.normalize("NFKC", prompt).lower().split())
