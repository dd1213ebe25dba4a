"""Settings shared by experiments on splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from recroute.data import Dataset
from recroute.encoders import as_encoder, encode_dataset
from recroute.experiment.prepare import prepare_split
from recroute.splits import SPLITS, Split
from recroute.util.arguments import as_seeds
from recroute.util.settings import Settings, setting

Progress = Callable[[int, int], None]
# Panels of the help texts.
DATA, COST, JUDGE, RUNNING = "Data and split", "Cost", "Evaluation", "Running"


@dataclass(frozen=True, kw_only=True)
class EncoderSettings(Settings):
    """Choice of the prompt encoder."""

    encoder: str | Any = setting(
        "auto",
        help="auto (embeddings.npz if present, else TF-IDF), precomputed, tfidf, or sentence:MODEL, where MODEL is the "
        "folder of a sentence-transformers model or its name in the Hugging Face cache.",
        panel=DATA,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.encoder, str):
            object.__setattr__(self, "encoder", as_encoder(self.encoder))

    def encoded(self, dataset: Dataset) -> Dataset:
        """Data set with the vectors of the sentence encoder or your own, if one is chosen; otherwise unchanged."""
        return encode_dataset(dataset, self.encoder)


@dataclass(frozen=True, kw_only=True)
class SplitSettings(EncoderSettings):
    """Choice of the split and the prompt encoder."""

    split: str | None = setting(
        None,
        choices=SPLITS,
        help="own: the data set's split column; random: 80/10/10. Default: own if present.",
        panel=DATA,
    )

    def parts(self, dataset: Dataset, seed: int) -> Split:
        """Split of a seed, with vectors."""
        return prepare_split(dataset, split=self.split, seed=seed, encoder=self.encoder)


@dataclass(frozen=True, kw_only=True)
class Protocol(SplitSettings):
    """Settings of every experiment on splits; a subclass adds its own."""

    seeds: Sequence[int] = setting((0,), help="Each seed draws its own split and seeds the routers.", panel=DATA)

    def __post_init__(self) -> None:
        super().__post_init__()
        as_seeds(self.seeds)
