"""Zstandard, which Python reads itself from 3.14 on."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, BinaryIO


@contextmanager
def opened_zstandard(file: BinaryIO) -> Iterator[BinaryIO]:
    """What a compressed file holds, as a stream. ValueError or OSError if it is damaged."""
    if (module := _module()) is None:  # an environment made when pyarrow was required, and backports.zstd was not
        import pyarrow as pa

        with pa.CompressedInputStream(file, "zstd") as stream:
            yield io.BufferedReader(stream)
        return
    try:
        with module.ZstdFile(file) as stream:
            yield stream
    except (module.ZstdError, EOFError) as error:
        raise ValueError(str(error)) from None


def _module() -> Any:
    for name in ("compression.zstd", "backports.zstd"):
        with suppress(ImportError):
            return import_module(name)
    return None
