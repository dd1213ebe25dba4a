"""Whatever lies in a file: a data set or one clear line, never a traceback, never half a folder.

13,750 inputs in all: texts made of what the layouts are made of, and sound files with damage.
"""

import copy
import io
import json
import pickle
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from written import LAYOUTS

from recroute.data import read_dataset
from recroute.data.sources import import_dataset
from recroute.errors import RecrouteError

N_EACH = 1250
MANY = settings(
    max_examples=N_EACH,
    deadline=20_000,  # milliseconds: a hang, not a slow machine
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

ODD = [" ", "", "\u2028", '"', "'", "[", "]", "{", "}", ",", "\t", "\n", "\r", "\x00", "\\", "é\ud800", "[[[["]
NUMBERS = ["1", "0", "0.5", "-1", "2", "1e999", "nan", "inf", "null", "true", "9" * 400]
WORDS = st.sampled_from([*ODD, *NUMBERS, "q1", "q2", "a", "b", "ä", "a|total_cost"])
LONG_NAMES = ["instance_id", "llm_id", "score", "cost", "prompt", "task", "split"]
OTHER_NAMES = ["prompt_id", "model_id", "label", "category", "sample_id", "eval_name", "m1", "m1|cost", "m1|total_cost"]
NAMES = st.sampled_from([*LONG_NAMES, *OTHER_NAMES, "", "ä"])
SCALARS = st.one_of(
    WORDS, st.integers(-(10**20), 10**20), st.floats(), st.booleans(), st.none(), st.floats(0, 1), st.integers(0, 1)
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3))
ROUTER_KEYS = ["task_name", "query", "model_name", "performance", "embedding_id", "input_tokens"]
EVAL_KEYS = ["doc_id", "doc_hash", "doc", "arguments", "filter", "metrics", "acc", "exact_match"]
JSON_KEYS = st.sampled_from([*LONG_NAMES, *ROUTER_KEYS, *EVAL_KEYS])


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    yield path
    shutil.rmtree(path)


def survives(folder: Path, layout: str, name: str, content: bytes, **options: Any) -> None:
    """Import `content` as the file `name`: a data set that can be read, or one line and nothing beside the file."""
    files_survive(folder, layout, {name: content}, **options)


def files_survive(folder: Path, layout: str, files: dict[str, bytes], **options: Any) -> None:
    """Import files by their names: a data set that can be read, or one line and nothing beside the files."""
    place = folder / "place"
    shutil.rmtree(place, ignore_errors=True)
    for name, content in files.items():
        file = place / "source" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    source = file if layout in ("table", "routerbench") else place / "source"
    try:
        import_dataset(layout, source, place / "imported", **options)
    except RecrouteError as error:
        message = str(error)
        assert message
        assert "\n" not in message
        assert [path.name for path in place.iterdir()] == ["source"]
    else:
        data = read_dataset(place / "imported")
        assert data.interactions.n_observed > 0
        assert sorted(path.name for path in place.iterdir()) == ["imported", "source"]


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """`content` with some bytes replaced, cut out, doubled, or the end cut off."""

    @st.composite
    def build(draw: st.DrawFn) -> bytes:
        found = bytearray(content)
        for _ in range(draw(st.integers(1, 4))):
            at = draw(st.integers(0, max(len(found) - 1, 0)))
            kind = draw(st.integers(0, 3))
            if kind == 0:
                found[at : at + 1] = draw(st.binary(min_size=1, max_size=4))
            elif kind == 1:
                del found[at : at + draw(st.integers(1, 20))]
            elif kind == 2:
                found[at:at] = found[at : at + draw(st.integers(1, 40))]
            else:
                del found[at:]
        return bytes(found)

    return build()


def text(rows: list[list[str]], separator: str) -> bytes:
    return "\n".join(separator.join(row) for row in rows).encode("utf8", "surrogatepass")


TABLES = st.tuples(st.lists(NAMES, max_size=6), st.lists(st.lists(WORDS, max_size=6), max_size=5)).map(
    lambda parts: [parts[0], *parts[1]]
)
FRAME = pl.DataFrame({"instance_id": ["q1", "q1", "q2"], "llm_id": ["a", "b", "a"], "score": [1.0, 0.0, 0.5]})
BOARD = {"model": ["a", "b"], "data": {"arc": {"correctness": np.array([[1.0, 0.0], [np.nan, 0.5]])}}}


def as_bytes(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


@MANY
@given(rows=TABLES, suffix=st.sampled_from([".csv", ".tsv"]), scale=st.sampled_from([None, "percent", "minmax"]))
def test_table_text(folder: Path, rows: list[list[str]], suffix: str, scale: str | None) -> None:
    survives(folder, "table", f"t{suffix}", text(rows, "," if suffix == ".csv" else "\t"), scale=scale)


@MANY
@given(content=damaged(FRAME.write_csv().encode()))
def test_table_damaged_csv(folder: Path, content: bytes) -> None:
    survives(folder, "table", "t.csv", content)


@MANY
@given(lines=st.lists(st.dictionaries(JSON_KEYS, VALUES, max_size=6) | VALUES, max_size=5))
def test_table_jsonl(folder: Path, lines: list[Any]) -> None:
    survives(folder, "table", "t.jsonl", "\n".join(map(json.dumps, lines)).encode())


@MANY
@given(content=damaged(as_bytes(FRAME)))
def test_table_damaged_parquet(folder: Path, content: bytes) -> None:
    survives(folder, "table", "t.parquet", content)


@MANY
@given(
    columns=st.dictionaries(
        NAMES,
        st.sampled_from(
            [["q1", "q2"], [0.5, None], [1, 0], [True, False], [[1], [2]], [None, None], [{"a": 1}, None], [b"x", b""]]
        ),
        max_size=5,
    )
)
def test_table_parquet_of_any_types(folder: Path, columns: dict[str, list[Any]]) -> None:
    survives(folder, "table", "t.parquet", as_bytes(pl.DataFrame(columns, strict=False)))


@MANY
@given(rows=TABLES, layout=st.sampled_from([("embedllm", "train.csv"), ("routerbench", "r.csv")]))
def test_embedllm_and_routerbench(folder: Path, rows: list[list[str]], layout: tuple[str, str]) -> None:
    survives(folder, *layout, text(rows, ","))


@MANY
@given(
    lines=st.lists(st.dictionaries(JSON_KEYS, VALUES, max_size=9) | VALUES, max_size=4),
    layout=st.sampled_from([("llmrouter", "r_train.jsonl"), ("lm-eval", "samples_t_2025-01-01T00-00-00.0.jsonl")]),
    glue=st.sampled_from(["\n", "\n\n", "\r\n", ""]),
)
def test_json_lines(folder: Path, lines: list[Any], layout: tuple[str, str], glue: str) -> None:
    survives(folder, *layout, glue.join(map(json.dumps, lines)).encode())


@MANY
@given(
    content=st.dictionaries(
        st.sampled_from(["records", "model_name", "x"]),
        VALUES | st.lists(st.dictionaries(st.sampled_from(["index", "score", "cost", "prompt"]), VALUES), max_size=3),
    )
)
def test_llmrouterbench(folder: Path, content: Any) -> None:
    survives(folder, "llmrouterbench", "d/s/m/d-s-m-20250101_000000.json", json.dumps(content).encode())


@MANY
@given(content=st.one_of(*(damaged(pickle.dumps(BOARD, protocol)) for protocol in (2, 4, 5))))
def test_damaged_pickle(folder: Path, content: bytes) -> None:
    survives(folder, "routereval", "leaderboard_score/leaderboard_old.pkl", content)


@MANY
@given(
    content=st.dictionaries(st.sampled_from(["model", "data", "easy", "split_index", "prompt"]), VALUES, max_size=4),
    name=st.sampled_from(["leaderboard_score/leaderboard_new.pkl", "arc_router_dataset.pkl", "r.pkl"]),
)
def test_pickle_of_anything(folder: Path, content: Any, name: str) -> None:
    layout = "routerbench" if name == "r.pkl" else "routereval"
    survives(folder, layout, name, pickle.dumps(content))


# -- logs of harnesses


def places_in(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a JSON value with every key of it."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [(value, key) for key in keys] + [place for key in keys for place in places_in(value[key])]


@st.composite
def changed(draw: st.DrawFn, sound: Any) -> Any:
    """A sound JSON value with some of its parts replaced, or left out."""
    found = copy.deepcopy(sound)
    for _ in range(draw(st.integers(1, 3))):
        if places := places_in(found):
            container, key = draw(st.sampled_from(places))
            if draw(st.booleans()):
                container[key] = draw(VALUES)
            else:
                del container[key]
    return found


@MANY
@given(data=st.data(), layout=st.sampled_from(list(LAYOUTS)))
def test_logs_of_harnesses(folder: Path, data: st.DataObject, layout: str) -> None:
    """A sound log with parts of its JSON changed, or bytes of a file."""
    place = folder / "sound"
    shutil.rmtree(place, ignore_errors=True)
    LAYOUTS[layout](place)
    files = {str(file.relative_to(place)): file.read_bytes() for file in sorted(place.rglob("*")) if file.is_file()}
    name = data.draw(st.sampled_from(list(files)))
    if name.endswith(".json") and data.draw(st.booleans()):
        files[name] = json.dumps(data.draw(changed(json.loads(files[name])))).encode()
    else:
        files[name] = data.draw(damaged(files[name]))
    files_survive(folder, layout, files)
