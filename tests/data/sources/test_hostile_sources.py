"""Sources as a stranger may leave them: one line, whatever stands there and whatever it announces."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recroute.data.sources import import_dataset
from recroute.data.sources._pickle import as_array, load_pickle
from recroute.errors import DataError

PARTS = ("train", "val", "test")
BOARD = {"model": ["a", "b"], "data": {"arc": {"correctness": np.array([[1.0, 0.0], [0.5, 1.0]])}}}
FILES = {
    "routereval": "leaderboard_score/leaderboard_old.pkl",
    "llmrouter": "r_train.jsonl",
    "lm-eval": "samples_t_2025-01-01T00-00-00.0.jsonl",
    "llmrouterbench": "d/s/m/d-s-m-20250101_000000.json",
    "inspect-ai": "log.json",
    "opencompass": "20240101_120000/results/a/sums.json",
}


def refused(layout: str, source: Path, match: str) -> None:
    with pytest.raises(DataError, match=match) as error:
        import_dataset(layout, source, source.parent / "imported")
    assert "\n" not in str(error.value)
    assert not (source.parent / "imported").exists()


def source_of(tmp_path: Path, layout: str) -> tuple[Path, Path]:
    file = tmp_path / "source" / FILES[layout]
    file.parent.mkdir(parents=True)
    return tmp_path / "source", file


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize("layout", FILES)
def test_a_pipe_is_refused_before_it_is_opened(tmp_path: Path, layout: str) -> None:
    source, file = source_of(tmp_path, layout)
    os.mkfifo(file)
    refused(layout, source, "pipe or a device, not a regular file")


@pytest.mark.parametrize("layout", FILES)
def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path, layout: str) -> None:
    source, file = source_of(tmp_path, layout)
    file.mkdir()
    refused(layout, source, "is a folder, not a regular file")


def test_a_pipe_as_a_table_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.csv")
    refused("table", tmp_path / "t.csv", "not a regular file")


@pytest.mark.parametrize("layout", [layout for layout in FILES if layout != "routereval"])
@pytest.mark.parametrize(
    ("content", "match"),
    [("[" * 100_000, "nested too deeply"), ('{"x": ' + "9" * 5000 + "}", "is not valid JSON")],
    ids=["deep", "giant"],
)
def test_deep_and_giant_json_is_one_line(tmp_path: Path, layout: str, content: str, match: str) -> None:
    source, file = source_of(tmp_path, layout)
    file.write_text(content, "utf8")
    refused(layout, source, match)


def doubled(last: bytes) -> bytes:
    """A tuple of two, 60 times made a pair of itself, and then what `last` does with it."""
    pairs = b"".join(b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86\x94" for i in range(60))
    return b"K\x01K\x02\x86\x94" + pairs + last


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04}(" + doubled(b"K\x01u."),
        b"\x80\x04}" + doubled(b"K\x01s."),
        b"\x80\x04(" + doubled(b"K\x01d."),
        b"\x80\x04\x8f(" + doubled(b"\x90."),
        b"\x80\x04(" + doubled(b"\x91."),
    ],
    ids=["setitems", "setitem", "dict", "additems", "frozenset"],
)
def test_a_key_that_takes_for_ever_to_hash_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(DataError, match="a key"):
        load_pickle(tmp_path / "x.pkl")


def test_keys_of_sound_files_are_read(tmp_path: Path) -> None:
    value = {"a": 1, 3: 2, 0.5: {1, 2}, None: frozenset({b"x"}), True: []}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(value))
    assert load_pickle(tmp_path / "x.pkl") == value


def test_a_text_does_not_cost_as_much_as_the_longest(tmp_path: Path) -> None:
    assert as_array(["a" * 1000, "b"], "models").dtype == object


@pytest.mark.parametrize("value", [2**64, -(2**64) - 1, 2**40000], ids=["large", "low", "giant"])
def test_whole_numbers_beyond_64_bits_are_refused(value: int) -> None:
    with pytest.raises(DataError, match="beyond 64 bits"):
        as_array([value], "models")


def test_characters_that_are_none_are_refused(tmp_path: Path) -> None:
    source, file = source_of(tmp_path, "routereval")
    sound = pickle.dumps({**BOARD, "model": np.array(["aa", "bb"])}, 4)
    file.write_bytes(sound.replace("aa".encode("utf-32-le"), np.array([0x110000, 65], np.uint32).tobytes()))
    refused("routereval", source, "invalid characters")


@pytest.mark.parametrize("index", ["x", float("inf"), None])
def test_positions_that_are_no_whole_numbers_are_refused(tmp_path: Path, index: Any) -> None:
    pool = {"model": ["a", "b"], "data": {f"{part}_score": np.array([[1.0, 0.0]]) for part in PARTS}}
    indices = {f"{part}_indices": np.array([index], dtype=object) for part in PARTS}
    content = {"split_index": indices, "easy": {}, "hard": {2: {"all_strong": pool}}}
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "arc_router_dataset.pkl").write_bytes(pickle.dumps(content))
    refused("routereval", tmp_path / "source", "not whole numbers")


@pytest.mark.parametrize("value", [np.nan, 1e300])
def test_vectors_that_could_not_be_read_again_are_not_imported(tmp_path: Path, value: float) -> None:
    source, file = source_of(tmp_path, "routereval")
    file.write_bytes(pickle.dumps(BOARD))
    vectors = source / "leaderboard_embed" / "leaderboard_old_embed" / "x_result.pkl"
    vectors.parent.mkdir(parents=True)
    vectors.write_bytes(pickle.dumps({"arc": np.array([[1.0, value], [0.0, 1.0]])}))
    refused("routereval", source, "not finite" if np.isnan(value) else "too large")


def test_costs_that_could_not_be_read_again_are_not_imported(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("instance_id,llm_id,score,cost\nq,a,1,1e308\nq,b,0,1\n", "utf8")
    refused("table", tmp_path / "t.csv", "cost 1e")


def test_half_characters_in_names_are_imported_as_question_marks(tmp_path: Path) -> None:
    source, file = source_of(tmp_path, "llmrouter")
    rows = [{"model_name": f"m{i}\ud800", "task_name": "t", "query": "q\ud800", "performance": i} for i in (0, 1)]
    file.write_text("\n".join(map(json.dumps, rows)), "utf8")
    assert import_dataset("llmrouter", source, tmp_path / "imported").n_llms == 2
