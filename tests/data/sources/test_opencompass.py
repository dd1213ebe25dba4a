"""Runs of OpenCompass: scores are in the details of results, what was asked in the predictions."""

import json
from pathlib import Path
from typing import Any

import pytest
from written import change, question, write_opencompass

from recroute.errors import DataError

ONE, TWO = [True, False, False, False], [True, True, False, False]
TEXTS = [question("sums", i) for i in range(4)]


@pytest.fixture
def logs(tmp_path: Path, importing: Any) -> Any:
    return importing("opencompass", tmp_path / "default")


def put(logs: Any, llm: str, scores: list[Any], folder: str = ".", **more: Any) -> Path:
    texts = more.pop("texts", TEXTS)
    return write_opencompass(logs.root / folder, llm, scores, texts, **more)


def predictions(file: Path) -> Path:
    return file.parents[2] / "predictions" / file.parent.name / file.name


@pytest.mark.parametrize("form", ["list", "by place"])
def test_scores_and_prompts_come_in(logs: Any, form: str) -> None:
    file = put(logs, "one", ONE, form=form)
    put(logs, "two", TWO)
    assert logs.means() == {"one": 0.25, "two": 0.5}
    assert logs.scores() == {"one": [1, 0, 0, 0], "two": [1, 1, 0, 0]}
    assert logs.prompts() == TEXTS
    assert logs.data.instances["instance_id"][0] == "sums.0"
    assert logs.notes == ()
    for path in (file, file.parent, file.parents[1], file.parents[2]):
        assert logs.scores(path)["one"] == [1, 0, 0, 0]


def test_answers_that_are_numbers_are_no_scores(logs: Any) -> None:
    file = put(logs, "one", ONE)
    change(file, lambda results: [detail.update(answer=1, pred=0, rouge1=0.5) for detail in results["details"]])
    change(file, lambda results: results.update(rouge1=50.0))
    assert logs.means() == {"one": 0.25}
    assert logs.notes == ("sums: metric correct was taken, the samples also have rouge1 (metric)",)
    assert logs.means(metric="rouge1") == {"one": 0.5}
    with pytest.raises(DataError, match="metric 'answer' is not in the samples of sums; there: correct, rouge1"):
        logs.means(metric="answer")


# -- which answers are one instance


def test_two_data_sets_that_count_from_0_are_two_tasks(logs: Any) -> None:
    for subject, scores in (("mmlu_anatomy", ONE), ("mmlu_astronomy", TWO)):
        put(logs, "one", scores, texts=[question(subject, i) for i in range(4)], task=subject)
    assert logs.means() == {"one": 0.375}
    assert logs.data.n_instances == 8


def test_one_number_with_two_right_answers_is_refused(logs: Any) -> None:
    put(logs, "one", ONE)
    put(logs, "two", TWO, texts=TEXTS[::-1])
    with pytest.raises(DataError, match=r"id 0 of sums is two questions, .*one/sums.*two/sums"):
        logs.imported()


def test_other_templates_do_not_part_questions(logs: Any) -> None:
    put(logs, "one", ONE)
    file = put(logs, "two", TWO)
    change(predictions(file), lambda said: [row.update(origin_prompt="<user> " + TEXTS[0]) for row in said.values()])
    assert logs.scores() == {"one": [1, 0, 0, 0], "two": [1, 1, 0, 0]}
    assert logs.prompts() == TEXTS
    assert logs.notes[0].startswith("sums: 4 instances have other prompts in other runs")


def test_several_answers_are_one_score(logs: Any) -> None:
    put(logs, "one", [[True, False], [False, False]], texts=TEXTS[:2])
    assert logs.scores() == {"one": [0.5, 0.0]}


def test_predictions_in_parts_are_put_together(logs: Any) -> None:
    file = predictions(put(logs, "one", ONE))
    said = json.loads(file.read_text("utf8"))
    file.unlink()
    for part in range(2):
        rows = {str(i): said[str(i + 2 * part)] for i in range(2)}
        file.with_name(f"sums_{part}.json").write_text(json.dumps(rows), "utf8")
    logs.imported()
    assert logs.prompts() == TEXTS


def test_options_asked_one_by_one_have_the_input_of_the_first(logs: Any) -> None:
    file = put(logs, "one", ONE)

    def options(said: Any) -> None:
        for row, text in zip(said.values(), TEXTS, strict=True):
            del row["origin_prompt"]
            row["label: A"] = {"testing input": text, "prompt": f"Examples. {text} A", "PPL": 1.0}

    change(predictions(file), options)
    logs.imported()
    assert logs.prompts() == TEXTS


def test_without_predictions_the_details_say_what_was_asked(logs: Any) -> None:
    predictions(put(logs, "one", ONE, form="by place")).unlink()
    logs.imported()
    assert logs.prompts() == TEXTS


# -- who ran


def test_the_newest_date_of_a_working_folder_stands(logs: Any) -> None:
    put(logs, "one", ONE)
    put(logs, "one", TWO, date="20240201_120000")
    assert logs.means() == {"one": 0.5}
    assert logs.notes == ("one ran sums 2 times: the run of 20240201_120000 stands",)


def test_one_name_in_two_working_folders_is_refused(logs: Any) -> None:
    put(logs, "one", ONE, "a")
    put(logs, "one", TWO, "b")
    with pytest.raises(DataError, match=r"one ran sums in two folders: .*name_by='folder'"):
        logs.imported()
    assert logs.means(name_by="folder") == {"a/one": 0.25, "b/one": 0.5}


def test_two_judges_are_two_tasks_of_one_llm(logs: Any) -> None:
    put(logs, "one_judged-by--x", ONE)
    put(logs, "one_judged-by--y", TWO)
    assert logs.means() == {"one": 0.375}
    assert set(logs.data.instances["task"]) == {"sums (judge=x)", "sums (judge=y)"}


# -- what is published


def test_a_mean_that_is_not_the_published_one_is_refused(logs: Any) -> None:
    file = put(logs, "one", ONE)
    change(file, lambda results: results["details"].pop())
    with pytest.raises(DataError, match=r"3 samples have mean correct 0\.3333, sums\.json says 0\.2500"):
        logs.imported()
    assert logs.scores(check_means="false") == {"one": [1, 0, 0]}


@pytest.mark.parametrize(("value", "fits"), [("25.00", True), ("-", True), ("75.00", False)])
def test_the_summary_has_to_agree(logs: Any, value: str, fits: bool) -> None:
    summary = put(logs, "one", ONE).parents[2] / "summary" / "summary_20240101_120000.csv"
    summary.parent.mkdir()
    summary.write_text(f"dataset,version,metric,mode,one\nsums,1a2b3c,accuracy,gen,{value}\nwords,-,-,-,-\n", "utf8")
    if fits:
        assert logs.means() == {"one": 0.25}
    else:
        with pytest.raises(DataError, match=r"mean correct 0\.2500, summary_20240101_120000\.csv says 0\.7500"):
            logs.imported()
    with pytest.raises(DataError, match=r"is a summary, which has means and no answers"):
        logs.imported(summary)


def test_results_without_details_are_named(logs: Any) -> None:
    put(logs, "one", ONE)
    change(put(logs, "two", TWO), lambda results: results.pop("details"))
    assert set(logs.means()) == {"one"}
    assert logs.notes[0].endswith("two/sums.json holds no score: two has none of sums")
    change(put(logs, "one", ONE), lambda results: results.pop("details"))
    with pytest.raises(DataError, match=r"have no details, so no score .*--dump-eval-details"):
        logs.imported()


def test_predictions_alone_have_no_scores(logs: Any) -> None:
    put(logs, "one", ONE).unlink()
    with pytest.raises(DataError, match=r"has predictions and no results, so no scores; run the evaluation"):
        logs.imported()


def test_details_that_are_no_objects_are_refused(logs: Any) -> None:
    file = put(logs, "one", ONE)
    change(file, lambda results: results["details"].append(3))
    with pytest.raises(DataError, match=r"details of .*sums\.json, 4 is int, not an object"):
        logs.imported()
    file.rename(file.with_suffix(".txt"))
    predictions(file).unlink()
    with pytest.raises(DataError, match=r"has no results; name a folder with <work_dir>/<date>/results/"):
        logs.imported()
