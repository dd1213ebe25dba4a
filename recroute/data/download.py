"""Fetching public data sets: resumed where they broke off, checked by size and hash, never half there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from recroute.data.hub import Hub, RemoteFile, part_of
from recroute.errors import DataError, UnknownNameError, argument
from recroute.util.files import make_folder

ENDPOINT = "https://huggingface.co"
ASK_FROM = 10**9  # bytes


@dataclass(frozen=True)
class PublicDataset:
    """A data set on the Hugging Face hub.

    Parameters
    ----------
    repository : str
    layout : str
        What to import it with.
    holds : str
        Half a line on what there is.
    """

    repository: str
    layout: str
    holds: str


DATASETS = {
    "routereval": PublicDataset("linggm/RouterEval", "routereval", "router_dataset, leaderboard scores, embeddings"),
    "embedllm": PublicDataset("RZ412/EmbedLLM", "embedllm", "train.csv, val.csv, test.csv, model_order.csv"),
    "routerbench": PublicDataset("withmartian/routerbench", "routerbench", "0-shot and 5-shot pickles"),
}


@dataclass(frozen=True)
class Downloaded:
    """Files that are there now, and how many of them were there before."""

    files: tuple[Path, ...]
    n_kept: int


def download(
    name: str,
    to: str | Path,
    *,
    only: Sequence[str] = (),
    confirm: Callable[[int], bool] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Downloaded:
    """Fetch a public data set.

    A file that is there with the right size and hash is kept. What was received of a file stays in `FILE.part`, and
    the next call goes on from there. The environment variables HF_ENDPOINT (another address of the hub) and HF_TOKEN
    (for gated data) are respected.

    Parameters
    ----------
    name : {"routereval", "embedllm", "routerbench"}
    to : str or Path
        Folder; made if it is not there.
    only : list of str
        Patterns such as "router_dataset*"; default: every file.
    confirm : callable, optional
        Asked with the number of bytes if they are a gigabyte or more.
    progress : callable, optional
        Called with the bytes done and the bytes in all.

    Raises
    ------
    UnknownNameError
        For a data set that is not known.
    DataError
        If the hub cannot be reached, has no such file, sends other bytes than it announced, or the disk is full.
    """
    if name not in DATASETS:
        raise UnknownNameError("data set", name, DATASETS)
    to = Path(to)
    hub = Hub(os.environ.get("HF_ENDPOINT", ENDPOINT).rstrip("/"), DATASETS[name].repository)
    files = _chosen(hub.files(), only, hub)
    make_folder(to)
    waiting = [file for file in files if not _is_there(file, to / file.path)]
    total = sum(file.size for file in waiting)
    n_bytes = total - sum(
        part_of(to / file.path).stat().st_size for file in waiting if part_of(to / file.path).exists()
    )
    mend = f"choose files with {argument('only')}"
    if n_bytes > shutil.disk_usage(to).free:
        raise DataError(f"{name} needs {n_bytes / 1e9:.1f} GB and {to} has less free; {mend}")
    if n_bytes >= ASK_FROM and confirm is not None and not confirm(n_bytes):
        raise DataError(f"{name} was not loaded: {n_bytes / 1e9:.1f} GB were declined; {mend}")
    done = 0
    for file in waiting:
        before = done

        def report(received: int, before: int = before) -> None:
            if progress is not None:
                progress(before + received, total)

        hub.fetch(file, to / file.path, report)
        done += file.size
    return Downloaded(tuple(to / file.path for file in files), len(files) - len(waiting))


def _chosen(files: Iterator[RemoteFile], only: Sequence[str], hub: Hub) -> list[RemoteFile]:
    listed = list(files)
    for pattern in only or ("*",):
        if not any(fnmatch(file.path, pattern) for file in listed):
            there = ", ".join(file.path for file in listed[:5]) or "nothing"
            more = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
            raise DataError(f"no file of {hub.repository} is called {pattern}; there: {there}{more}")
    return [file for file in listed if not only or any(fnmatch(file.path, pattern) for pattern in only)]


def _is_there(file: RemoteFile, target: Path) -> bool:
    return target.is_file() and target.stat().st_size == file.size and file.fits(target)
