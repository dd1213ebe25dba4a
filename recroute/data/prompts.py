"""Prompts on their way into a router, and which instances ask the same."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from recroute.data.dataset import Dataset
from recroute.data.encoding import Encoder, JointEncoder, as_vectors, encode_texts
from recroute.data.ids import IdMap
from recroute.data.matrix import InteractionMatrix
from recroute.errors import RouterError
from recroute.util.arguments import as_list
from recroute.util.mapped import MappedRows
from recroute.util.numeric import Floats, Index

TEXT_KINDS = "OUST"  # of arrays: objects, and texts in their several forms


@dataclass(frozen=True, eq=False)
class Prompts:
    """What a router scores: n prompts, each with what is known of it.

    Parameters
    ----------
    n : int
    name : str
        For messages.
    ids, texts : sequence of str, optional
    tasks : str (n,), optional
    vectors : dict of str to f32 (n, d)
        By the name of the encoder that made them, see `by_encoder`; `encoded` adds to them.
    llm_ids, interactions : IdMap and InteractionMatrix (n, m), optional
        Observed scores, which only the bounds of an evaluation read.

    Examples
    --------
    >>> prompts = Prompts.of(["What is 2 + 2?", "Translate it."])
    >>> prompts.n, prompts.texts[1], prompts.tasks
    (2, 'Translate it.', None)
    """

    n: int
    name: str = "the prompts"
    ids: Sequence[str] | None = None
    texts: Sequence[str] | None = None
    tasks: NDArray[np.str_] | None = None
    vectors: dict[str, Floats] = field(default_factory=dict)
    llm_ids: IdMap | None = None
    interactions: InteractionMatrix | None = None

    @classmethod
    def of(cls, instances: Instances, encoder: Encoder | None = None) -> Prompts:
        """Prompts from a data set, a list of texts, or vectors f32 (n, d) of `encoder`; one counts as a list of one.

        Raises RecrouteError for anything else, and RouterError for vectors that `as_vectors` refuses.
        """
        if isinstance(instances, Prompts):
            return instances
        if isinstance(instances, Dataset):
            return cls(
                instances.n_instances,
                instances.name,
                instances.instances["instance_id"].to_list(),
                instances.prompts,
                instances.tasks,
                {} if instances.embeddings is None else by_encoder(instances.embeddings, instances.encoder),
                instances.llm_ids,
                instances.interactions,
            )
        if isinstance(instances, MappedRows):
            instances = instances.read()
        if isinstance(instances, np.ndarray) and instances.dtype.kind not in TEXT_KINDS and instances.shape != (0,):
            given = as_vectors(np.atleast_2d(instances), "the vectors", error=RouterError)
            return cls(len(given), "an array of vectors", vectors=by_encoder(given, encoder))
        texts = as_list(instances, "prompts", str, "texts, a data set, or an array of vectors")
        return cls(len(texts), texts=texts)

    def __len__(self) -> int:
        return self.n

    def encoded(self, encoder: Encoder) -> Floats:
        """Vectors f32 (n, d) by `encoder`: those that are known, else new ones, which are kept.

        Raises RouterError if there are neither such vectors nor texts, or `encoder` cannot read text.
        """
        if (known := self.vectors.get(encoder.name)) is not None:
            return np.asarray(known)  # mapped rows are read
        if isinstance(encoder, JointEncoder):
            found = np.hstack([self.encoded(part) for part in encoder.parts])
        elif self.texts is None:
            raise RouterError(f"{self.name} has no prompts to encode, and no vectors of {encoder.name}; add either")
        else:
            found = encode_texts(encoder, self.texts)
        self.vectors[encoder.name] = found
        return found

    def observed(self, llms: Sequence[str]) -> Floats | None:
        """Observed scores f32 (n, m) of these LLMs, NaN where there are none; None if the prompts come without."""
        if self.llm_ids is None or self.interactions is None:
            return None
        return self.interactions.take_llms(self.llm_ids.to_index(llms)).dense()

    @property
    def keys(self) -> Iterable[bytes]:
        """What tells one prompt from another: its id, else its text, else its vector."""
        if (known := self.texts if self.ids is None else self.ids) is not None:
            return (each.encode("utf8", "surrogatepass") for each in known)
        return (vector.tobytes() for vector in next(iter(self.vectors.values())))

    def take(self, rows: Index) -> Prompts:
        """The prompts at these positions int (k,), in this order."""
        ids, texts = (None if known is None else [known[i] for i in rows] for known in (self.ids, self.texts))
        return replace(
            self,
            n=len(rows),
            ids=ids,
            texts=texts,
            tasks=None if self.tasks is None else self.tasks[rows],
            vectors={name: vectors[rows] for name, vectors in self.vectors.items()},
            interactions=None if self.interactions is None else self.interactions.take_instances(rows),
        )


Instances = Prompts | Dataset | Sequence[str] | Floats  # what `Prompts.of` takes


def by_encoder(vectors: Floats, encoder: Encoder | None) -> dict[str, Floats]:
    """Vectors f32 (n, d) by the name of what made them, "" for an unknown encoder; those of its parts by theirs."""
    found = {"" if encoder is None else encoder.name: vectors}
    if isinstance(encoder, JointEncoder) and vectors.shape[1] == encoder.width:
        for part, end, width in zip(encoder.parts, np.cumsum(encoder.widths), encoder.widths, strict=True):
            found = {**found, **by_encoder(vectors[:, end - width : end], part), **found}
    return found


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
