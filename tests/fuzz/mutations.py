"""What can be wrong with a dataset folder: each mutation takes a sound one and one of its kinds of damage."""

from __future__ import annotations

import io
import os
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

TABLES = ("records.parquet", "instances.parquet", "llms.parquet", "preferences.parquet", "pools.parquet")
FILES = (*TABLES, "embeddings.npz", "card.json")
TEXTS = ["", " ", "\0", "[/b]", "[bold]", "\u2028", "\x1b[31m", "a,b", "'", '"', "%s", "{0}", "é" * 20, "x" * 5000]
TEXTS += ["q0", "llm-0", "train", "test", "math", "nan", "null", "../..", "-1", "0.5", "<script>", "\ufeff", "🦜"]
NUMBERS = [0, 1, -1, 0.5, 2, 2**24 + 1, 2**53 + 1, 1e15, 1e16, 1e38, 1e300, -1e300, 5e-324, np.nan, np.inf, -np.inf]
# Names that a table may carry and that code may be tempted to use for itself.
NAMES = ["_row", "row", "index", "_position", "position", "literal", "len", "count", "_table", "_query", "at", "key"]
NAMES += ["tokens_in", "tokens_out", "price_in", "llm_id", "instance_id", "score", "cost", "prompt", "task", "router"]
NAMES += ["value", "values", "", " ", "score ", "Score", "split", "benchmark", "column_0", "instance_id_right"]


def _column(table: pa.Table, at: int, values: list[Any], kind: pa.DataType | None = None) -> pa.Table:
    return table.set_column(at, table.column_names[at], pa.array(values, kind, from_pandas=False))


RETYPED: dict[str, Callable[[list[Any]], pa.Array]] = {
    "list": lambda values: pa.array([[v] for v in values]),
    "list of lists": lambda values: pa.array([[[v], []] for v in values]),
    "struct": lambda values: pa.array([{"a": v} for v in values]),
    "binary": lambda values: pa.array([str(v).encode() for v in values]),
    "bad binary": lambda values: pa.array([b"\xff\xfe" for _ in values]),
    "dictionary": lambda values: pa.array(values).dictionary_encode(),
    "text": lambda values: pa.array([str(v) for v in values]),
    "large text": lambda values: pa.array([str(v) for v in values], pa.large_string()),
    "bytes as text": lambda values: pa.Array.from_buffers(
        pa.string(),
        len(values),
        [None, pa.py_buffer(np.arange(len(values) + 1, dtype=np.int32)), pa.py_buffer(b"\xff" * len(values))],
    ),
    "decimal": lambda values: pa.array(range(len(values))).cast(pa.decimal128(22, 3)),
    "datetime": lambda values: pa.array(range(len(values)), pa.timestamp("us", "UTC")),
    "date": lambda values: pa.array(range(len(values)), pa.date32()),
    "time": lambda values: pa.array(range(len(values)), pa.time64("us")),
    "duration": lambda values: pa.array(range(len(values)), pa.duration("us")),
    "null": lambda values: pa.nulls(len(values)),
    "boolean": lambda values: pa.array([i % 2 == 0 for i in range(len(values))]),
    "int8": lambda values: pa.array([i % 2 for i in range(len(values))], pa.int8()),
    "int64": lambda values: pa.array([2**24 + 1 + i for i in range(len(values))], pa.int64()),
    "uint64": lambda values: pa.array([2**64 - 1 - i for i in range(len(values))], pa.uint64()),
    "half": lambda values: pa.array(np.full(len(values), 0.5, np.float16)),
    "double": lambda values: pa.array(np.linspace(0, 1, len(values))),
    "map": lambda values: pa.array([[("a", 1)] for _ in values], pa.map_(pa.string(), pa.int64())),
    "fixed list": lambda values: pa.array([[1.0, 2.0] for _ in values], pa.list_(pa.float32(), 2)),
}


def change_bytes(draw: st.DrawFn, folder: Path) -> None:
    """Bytes of a file replaced, cut out, doubled or put in, or its end cut off."""
    file = _file(draw, folder, FILES)
    content = file.read_bytes()
    for _ in range(draw(st.integers(1, 4))):
        start, size = draw(st.integers(0, len(content))), draw(st.sampled_from([0, 1, 1, 4, 100]))
        new = draw(st.one_of(st.binary(max_size=4), st.just(content[start : start + 20])))
        content = content[:start] + new + content[start + size :]
    file.write_bytes(content)


def cut_file(draw: st.DrawFn, folder: Path) -> None:
    """A file ends early, is empty, or holds what another should."""
    file = _file(draw, folder, FILES)
    content = file.read_bytes()
    other = _file(draw, folder, FILES).read_bytes()
    end = draw(st.integers(0, len(content)))
    file.write_bytes(draw(st.sampled_from([content[:end], b"", b"\n", b"PAR1", b"PK\x03\x04", other, content * 2])))


def retype(draw: st.DrawFn, folder: Path) -> None:
    """A column of another type."""
    file, table, at = _column_of(draw, folder)
    changed = RETYPED[draw(st.sampled_from(list(RETYPED)))](table.column(at).to_pylist())
    pq.write_table(table.set_column(at, table.column_names[at], changed), file)


def put_values(draw: st.DrawFn, folder: Path) -> None:
    """Some values of a column replaced."""
    file, table, at = _column_of(draw, folder)
    values = table.column(at).to_pylist()
    pool: list[Any] = NUMBERS if any(isinstance(value, int | float) for value in values) else TEXTS
    value = draw(st.one_of(st.sampled_from([None, *pool]), st.sampled_from(values or [None])))
    rows = draw(st.sampled_from([range(len(values)), range(1), range(1, 2), range(0, len(values), 2)]))
    for row in rows:
        if row < len(values):
            values[row] = value
    changed = pa.array([float(v) if isinstance(v, int | float) else v for v in values], from_pandas=False)
    pq.write_table(table.set_column(at, table.column_names[at], changed), file)


def rename_columns(draw: st.DrawFn, folder: Path) -> None:
    """A column is gone, has another name, occurs twice, or one is added."""
    file, table, at = _column_of(draw, folder)
    name, what = draw(st.sampled_from(NAMES)), draw(st.sampled_from(["drop", "rename", "add", "add text", "twice"]))
    if what == "drop":
        table = table.remove_column(at)
    elif what == "rename":
        table = table.rename_columns([name if i == at else old for i, old in enumerate(table.column_names)])
    elif what == "twice":
        table = table.append_column(table.column_names[at], table.column(at))
    else:
        values = [f"x{i}" if what == "add text" else i for i in range(table.num_rows)]
        table = table.append_column(name, pa.array(values))
    pq.write_table(table, file)


def change_rows(draw: st.DrawFn, folder: Path) -> None:
    """Rows are gone, doubled or in another order; or there are no columns."""
    file, table, _ = _column_of(draw, folder)
    n = table.num_rows
    changes = [table.slice(0, 0), table.slice(0, 1), table.slice(n // 2), table.take(list(range(n))[::-1])]
    changes += [pa.concat_tables([table, table]), pa.concat_tables([table, table.slice(0, 1)]), table.select([])]
    pq.write_table(draw(st.sampled_from(changes)), file, row_group_size=draw(st.sampled_from([1, 7, 1000])))


def _npy(header: str, content: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


def _npz(**members: bytes) -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return found.getvalue()


def _saved(**arrays: Any) -> bytes:
    found = io.BytesIO()
    np.savez(found, **arrays)
    return found.getvalue()


def _one(array: Any) -> bytes:
    found = io.BytesIO()
    np.save(found, array)
    return found.getvalue()


def embeddings(ids: list[str]) -> dict[str, bytes]:
    """Files in place of embeddings.npz."""
    n, text = len(ids), np.array(ids, dtype=np.str_)
    vectors = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    sound = {"instance_id": text, "embedding": vectors, "encoder": np.array("own")}
    huge = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }"
    changes: dict[str, dict[str, Any]] = {
        "no ids": {"instance_id": None},
        "no vectors": {"embedding": None},
        "no encoder": {"encoder": None},
        "ids bytes": {"instance_id": text.astype("S")},
        "ids numbers": {"instance_id": np.arange(n)},
        "ids twice": {"instance_id": text[[0] * n]},
        "ids square": {"instance_id": text[:, None]},
        "ids one": {"instance_id": np.array("q0")},
        "ids others": {"instance_id": np.char.add("other", text)},
        "ids fewer": {"instance_id": text[:-1], "embedding": vectors[:-1]},
        "ids in another order": {"instance_id": text[::-1]},
        "rows fewer": {"embedding": vectors[:-1]},
        "zero wide": {"embedding": vectors[:, :0]},
        "flat": {"embedding": vectors[:, 0]},
        "deep": {"embedding": vectors[:, :, None]},
        "single number": {"embedding": np.float32(1)},
        "f64": {"embedding": vectors.astype(np.float64)},
        "huge f64": {"embedding": vectors.astype(np.float64) * 1e200},
        "f16": {"embedding": vectors.astype(np.float16)},
        "big-endian": {"embedding": vectors.astype(">f4")},
        "fortran": {"embedding": np.asfortranarray(vectors)},
        "complex": {"embedding": vectors.astype(np.complex64)},
        "integers": {"embedding": np.arange(n * 3).reshape(n, 3)},
        "booleans": {"embedding": vectors > 0},
        "texts": {"embedding": vectors.astype(np.str_)},
        "dates": {"embedding": np.zeros((n, 3), "M8[s]")},
        "records": {"embedding": np.zeros((n, 3), [("a", "f4")])},
        "nan": {"embedding": np.where(vectors > 1, np.nan, vectors)},
        "inf": {"embedding": np.where(vectors > 1, np.inf, vectors)},
        "all 0": {"embedding": vectors * 0},
        "encoder list": {"encoder": np.array(["a", "b"])},
        "encoder number": {"encoder": np.float32(1)},
        "more arrays": {"other": np.arange(3)},
    }
    found = {
        name: _saved(**{k: v for k, v in {**sound, **new}.items() if v is not None}) for name, new in changes.items()
    }
    objects = io.BytesIO()
    np.savez(objects, **{**sound, "embedding": np.array([{"a": 1}] * n, dtype=object)})
    parts = {name: _one(array) for name, array in sound.items()}
    return found | {
        "objects": objects.getvalue(),
        "a .npy": _one(vectors),
        "empty archive": _npz(),
        "no arrays": _npz(**dict.fromkeys(parts, b"")),
        "announces 10^12": _npz(**{**parts, "embedding": _npy(huge % (n, 10**12))}),
        "announces 10^18 rows": _npz(**{**parts, "embedding": _npy(huge % (10**18, 3))}),
        "negative shape": _npz(**{**parts, "embedding": _npy(huge % (n, -3))}),
        "bomb": _npz(**{**parts, "embedding": _npy(huge % (n, 10**6), bytes(4 * n * 10**6))}) if n < 40 else b"",
        "header no dict": _npz(**{**parts, "embedding": _npy("[1, 2]")}),
        "header deep": _npz(**{**parts, "embedding": _npy("(" * 5000)}),
        "header code": _npz(**{**parts, "embedding": _npy("__import__('os')")}),
    }


CARDS = [
    "",
    "null",
    "[]",
    '"x"',
    "{",
    '{"name": 7}',
    '{"name": null}',
    '{"name": ""}',
    '{"name": ["a"]}',
    '{"name": "[/b]"}',
    '{"name": "\\ud800"}',
    '{"name": "\\u0000\\u001b[31m"}',
    '{"name": "' + "n" * 100_000 + '"}',
    '{"name": "a/b/../c"}',
    '{"score": NaN}',
    '{"score": Infinity}',
    '{"n": 1' + "0" * 5000 + "}",
    '{"n": 1e999}',
    '{"a": ' * 100_000,
    "[" * 100_000,
    '{"simulated": "no"}',
    '{"simulated": 1, "cost_unit": 7}',
    '{"cost_unit": null}',
    '{"cost_unit": "[/x]"}',
    '{"reference": "x", "source": {"a": [1]}, "licence": false}',
    '{"a": {"b": {"c": [[[1]]]}}}',
    '{"name": "one", "name": "two"}',
    "\ufeff{}",
]


def change_embeddings(draw: st.DrawFn, folder: Path) -> None:
    """Another file in place of embeddings.npz."""
    instances = pl.read_parquet(_file(draw, folder, ("records.parquet",)))["instance_id"].unique().sort().to_list()
    known = embeddings([str(value) for value in instances] or ["q0"])
    (folder / "embeddings.npz").write_bytes(known[draw(st.sampled_from(list(known)))])


def change_card(draw: st.DrawFn, folder: Path) -> None:
    """Another card.json."""
    text = draw(st.sampled_from(CARDS))
    (folder / "card.json").write_bytes(
        draw(st.sampled_from([text.encode(), text.encode("utf16"), b"\xff" + text.encode()]))
    )


def add_tables(draw: st.DrawFn, folder: Path) -> None:
    """Preferences or pools beside the records."""
    ids = [f"q{i}" for i in draw(st.lists(st.integers(0, 30), max_size=6))]
    a, b = (draw(st.lists(st.integers(0, 4), min_size=len(ids), max_size=len(ids))) for _ in range(2))
    outcomes: list[Any] = draw(
        st.lists(st.sampled_from(["win", "loss", "tie", "0.5", "draw", None]), min_size=len(ids), max_size=len(ids))
    )
    table: dict[str, Any] = {"instance_id": ids, "llm_a": [f"llm-{i}" for i in a], "llm_b": [f"llm-{i}" for i in b]}
    if draw(st.booleans()):
        pl.DataFrame({**table, "outcome": outcomes}).write_parquet(folder / "preferences.parquet")
        if draw(st.booleans()):
            (folder / "records.parquet").unlink()
    if draw(st.booleans()):
        sizes = draw(st.lists(st.integers(-1, 4), min_size=len(a), max_size=len(a)))
        pools = {"group": ["g" for _ in a], "pool_size": sizes, "llm_id": table["llm_a"]}
        pl.DataFrame(pools).write_parquet(folder / "pools.parquet")


def replace_file(draw: st.DrawFn, folder: Path) -> None:
    """No regular file where one is expected: a pipe, a socket, a folder, a link that leads nowhere or to itself."""
    file = folder / draw(st.sampled_from(FILES))
    file.unlink(missing_ok=True)
    stand_in(file, draw(st.sampled_from(STAND_INS)))


STAND_INS = ["pipe", "socket", "folder", "broken link", "circular link", "nothing", "link to a folder"]


def stand_in(path: Path, kind: str) -> None:
    """Make something at `path` that is no regular file."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    elif kind == "folder":
        path.mkdir()
    elif kind == "broken link":
        path.symlink_to(path.parent / "nowhere")
    elif kind == "circular link":
        path.symlink_to(path)
    elif kind == "link to a folder":
        path.symlink_to(path.parent)


MUTATIONS = [
    change_bytes,
    cut_file,
    retype,
    put_values,
    rename_columns,
    change_rows,
    change_embeddings,
    change_card,
    add_tables,
    replace_file,
]


def mutate(draw: st.DrawFn, folder: Path, n: int = 3) -> None:
    """Up to `n` mutations, one after the other; a later one that no longer can be made is left out."""
    for change in draw(st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=n)):
        try:
            change(draw, folder)
        except (pa.ArrowException, pl.exceptions.PolarsError, OSError, ValueError, KeyError, IndexError, TypeError):
            continue  # the file is damaged, or gone, already


def _file(draw: st.DrawFn, folder: Path, names: tuple[str, ...]) -> Path:
    there = [folder / name for name in names if (folder / name).is_file()]
    return draw(st.sampled_from(there))


def _column_of(draw: st.DrawFn, folder: Path) -> tuple[Path, pa.Table, int]:
    file = _file(draw, folder, TABLES)
    with pq.ParquetFile(file) as content:
        table = content.read()
    return file, table, draw(st.integers(0, table.num_columns - 1))
