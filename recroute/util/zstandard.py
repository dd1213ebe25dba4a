"""Zstandard, which Python reads itself from 3.14 on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast


@contextmanager
def opened_zstandard(file: BinaryIO) -> Iterator[BinaryIO]:
    """What a compressed file holds, as a stream. ValueError or OSError if it is damaged."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    try:
        with zstd.ZstdFile(file) as stream:
            yield cast(BinaryIO, stream)
    except (zstd.ZstdError, EOFError) as error:
        raise ValueError(str(error)) from None
