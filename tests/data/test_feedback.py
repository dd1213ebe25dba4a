"""Feedback files as a service writes them, whole and torn, and every way to get them wrong."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.data.feedback import Feedback, read_feedback
from recroute.errors import DataError

RECORD = {"instance_id": "a1", "llm_id": "m", "score": 1, "propensity": None, "decision_id": "d1", "time": "2026-01-01"}
PAIR = {"instance_id": "a1", "llm_a": "m", "llm_b": "o", "outcome": "win", "decision_id": "d1", "time": "2026-01-01"}


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_a_folder_of_both(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text(lines({**RECORD, "vector": [0.5, 1], "encoder": "e"}), "utf8")
    (tmp_path / "preferences.jsonl").write_text(lines(PAIR, {**PAIR, "decision_id": "d2", "outcome": "tie"}), "utf8")
    found = read_feedback(tmp_path)
    assert (found.n_records, found.n_preferences, found.notes) == (1, 2, ())
    assert found.records is not None
    assert found.records["vector"].to_list() == [[0.5, 1.0]]
    assert found.preferences is not None
    assert found.preferences["outcome"].to_list() == [1, 0.5]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_file_of_either_is_told_by_its_columns(tmp_path: Path, suffix: str) -> None:
    write = {".jsonl": "write_ndjson", ".csv": "write_csv", ".parquet": "write_parquet"}[suffix]
    for name, row, expected in (("r", RECORD, (1, 0)), ("p", PAIR, (0, 1))):
        getattr(pl.DataFrame([row]), write)(tmp_path / f"{name}{suffix}")
        found = read_feedback(tmp_path / f"{name}{suffix}")
        assert (found.n_records, found.n_preferences) == expected


def test_a_torn_last_line_is_left_out_with_a_note(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    whole = lines(RECORD, {**RECORD, "decision_id": "d2"})
    for cut in range(1, 40):
        file.write_text(whole + lines(RECORD)[:cut], "utf8")
        found = read_feedback(tmp_path)
        assert found.n_records == 2
        assert "the last line is torn" in found.notes[0]
    file.write_text(whole.rstrip("\n"), "utf8")  # whole, but for its end
    assert read_feedback(tmp_path).notes == ()
    file.write_text(whole[:20] + "\n" + whole, "utf8")
    with pytest.raises(DataError, match=r"records.jsonl, line 1 is not valid JSON"):
        read_feedback(file)


def test_several_places_are_read_together(tmp_path: Path) -> None:
    rows = {
        "a": {**RECORD, "vector": [0.5, 1], "encoder": "e"},
        "b": {**RECORD, "decision_id": "d2", "prompt": "hi"},
        "c": None,
    }
    for name, row in rows.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "records.jsonl").write_text(lines(*filter(None, [row])), "utf8")
    (tmp_path / "pairs.jsonl").write_text(lines(PAIR), "utf8")
    found = read_feedback(*(tmp_path / name for name in (*rows, "pairs.jsonl")))
    assert (found.n_records, found.n_preferences) == (2, 1)
    assert found.records is not None
    assert found.records["vector"].to_list() == [[0.5, 1.0], None]
    assert found.records["prompt"].to_list() == [None, "hi"]
    assert found.notes == (f"{tmp_path / 'c'} has no feedback yet",)
    with pytest.raises(DataError, match="a is given twice; give it once"):
        read_feedback(tmp_path / "a", tmp_path / "b" / ".." / "a")
    with pytest.raises(DataError, match="no feedback yet"):
        read_feedback(tmp_path / "c", tmp_path / "c" / "records.jsonl")


def test_a_decision_counts_once() -> None:
    table = pl.DataFrame([RECORD, {**RECORD, "score": 0}, {**RECORD, "decision_id": "d2"}])
    found = Feedback(table)
    assert found.records is not None
    assert found.records["score"].to_list() == [1, 1]
    assert "1 rows repeat a decision" in found.notes[0]
    assert Feedback(table.drop("decision_id")).n_records == 3
    battles = pl.DataFrame([PAIR, {**PAIR, "llm_b": "third"}, PAIR])
    assert Feedback(preferences=battles).n_preferences == 2


def test_decisions_that_are_known_are_left_out() -> None:
    first = Feedback(pl.DataFrame([RECORD]), pl.DataFrame([PAIR]))
    assert len(np.unique(first.decisions)) == 2  # a score and a preference of one decision are two observations
    both = Feedback(pl.DataFrame([RECORD, {**RECORD, "decision_id": "d2"}]), pl.DataFrame([PAIR]))
    new = both.without(first.decisions)
    assert new is not None
    assert (new.n_records, new.n_preferences) == (1, 0)
    assert "2 rows were taken in by an earlier refresh" in new.notes[0]
    assert first.without(first.decisions) is None
    assert Feedback(pl.DataFrame([RECORD]).drop("decision_id")).without(first.decisions) is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": 1.7}, "outside"),
        ({"score": None}, "missing"),
        ({"llm_id": None}, "llm_id"),
        ({"prompt": 7}, "not text"),
        ({"vector": "no"}, "not a list of numbers"),
    ],
)
def test_what_is_no_feedback_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    file = tmp_path / "records.jsonl"
    file.write_text(lines(RECORD, {**RECORD, "decision_id": "d2", **change}), "utf8")
    with pytest.raises(DataError, match=message):
        read_feedback(file)


def test_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither records.jsonl nor preferences.jsonl"):
        read_feedback(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        read_feedback(tmp_path / "no.jsonl")
    (tmp_path / "records.jsonl").write_text("", "utf8")
    with pytest.raises(DataError, match="no feedback yet"):
        read_feedback(tmp_path)
