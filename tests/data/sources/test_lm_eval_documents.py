"""Which rows are one instance, and what its prompt is."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from recroute.errors import DataError


def without_hash(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "doc_hash"} for row in rows]


# -- instances


@pytest.mark.parametrize("fake_hashes", [True, False])
def test_rows_are_joined_by_document_not_by_position(logs: Any, fake_hashes: bool) -> None:
    rows = [logs.row(i, float(i == 0)) for i in range(4)]
    if fake_hashes:  # which nothing but the log knows
        rows = [row | {"doc_hash": f"{row['doc_id']:064d}"[::-1]} for row in rows]
    logs.write("org__one", rows)
    logs.write("two", [rows[i] for i in (0, 2, 1, 3)])
    logs.write("three", without_hash(rows[::-1]))
    data = logs.imported()
    assert data.llms["llm_id"].to_list() == ["org/one", "three", "two"]
    np.testing.assert_array_equal(data.interactions.dense(), [[1, 1, 1]] + [[0, 0, 0]] * 3)
    assert data.instance_ids.ids == tuple(f"sums.{row['doc_hash'][:16]}" for row in rows)
    assert logs.notes == ()


def test_runs_that_number_documents_differently_are_joined_by_hash(logs: Any) -> None:
    rows = logs.rows([1, 0, 0])
    logs.write("a", rows)
    logs.write("b", [row | {"doc_id": 2 - row["doc_id"]} for row in rows])
    logs.write("c", without_hash([row | {"doc_id": row["doc_id"] + 7} for row in rows]))
    assert logs.scores() == {"a": [1, 0, 0], "b": [1, 0, 0], "c": [1, 0, 0]}


def test_a_document_that_the_task_has_twice_stays_two_instances(logs: Any) -> None:
    same = {"doc_hash": "f" * 64}
    logs.write("one", [logs.row(5, 0.0, **same), logs.row(9, 1.0, **same)])
    logs.write("two", [logs.row(9, 1.0, **same), logs.row(5, 0.0, **same)])
    logs.write("three", [logs.row(9, 1.0, **same)])
    np.testing.assert_array_equal(logs.imported().interactions.dense(), [[0, np.nan, 0], [1, 1, 1]])
    assert logs.imported().instance_ids.ids == ("sums.ffffffffffffffff", "sums.ffffffffffffffff.2")


OPTIONS = ["red", "green", "blue", "dark grey"]
SHUFFLED: dict[str, Callable[[str, list[str]], dict[str, Any]]] = {
    "a list": lambda q, o: {"Question": q, "choices": o},
    "a list and the letter that is right": lambda q, o: {"q": q, "choices": o, "answer": "ABCD"[o.index("red")]},
    "a letter under any name": lambda q, o: {"q": q, "choices": o, "key": f"({'ABCD'[o.index('red')]})"},
    "a field each": lambda q, o: {"question": q, **{f"choice{i}": option for i, option in enumerate(o)}},
    "within the text": lambda q, o: {"input": f"{q} Options: " + " ".join(f"({i}) {x}" for i, x in enumerate(o))},
    "labelled": lambda q, o: {"q": q, "choices": {"text": o, "label": list("ABCD")}, "gold_index": o.index("red")},
    "by letter": lambda q, o: {"q": q, "options": dict(zip("ABCD", o, strict=True)), "target": o.index("red")},
}


@pytest.mark.parametrize("kind", SHUFFLED)
@pytest.mark.parametrize("hashed", [True, False])
def test_shuffled_options_are_one_instance(logs: Any, kind: str, hashed: bool) -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 2, (3, 8)).tolist()
    for llm, of in zip("abc", scores, strict=True):
        rows = []
        for i, score in enumerate(of):
            options = [OPTIONS[k] for k in rng.permutation(4)]
            rows.append(logs.row(i, score, doc=SHUFFLED[kind](f"Which colour has item {i}?", options)))
        logs.write(llm, rows if hashed else without_hash(rows))
    assert logs.scores() == dict(zip("abc", scores, strict=True))
    assert any("in another order in other runs: joined by doc_id and question" in note for note in logs.notes)


def test_other_documents_under_one_number_are_not_taken_for_shuffled_ones(logs: Any) -> None:
    for llm, shift in (("a", 0), ("b", 3)):
        logs.write(llm, [logs.row(i, 1, doc={"question": f"What is {i + shift} plus 5?"}) for i in range(4)])
    data = logs.imported()
    assert data.interactions.shape == (7, 2)
    assert "sums: 4 doc_ids are different documents in different runs (doc_id 0): kept apart" in logs.notes


def test_runs_that_swap_two_documents_of_the_same_words_keep_them_apart(logs: Any) -> None:
    docs = [{"question": "Is 12 more than 34?"}, {"question": "Is 34 more than 12?"}]
    logs.write("a", [logs.row(i, i, doc=docs[i]) for i in (0, 1)])
    logs.write("b", [logs.row(i, 1 - i, doc=docs[1 - i]) for i in (0, 1)])
    assert logs.scores() == {"a": [0, 1], "b": [0, 1]}


def test_a_field_that_a_newer_version_added_makes_no_second_instance(logs: Any) -> None:
    docs = [{"question": f"How many legs has animal {i}?", "subject": "zoo"} for i in range(3)]
    logs.write("a", [logs.row(i, 1, doc=doc) for i, doc in enumerate(docs)])
    logs.write("b", [logs.row(i, 0, doc={**doc, "source": f"page {i}"}) for i, doc in enumerate(docs)])
    assert logs.scores() == {"a": [1] * 3, "b": [0] * 3}


def test_hashes_that_begin_alike_are_two_documents(logs: Any) -> None:
    logs.write("a", [logs.row(i, i / 2, doc_hash=f"document-hash-number-{i}") for i in range(3)])
    assert logs.imported().instance_ids.ids == tuple(f"sums.document-hash-number-{i}" for i in range(3))


def test_rows_with_nothing_but_a_number_are_joined_by_it(logs: Any) -> None:
    rows = logs.rows([1, 0])
    bare = [{**row, "acc": 1.0} for row in without_hash([{**row, "doc": None} for row in rows])]
    logs.write("bare", bare)
    assert logs.imported().instance_ids.ids == ("sums.0", "sums.1")
    logs.write("full", rows)
    assert logs.scores() == {"bare": [1, 1], "full": [1, 0]}
    assert all(name.startswith("sums.") and len(name) == 21 for name in logs.imported().instance_ids.ids)


def test_one_number_with_two_questions_is_refused_within_a_task_only(logs: Any) -> None:
    def bare(topic: str) -> list[dict[str, Any]]:
        return [
            {"doc_id": i, "arguments": [[f"Explain {topic} to pupil {topic}{i} in short", "A"]], "acc": 1.0}
            for i in range(3)
        ]

    logs.write("a", bare("anatomy"), task="anatomy")
    logs.write("b", bare("astronomy"), task="astronomy")
    assert logs.imported().n_instances == 6
    logs.write("c", [{**row, "arguments": [["Name one red fruit"]]} for row in bare("x")], task="anatomy")
    with pytest.raises(DataError, match=r"doc_id 0 of anatomy is two questions, .*a/samples_.*, and .*c/samples_"):
        logs.imported()


def test_a_number_without_hash_that_is_two_documents_is_refused(logs: Any) -> None:
    for llm, topic in (("a", "rivers"), ("b", "mountains")):
        logs.write(llm, without_hash([logs.row(0, 1, doc={"question": f"Name three {topic}, please"})]))
    with pytest.raises(DataError, match=r"sums\.0 is two documents, .*a/samples.*, and .*b/samples.* no doc_hash"):
        logs.imported()


def test_a_row_that_nothing_identifies_is_refused(logs: Any) -> None:
    logs.write("a", [{"acc": 1.0}])
    with pytest.raises(DataError, match=r"line 1 has neither doc_hash nor doc_id"):
        logs.imported()


# -- prompts

STORY, ASK = "A long story about town {}.", "Who is the thief in the end?"


def reading(logs: Any, arguments: Any, **doc: Any) -> list[dict[str, Any]]:
    docs = [{"narrative": STORY.format(i), "question": ASK, **doc} for i in range(3)]
    return [logs.row(i, 1, doc=d, arguments=arguments and arguments(d)) for i, d in enumerate(docs)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (lambda d: {"gen_args_0": {"arg_0": f"{d['narrative']}\n{d['question']}", "arg_1": {}}}, STORY + "\n" + ASK),
        (lambda d: [[f"Read: {d['narrative']} {d['question']}", " yes"]] * 2, f"Read: {STORY} {ASK}"),
        (lambda d: [[f'[{{"role": "system", "content": "s"}}, {{"role": "user", "content": "{d["narrative"]}"}}]', {}]],
         STORY),
        (lambda d: {"gen_args_0": {"arg_0": [{"role": "user", "content": [{"type": "text", "text": d["narrative"]}]}]}},
         STORY),
        (None, f"{STORY}\n{ASK}\nno\nyes"),
        (lambda d: {"gen_args_0": {"arg_0": "", "arg_1": " a"}, "gen_args_1": {"arg_0": "", "arg_1": " b"}},
         f"{STORY}\n{ASK}\nno\nyes"),
        (lambda d: [], f"{STORY}\n{ASK}\nno\nyes"),
    ],
)  # fmt: skip
def test_a_prompt_is_what_was_asked_else_all_text_of_the_document(logs: Any, arguments: Any, expected: str) -> None:
    logs.write("a", reading(logs, arguments, choices=["no", "yes"], answer="yes", label=1, id="r7"))
    assert logs.imported().prompts == [expected.format(i) for i in range(3)]


def test_nested_text_is_part_of_the_prompt_and_a_document_of_answers_is_not_empty(logs: Any) -> None:
    docs = [{"passage": {"title": "T", "text": f"Text {i}"}, "query": "Why?"} for i in range(2)]
    logs.write("a", [logs.row(i, 1, doc=doc, arguments=None) for i, doc in enumerate(docs)])
    assert logs.imported().prompts == ["T\nText 0\nWhy?", "T\nText 1\nWhy?"]
    logs.write("a", [logs.row(i, 1, doc={"correct_sentence": f"It is {i}."}, arguments=None) for i in range(2)])
    assert logs.imported().prompts == ["It is 0.", "It is 1."]


@pytest.mark.parametrize("shots", [{"n-shot": {"sums": 2}}, {"configs": {"sums": {"num_fewshot": 2}}}])
def test_few_shot_examples_are_no_part_of_the_prompt(logs: Any, shots: dict[str, Any]) -> None:
    rows = []
    for i in range(3):
        examples = "".join(f"Question: What is {k} plus {k}?\nAnswer: {2 * k}\n\n" for k in (i + 1, i + 2))
        doc = {"question": f"What is {i} plus {9 * i}?"}
        asked = f"Do the sums.\n\n{examples}Question: {doc['question']}\nAnswer:"
        rows.append(logs.row(i, 1, doc=doc, arguments=[[asked, {}]]))
    logs.write("a", rows, results={"model_name": "a", **shots})
    assert logs.imported().prompts == [f"Question: What is {i} plus {9 * i}?\nAnswer:" for i in range(3)]


def test_one_prompt_stands_where_runs_asked_in_different_words(logs: Any) -> None:
    rows = logs.rows([1, 0])
    logs.write("a", rows)
    logs.write("b", [row | {"arguments": [["<user> " + row["doc"]["question"]]]} for row in rows])
    assert logs.imported().prompts == ["Q: What is 0 plus 0?", "Q: What is 1 plus 7?"]
    assert any(note.startswith("sums: 2 documents have other prompts in other runs") for note in logs.notes)


def test_a_passage_that_was_dropped_is_noted(logs: Any) -> None:
    logs.write("a", reading(logs, lambda doc: [[doc["question"]]]))
    logs.write("b", reading(logs, lambda doc: [[doc["question"]]]))
    logs.imported()
    assert logs.notes[-1].startswith("3 of 3 instances have the prompt of another one of their task (sums), such as ")
