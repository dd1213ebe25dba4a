"""Reading .npy and .npz files from untrusted sources: headers are checked against the file's size before reading."""

from __future__ import annotations

import ast
import math
import mmap
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from recroute.util.mapped import MappedRows

DTYPE = re.compile(r"[<>|=]?[biufU][1-9]\d{0,8}")
MAX_HEADER = 10_000  # bytes; NumPy writes 128
MAX_ARRAYS = 100_000
ALIGNMENT = 16  # bytes, of mapped numbers
CHUNK = 1 << 20  # bytes read at once
LOCAL_HEADER = 30  # bytes before the name of a member of a zip archive, the last four of them two lengths
# Largest ratio of uncompressed to compressed size, for contents above SMALL bytes. Vectors compress to a half at best,
# but the zeros in a small file compress to almost nothing.
MAX_RATIO, SMALL = 20, 1 << 26
# Errors that reading a damaged archive raises.
DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    MemoryError,
    RuntimeError,  # an encrypted member, or an unknown compression
    LookupError,
    OverflowError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)


class NpzError(ValueError):
    """A file cannot be read. The message is only a clause: callers add the file and how to fix it."""


def read_npz(path: Path, mapped_from: float = math.inf) -> dict[str, Any]:
    """Read the arrays of an .npz file, by name: numbers and text, never pickles.

    Memory is bounded by the size of the file, whatever its headers announce. A matrix f16 or f32 of at least
    `mapped_from` bytes that is not compressed is read once, to compare its checksum, and then mapped: `MappedRows`.
    Raises NpzError if the file is damaged or not a regular file.
    """
    try:
        if not path.is_file():
            raise NpzError("it is not a regular file")
        with path.open("rb") as opened, zipfile.ZipFile(opened) as archive:
            members = archive.infolist()
            _refuse_bomb(members, path.stat().st_size)
            found = {
                member.filename.removesuffix(".npy"): _map_member(opened, archive, member)
                if member.file_size >= mapped_from and member.compress_type == zipfile.ZIP_STORED
                else _read_member(archive, member)
                for member in members
            }
    except DAMAGE as error:
        raise NpzError(_line(error)) from None
    if len(found) < len(members):
        raise NpzError("an array occurs twice in it")
    return found


def map_npy(path: Path) -> tuple[NDArray[Any], mmap.mmap]:
    """Map an .npy file into memory without reading it; returns its array and the mapping of the whole file.

    The mapping keeps its content even if the file is replaced. Raises NpzError if the file is damaged, not a regular
    file, or not as long as its header announces.
    """
    try:
        if not path.is_file():
            raise NpzError("it is not a regular file")
        with path.open("rb") as file:
            dtype, shape, order = _read_header(file)
            _refuse_size(dtype, shape, path.stat().st_size - file.tell())
            if file.tell() % ALIGNMENT:
                raise NpzError("its numbers are not where NumPy writes them")
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            found = np.ndarray(shape, dtype, buffer=content, offset=file.tell(), order=order)
    except DAMAGE as error:
        raise NpzError(_line(error)) from None
    return found, content


def _refuse_bomb(members: list[zipfile.ZipInfo], size: int) -> None:
    total = sum(member.file_size for member in members)
    if len(members) > MAX_ARRAYS or total > max(SMALL, MAX_RATIO * size):
        raise NpzError(f"it announces {len(members)} arrays of {total} bytes in a file of {size}")


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(member) as file:
        dtype, shape, order = _read_header(file)  # type: ignore[arg-type]  # only its `read` is used
        _refuse_size(dtype, shape, member.file_size - file.tell())
        flat = np.empty(math.prod(shape), dtype)
        if flat.nbytes:
            raw = flat.view(np.uint8)
            for start in range(0, len(raw), CHUNK):
                part = file.read(min(CHUNK, len(raw) - start))
                raw[start : start + CHUNK] = np.frombuffer(part, np.uint8)
        if file.read(1):  # zipfile compares the checksum when it reaches the end
            raise NpzError(f"{member.filename} is longer than it announces")
    return flat.reshape(shape, order=order)


def _map_member(opened: BinaryIO, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any] | MappedRows:
    """The matrix in a member that is not compressed, mapped; an array of another kind is read."""
    with archive.open(member) as file:
        dtype, shape, order = _read_header(file)  # type: ignore[arg-type]  # only its `read` is used
        if not (dtype in (np.float16, np.float32) and dtype.isnative and len(shape) == 2 and shape[1] and order == "C"):
            return _read_member(archive, member)
        _refuse_size(dtype, shape, member.file_size - file.tell())
        start = file.tell()
        largest = 0
        bits = np.dtype(f"u{dtype.itemsize}")  # without the sign they are ordered as magnitudes, NaN last
        while part := file.read(CHUNK):  # zipfile compares the checksum when it reaches the end
            largest = max(largest, int((np.frombuffer(part, bits) << 1).max()))
    opened.seek(member.header_offset + LOCAL_HEADER - 4)
    start += member.header_offset + LOCAL_HEADER + sum(struct.unpack("<HH", opened.read(4)))
    return MappedRows(opened, start, shape, dtype, float(np.array(largest >> 1, bits).view(dtype)))


def _read_header(file: BinaryIO) -> tuple[np.dtype[Any], tuple[int, ...], Any]:
    """Type, shape and order ("C" or "F") that an .npy file announces."""
    version = np.lib.format.read_magic(file)
    form = "<H" if version == (1, 0) else "<I"
    (length,) = struct.unpack(form, file.read(struct.calcsize(form)))
    if length > MAX_HEADER:
        raise NpzError(f"a header of {length} bytes is too long")
    try:
        header = ast.literal_eval(file.read(length).decode("latin1"))
        kind, shape, fortran = (header[key] for key in ("descr", "shape", "fortran_order"))
    except (SyntaxError, TypeError, RecursionError, MemoryError):
        raise NpzError("a header is damaged") from None
    if not isinstance(kind, str) or not DTYPE.fullmatch(kind):
        raise NpzError(f"an array of {str(kind)[:40]!r} holds neither numbers nor text")
    if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
        raise NpzError("an array has an invalid shape")
    if len(shape) > 8:
        raise NpzError(f"an array has {len(shape)} dimensions")
    return np.dtype(kind), shape, "F" if fortran else "C"


def _refuse_size(dtype: np.dtype[Any], shape: tuple[int, ...], size: int) -> None:
    if math.prod(shape) * dtype.itemsize != size:
        raise NpzError(f"an array of {dtype} {shape} has {size} bytes")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
