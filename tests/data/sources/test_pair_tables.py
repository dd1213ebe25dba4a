"""Tables of battles: the published layouts, in small."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recroute.data import Dataset, read_dataset
from recroute.data.sources import import_dataset
from recroute.errors import DataError, RecrouteError

WINNERS = ["model_a", "model_b", "tie", "tie (bothbad)"]
ARENA = {
    "question_id": ["q1", "q2", "q2", "q3"],
    "model_a": ["x", "y", "y", "z"],
    "model_b": ["y", "x", "x", "x"],
    "winner": WINNERS,
}


def battles(data: Dataset) -> list[tuple[Any, ...]]:
    assert data.preferences is not None
    return data.preferences.to_frame(data.instance_ids, data.llm_ids).rows()


def imported(table: pl.DataFrame, tmp_path: Path, suffix: str = ".csv", **settings: Any) -> Dataset:
    file = tmp_path / f"t{suffix}"
    write = {".csv": table.write_csv, ".jsonl": table.write_ndjson, ".parquet": table.write_parquet}[suffix]
    write(file)
    import_dataset("table", file, tmp_path / "d", pairs=True, **settings)
    return read_dataset(tmp_path / "d")


def says(*turns: Any) -> list[dict[str, Any]]:
    return [{"role": role, "content": turn} for turn in turns for role in ("user", "assistant")]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_arena_battles(tmp_path: Path, suffix: str) -> None:
    data = imported(pl.DataFrame(ARENA | {"language": ["de"] * 4}), tmp_path, suffix)
    assert (data.instance_ids.ids, data.llm_ids.ids) == (("q1", "q2", "q3"), ("x", "y", "z"))
    assert battles(data) == [("q1", "x", "y", 1.0), ("q2", "y", "x", 0.0), ("q2", "y", "x", 0.5), ("q3", "z", "x", 0.5)]
    assert data.prompts is None
    assert data.interactions.n_observed == 0


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_one_hot_winners_with_prompts_as_lists_of_turns(tmp_path: Path, suffix: str) -> None:
    table = pl.DataFrame(
        {
            "id": [30, 40, 50, 60],
            "model_a": ["x", "y", "x", "x"],
            "model_b": ["y", "x", "y", "y"],
            "prompt": ['["Why?", null, "And then?"]', "plain [text", "[not json", "[1,2] is a list"],
            "winner_model_a": [1, 0, 0, 0],
            "winner_model_b": [0, 1, 0, 0],
            "winner_tie": [0, 0, 1, 1],
        }
    )
    data = imported(table, tmp_path, suffix)
    assert battles(data) == [("30", "x", "y", 1.0), ("40", "y", "x", 0.0), ("50", "x", "y", 0.5), ("60", "x", "y", 0.5)]
    assert data.prompts == ["Why?\n\nAnd then?", "plain [text", "[not json", "[1,2] is a list"]


@pytest.mark.parametrize("nested", [True, False])
def test_the_users_turns_of_a_conversation_are_the_prompt(tmp_path: Path, nested: bool) -> None:
    talks = [says("Why?", "And then?"), says("How?"), says("How?"), says("Who?")]
    lines = [
        {"model_a": a, "model_b": b, "winner": w, "conversation_a": talk if nested else json.dumps(talk)}
        for a, b, w, talk in zip(ARENA["model_a"], ARENA["model_b"], WINNERS, talks, strict=True)
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf8")
    done = import_dataset("table", tmp_path / "t.jsonl", tmp_path / "d", pairs=True)
    data = read_dataset(tmp_path / "d")
    assert sorted(data.prompts or []) == ["How?", "Who?", "Why?\n\nAnd then?"]
    assert (done.n_instances, done.n_records, done.n_preferences) == (3, 0, 4)
    assert done.notes[0] == "2 of 4 battles are ties, 1 of them because both were bad: half a win for both"
    assert done.notes[1].startswith("being shown first adds ")


def test_parts_of_a_turn(tmp_path: Path) -> None:
    talk = says([{"type": "text", "text": "Look:"}, {"type": "image", "text": None}])
    row = {"model_a": "x", "model_b": "y", "winner": "tie", "conversation_a": talk}
    (tmp_path / "t.jsonl").write_text(json.dumps(row), "utf8")
    import_dataset("table", tmp_path / "t.jsonl", tmp_path / "d", pairs=True)
    assert read_dataset(tmp_path / "d").prompts == ["Look:"]


def test_without_ids_the_prompt_names_the_instance_and_without_prompts_the_battle_does(tmp_path: Path) -> None:
    table = pl.DataFrame(ARENA).drop("question_id")
    asked = table.with_columns(prompt=pl.Series(["one", "two", "two", ""]))
    first = imported(asked, tmp_path)
    again = imported(asked.reverse(), tmp_path)
    assert first.n_instances == 3
    named = dict(zip(first.prompts or [], first.instance_ids, strict=True))
    assert named["one"] == "7692c3ad3540bb80"  # the first 64 bits of SHA-256
    assert {p: i for p, i in zip(again.prompts or [], again.instance_ids, strict=True) if p} == {
        p: i for p, i in named.items() if p
    }
    assert imported(table, tmp_path).instance_ids.ids == ("battle-0", "battle-1", "battle-2", "battle-3")


def test_other_names_and_our_own_words(tmp_path: Path) -> None:
    table = pl.DataFrame({"q": ["a", "b"], "left": ["x", "y"], "right": ["y", "x"], "verdict": ["win", "0.25"]})
    data = imported(table, tmp_path, columns="instance_id=q,llm_a=left,llm_b=right,outcome=verdict")
    assert battles(data) == [("a", "x", "y", 1.0), ("b", "y", "x", 0.25)]


def test_one_id_with_two_prompts_is_refused_or_two_instances_of_two_tasks(tmp_path: Path) -> None:
    table = pl.DataFrame(ARENA | {"prompt": ["a", "b", "c", "d"], "task": ["t"] * 4})
    with pytest.raises(DataError, match=r"instance_id 'q2' came with two prompts in t.csv: 'b' and 'c'"):
        imported(table, tmp_path)
    data = imported(table.with_columns(task=pl.Series(["t", "t", "u", "t"])), tmp_path)
    assert dict(zip(data.instance_ids, data.prompts or [], strict=True)) == {
        "t.q1": "a",
        "t.q2": "b",
        "u.q2": "c",
        "t.q3": "d",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model_a,model_b\nx,y\n", "they need model_a, model_b and either winner or winner_model_a"),
        ("left,right,winner\nx,y,tie\n", "(there: left, right, winner); map with columns='llm_a=NAME"),
        ("model_a,model_b,winner\nx,y,both\n", "outcome 'both' in t.csv, row 0 is not one of win, tie, loss, nor"),
        ("model_a,model_b,winner\nx,y,\n", "outcome None in t.csv, row 0 is not one of"),
        ("model_a,model_b,winner\nx,y,2\n", "outcome '2' in t.csv, row 0 is not one of"),
        ("model_a,model_b,winner\nx,x,tie\n", "llm 'x' meets itself in t.csv, row 0; leave that row out"),
        ("model_a,model_b,winner\nx,,tie\n", "llm_b is missing in t.csv, row 0; fill it in"),
        ("model_a,model_b,winner\n", "t.csv has no rows; one row per battle is needed"),
        ("id,model_a,model_b,winner\n,x,y,tie\n", "id is missing in t.csv, row 0; fill it in"),
        ("model_a,model_b,winner,conversation_a\nx,y,tie,hello\n", "is not a list of turns with role and content"),
        (
            "model_a,model_b,winner_model_a,winner_model_b,winner_tie\nx,y,1,0,0\nx,y,1,0,1\n",
            "winner_model_a, winner_model_b, winner_tie are 1, 0, 1 in t.csv, row 1: one of them has to be 1",
        ),
        ("", "is an empty file"),
    ],
)
def test_what_is_no_table_of_battles_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text, "utf8")
    with pytest.raises(DataError) as error:
        import_dataset("table", tmp_path / "t.csv", tmp_path / "d", pairs=True)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


TEXTS = ["x", "y", "model_a", "tie", "win", "1", "", "[", "\ud800"]
SCALARS = st.sampled_from([*TEXTS, 0, 1, 0.5, True, None, float("nan")])
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2) | st.just(says("a")), max_leaves=4)
KEYS = st.sampled_from([*ARENA, "winner_model_a", "winner_model_b", "winner_tie", "prompt", "conversation_a", "id"])


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(lines=st.lists(st.dictionaries(KEYS, VALUES, max_size=6), max_size=4), sound=st.booleans())
def test_whatever_the_lines_hold(tmp_path: Path, lines: list[dict[str, Any]], sound: bool) -> None:
    good = {"model_a": "x", "model_b": "y", "winner": "tie"}
    rows = [good | line if sound else line for line in lines]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf8")
    message = ""
    try:
        import_dataset("table", tmp_path / "t.jsonl", tmp_path / "d", pairs=True)
    except RecrouteError as error:
        message = str(error)
    assert "\n" not in message
    assert message or read_dataset(tmp_path / "d").n_preferences == len(rows)
