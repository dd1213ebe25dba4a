"""Details of the Open LLM Leaderboard and lighteval: rows without ids, in any order."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from written import details_row, question, write_details

from recroute.errors import DataError

ONE, TWO = [1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]
DATE = "2023-08-23T13:05:44.000001"


@pytest.fixture
def logs(tmp_path: Path, importing: Any) -> Any:
    return importing("leaderboard", tmp_path / "details")


def rows(scores: list[Any], metric: str = "acc", **more: Any) -> list[dict[str, Any]]:
    return [details_row(question("sums", i), score, metric, **more) for i, score in enumerate(scores)]


def put(logs: Any, folder: str, llm: str | None, scores: list[Any], **more: Any) -> Path:
    return write_details(logs.root / folder, llm, rows(scores), **more)


def test_scores_and_prompts_come_in(logs: Any) -> None:
    put(logs, "details_lab__one", "lab/one", ONE)
    put(logs, "details_lab__two", "lab/two", TWO)
    assert logs.scores() == {"lab/one": ONE, "lab/two": TWO}
    assert logs.prompts()[0] == "Passage 0 of sums.\nWhat follows?"
    assert set(logs.data.instances["task"]) == {"harness|sums|5"}
    assert logs.notes == ()


def test_rows_are_joined_by_text_and_never_by_place(logs: Any) -> None:
    put(logs, "details_lab__one", None, ONE)
    write_details(logs.root / "details_lab__two", None, rows(TWO)[::-1])
    assert logs.scores() == {"lab/one": ONE, "lab/two": TWO}


def test_a_text_that_stands_twice_is_told_apart_by_its_answer(logs: Any) -> None:
    asked = [details_row("Why?", score, choices=None, gold=[gold]) for score, gold in ((1.0, "a"), (0.0, "b"))]
    write_details(logs.root / "details_lab__one", None, asked)
    write_details(logs.root / "details_lab__two", None, asked[::-1])
    assert logs.scores() == {"lab/one": [1.0, 0.0], "lab/two": [1.0, 0.0]}
    assert logs.notes[-1].startswith("2 of 2 instances have the prompt of another one of their task")


def test_where_examples_leave_out_the_passage_whole_prompts_are_taken(logs: Any) -> None:
    asked = [details_row("Why?", float(i), full_prompt=f"Passage {i}. Why?") for i in range(2)]
    for llm in ("one", "two"):
        write_details(logs.root / f"details_lab__{llm}", None, asked)
    assert logs.scores() == {"lab/one": [0.0, 1.0], "lab/two": [0.0, 1.0]}
    assert logs.prompts() == ["Passage 0. Why?", "Passage 1. Why?"]
    assert "lab/one, harness|sums|5: prompts are whole, examples among them" in logs.notes[0]


# -- who ran


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ({"model_sha": "a" * 40}, {"model_sha": "b" * 40}, (" (model_sha=aaaaaaaa)", " (model_sha=bbbbbbbb)")),
        ({"model_dtype": "torch.float16"}, {"model_dtype": "4bit"}, (" (model_dtype=float16)", " (model_dtype=4bit)")),
        ({"model_config": {"revision": "main"}}, {"model_config": {"revision": "v2"}}, ("", "@v2")),
    ],
)
def test_two_answers_to_who_ran_are_two_llms(logs: Any, first: Any, second: Any, names: tuple[str, str]) -> None:
    put(logs, "details_lab__m", "lab/m", ONE, **first)
    put(logs, "details_lab__m", "lab/m", TWO, date="2023-09-01T00-00-00.1", **second)
    assert logs.means() == {f"lab/m{names[0]}": 0.25, f"lab/m{names[1]}": 0.5}
    assert logs.notes[0].startswith("lab/m ran as 2 LLMs")


def test_the_newest_run_of_an_llm_stands(logs: Any) -> None:
    put(logs, "details_lab__m", None, ONE)
    put(logs, "details_lab__m", None, TWO, date="2023_09_01T00_00_00.1")
    assert logs.means() == {"lab/m": 0.5}
    assert logs.notes == ("lab/m ran harness|sums|5 2 times: the run of 2023-09-01T00-00-00.1 stands",)


CACHE = "datasets--open-llm-leaderboard--details_lab__m/snapshots/0123abcd"


@pytest.mark.parametrize(
    "folder", ["details_lab__m", "details__lab__m", "details_lab__m_private", "details/lab/m", CACHE]
)
def test_without_results_the_folder_names_the_llm(logs: Any, folder: str) -> None:
    file = put(logs, folder, None, ONE)
    assert logs.means() == {"lab/m": 0.25}
    assert logs.means(file) == {"lab/m": 0.25}
    assert logs.means(file.parent) == {"lab/m": 0.25}


def test_files_of_a_cache_are_links_to_elsewhere(logs: Any) -> None:
    file = put(logs, CACHE, "lab/m", ONE, model_sha="a" * 40)
    blob = logs.root / "blobs"
    file.rename(blob)
    file.symlink_to(blob)
    put(logs, CACHE, "lab/m", TWO, date="2023-09-01T00-00-00.1", model_sha="b" * 40)
    assert logs.means() == {"lab/m (model_sha=aaaaaaaa)": 0.25, "lab/m (model_sha=bbbbbbbb)": 0.5}


def test_results_of_lighteval_lie_beside_the_details(logs: Any) -> None:
    file = put(logs, "out/details/lab/m", "lab/m", ONE, model_sha="a" * 40)
    results = logs.root / "out/results/lab/m"
    results.mkdir(parents=True)
    (file.parent.parent / f"results_{DATE}.json").rename(results / f"results_{DATE}.json")
    content = json.loads((results / f"results_{DATE}.json").read_text("utf8"))
    content["results"]["harness|sums|5"]["acc"] = 0.9
    (results / f"results_{DATE}.json").write_text(json.dumps(content), "utf8")
    with pytest.raises(DataError, match=r"4 samples have mean acc 0\.2500, results_.* says 0\.9000"):
        logs.imported()
    assert logs.means(check_means="false") == {"lab/m": 0.25}


def test_files_that_nothing_names_are_refused(logs: Any) -> None:
    put(logs, ".", None, ONE)
    place = logs.root.parent / "files"
    logs.root.rename(place)
    with pytest.raises(
        DataError, match=r"nothing says which LLM .* is of: no results_2023-08-23T13-05-44\.000001\.json"
    ):
        logs.imported(place)
    assert logs.means(place, llm_id="mine") == {"mine": 0.25}


def test_one_llm_in_two_folders_is_refused(logs: Any) -> None:
    put(logs, "a/details_lab__m", None, ONE)
    put(logs, "b/details_lab__m", None, TWO)
    with pytest.raises(DataError, match=r"lab/m ran harness\|sums\|5 in two folders: .*name_by='folder'"):
        logs.imported()
    assert logs.means(name_by="folder") == {"a/details_lab/m": 0.25, "b/details_lab/m": 0.5}


# -- what the score is


@pytest.mark.parametrize(
    ("task", "metrics", "taken"),
    [
        ("harness|arc:challenge|25", {"acc": 0.0, "acc_norm": 1.0}, "acc_norm"),
        ("harness|hendrycksTest-anatomy|5", {"acc": 0.0, "acc_norm": 1.0}, "acc"),
        ("harness|truthfulqa:mc|0", {"mc1": 0.0, "mc2": 0.5}, "mc2"),
    ],
)
def test_the_leaderboards_own_metric_is_taken(logs: Any, task: str, metrics: dict[str, float], taken: str) -> None:
    asked = [details_row("Why?", None, metrics=metrics), details_row("How?", None, metrics=metrics)]
    write_details(logs.root / "details_lab__m", None, asked, task)
    assert logs.means() == {"lab/m": metrics[taken]}
    other = next(name for name in metrics if name != taken)
    assert logs.notes == (f"{task}: metric {taken} was taken, the samples also have {other} (metric)",)
    assert logs.means(metric=other) == {"lab/m": metrics[other]}


def test_scores_that_are_missing_are_counted_aloud(logs: Any) -> None:
    put(logs, "details_lab__m", "lab/m", [1.0, None, 0.0, float("nan")], date=DATE)
    assert logs.imported(check_means="false").interactions.n_observed == 2
    assert logs.notes == ("2 scores of lab/m are NaN: left unobserved",)


def test_lower_is_better_is_turned_round(logs: Any) -> None:
    write_details(logs.root / "details_lab__m", None, rows([0.25, 1.0], "wer"))
    assert logs.scores() == {"lab/m": [0.75, 0.0]}
    assert logs.notes == ("harness|sums|5: less wer is better, so the score is 1 - wer",)


def test_metrics_may_stand_in_columns_of_their_own(logs: Any) -> None:
    flat = [{"example": question("sums", i), "acc": score, "truncated": 3} for i, score in enumerate(ONE)]
    write_details(logs.root / "details_lab__m", None, flat)
    assert logs.scores() == {"lab/m": ONE}


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        ({"example": ["a"], "x": [1]}, "has no column 'metrics'; is this a file of details"),
        ({"metrics": [{"acc": 1.0}]}, r"has no text of each row \(example, full_prompt"),
        ({"example": [""], "metrics": [{"acc": 1.0}]}, "has no text of each row"),
        ({"example": ["a"], "metrics": ["{'acc': "]}, r"metrics \"\{'acc': \" of .*row 0 is not a mapping"),
        ({"example": ["a"], "metrics": [3]}, r"metrics 3 of .*row 0 is not a mapping"),
    ],
)
def test_what_is_wrong_is_said(logs: Any, frame: Any, match: str) -> None:
    pl.DataFrame(frame).write_parquet(put(logs, "details_lab__m", None, ONE))
    with pytest.raises(DataError, match=match):
        logs.imported()


def test_other_names_are_refused(logs: Any) -> None:
    with pytest.raises(DataError, match=r"has no details_<task>_<date>\.parquet; name a folder with details_<org>"):
        logs.imported()
    (logs.root / "details_x.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=r"details_x\.parquet is not of the form details_<task>_<date>\.parquet"):
        logs.imported()
