"""Logs of inspect-ai: who ran, what the score is, which samples are one instance."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from written import inspect_log, inspect_sample, question, write_inspect, write_zstd_zip

from recroute.errors import DataError

ONE, TWO = ["C", "I", "I", "I"], ["C", "C", "I", "I"]


def samples(scores: list[Any], **more: Any) -> list[dict[str, Any]]:
    return [inspect_sample(i + 1, score, question("sums", i + 1), **more) for i, score in enumerate(scores)]


@pytest.fixture
def logs(tmp_path: Path, importing: Any) -> Any:
    """Writes a log for each mapping of what it says; imports their folder."""
    return importing("inspect-ai", tmp_path / "logs")


def put(logs: Any, name: str, llm: str, scores: list[Any], **more: Any) -> None:
    write_inspect(logs.root / name, inspect_log(llm, samples(scores), **more))


@pytest.mark.parametrize("name", ["a.eval", "a_zstd.eval", "a.json"])
def test_scores_and_prompts_come_in(logs: Any, name: str) -> None:
    put(logs, name, "lab/one", ["C", "P", "I", "N"])
    assert logs.scores() == {"lab/one": [1.0, 0.5, 0.0, 0.0]}
    assert logs.prompts()[0] == "Answer briefly.\n\nPassage 1 of sums.\nWhat follows?"
    assert logs.notes == ()
    assert logs.scores(logs.root / name) == {"lab/one": [1.0, 0.5, 0.0, 0.0]}


@pytest.mark.parametrize(
    ("value", "score"),
    [(True, 1.0), ("yes", 1.0), ("False", 0.0), ("0.25", 0.25), (0, 0.0), ({"right": 0.5}, 0.5), ("N", 0.0)],
)
def test_values_count_as_inspect_ai_counts_them(logs: Any, value: Any, score: float) -> None:
    put(logs, "a.eval", "lab/one", [value, value])
    assert logs.scores() == {"lab/one": [score, score]}


# -- who ran


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ({"model_args": {"revision": "v1"}}, {"model_args": {"revision": "v2"}}, ("@v1", "@v2")),
        ({"model_args": {"revision": "main"}}, {"model_args": {"revision": "v2"}}, ("", "@v2")),
        ({"model_args": {}}, {"model_args": {"load_in_4bit": True}}, ("", " (load_in_4bit=True)")),
        ({"model_generate_config": {"effort": "low"}}, {"model_generate_config": {"effort": "high"}},
         (" (effort=low)", " (effort=high)")),
        ({"model_generate_config": {"temperature": 0.0}}, {"model_generate_config": {"temperature": 1.0}},
         (" (temperature=0.0)", " (temperature=1.0)")),
        ({}, {"solver": "plan", "solver_args": {"depth": 2}}, ("", " (solver=plan depth=2)")),
        ({}, {"model_generate_config": {"system_message": "Be kind. " * 99}},
         ("", " (system_message=Be kind. Be kind. Be kind. Be ... 181c6d72)")),
    ],
)  # fmt: skip
def test_two_answers_to_who_ran_are_two_llms(logs: Any, first: Any, second: Any, names: tuple[str, str]) -> None:
    put(logs, "a.eval", "lab/m", ONE, eval=first)
    put(logs, "b.json", "lab/m", TWO, eval=second)
    assert logs.means() == {f"lab/m{names[0]}": 0.25, f"lab/m{names[1]}": 0.5}
    assert logs.notes[0].startswith("lab/m ran as 2 LLMs, told apart by their arguments: lab/m")
    with pytest.raises(DataError, match="lab/m would be two LLMs in one"):
        logs.means(name_by="model")
    with pytest.raises(DataError, match="llm_id='x' names one LLM"):
        logs.means(llm_id="x")


@pytest.mark.parametrize(
    "sending",
    [{"model_generate_config": {"max_connections": 50, "max_retries": 9}}, {"model_args": {"device": "cuda:1"}},
     {"model_base_url": "http://localhost:1/v1"}, {"model_generate_config": {"temperature": None}}],
)  # fmt: skip
def test_how_requests_are_sent_does_not_make_another_llm(logs: Any, sending: Any) -> None:
    put(logs, "a.eval", "lab/m", ONE)
    put(logs, "b.eval", "lab/m", TWO, task="words", eval=sending)
    assert set(logs.means()) == {"lab/m"}


def test_one_llm_on_one_task_in_two_folders_is_refused(logs: Any) -> None:
    put(logs, "x/a.eval", "lab/m", ONE)
    put(logs, "y/a.eval", "lab/m", TWO)
    with pytest.raises(DataError, match=r"lab/m ran sums in two folders: .*x/a\.eval and .*name_by='folder'"):
        logs.means()
    assert logs.means(name_by="folder") == {"x": 0.25, "y": 0.5}


def test_the_newest_log_that_ended_stands(logs: Any) -> None:
    put(logs, "a.eval", "lab/m", ONE, eval={"created": "2025-01-01T12:00:00+05:00"})
    put(logs, "b.eval", "lab/m", TWO, eval={"created": "2025-01-01T08:00:00+00:00"})  # an hour later
    put(logs, "c.eval", "lab/m", ["I", "I"], eval={"created": "2025-01-02T00:00:00+00:00"}, status="error")
    assert logs.means() == {"lab/m": 0.5}
    assert logs.notes == ("lab/m ran sums 3 times: the run of 2025-01-01T08:00:00+00:00 stands",)


def test_a_run_that_did_not_end_counts_and_is_said(logs: Any) -> None:
    log = inspect_log("lab/m", samples(ONE))
    start = {key: log[key] for key in ("version", "eval")}
    with zipfile.ZipFile(logs.root / "a.eval", "w") as archive:
        archive.writestr("_journal/start.json", json.dumps(start))
        for sample in log["samples"][:2]:
            archive.writestr(f"samples/{sample['id']}_epoch_1.json", json.dumps(sample))
    assert logs.scores() == {"lab/m": [1.0, 0.0]}
    assert logs.notes == ("a.eval (lab/m, sums) did not end: started, 2 samples",)


def test_a_log_without_scores_is_named_and_passed_over(logs: Any) -> None:
    put(logs, "a.eval", "lab/one", ONE)
    write_inspect(logs.root / "b.eval", inspect_log("lab/two", []))
    failed = [row | {"scores": None, "error": {"message": "no answer"}} for row in samples(ONE)]
    write_inspect(logs.root / "c.eval", inspect_log("lab/three", failed, status="error"))
    assert set(logs.means()) == {"lab/one"}
    assert any(note.endswith("b.eval holds no score: lab/two has none of sums") for note in logs.notes)
    assert any(note.endswith("c.eval holds no score: lab/three has none of sums") for note in logs.notes)


def test_an_agent_is_named_by_its_models(logs: Any) -> None:
    put(logs, "a.eval", "none/none", ONE, eval={"model_roles": {"red": {"model": "lab/b"}, "blue": {"model": "lab/a"}}})
    assert set(logs.means()) == {"lab/a + lab/b"}
    put(logs, "a.eval", "none/none", ONE)
    with pytest.raises(DataError, match="names no model; name the LLM with llm_id='NAME'"):
        logs.means()
    assert set(logs.means(llm_id="mine")) == {"mine"}


# -- which samples are one instance


def test_tasks_with_other_arguments_are_two_tasks(logs: Any) -> None:
    for subject, scores in (("anatomy", ONE), ("astronomy", TWO)):
        rows = [inspect_sample(i + 1, score, question(subject, i + 1)) for i, score in enumerate(scores)]
        write_inspect(
            logs.root / f"{subject}.eval", inspect_log("lab/m", rows, eval={"task_args": {"subject": subject}})
        )
    assert logs.imported().n_instances == 8
    assert set(logs.data.instances["task"]) == {"sums (subject=anatomy)", "sums (subject=astronomy)"}
    assert logs.notes == (
        "sums is 2 tasks, told apart by their arguments: sums (subject=anatomy), sums (subject=astronomy)",
    )


def test_ids_that_are_given_after_shuffling_are_joined_by_the_question(logs: Any) -> None:
    put(logs, "a.eval", "lab/one", ONE)
    other = [inspect_sample(5 - i, score, question("sums", i)) for i, score in zip(range(1, 5), TWO, strict=True)]
    write_inspect(logs.root / "b.eval", inspect_log("lab/two", other))
    assert logs.scores() == {"lab/one": [1, 0, 0, 0], "lab/two": [1, 1, 0, 0]}
    assert "one id is several questions in different runs (1): joined by what they ask" in logs.notes[0]


@pytest.mark.parametrize("same", [0, 1])
def test_one_id_that_is_two_questions_is_refused(logs: Any, same: int) -> None:
    put(logs, "a.eval", "lab/one", ONE)
    texts = [question("sums" if i < same else "words", i + 1) for i in range(4)]
    rows = [inspect_sample(i + 1, score, text) for i, (score, text) in enumerate(zip(TWO, texts, strict=True))]
    write_inspect(logs.root / "b.eval", inspect_log("lab/two", rows))
    with pytest.raises(DataError, match=rf"id {same + 1} of sums is two questions, .*a\.eval.*b\.eval"):
        logs.imported()


def test_shuffled_choices_are_one_question(logs: Any) -> None:
    for llm, choices in (("lab/one", ["yes", "no"]), ("lab/two", ["no", "yes"])):
        rows = [inspect_sample(1, "C", "Is it?", choices=choices, messages=[])]
        write_inspect(logs.root / f"{llm}.json", inspect_log(llm, rows))
    assert logs.imported().n_instances == 1
    assert logs.prompts() == ["Is it?\nyes\nno"]
    assert "1 instances have other prompts in other runs" in logs.notes[0]


def test_epochs_are_one_score(logs: Any) -> None:
    rows = [inspect_sample(1, score, "Is it?", epoch=epoch) for epoch, score in enumerate("CIIC", start=1)]
    write_inspect(logs.root / "a.eval", inspect_log("lab/m", rows))
    assert logs.scores() == {"lab/m": [0.5]}
    assert logs.notes == ("lab/m, sums: up to 4 answers to a question, their mean score is taken",)


def test_means_of_other_reducers_are_not_compared(logs: Any) -> None:
    rows = [inspect_sample(1, score, "Is it?", epoch=epoch) for epoch, score in enumerate("CI", start=1)]
    log = inspect_log("lab/m", rows)
    log["results"]["scores"][0] |= {"reducer": "at_least_1", "metrics": {"accuracy": {"value": 1.0}}}
    write_inspect(logs.root / "a.eval", log)
    assert logs.scores() == {"lab/m": [0.5]}


def test_a_sample_that_stands_twice_with_other_scores_is_refused(logs: Any) -> None:
    write_inspect(logs.root / "a.json", inspect_log("lab/m", [*samples(ONE), *samples(ONE)]))
    assert logs.scores() == {"lab/m": [1, 0, 0, 0]}
    assert logs.notes == ("lab/m, sums: 4 rows of a.json stand twice, taken once",)
    write_inspect(logs.root / "a.json", inspect_log("lab/m", [*samples(ONE), *samples(TWO)]))
    with pytest.raises(DataError, match=r"sample 1, and .*sample 5 are one instance with other scores"):
        logs.imported()


# -- what the score is


def test_the_first_scorer_that_all_logs_have_is_the_score(logs: Any) -> None:
    for llm, first in (("lab/one", "judge"), ("lab/two", "match")):
        rows = samples(ONE, scorer=first)
        for row in rows:
            row["scores"]["f1"] = {"value": 0.5}
        write_inspect(logs.root / f"{llm}.eval", inspect_log(llm, rows))
    assert logs.means() == {"lab/one": 0.5, "lab/two": 0.5}
    assert logs.notes == ("sums: metric f1 was taken, the samples also have judge, match (metric)",)
    with pytest.raises(DataError, match=r"metric 'judge' is not in the samples of sums; there: f1, match \(lab/two\)"):
        logs.means(metric="judge")
    (logs.root / "lab/two.eval").unlink()
    assert logs.means() == {"lab/one": 0.25}
    assert logs.notes == ("sums: metric judge was taken, the samples also have f1 (metric)",)


def test_a_scorer_with_several_values_is_chosen_by_name(logs: Any) -> None:
    put(logs, "a.eval", "lab/m", [{"strict": 1, "loose": 0.5}, {"strict": 0, "loose": 0.5}])
    assert logs.means(metric="match/strict") == {"lab/m": 0.5}
    assert logs.scores(metric="match/loose") == {"lab/m": [0.5, 0.5]}


def test_scores_that_are_missing_are_counted_aloud(logs: Any) -> None:
    rows = [*samples(["C", "I"]), inspect_sample(3, float("nan"), "three"), inspect_sample(4, "C", "four", scores=None)]
    write_inspect(logs.root / "a.eval", inspect_log("lab/m", rows))
    assert logs.imported().interactions.n_observed == 2
    assert logs.notes == ("2 scores of lab/m are NaN: left unobserved",)


def test_a_mean_that_is_not_the_published_one_is_refused(logs: Any) -> None:
    log = inspect_log("lab/m", samples(ONE))
    log["samples"].pop()
    write_inspect(logs.root / "a.eval", log)
    with pytest.raises(DataError, match=r"lab/m, sums: 3 samples have mean match 0\.3333, a\.eval says 0\.2500; "):
        logs.imported()
    assert logs.scores(check_means="false") == {"lab/m": [1, 0, 0]}


def test_samples_marked_invalid_are_left_out(logs: Any) -> None:
    rows = samples(TWO)
    rows[0]["invalidation"] = {"author": "me", "reason": "leaked"}
    write_inspect(logs.root / "a.eval", inspect_log("lab/m", rows))
    assert logs.scores() == {"lab/m": [1, 0, 0]}
    assert logs.notes == ("lab/m, sums: 1 samples are marked invalid: left out",)


def test_a_lower_is_better_scorer_is_turned_round(logs: Any) -> None:
    write_inspect(logs.root / "a.eval", inspect_log("lab/m", samples([0.25, 1.0], scorer="wer")))
    assert logs.scores() == {"lab/m": [0.75, 0.0]}
    assert logs.notes == ("sums: less wer is better, so the score is 1 - wer",)
    assert "1 - wer: sums" in logs.data.card["score"]


def test_scores_out_of_range_are_refused_with_the_option(logs: Any) -> None:
    put(logs, "a.eval", "lab/m", [3, 7])
    with pytest.raises(DataError, match=r"score 3 for .* is outside \[0, 1\]; choose another metric with metric"):
        logs.imported()


def test_costs_of_the_evaluated_model_come_in(logs: Any) -> None:
    usage = {"lab/m": {"total_cost": 0.25}, "lab/judge": {"total_cost": 9.0}}
    write_inspect(logs.root / "a.eval", inspect_log("lab/m", samples(ONE, model_usage=usage)))
    costs = logs.imported().interactions.costs
    assert costs is not None
    assert costs.data.tolist() == [0.25] * 4


# -- other versions and damage


def test_version_1_with_its_one_scorer(logs: Any) -> None:
    rows = [{"id": i, "epoch": 1, "input": f"Q{i}", "score": {"value": score}} for i, score in enumerate("CCI")]
    log = {"version": 1, "status": "success", "eval": {"task": "sums", "model": "lab/m"}, "samples": rows}
    log["results"] = {"scorer": {"name": "includes"}, "metrics": {"accuracy": {"value": 2 / 3}}}
    write_inspect(logs.root / "a.json", log)
    assert logs.scores() == {"lab/m": [1, 1, 0]}
    assert logs.data.card["score"] == "includes: sums"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda log: log.update(version=3), r"a\.json is a log of version 3; versions 1 and 2 are known"),
        (lambda log: log["eval"].pop("task"), r"a\.json does not say of which task it is a log"),
        (lambda log: log.update(samples={"a": 1}), r"samples of .*a\.json is dict, not a list"),
        (lambda log: log["samples"].append(3), r"a\.json, sample 4 is int, not an object"),
        (lambda log: log["samples"][1].pop("id"), r"id None of .*sample 1 is not a name"),
        (lambda log: log.pop("eval"), "has no log of inspect-ai"),
    ],
)
def test_what_is_wrong_is_said(logs: Any, change: Any, match: str) -> None:
    log = inspect_log("lab/m", samples(ONE))
    change(log)
    write_inspect(logs.root / "a.json", log)
    with pytest.raises(DataError, match=match):
        logs.imported()


@pytest.mark.parametrize("name", ["a.eval", "a_zstd.eval"])
@pytest.mark.parametrize(("cut", "match"), [(0.5, "cannot be read as a zip archive"), (0, "is not a zip archive")])
def test_a_damaged_archive_is_one_line(logs: Any, name: str, cut: float, match: str) -> None:
    put(logs, name, "lab/m", ONE)
    content = (logs.root / name).read_bytes()
    (logs.root / name).write_bytes(content[: int(len(content) * cut)] if cut else b"x" + content)
    with pytest.raises(DataError, match=match):
        logs.imported()


def test_a_member_whose_bytes_changed_is_refused(logs: Any) -> None:
    content = json.dumps(inspect_sample(1, "C", "Is it?")).encode()
    header = json.dumps(inspect_log("lab/m", []) | {"samples": None}).encode()
    file = logs.root / "a.eval"
    write_zstd_zip(file, {"samples/1_epoch_1.json": content, "header.json": header})
    damaged = bytearray(file.read_bytes())
    damaged[damaged.index(b"PK", 30) - 1] ^= 255  # the last byte of the sample
    file.write_bytes(damaged)
    with pytest.raises(DataError, match=r"cannot be read as a zip archive: (Bad CRC-32|.*Zstandard data)"):
        logs.imported()


def test_a_member_that_announces_too_much_is_refused(logs: Any) -> None:
    write_zstd_zip(logs.root / "a.eval", {"header.json": json.dumps(inspect_log("lab/m", samples(ONE))).encode()})
    content = (logs.root / "a.eval").read_bytes()
    size = json.dumps(inspect_log("lab/m", samples(ONE))).encode()
    (logs.root / "a.eval").write_bytes(content.replace(len(size).to_bytes(4, "little"), (2**31).to_bytes(4, "little")))
    with pytest.raises(DataError, match=r"header\.json announces 2,147,483,648 bytes"):
        logs.imported()


def test_an_archive_of_something_else_is_named(logs: Any) -> None:
    with zipfile.ZipFile(logs.root / "a.eval", "w") as archive:
        archive.writestr("word/document.xml", "x")
    with pytest.raises(DataError, match=r"a\.eval has no header\.json; is it a log of inspect-ai"):
        logs.imported()


def test_other_json_files_are_passed_over(logs: Any) -> None:
    put(logs, "a.eval", "lab/m", ONE)
    (logs.root / "eval-set.json").write_text('{"eval_set_id": "x"}', "utf8")
    assert logs.means() == {"lab/m": 0.25}
    with pytest.raises(DataError, match=r"eval-set\.json is not a log of inspect-ai"):
        logs.imported(logs.root / "eval-set.json")
