"""Runs of HELM: instances are numbered within a scenario, and the statistics do not say which one counts."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from written import change, helm_stat, question, write_helm

from recroute.errors import DataError

ONE, TWO = [1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]
TEXTS = {f"id{i}": question("sums", i) for i in range(4)}


@pytest.fixture
def logs(tmp_path: Path, importing: Any) -> Any:
    return importing("helm", tmp_path / "runs")


def put(logs: Any, folder: str, llm: str, scores: list[float], metric: str = "exact_match", **more: Any) -> Path:
    texts = more.pop("texts", TEXTS)
    values = {number: {metric: score} for number, score in zip(texts, scores, strict=True)}
    return write_helm(logs.root / folder, llm, values, texts, **more)


def test_scores_and_prompts_come_in(logs: Any) -> None:
    put(logs, "v1/a", "lab/one", ONE)
    put(logs, "v1/b", "lab/two", TWO)
    assert logs.scores() == {"lab/one": ONE, "lab/two": TWO}
    assert logs.prompts()[0] == "Passage 0 of sums.\nWhat follows?\nA:"  # without the examples before it
    assert logs.data.instances["instance_id"][0] == "sums.id0"
    assert logs.notes == ()
    assert logs.scores(logs.root / "v1/a") == {"lab/one": ONE}
    assert logs.scores(logs.root / "v1/a/per_instance_stats.json") == {"lab/one": ONE}


# -- instances are numbered within a scenario


@pytest.mark.parametrize("named", [True, False])
def test_two_subjects_that_count_from_0_are_two_tasks(logs: Any, named: bool) -> None:
    for subject, scores in (("anatomy", ONE), ("astronomy", TWO)):
        for llm in ("lab/one", "lab/two"):
            name = f"mmlu:subject={subject},model={llm}" if named else f"mmlu:model={llm}"
            texts = {f"id{i}": question(subject, i) for i in range(4)}
            put(logs, f"v1/{subject},{llm}", llm, scores, name=name, scenario={"subject": subject}, texts=texts)
    assert logs.means() == {"lab/one": 0.375, "lab/two": 0.375}
    assert logs.data.n_instances == 8
    tasks = {f"mmlu:subject={s}" if named else f'mmlu (subject="{s}")' for s in ("anatomy", "astronomy")}
    assert set(logs.data.instances["task"]) == tasks


def test_two_scenarios_of_one_name_are_two_tasks(logs: Any) -> None:
    for kind, scores in (("Easy", ONE), ("Hard", TWO)):
        folder = put(logs, f"v1/{kind}", "lab/one", scores, texts={f"id{i}": question(kind, i) for i in range(4)})
        change(folder / "run_spec.json", lambda spec, kind=kind: spec["scenario_spec"].update(class_name=kind))
    assert logs.means() == {"lab/one": 0.375}
    assert set(logs.data.instances["task"]) == {'sums (scenario="Easy")', 'sums (scenario="Hard")'}


def test_options_of_some_llms_do_not_part_them(logs: Any) -> None:
    put(logs, "v1/a", "lab/one", ONE, name="sums:n=3,model=lab_one,stop=hash")
    put(logs, "v1/b", "lab/two", TWO, name="sums:n=3,model=lab_two")
    assert logs.scores() == {"lab/one": ONE, "lab/two": TWO}
    assert logs.notes == ("sums:n=3: runs differ in stop=hash, taken as one task",)


def test_two_runs_of_an_llm_with_other_options_are_two_tasks(logs: Any) -> None:
    for method, scores in (("joint", ONE), ("separate", TWO)):
        for llm in ("lab/one", "lab/two"):
            put(logs, f"v1/{method},{llm}", llm, scores, name=f"sums:method={method},model={llm}")
    assert logs.means() == {"lab/one": 0.375, "lab/two": 0.375}
    assert set(logs.data.instances["task"]) == {"sums:method=joint", "sums:method=separate"}


def test_one_id_that_is_two_questions_is_refused(logs: Any) -> None:
    put(logs, "v1/a", "lab/one", ONE)
    put(logs, "v1/b", "lab/two", TWO, texts={f"id{i}": question("words", i) for i in range(4)})
    with pytest.raises(DataError, match=r"id id0 of sums is two questions, .*v1/a.*v1/b"):
        logs.imported()


def test_scenarios_in_another_order_are_joined_by_what_they_ask(logs: Any) -> None:
    put(logs, "v1/a", "lab/one", ONE)
    put(logs, "v1/b", "lab/two", TWO[::-1], texts={f"id{i}": question("sums", 3 - i) for i in range(4)})
    assert logs.scores() == {"lab/one": ONE, "lab/two": TWO}
    assert "sums: one id is several questions in different runs (id0): joined by what they ask" in logs.notes


def test_without_states_ids_alone_join_and_that_is_said(logs: Any) -> None:
    for llm, scores in (("lab/one", ONE), ("lab/two", TWO)):
        (put(logs, f"v1/{llm}", llm, scores) / "scenario_state.json").unlink()
    assert logs.scores() == {"lab/one": ONE, "lab/two": TWO}
    assert logs.data.prompts is None
    assert logs.notes[0].startswith("no scenario_state.json beside 2 of 2 per_instance_stats.json (one): no prompts")


def test_perturbed_instances_are_left_out(logs: Any) -> None:
    folder = put(logs, "v1/a", "lab/one", ONE)
    perturbed = {"instance_id": "id0", "perturbation": {"name": "typos"}, "train_trial_index": 0,
                 "stats": [helm_stat("exact_match", 0.0)]}  # fmt: skip
    change(folder / "per_instance_stats.json", lambda entries: entries.insert(0, perturbed))
    assert logs.scores() == {"lab/one": ONE}
    assert logs.notes == ("lab/one, sums: 1 statistics of perturbed instances left out",)


def test_options_asked_one_by_one_are_in_the_prompt(logs: Any) -> None:
    folder = put(logs, "v1/a", "lab/one", ONE)

    def separate(state: Any) -> None:
        for at, request in enumerate(state["request_states"]):
            request["reference_index"] = at % 2
            request["instance"]["references"] = [{"output": {"text": text}, "tags": []} for text in ("yes", "no")]

    change(folder / "scenario_state.json", separate)
    logs.imported()
    assert logs.prompts()[0] == "Passage 0 of sums.\nWhat follows?\nyes\nno"


def test_statistics_of_an_instance_may_stand_in_several_entries(logs: Any) -> None:
    folder = put(logs, "v1/a", "lab/one", ONE)
    more = [{"instance_id": f"id{i}", "train_trial_index": 0, "stats": [helm_stat("rouge_2", 0.25)]} for i in range(4)]
    change(folder / "per_instance_stats.json", lambda entries: entries.extend(more))
    assert logs.scores(metric="rouge_2") == {"lab/one": [0.25] * 4}
    assert logs.scores(metric="exact_match") == {"lab/one": ONE}
    more[0]["stats"] = [helm_stat("exact_match", 0.5)]
    change(folder / "per_instance_stats.json", lambda entries: entries.extend(more))
    with pytest.raises(DataError, match=r"exact_match of .*entry 8 stands twice, 1 and 0\.5"):
        logs.imported()


def test_train_trials_are_one_score(logs: Any) -> None:
    folder = put(logs, "v1/a", "lab/one", ONE)
    again = [{"instance_id": f"id{i}", "train_trial_index": 1, "stats": [helm_stat("exact_match", 1.0)]}
             for i in range(4)]  # fmt: skip
    change(folder / "per_instance_stats.json", lambda entries: entries.extend(again))
    change(folder / "stats.json", lambda stats: stats[0].update(mean=0.625))
    assert logs.scores() == {"lab/one": [1.0, 0.5, 0.5, 0.5]}
    assert logs.notes == ("lab/one, sums: up to 2 answers to a question, their mean score is taken",)


# -- who ran


def test_one_model_by_two_deployments_is_two_llms(logs: Any) -> None:
    put(logs, "v1/a", "lab/m", ONE, model_deployment="lab/m")
    put(logs, "v1/b", "lab/m", TWO, model_deployment="host/m")
    assert logs.means() == {"lab/m": 0.25, "lab/m (model_deployment=host/m)": 0.5}
    assert logs.notes[0].startswith("lab/m ran as 2 LLMs")


def test_one_run_in_two_suites_is_refused(logs: Any) -> None:
    put(logs, "v1/a", "lab/m", ONE)
    put(logs, "v2/a", "lab/m", TWO)
    with pytest.raises(DataError, match=r"lab/m ran sums in two folders: .*v1/a/per.*v2/a/per.*name_by='folder'"):
        logs.imported()
    assert logs.means(name_by="folder") == {"v1/lab/m": 0.25, "v2/lab/m": 0.5}


def test_a_run_that_does_not_say_who_ran_is_refused(logs: Any) -> None:
    folder = put(logs, "v1/a", "lab/m", ONE)
    change(folder / "run_spec.json", lambda spec: spec.pop("adapter_spec"))
    with pytest.raises(DataError, match=r"run_spec\.json does not name the run and its model"):
        logs.imported()
    (folder / "run_spec.json").unlink()
    with pytest.raises(DataError, match=r"no run_spec\.json beside .*: nothing says which LLM ran"):
        logs.imported()


# -- what the score is


def test_main_metrics_come_first_and_counts_never(logs: Any) -> None:
    values = {number: {"exact_match": 0.0, "f1_score": 0.5, "bleu_4": 1.0, "exact_match@5": 1.0} for number in TEXTS}
    write_helm(logs.root / "v1/a", "lab/m", values, TEXTS)
    assert logs.means() == {"lab/m": 0.5}
    assert logs.notes == ("sums: metric f1_score was taken, the samples also have bleu_4, exact_match (metric)",)
    assert logs.data.card["score"] == "f1_score: sums"
    assert logs.means(metric="bleu_4") == {"lab/m": 1.0}
    with pytest.raises(DataError, match="metric 'num_prompt_tokens' is not in the samples of sums; there: bleu_4"):
        logs.means(metric="num_prompt_tokens")


@pytest.mark.parametrize("metric", ["wer_score", "toxic_frac", "max_toxicity_probability"])
def test_lower_is_better_is_turned_round(logs: Any, metric: str) -> None:
    put(logs, "v1/a", "lab/m", [0.25, 0.0, 1.0, 0.5], metric)
    assert logs.scores() == {"lab/m": [0.75, 1.0, 0.0, 0.5]}
    assert logs.notes == (f"sums: less {metric} is better, so the score is 1 - {metric}",)


def test_a_lower_is_better_metric_above_1_is_refused(logs: Any) -> None:
    put(logs, "v1/a", "lab/m", [0.25, 0.0, 1.5, 0.5], "wer_score")
    with pytest.raises(DataError, match=r"wer_score 1\.5 of lab/m .* cannot be turned round; choose another with me"):
        logs.imported()


def test_nan_which_is_not_written_is_counted_aloud(logs: Any) -> None:
    put(logs, "v1/a", "lab/m", [1.0, float("nan"), 0.0, 0.0])
    folder = put(logs, "v1/b", "lab/n", ONE)
    change(folder / "per_instance_stats.json", lambda entries: entries.pop())
    change(folder / "stats.json", lambda stats: stats[0].update(mean=1 / 3))
    assert logs.imported().interactions.n_observed == 6
    assert [note for note in logs.notes if "unobserved" in note] == [
        "1 score of lab/m is NaN: left unobserved",
        "1 score of lab/n is NaN: left unobserved",
    ]


def test_runs_without_a_metric_are_named_and_passed_over(logs: Any) -> None:
    put(logs, "v1/a", "lab/m", ONE)
    put(logs, "v1/b", "lab/n", ONE, "logprob")
    assert set(logs.means()) == {"lab/m"}
    assert logs.notes[0].endswith("v1/b/per_instance_stats.json holds no score: lab/n has none of sums")


def test_a_mean_that_is_not_the_published_one_is_refused(logs: Any) -> None:
    folder = put(logs, "v1/a", "lab/m", ONE)
    change(folder / "stats.json", lambda stats: stats[0].update(mean=0.9))
    with pytest.raises(DataError, match=r"4 samples have mean exact_match 0\.2500, stats\.json says 0\.9000"):
        logs.imported()
    assert logs.scores(check_means="false") == {"lab/m": ONE}


@pytest.mark.parametrize(
    ("file", "content", "match"),
    [
        ("per_instance_stats.json", {}, r"per_instance_stats\.json holds dict, not a list of statistics"),
        ("per_instance_stats.json", [{"stats": []}], "instance_id None of .*entry 0 is not a name"),
        ("run_spec.json", [], r"run_spec\.json holds list, not an object"),
        ("scenario_state.json", [], r"scenario_state\.json holds list, not an object"),
    ],
)
def test_what_is_wrong_is_said(logs: Any, file: str, content: Any, match: str) -> None:
    (put(logs, "v1/a", "lab/m", ONE) / file).write_text(json.dumps(content), "utf8")
    with pytest.raises(DataError, match=match):
        logs.imported()


def test_a_folder_without_runs_is_named(logs: Any) -> None:
    with pytest.raises(DataError, match=r"has no per_instance_stats\.json; name a folder of HELM's runs"):
        logs.imported()


@pytest.mark.parametrize("name", ["per_instance_stats.json", "run_spec.json", "scenario_state.json", "stats.json"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "text"])
def test_what_is_no_file_of_json_is_refused(logs: Any, name: str, kind: str) -> None:
    file = put(logs, "v1/a", "lab/m", ONE) / name
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.write_text("[" * 100_000, "utf8")
    with pytest.raises(DataError, match=rf"{name}.*(not a regular file|nested too deeply)|no run_spec\.json beside"):
        logs.imported()
