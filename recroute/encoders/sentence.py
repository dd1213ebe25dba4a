"""`SentenceEncoder`: prompt vectors from a sentence-transformers model on disk."""

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
CHUNK = 32  # prompts per progress update
N_RECENT = 256  # prompts whose vectors are cached


class SentenceModel:
    """A loaded model, with a cache of recent prompts, because the parts of a router encode the same ones."""

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
            raise RouterError(f"the encoder at {folder} cannot be read: {reason}; download the model again") from None
        self._recent: dict[str, NDArray[np.float32]] = {}
        self._lock = Lock()
        self._width = len(self._vector(""))  # from here on the tokenizer is read-only and can be shared by threads

    def encode(self, prompts: Sequence[str], progress: Progress | None) -> NDArray[np.float32]:
        texts = [prompt.encode("utf8", "replace").decode("utf8") for prompt in prompts]  # replaces lone surrogates
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
    """Module sentence_transformers; RouterError if the extra `text` is not installed."""
    try:
        import sentence_transformers
    except ImportError:
        raise RouterError(without_extra()) from None
    return sentence_transformers


@contextmanager
def _one_thread_each(n_prompts: int) -> Iterator[Callable[..., Iterable[NDArray[np.float32]]]]:
    """A `map` over as many threads as PyTorch may use, with one thread per prompt.

    Threads that share a prompt busy-wait for each other, which took 5 to 12 times the CPU time on a busy machine.
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
    """Suppress the progress bars and log messages of transformers."""
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
    """Encodes prompts with a sentence-transformers model, on the CPU and without network access.

    Each prompt is encoded separately on one thread, without padding, so its vector is bitwise the same alone or in a
    batch, and on any number of cores. On a CPU larger batches would not be faster. The model is loaded at first use,
    after the hashes of its files were checked; encoders of equal files share it. Needs the extra `text`.

    Parameters
    ----------
    label : str
        Name of the model.
    folder : Path
        Folder of the model.
    files : mapping of str to str
        SHA-256 of each file, by its path in `folder`.
    alone : bool
        Whether the folder must not hold other files, as in a router's folder.
    """

    kind: ClassVar[str] = "sentence"
    of_prompts: ClassVar[bool] = True

    label: str
    folder: Path
    files: Mapping[str, str]
    alone: bool = False

    @classmethod
    def open(cls, model: str) -> SentenceEncoder:
        """Open a model by its folder or by its name in the Hugging Face cache; nothing is downloaded.

        Raises
        ------
        DataError
            If there is no such model, or loading it would run code that comes with it.
        RouterError
            If the extra `text` is not installed.
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
        """ "sentence:", the label, and a hash of the files, so that equal names mean equal vectors."""
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
        """Raise RouterError if a file has changed since it was hashed."""
        check_files(self.folder, self.files, alone=self.alone)

    def encode(self, prompts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """Vectors f32 (b, d); `progress` is called with the number of encoded prompts and the total number.

        Raises RouterError if the model is damaged or the extra `text` is not installed.
        """
        return self._model.encode(prompts, progress)

    def facts(self) -> dict[str, Any]:
        """Entries for `router.json`: label, file hashes, and the maximum number of tokens of a prompt."""
        return {"source": self.label, "max_seq_length": read_length(self.folder), "files": dict(self.files)}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any], folder: Path) -> SentenceEncoder:
        """Restore the encoder described by `facts`, whose files are in `folder`.

        Raises ArrayError if the hashes are damaged, RouterError if a file is.
        """
        files = facts.get("files")
        if not (isinstance(files, dict) and all(map(is_text, (*files, *files.values())))):
            raise ArrayError("its files have no hashes")
        encoder = cls(facts["source"], folder, files, alone=True)
        encoder.check()
        return encoder

    def copy_to(self, folder: Path) -> None:
        """Copy the model's files to `folder`; RouterError if a file has changed since it was hashed."""
        copy_files(self.folder, self.files, folder)

    def __getstate__(self) -> dict[str, Any]:
        """State without the loaded model, which a copy loads itself."""
        return {f.name: getattr(self, f.name) for f in fields(self)}
