"""A sentence-transformers model on disk: vectors that know more of a text than its words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from recroute.data.reading import is_text
from recroute.encoders.sentence_files import check_files, copy_files, find_model, hash_model, read_length, without_extra
from recroute.errors import RouterError
from recroute.util.arrays import ArrayError

Progress = Callable[[int, int], None]
CHUNK = 32  # prompts between two signs of progress
N_RECENT = 256


class SentenceModel:
    """A loaded model. It remembers the latest prompts, because the parts of a router ask one after the other."""

    def __init__(self, folder: Path) -> None:
        load = library().SentenceTransformer
        from safetensors import SafetensorError  # comes with the library

        unreadable = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError)
        try:
            with quiet():
                self._model = load(
                    str(folder),
                    device="cpu",
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"use_safetensors": True},
                )
        except (SafetensorError, *unreadable) as error:
            reason = (str(error).strip() or repr(error)).splitlines()[0]
            raise RouterError(f"the encoder at {folder} cannot be read: {reason}; get the model again") from None
        self._recent: dict[str, NDArray[np.float32]] = {}
        self._lock = Lock()
        self._width = len(self._vector(""))  # from here on the tokenizer is only read, and threads can share it

    def encode(self, prompts: Sequence[str], progress: Progress | None) -> NDArray[np.float32]:
        texts = [prompt.encode("utf8", "replace").decode("utf8") for prompt in prompts]  # no half characters
        wanted = list(dict.fromkeys(texts))
        with self._lock:
            found = {text: self._recent[text] for text in wanted if text in self._recent}
        new = [text for text in wanted if text not in found]
        with _one_thread_each(len(new)) as map_:
            for first in range(0, len(new), CHUNK):
                chunk = new[first : first + CHUNK]
                found |= zip(chunk, map_(self._vector, chunk), strict=True)
                if progress:
                    progress(len(found), len(wanted))
        with self._lock:
            self._recent = {text: self._recent[text] for text in self._recent if text not in found} | found
            for text in list(self._recent)[: -max(N_RECENT, len(found))]:
                del self._recent[text]
        return np.array([found[text] for text in texts], dtype=np.float32).reshape(len(texts), self._width)

    def _vector(self, text: str) -> NDArray[np.float32]:
        vector = self._model.encode([text], batch_size=1, show_progress_bar=False, convert_to_numpy=True)[0]
        return np.asarray(vector, dtype=np.float32)


def library() -> Any:
    """sentence-transformers; RouterError without the extra `text`."""
    try:
        import sentence_transformers
    except ImportError:
        raise RouterError(without_extra()) from None
    return sentence_transformers


@contextmanager
def _one_thread_each(n_prompts: int) -> Iterator[Callable[..., Iterable[NDArray[np.float32]]]]:
    """A `map` on as many threads as PyTorch may use, of which each prompt gets one.

    Threads that share a prompt spin while they wait for each other: on a busy machine that took 5 to 12 times the CPU
    time.
    """
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if min(n_threads, n_prompts) < 2:
            yield map
        else:
            with ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                yield pool.map
    finally:
        torch.set_num_threads(n_threads)


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' progress bars and notes."""
    from transformers.utils import logging as log

    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()


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

    kind: ClassVar[str] = "sentence"
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
        """What `router.json` says of it: its label, the hashes, and how many tokens of a prompt it reads."""
        return {"source": self.label, "max_seq_length": read_length(self.folder), "files": dict(self.files)}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any], folder: Path) -> SentenceEncoder:
        """The encoder that `facts` describes, its files copied to `folder`.

        Raises ArrayError if the hashes are damaged, RouterError if a file is.
        """
        files = facts.get("files")
        if not (isinstance(files, dict) and all(map(is_text, (*files, *files.values())))):
            raise ArrayError("its files have no hashes")
        found = cls(facts["source"], folder, files, alone=True)
        found.check()
        return found

    def copy_to(self, folder: Path) -> None:
        """Copy the model's files; RouterError if they are not those that were hashed."""
        copy_files(self.folder, self.files, folder)

    def __getstate__(self) -> dict[str, Any]:
        """Without the model: a copy loads it when it needs it."""
        return {f.name: getattr(self, f.name) for f in fields(self)}
