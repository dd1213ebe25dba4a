"""xRouteBench: queries are numbered within the part of a configuration; one configuration has battles."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from written import question, write_candidates, write_xroute, xroute_row

from recroute.data import read_dataset
from recroute.data.sources import import_dataset
from recroute.errors import DataError


@pytest.fixture
def logs(tmp_path: Path, importing: Any) -> Any:
    return importing("xroutebench", tmp_path / "bench")


def rows(name: str, scores: dict[str, list[float | None]], **more: Any) -> list[dict[str, Any]]:
    """A row per query and LLM, query after query."""
    n = len(next(iter(scores.values())))
    return [xroute_row(i, llm, of[i], question(name, i), **more) for i in range(n) for llm, of in scores.items()]


COST = (20 * 0.5 + 10 * 1.5) / 1e6  # USD, of tokens in and out at prices per million
TRAIN, TEST = {"a": [1.0, 0.0], "b": [0.5, 0.5]}, {"a": [0.0, 1.0], "b": [0.25, 0.75]}


@pytest.mark.parametrize("end", ["parquet", "jsonl"])
def test_numbers_count_anew_in_each_part_and_configuration(logs: Any, end: str) -> None:
    for config in ("generic", "video"):
        for part, scores in (("train", TRAIN), ("test", TEST)):
            write_xroute(logs.root, config, part, rows(config + part, scores), end)
    write_xroute(logs.root, "generic_queries", "train", [{"task_name": "sums", "query": "Why?"}], end)
    assert logs.means() == {"a": 0.5, "b": 0.5}
    table = logs.data.instances
    assert table["instance_id"].to_list()[:4] == [f"generic.{part}.{i}" for part in ("test", "train") for i in (0, 1)]
    assert table["split"].to_list() == ["test", "test", "train", "train"] * 2
    assert table["benchmark"].to_list() == ["generic"] * 4 + ["video"] * 4
    assert logs.prompts()[0] == question("generictest", 0)
    assert logs.notes == ()
    assert logs.means(logs.root / "video") == {"a": 0.5, "b": 0.5}
    assert logs.data.n_instances == 4


def test_prices_give_costs(logs: Any) -> None:
    file = write_xroute(logs.root, "generic", "train", rows("x", TRAIN))
    write_candidates(logs.root, {"a": (0.5, 1.5)})
    for path in (logs.root, file.parent, file):
        costs = logs.imported(path).interactions.costs
        assert costs is not None
        np.testing.assert_allclose(costs.data, [COST, np.nan] * 2, rtol=1e-6)
        assert logs.data.llms.select("llm_id", "n_params_b", "price_in", "price_out").row(0) == ("a", 7.0, 0.5, 1.5)
        assert logs.notes == ("no price for 1 LLMs, b first",)


def test_prices_of_the_pipeline_are_read(logs: Any) -> None:
    write_xroute(logs.root, "generic", "train", rows("x", TRAIN), "jsonl")
    (logs.root / "llm_candidates").mkdir()
    prices = {llm: {"size": "7B", "feature": "x", "input_price": 0.5, "output_price": 1.5} for llm in TRAIN}
    (logs.root / "llm_candidates" / "default_llm.json").write_text(json.dumps(prices), "utf8")
    costs = logs.imported().interactions.costs
    assert costs is not None
    np.testing.assert_allclose(costs.data, [COST] * 4, rtol=1e-6)


@pytest.mark.parametrize(
    ("query", "choices", "prompt"),
    [
        ("Why?", ["yes", "no"], "Why?\nyes\nno"),
        ("Why?", '["yes", "no"]', "Why?\nyes\nno"),
        ("Why?", '{"A": "yes", "B": "no"}', "Why?\nyes\nno"),
        ("Why?", '{"text": ["yes", "no"], "labels": ["A", "B"]}', "Why?\nyes\nno"),
        ('[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]', None, "Be brief.\nWhy?"),
        ("[1] Why?", None, "[1] Why?"),
    ],
)
def test_prompts_are_queries_with_their_choices(logs: Any, query: str, choices: Any, prompt: str) -> None:
    write_xroute(logs.root, "generic", "train", [xroute_row(0, "a", 1.0, query, choices=choices)])
    logs.imported()
    assert logs.prompts() == [prompt]


def test_one_number_that_is_two_queries_is_refused(logs: Any) -> None:
    both = [xroute_row(0, "a", 1.0, "Why?"), xroute_row(0, "b", 1.0, "How?")]
    write_xroute(logs.root, "generic", "train", both)
    with pytest.raises(DataError, match=r"generic\.train\.0"):
        logs.imported()


def test_scores_that_are_missing_are_counted_aloud(logs: Any) -> None:
    write_xroute(logs.root, "generic", "train", rows("x", {"a": [1.0, None], "b": [0.0, float("nan")]}))
    assert logs.imported().interactions.n_observed == 2
    assert logs.notes == ("2 scores are missing or NaN, left unobserved: 1 of a, 1 of b",)


def test_lower_is_better_is_turned_round_or_refused(logs: Any) -> None:
    write_xroute(logs.root, "generic", "train", rows("x", TRAIN))
    file = write_xroute(
        logs.root, "timeseries", "train", rows("y", {"a": [0.25], "b": [1.0]}, metric="mae", task_name="t")
    )
    assert logs.means(logs.root / "timeseries") == {"a": 0.75, "b": 0.0}
    assert logs.notes == ("less mae is better, so the score is 1 - mae",)
    assert logs.data.card["score"] == "1 - mae: t"
    pl.read_parquet(file).with_columns(performance=pl.lit(3.0)).write_parquet(file)
    with pytest.raises(DataError, match=r"mae 3: less is better, .* cannot be turned round; .*configs='NAMES'"):
        logs.imported()
    assert logs.means(configs="generic") == {"a": 0.5, "b": 0.5}


# -- battles


def battle(number: int, one: str, two: str, judge: Any) -> dict[str, Any]:
    row = xroute_row(number, "", None, json.dumps([{"role": "user", "content": f"Q{number}?"}]), task_name="chat")
    facts = {key: row[key] for key in ("task_name", "query", "metric", "task_id", "embedding_id")}
    return {**facts, "model_1": one, "model_2": two, "answer_1": "x", "answer_2": "y", "judge": judge, "persona": "p"}


def test_battles_are_preferences(logs: Any) -> None:
    write_xroute(
        logs.root, "personalized", "train", [battle(0, "lab/A", "other/c", 1), battle(1, "other/c", "Lab/a", 1)]
    )
    write_candidates(logs.root, {"a": (0.5, 1.5)})
    logs.imported()
    assert logs.prompts() == ["Q0?", "Q1?"]
    battles = logs.data.preferences
    assert battles is not None
    table = pl.read_parquet(logs.root.parent / "imported" / "preferences.parquet")
    assert table.rows() == [
        ("personalized.train.0", "a", "other/c", 1.0),
        ("personalized.train.1", "other/c", "a", 1.0),
    ]


def test_battles_beside_scores_are_left_out_unless_asked_for(logs: Any) -> None:
    write_xroute(logs.root, "generic", "train", rows("x", TRAIN))
    write_xroute(logs.root, "personalized", "train", [battle(0, "a", "c", 2)])
    assert logs.means() == {"a": 0.5, "b": 0.5}
    assert logs.notes == ("battles of personalized left out: import them with configs='personalized'",)
    data = logs.imported(configs="generic, personalized")
    assert data.llm_ids.ids == ("a", "b", "c")
    assert data.n_instances == 3
    assert data.preferences is not None
    with pytest.raises(DataError, match=r"configuration 'x' is not there \(generic, personalized\)"):
        logs.imported(configs="x")


@pytest.mark.parametrize("judge", [0, 3, None])
def test_a_judge_that_is_neither_is_refused(logs: Any, judge: Any) -> None:
    write_xroute(logs.root, "personalized", "train", [battle(0, "a", "c", judge)])
    with pytest.raises(DataError, match=rf"judge {judge} of .*row 0 is neither 1 nor 2"):
        logs.imported()


def test_what_is_no_xroutebench_is_named(logs: Any) -> None:
    with pytest.raises(DataError, match=r"has no \.parquet or \.jsonl file; name xRouteBench's folder"):
        logs.imported()
    write_xroute(logs.root, "generic_queries", "train", [{"task_name": "sums", "query": "Why?"}])
    with pytest.raises(DataError, match="has no rows of model_name and performance, nor of model_1"):
        logs.imported()
    write_xroute(logs.root, "generic", "all", rows("x", TRAIN))
    with pytest.raises(DataError, match=r"the name of .*all\.parquet says neither train nor test"):
        logs.imported()


# -- any of them


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("random")


EIGHTHS = st.none() | st.integers(0, 8).map(lambda k: k / 8)
BOARDS = st.dictionaries(
    st.tuples(st.sampled_from(["generic", "video"]), st.sampled_from(["train", "test"])),
    st.dictionaries(st.tuples(st.integers(0, 4), st.sampled_from("abc")), EIGHTHS, min_size=1),
    min_size=1,
).filter(lambda board: any(score is not None for cells in board.values() for score in cells.values()))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(board=BOARDS, end=st.sampled_from(["parquet", "jsonl"]))
def test_a_random_board_comes_back(place: Path, board: Any, end: str) -> None:
    root = place / "bench"
    for file in root.rglob("*.*"):
        file.unlink()
    for (config, part), cells in board.items():
        texts = {(number, llm): question(config + part, number) for number, llm in cells}
        write_xroute(root, config, part, [xroute_row(*key, score, texts[key]) for key, score in cells.items()], end)
    import_dataset("xroutebench", root, place / "data")
    data = read_dataset(place / "data")
    i, j = data.interactions.coordinates()
    ids = data.instances["instance_id"].to_list()
    found = {(ids[row], data.llm_ids.ids[column]): float(score)
             for row, column, score in zip(i, j, data.interactions.scores.data, strict=True)}  # fmt: skip
    assert found == {
        (f"{config}.{part}.{number}", llm): score
        for (config, part), cells in board.items()
        for (number, llm), score in cells.items()
        if score is not None
    }
    assert data.prompts is not None
    assert dict(zip(ids, data.prompts, strict=True)) == {
        f"{config}.{part}.{number}": question(config + part, number)
        for (config, part), cells in board.items()
        for number, _ in cells
    }
