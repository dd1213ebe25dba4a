"""Settings that experiments on splits share, and the splits that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recroute.data import Dataset
from recroute.encoders import encode_dataset
from recroute.experiment.prepare import prepare_split
from recroute.splits import SPLITS, Split
from recroute.util.arguments import as_seeds
from recroute.util.settings import Settings, setting

Progress = Callable[[int, int], None]
# Panels of a verb's help.
DATA, COST, JUDGE, RUNNING = "Data and split", "Cost", "How it is judged", "How long and where it runs"


@dataclass(frozen=True, kw_only=True)
class EncoderSettings(Settings):
    """How prompts become vectors."""

    encoder: str = setting(
        "auto",
        help="auto (embeddings.npz if there, else TF-IDF), precomputed, tfidf, or sentence:MODEL, the folder of a "
        "sentence-transformers model or its name in the Hugging Face cache.",
        panel=DATA,
    )

    def encoded(self, dataset: Dataset) -> Dataset:
        """The data set with vectors of the sentence encoder that is asked for; itself where none is."""
        return encode_dataset(dataset, self.encoder)


@dataclass(frozen=True, kw_only=True)
class SplitSettings(EncoderSettings):
    """How a data set is split and encoded."""

    split: str | None = setting(
        None,
        choices=SPLITS,
        help="own: the data set's split column; random: 80/10/10. Default: own if there.",
        panel=DATA,
    )

    def parts(self, dataset: Dataset, seed: int) -> Split:
        """The split of a seed, with vectors."""
        return prepare_split(dataset, split=self.split, seed=seed, encoder=self.encoder)


@dataclass(frozen=True, kw_only=True)
class Protocol(SplitSettings):
    """What every experiment on splits is asked for: a subclass adds its own settings."""

    seeds: Sequence[int] = setting((0,), help="Each seed draws its own split and seeds the routers.", panel=DATA)

    def __post_init__(self) -> None:
        super().__post_init__()
        as_seeds(self.seeds)
