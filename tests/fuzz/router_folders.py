"""Router folders as a stranger may write them: a sound one with some parts of it replaced, its hashes made to fit."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st

from recroute.util.npz import map_npy, read_npz

ODD_NUMBERS = [0, 1, -1, 2, 7, 2**31, 2**63, -(2**70), 0.5, -0.5, 1e300, float("nan"), float("inf")]
ODD_TEXTS = ["", "x", "..", "/", "a/b", "\0", "\ud800", "a\nb", "arrays.npz", "arrays.npz:llm_mean_", "9" * 5000]
LONG_JSON = {"GIANT": "9" * 5000, "DEEP": "[" * 100_000}  # what Python cannot write as JSON
NAMES = ["svd", "auto", "guarded(router=guarded)", "budgeted(router=task_best)", "auto(router=knn + ridge)", "x.toml"]
ODD = st.one_of(
    st.sampled_from([None, True, False, [], {}, [[]], [1], ["a"], {"a": 1}, {"kind": "joint"}, {"kind": "tfidf"}]),
    st.sampled_from(ODD_NUMBERS),
    st.sampled_from([*ODD_TEXTS, *NAMES, *LONG_JSON]),
)
VALUES = [0, 1, -1, 5, -5, 1e-30, 1e15, 1e30, 1e38, 1e300, -1e300, np.nan, np.inf, -np.inf]
DTYPES = ["f2", "f4", "f8", ">f4", ">f8", "i1", "u1", "i4", "i8", ">i8", "u8", "b1", "c16", "U1", "U9", "S4", "M8[s]"]
HEADERS = [
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }",
    "{'descr': '<U999999999', 'fortran_order': False, 'shape': (1,), }",
    "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '<f8', 'fortran_order': 3, 'shape': 7, }",
    "(" * 4000,
    "",
]
UNREADABLE = (
    ValueError,
    OSError,
    EOFError,
    LookupError,
    TypeError,
    SystemError,
    SyntaxError,
    RecursionError,
    zipfile.BadZipFile,
    pl.exceptions.PolarsError,
)
Arrays = dict[str, Any]


@st.composite
def odd_arrays(draw: st.DrawFn, array: Any) -> Any:
    """The array with another type, shape or value."""
    kind = draw(st.sampled_from(["dtype", "shape", "value", "value", "value", "text"]))
    if kind == "dtype":
        with np.errstate(all="ignore"):
            try:
                return array.astype(draw(st.sampled_from(DTYPES)))
            except (TypeError, ValueError, SystemError):
                return np.zeros(array.shape, draw(st.sampled_from(DTYPES)))
    if kind == "shape":
        return draw(odd_shapes(array))
    if kind == "text" or array.dtype.kind not in "fiu":
        codes = draw(st.sampled_from([0x110000, 0xD800, 0xFFFFFFFF, 0, 0x41]))
        return np.full(max(array.size, 1), codes, np.uint32).view("U1").reshape(array.shape or ())
    found = array.copy()
    value = draw(st.sampled_from(VALUES))
    if array.dtype.kind in "iu":
        value = draw(st.sampled_from([0, 1, -1, 5, 7, 31, 1000, 2**31 - 1, -(2**31)]))
    with np.errstate(all="ignore"):
        value = np.array(value).astype(array.dtype)
    if draw(st.booleans()) or not array.size:
        found[...] = value
    else:
        found.flat[draw(st.integers(0, array.size - 1))] = value
    return found


@st.composite
def odd_shapes(draw: st.DrawFn, array: Any) -> Any:
    kind = draw(st.sampled_from(["flat", "T", "none", "scalar", "more", "less", "column"]))
    if kind == "flat":
        return array.ravel()
    if kind == "T":
        return array.T
    if kind == "none":
        return array[:0] if array.ndim else np.zeros(0)
    if kind == "scalar":
        return array.ravel()[0] if array.size else np.array(0.0)
    if kind == "column" or not array.ndim:
        return array[..., None]
    axis = draw(st.integers(0, array.ndim - 1))
    if kind == "less":
        return array.take(np.arange(array.shape[axis] - 1), axis=axis) if array.shape[axis] else array
    return np.concatenate([array, array.take(np.arange(min(1, array.shape[axis])), axis=axis)], axis=axis)


@st.composite
def change_arrays(draw: st.DrawFn, arrays: Arrays) -> None:
    """Other arrays, or other names of them, in place."""
    name = draw(st.sampled_from(sorted(arrays)))
    kind = draw(st.sampled_from(["change"] * 6 + ["remove", "rename", "add", "swap"]))
    if kind == "change":
        arrays[name] = draw(odd_arrays(arrays[name]))
    elif kind == "remove":
        del arrays[name]
    elif kind == "rename":
        arrays[draw(st.sampled_from(["x", "llm_mean_", "part0.x", "part9.weight_", "bridge.weight"]))] = arrays.pop(
            name
        )
    elif kind == "add":
        arrays[draw(st.sampled_from(["x", "part_names_", "0.idf", "scores.codes"]))] = np.arange(3.0)
    else:
        other = draw(st.sampled_from(sorted(arrays)))
        arrays[name], arrays[other] = arrays[other], arrays[name]


@st.composite
def change_json(draw: st.DrawFn, value: Any) -> Any:
    """The value with one of its parts replaced, removed or added."""
    if isinstance(value, dict) and value and draw(st.integers(0, 9)):
        found = dict(value)
        key = draw(st.sampled_from(sorted(found)))
        kind = draw(st.sampled_from(["change"] * 6 + ["remove", "add"]))
        if kind == "change":
            found[key] = draw(change_json(found[key]))
        elif kind == "remove":
            del found[key]
        else:
            found[draw(st.sampled_from(ODD_TEXTS))] = draw(ODD)
        return found
    if isinstance(value, list) and value and draw(st.booleans()):
        at = draw(st.integers(0, len(value) - 1))
        kind = draw(st.sampled_from(["change", "change", "remove", "twice"]))
        if kind == "change":
            return [*value[:at], draw(change_json(value[at])), *value[at + 1 :]]
        return [*value[:at], *value[at + 1 :]] if kind == "remove" else [*value, value[at]]
    return draw(ODD)


@st.composite
def change_file(draw: st.DrawFn, file: Path) -> None:
    """Something else than a sound file of that name."""
    kind = draw(
        st.sampled_from(["fifo", "folder", "gone", "empty", "cut", "longer", "bytes", "null", "link", "header"])
    )
    content = file.read_bytes() if file.is_file() else b""
    if file.is_dir() and not file.is_symlink():
        return
    file.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "link":
        file.symlink_to(file.parent)
    elif kind == "header":
        write_header(file, draw(st.sampled_from(HEADERS)), in_zip=file.suffix == ".npz")
    elif kind != "gone":
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        odd = draw(st.binary(min_size=1, max_size=8))
        changed = {"empty": b"", "cut": content[:at], "longer": content + odd, "null": bytes(len(content))}
        file.write_bytes(changed.get(kind, content[:at] + odd + content[at + len(odd) :]))


def write_header(file: Path, header: str, *, in_zip: bool) -> None:
    """An .npy file, or an .npz with one, that announces what is not there."""
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    if in_zip:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("llm_mean_.npy", content + bytes(1 << 16))
    else:
        file.write_bytes(content)


@st.composite
def change_prompts(draw: st.DrawFn, file: Path) -> None:
    """Another table of prompts."""
    table = pl.read_parquet(file)
    odd: list[Callable[[], pl.DataFrame]] = [
        lambda: table[:-1],
        lambda: table[:0],
        lambda: table.drop("instance_id"),
        lambda: table.drop("task"),
        lambda: table.with_columns(pl.lit("same").alias("instance_id")),
        lambda: table.with_columns(pl.lit("same").alias("task")),
        lambda: table.with_columns(pl.lit(1).alias("prompt")),
        lambda: table.with_columns(pl.lit(None, dtype=pl.String).alias("prompt")),
        lambda: table.with_columns(pl.int_range(pl.len()).cast(pl.String).alias("task")),
        lambda: table.with_columns(pl.lit("x").alias("_row")),
        lambda: table.reverse(),
    ]
    draw(st.sampled_from(odd))().write_parquet(file)


@st.composite
def change_folder(draw: st.DrawFn, folder: Path) -> None:
    """One to three changes of a router's folder; mostly with hashes that fit."""
    for _ in range(draw(st.integers(1, 3))):
        files = sorted(path for path in folder.iterdir() if path.is_file())
        if not files:
            return
        file = draw(st.sampled_from(files))
        kind = draw(st.integers(0, 9))
        try:
            if kind == 0:
                draw(change_file(file))
            elif file.name == "router.json":
                write_json(file, draw(change_json(json.loads(file.read_bytes()))))
            elif file.suffix == ".npz":
                arrays = read_npz(file)
                draw(change_arrays(arrays))
                draw(st.sampled_from([np.savez, np.savez, np.savez_compressed]))(file, **arrays)
            elif file.suffix == ".npy":
                np.save(file, draw(odd_arrays(np.array(map_npy(file)[0]))))
            elif file.suffix == ".parquet":
                draw(change_prompts(file))
        except UNREADABLE:
            continue  # changed beyond reading before
    if draw(st.integers(0, 9)):
        sign(folder)


def sign(folder: Path) -> None:
    """Write the hashes that the files have now, as a stranger would."""
    file = folder / "router.json"
    if not file.is_file():
        return
    try:
        description = json.loads(file.read_bytes())
        known = dict(description["sha256"])
    except (ValueError, OSError, KeyError, TypeError, RecursionError):
        return
    for name in known:
        if isinstance(name, str) and "\0" not in name and len(name) < 200 and (folder / name).is_file():
            try:
                known[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            except ValueError:
                continue
    write_json(file, {**description, "sha256": known})


def write_json(file: Path, value: Any) -> None:
    text = json.dumps(value)
    for name, written in LONG_JSON.items():
        text = text.replace(f'"{name}"', written)
    file.write_text(text, "utf8")


def fresh(source: Path, folder: Path) -> Path:
    """A copy of a folder that can be changed."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    return folder
