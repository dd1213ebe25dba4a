"""A sentence-transformers model in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.encoders.sentence_files import without_extra
from recroute.errors import RouterError

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
