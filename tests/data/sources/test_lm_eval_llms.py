"""Who ran: no LLM is made of two, none has another's scores, none is lost without its name."""

import json
from typing import Any

import pytest

from recroute.errors import DataError

ONE, TWO, THREE = [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]


def results(scores: list[int], name: str | None = "lab/tiny", args: Any = None, **config: Any) -> dict[str, Any]:
    said: dict[str, Any] = {"results": {"sums": {"alias": "sums", "acc,none": sum(scores) / len(scores)}}}
    if name is not None:
        said["model_name"] = name
    if args is not None or config:
        said["config"] = {"model": "hf", **({} if args is None else {"model_args": args}), **config}
    return said


TINY = "pretrained=lab/tiny"


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ({"args": f"{TINY},revision=step1"}, {"args": f"{TINY},revision=step2"}, ("@step1", "@step2")),
        ({"args": f"{TINY},revision=main"}, {"args": f"{TINY},revision=step2"}, ("", "@step2")),
        ({"args": TINY}, {"args": f"{TINY},load_in_4bit=True"}, ("", " (load_in_4bit=True)")),
        ({"args": {"pretrained": "lab/tiny"}}, {"args": {"pretrained": "lab/tiny", "load_in_8bit": True}},
         ("", " (load_in_8bit=True)")),
        ({"args": TINY}, {"args": f"{TINY},peft=lab/adapter"}, ("", " (peft=lab/adapter)")),
        ({"args": f"{TINY},dtype=float16"}, {"args": f"{TINY},dtype=bfloat16"},
         (" (dtype=float16)", " (dtype=bfloat16)")),
        ({"args": TINY, "model_sha": "a" * 40}, {"args": TINY, "model_sha": "b" * 40},
         (" (model_sha=aaaaaaaa)", " (model_sha=bbbbbbbb)")),
        ({"args": TINY, "model_dtype": "torch.float16"}, {"args": TINY, "model_dtype": "torch.float32"},
         (" (model_dtype=float16)", " (model_dtype=float32)")),
        ({"args": TINY, "model_revision": "v1"}, {"args": TINY, "model_revision": "v2"}, ("@v1", "@v2")),
        ({"args": f"{TINY},revision=a,enable_thinking=True"}, {"args": f"{TINY},revision=a"},
         (" (enable_thinking=True)", "")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("flat", [True, False])
def test_two_answers_to_who_ran_are_two_llms(
    logs: Any, first: dict[str, Any], second: dict[str, Any], names: tuple[str, str], flat: bool
) -> None:
    logs.write("lab__tiny" if flat else "a/lab__tiny", logs.rows(ONE), date="2025-01-01T00-00-00.1",
               results=results(ONE, **first))  # fmt: skip
    logs.write("lab__tiny" if flat else "b/lab__tiny", logs.rows(TWO), date="2025-01-02T00-00-00.1",
               results=results(TWO, **second))  # fmt: skip
    assert logs.means() == {f"lab/tiny{names[0]}": 0.25, f"lab/tiny{names[1]}": 0.5}
    assert logs.notes[0].startswith("lab/tiny ran as 2 LLMs, told apart by their arguments: lab/tiny")


@pytest.mark.parametrize("more", ["", ",dtype=float16", ",load_in_4bit=True,trust_remote_code=True"])
def test_checkpoints_are_named_by_revision_alone(logs: Any, more: str) -> None:
    for step, scores in (("step1000", ONE), ("step50000", TWO), ("step143000", THREE)):
        args = f"{TINY},revision={step},device=cuda:{len(step)}{more}"
        logs.write(f"{step}/lab__tiny", logs.rows(scores), results=results(scores, args=args))
    assert logs.means() == {"lab/tiny@step1000": 0.25, "lab/tiny@step50000": 0.5, "lab/tiny@step143000": 0.75}
    by_folder = {"step1000/lab/tiny": 0.25, "step50000/lab/tiny": 0.5, "step143000/lab/tiny": 0.75}
    assert logs.means(name_by="folder") == by_folder
    assert set(logs.means(name_by="revision")) == {"lab/tiny@step1000", "lab/tiny@step50000", "lab/tiny@step143000"}
    with pytest.raises(DataError, match=r"lab/tiny would be two LLMs in one, lab/tiny@step1000 \(.*step143000"):
        logs.imported(name_by="model")
    with pytest.raises(DataError, match="llm_id='x' names one LLM, and these files are of lab/tiny@step1000, lab/"):
        logs.imported(llm_id="x")


def test_the_results_file_of_the_runs_own_date_says_who_ran(logs: Any) -> None:
    logs.write("", logs.rows(ONE), date="2025-01-01T00-00-00.1", results=results(ONE, "lab/alpha"))
    logs.write("", logs.rows(TWO), date="2025-01-02T00-00-00.1", results=results(TWO, "lab/beta"))
    assert logs.means() == {"lab/alpha": 0.25, "lab/beta": 0.5}
    with pytest.raises(DataError, match=r"out would be two LLMs in one, lab/alpha \(.*lab/beta"):
        logs.imported(name_by="folder")


def test_a_results_file_named_after_the_output_file_counts_too(logs: Any) -> None:
    for name, day, scores in (("alpha", 1, ONE), ("beta", 2, TWO)):
        date = f"2025-01-0{day}T00-00-00.1"
        logs.write("", logs.rows(scores), date=date)
        (logs.root / f"my_{name}_{date}.json").write_text(json.dumps(results(scores, f"lab/{name}")), "utf8")
    assert logs.means() == {"lab/alpha": 0.25, "lab/beta": 0.5}


def test_a_lost_results_file_is_not_replaced_by_another_llms(logs: Any) -> None:
    logs.write("", logs.rows(ONE), date="2025-01-01T00-00-00.1", results=results(ONE, "lab/alpha"))
    lost = logs.write("", logs.rows(TWO), task="other", date="2025-01-02T00-00-00.1")
    with pytest.raises(DataError, match=r"samples_other_.*: no results_2025-01-02T00-00-00\.1\.json .*lab/alpha"):
        logs.imported()
    assert logs.means(lost, llm_id="lab/beta") == {"lab/beta": 0.5}


def test_in_an_llms_own_folder_the_other_results_say_who_ran(logs: Any) -> None:
    logs.write("lab__tiny_v1", logs.rows(ONE), date="2025-01-01T00-00-00.1", results=results(ONE, "lab/tiny:v1"))
    logs.write("lab__tiny_v1", logs.rows(TWO), task="other", date="2025-01-02T00-00-00.1")
    with pytest.raises(DataError, match="says which LLM ran"):  # the folder is another LLM's
        logs.imported()
    (logs.root / "lab__tiny_v1").rename(logs.root / "lab__tiny__v1")
    assert set(logs.means()) == {"lab/tiny:v1"}


def test_without_any_results_the_folder_names_the_llm(logs: Any) -> None:
    logs.write("lab__tiny", logs.rows(ONE))
    assert logs.means() == {"lab/tiny": 0.25}
    assert logs.means(logs.root / "lab__tiny") == {"lab/tiny": 0.25}
    assert logs.means(llm_id="mine") == {"mine": 0.25}


@pytest.mark.parametrize("named", [True, False])
def test_one_name_from_two_folders_is_refused(logs: Any, named: bool) -> None:
    for step, scores in (("a", ONE), ("b", TWO)):
        said = results(scores, args=TINY) if named else None
        logs.write(f"{step}/lab__tiny", logs.rows(scores), results=said)
    with pytest.raises(DataError, match=r"ran sums in two folders: .*a/lab__tiny.*b/lab__tiny.*name_by='folder'"):
        logs.imported()
    assert logs.means(name_by="folder") == {"a/lab/tiny": 0.25, "b/lab/tiny": 0.5}


def test_one_llms_tasks_in_two_folders_are_joined_and_said_if_only_the_name_agrees(logs: Any) -> None:
    logs.write("a/lab__tiny", logs.rows(ONE))
    logs.write("b/lab__tiny", logs.rows(TWO), task="other")
    assert set(logs.means()) == {"lab/tiny"}
    assert "lab/tiny is one LLM by its name alone, in " in logs.notes[0]


def test_runs_that_nothing_names_are_refused_in_a_common_folder(logs: Any) -> None:
    logs.write("", logs.rows(ONE), date="2025-01-01T00-00-00.1")
    logs.write("", logs.rows(TWO), date="2025-01-02T00-00-00.1")
    with pytest.raises(DataError, match=r"may be of two LLMs: no results_<date>\.json .*llm_id='NAME'"):
        logs.imported()
    assert logs.means(llm_id="mine") == {"mine": 0.5}


def test_a_newer_run_of_the_same_llm_stands_with_a_note(logs: Any) -> None:
    logs.write("one", logs.rows(ONE), date="2025-01-01T00-00-00.1")
    logs.write("one", logs.rows(TWO), date="2025-01-02T00-00-00.1")
    assert logs.means() == {"one": 0.5}
    assert logs.notes[0] == "one ran sums 2 times: the run of 2025-01-02T00-00-00.1 stands"


def test_what_a_run_does_not_say_is_filled_in_where_one_llm_fits(logs: Any) -> None:
    known = {"args": f"{TINY},revision=v1", "model_sha": "c" * 40}
    logs.write("lab__tiny", logs.rows(ONE), date="2025-01-01T00-00-00.1", results=results(ONE, **known))
    logs.write("lab__tiny", logs.rows(TWO), task="other", date="2025-01-02T00-00-00.1", results=results(TWO))
    assert set(logs.means()) == {"lab/tiny"}
    logs.write("lab__tiny", logs.rows(TWO), date="2025-01-03T00-00-00.1",
               results=results(TWO, args=f"{TINY},revision=v2"))  # fmt: skip
    with pytest.raises(DataError, match=r"samples_other_.* which of its variants ran: lab/tiny@v1, lab/tiny@v2"):
        logs.imported()


def test_the_model_arguments_name_the_llm_where_the_file_has_no_model_name(logs: Any) -> None:
    logs.write("x", logs.rows(ONE), results=results(ONE, None, "pretrained=lab/one,dtype=auto"))
    logs.write("y", logs.rows(TWO), results=results(TWO, None, {"model": "lab/two", "base_url": "http://x/v1"}))
    assert logs.means() == {"lab/one": 0.25, "lab/two": 0.5}


def test_unknown_ways_of_naming_are_refused(logs: Any) -> None:
    logs.write("x", logs.rows(ONE))
    with pytest.raises(DataError, match="name_by='date' is none of auto, model, revision, folder"):
        logs.imported(name_by="date")


# -- early versions


def early(logs: Any, args: str, scores: list[int], task: str = "sums") -> None:
    rows = [logs.row(i, score, filter=None, metrics=None, doc_hash=None) for i, score in enumerate(scores)]
    name = args.replace("/", "__").replace("=", "__")
    (logs.root / f"{name}_{task}.jsonl").write_text(json.dumps(rows, indent=2), "utf8")


def test_early_files_are_read_where_results_name_their_task(logs: Any) -> None:
    early(logs, TINY, ONE)
    early(logs, "pretrained=lab/other,load_in_4bit=True", TWO)
    (logs.root / "results.json").write_text(
        json.dumps(results(TWO, None, "pretrained=lab/other,load_in_4bit=True")), "utf8"
    )
    assert logs.scores() == {"lab/other": TWO, "lab/tiny": ONE}


def test_early_files_of_variants_are_two_llms(logs: Any) -> None:
    early(logs, TINY, ONE)
    early(logs, f"{TINY},revision=step2", TWO)
    (logs.root / "results.json").write_text(json.dumps(results(TWO, None, f"{TINY},revision=step2")), "utf8")
    assert logs.means() == {"lab/tiny": 0.25, "lab/tiny@step2": 0.5}


def test_early_files_join_newer_ones(logs: Any) -> None:
    early(logs, TINY, ONE)
    (logs.root / "results.json").write_text(json.dumps(results(ONE, None, TINY)), "utf8")
    logs.write("lab__new", logs.rows(TWO)[::-1])
    assert logs.scores() == {"lab/new": TWO[::-1], "lab/tiny": ONE[::-1]}


def test_an_early_file_whose_task_nothing_names_says_what_it_is(logs: Any) -> None:
    early(logs, TINY, ONE)
    file = logs.root / "pretrained__lab__tiny_sums.jsonl"
    for path in (logs.root, file):
        with pytest.raises(DataError, match=r"one JSON array of samples under a name of early .*results\.json.*rename"):
            logs.imported(path)
    logs.write("lab__tiny", [])
    file.rename(logs.root / "lab__tiny" / f"samples_sums_{logs.date}.jsonl")  # as the message advises
    assert logs.means() == {"lab/tiny": 0.25}


def test_files_that_are_no_samples_are_passed_over(logs: Any) -> None:
    logs.write("x", logs.rows(ONE))
    (logs.root / "requests.jsonl").write_text('{"request": 1}\n', "utf8")
    assert logs.means() == {"x": 0.25}
    with pytest.raises(DataError, match=r"requests\.jsonl is not of the form"):
        logs.imported(logs.root / "requests.jsonl")
