"""A sentence-transformers model on disk: vectors that know more of a text than its words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from recroute.encoders.sentence_files import check_files, copy_files, find_model, hash_model, read_length
from recroute.encoders.sentence_model import Progress, SentenceModel, library

_models: WeakValueDictionary[str, SentenceModel] = WeakValueDictionary()
_loading = Lock()


@dataclass(frozen=True)
class SentenceEncoder:
    """Prompts to vectors by a sentence-transformers model, on the CPU and without a network.

    One prompt at a time, each on one thread: nothing is padded, so that a prompt has the same vector, to the bit, alone
    and among others, on one core and on many; on a CPU larger batches are no faster. The model is loaded when it is
    first needed, after its files' hashes have been checked; encoders of equal files share it. Needs the extra `text`.

    Parameters
    ----------
    label : str
        What the model is called.
    folder : Path
        Where its files are.
    files : mapping of str to str
        SHA-256 of each file, by its path in `folder`.
    alone : bool
        Whether the folder may hold nothing else, as in a router's folder.
    """

    of_prompts: ClassVar[bool] = True

    label: str
    folder: Path
    files: Mapping[str, str]
    alone: bool = False

    @classmethod
    def open(cls, model: str) -> SentenceEncoder:
        """The encoder of a model's folder, or of a name that the Hugging Face cache has; nothing is downloaded.

        Raises
        ------
        DataError
            If there is no such model, or it could only be read by running what it brings.
        RouterError
            Without the extra `text`.
        """
        library()
        folder = find_model(model)
        label = folder.name if Path(model).expanduser().is_dir() else model
        return cls(label=label, folder=folder, files=hash_model(folder))

    def is_of(self, model: str) -> bool:
        """Whether `open` would read the same files."""
        return find_model(model) == self.folder

    @cached_property
    def name(self) -> str:
        """ "sentence:", the label, and a hash of the files: equal names mean equal vectors."""
        return f"sentence:{self.label}:{self._digest[:12]}"

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(json.dumps(sorted(self.files.items())).encode()).hexdigest()

    @cached_property
    def _model(self) -> SentenceModel:
        with _loading:
            if (found := _models.get(self._digest)) is None:
                self.check()
                found = _models[self._digest] = SentenceModel(self.folder)
            return found

    def check(self) -> None:
        """Raise RouterError unless the files are those that were hashed."""
        check_files(self.folder, self.files, alone=self.alone)

    def encode(self, prompts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """Vectors f32 (b, d); `progress` is called with the prompts done and the prompts in all.

        Raises RouterError if the model is damaged, or without the extra `text`.
        """
        return self._model.encode(prompts, progress)

    def facts(self) -> dict[str, Any]:
        """What `router.json` says of it: the hashes, and how many tokens of a prompt it reads."""
        return {"max_seq_length": read_length(self.folder), "files": dict(self.files)}

    def copy_to(self, folder: Path) -> None:
        """Copy the model's files; RouterError if they are not those that were hashed."""
        copy_files(self.folder, self.files, folder)

    def __getstate__(self) -> dict[str, Any]:
        """Without the model: a copy loads it when it needs it."""
        return {f.name: getattr(self, f.name) for f in fields(self)}
