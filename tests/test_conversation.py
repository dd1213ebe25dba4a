"""Texts read of conversations, and memory of their LLMs. With requests: test_litellm, serve/test_conversations."""

from typing import Any

import pytest

from recroute.conversation import Conversations, Reading, Turn
from recroute.data import Prompts
from recroute.errors import DataError
from recroute.routers import Router, make_router
from recroute.testing import planted_dataset

IMAGE = {"type": "image_url", "image_url": {"url": "data:"}}


def message(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


TALK = [
    message("system", "Be brief."),
    message("user", "Fix the bug."),
    message("assistant", "Fixed."),
    message("tool", "exit 0"),
    message("user", [IMAGE, {"type": "text", "text": "Commit it."}]),
]


@pytest.mark.parametrize(
    ("reading", "text"),
    [
        ("last", "Commit it."),
        ("first", "Fix the bug."),
        ("joined", "Be brief.\n\nFix the bug.\n\nFixed.\n\nCommit it."),
    ],
)
def test_each_reading(reading: str, text: str) -> None:
    assert Reading.of(reading).text(TALK) == text


@pytest.mark.parametrize(
    "nothing", [" \n\t", "", None, 5, ["a"], [], [IMAGE], [{"type": "text"}], [{"type": "text", "text": " "}]]
)
def test_a_message_without_text_is_passed_over(nothing: Any) -> None:
    for kind in ("last", "first", "joined"):
        reading = Reading.of(kind)
        assert reading.text([*TALK, message("user", nothing)]) == reading.text(TALK)
        assert reading.text([message("user", nothing), *TALK]) == reading.text(TALK)
        assert reading.text([message("user", nothing)]) == ""


@pytest.mark.parametrize("kind", ["last", "first", "joined", "joined:100"])
def test_a_long_text_is_read_without_its_middle(kind: str) -> None:
    reading = Reading.of(kind)
    text = reading.text([message("user", "a" * 300_000 + "z" * 300_000)])
    assert len(text) in (reading.max_chars, reading.max_chars - 2)
    assert text[0] + text[-1] == "az"
    assert set(text) == {"a", "z"}


def test_joined_keeps_the_system_prompt_and_the_latest_whole_turns_that_fit() -> None:
    talk = [message("system", "s" * 200), *(message("user", letter * 30) for letter in "abc")]
    assert Reading.of("joined:100").text(talk) == "s" * 50 + "\n\n" + "c" * 30
    assert Reading.of("joined:120").text(talk) == "s" * 60 + "\n\n" + "c" * 30
    assert Reading.of("joined:130").text(talk) == "s" * 65 + "\n\n" + "b" * 30 + "\n\n" + "c" * 30
    for length in range(100, 400, 7):
        assert len(Reading.of(f"joined:{length}").text(talk)) <= length


def test_a_lone_surrogate_is_replaced() -> None:
    assert Reading().text([message("user", "a\ud800b")]) == "a?b"


@pytest.mark.parametrize(
    "wrong", ["", "middle", "last:5", "joined:", "joined:99", "joined:100001", "joined:x", "joined:-5"]
)
def test_an_unknown_reading_is_refused(wrong: str) -> None:
    with pytest.raises(DataError, match=f"conversation '{wrong}' is none of: last, first, joined, joined:CHARACTERS"):
        Reading.of(wrong)


def test_turns_of_a_conversation_are_known_by_its_first_messages_or_its_id() -> None:
    opening, later = Turn.of(TALK[:2]), Turn.of(TALK)
    assert opening.conversation == later.conversation
    assert [opening.is_first, later.is_first] == [True, False]
    others = [Turn.of([message("system", "Be long."), *TALK[1:]]), Turn.of(TALK, owner="key"), Turn.of(TALK, "id")]
    others += [Turn.of(None, "id", owner="key"), Turn.of(None, "id-2")]
    assert len({turn.conversation for turn in [later, *others]}) == 6
    assert Turn.of(TALK[:2], "id") == Turn.of(None, "id")
    assert Turn.of([]).conversation is Turn.of([TALK[0]]).conversation is Turn.of(None).conversation is None


def test_conversations_are_forgotten_by_age_and_number() -> None:
    now = [0.0]
    memory = Conversations(0.1, max_size=2, expiry=10, clock=lambda: now[0])
    a, b, c = (Turn.of(None, name) for name in "abc")
    memory.keep(a, "llm-0")
    memory.keep(b, "llm-1")
    memory.keep(a, "llm-2")
    memory.keep(c, "llm-3")
    assert [memory.llm(turn) for turn in (a, b, c)] == ["llm-2", None, "llm-3"]
    assert memory.n_conversations == 2
    now[0] = 10.0
    assert memory.llm(a) is memory.llm(c) is None
    memory.keep(Turn.of(None), "llm-0")  # of no conversation
    memory.keep(b, "llm-0")
    assert memory.n_conversations == 2  # one that is too old has gone


@pytest.fixture(scope="module")
def router() -> Router:
    return make_router("ridge").fit(planted_dataset())


def test_staying_puts_the_llm_first_and_leaves_the_others_in_order(router: Router) -> None:
    prompts = Prompts.of(["multiply the integers number 7"])
    ranking = router.rank(prompts, 6)
    names, score = ranking.names[0], dict(ranking[0])
    turn = Turn.of(None, "talk")
    for llm in names[1:]:
        gain = score[names[0]] - score[llm]
        memory = Conversations(gain + 1e-4)
        assert memory.rank(router, prompts, 3, None, turn) is None  # not known yet
        memory.keep(turn, llm)
        stayed = memory.rank(router, prompts, 6, None, turn)
        assert stayed is not None
        assert stayed.names[0] == [llm, *(name for name in names if name != llm)]
        assert dict(stayed[0]) == pytest.approx(score)
        first = memory.rank(router, prompts, 1, [names[0], llm], turn)
        assert first is not None
        assert first.names == [[llm]]
        assert memory.rank(router, prompts, 1, [names[0]], turn) is None  # not allowed
        eager = Conversations(max(0.0, gain - 1e-4))
        eager.keep(turn, llm)
        assert gain < 2e-4 or eager.rank(router, prompts, 1, None, turn) is None
