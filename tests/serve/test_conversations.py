"""Messages in OpenAI's form instead of a prompt, and servers that stay with a conversation's LLM."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from recroute.serve import ServeSettings, create_app
from recroute.serve.schemas import RouteRequest
from tests.serve.conftest import MakeClient

ADD, TRANSLATE = "multiply the integers number 7", "translate the sentence number 8"
TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": ADD}, {"type": "image_url", "image_url": {"url": "data:"}}]},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]},
    {"role": "tool", "content": "exit 0", "tool_call_id": "1"},
    {"role": "user", "content": TRANSLATE},
]


def choice(client: Any, **request: Any) -> str:
    answer = client.post("/route", json=request)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["routes"][0]["llm_id"])


@pytest.mark.parametrize(
    ("conversation", "text"),
    [("last", TRANSLATE), ("first", ADD), ("joined", f"Be brief.\n\n{ADD}\n\n{TRANSLATE}")],
)
def test_messages_are_read_as_the_server_was_told(make_client: MakeClient, conversation: str, text: str) -> None:
    client = make_client(conversation=conversation)
    by_messages, by_prompt = (
        client.post("/route", json={"k": 6, **request}).json() for request in ({"messages": TALK}, {"prompt": text})
    )
    assert by_messages == by_prompt


def test_messages_without_text_are_routed_as_an_empty_prompt_is(
    make_client: MakeClient,
) -> None:
    client = make_client()
    for content in (None, "", " \n", [], [{"type": "image_url"}]):
        assert choice(client, messages=[{"role": "user", "content": content}]) == choice(client, prompt="")


def test_a_conversation_that_is_too_long_is_cut_where_a_prompt_is_refused(make_client: MakeClient) -> None:
    client = make_client(max_chars=100)
    assert client.post("/route", json={"prompt": "a" * 101}).status_code == 422
    assert choice(client, messages=[{"role": "user", "content": "a" * 101}]) == choice(client, prompt="a" * 100)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "the body: give either a prompt or messages"),
        ({"prompt": "a", "messages": TALK}, "the body: give either a prompt or messages"),
        ({"messages": []}, "messages: List should have at least 1 item"),
        ({"messages": ["hello"]}, "messages.0: Input should be"),
        ({"messages": [{"content": "a"}]}, "messages.0.role: Field required"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content: Input should be a valid string"),
        ({"prompt": ["a", "b"], "conversation_id": "c"}, "conversation_id goes with messages or one prompt"),
    ],
)
def test_what_is_not_a_conversation_is_refused_in_one_line(
    make_client: MakeClient, request_: dict[str, Any], message: str
) -> None:
    answer = make_client().post("/route", json=request_)
    assert answer.status_code == 422
    assert message in answer.json()["error"]


def test_a_server_told_to_stay_stays_by_messages_or_by_id(make_client: MakeClient) -> None:
    client = make_client(stay=1.0)
    opening, later = TALK[:2], TALK
    assert choice(client, messages=later) == choice(client, prompt=TRANSLATE) != choice(client, prompt=ADD)
    client = make_client(stay=1.0)
    first = choice(client, messages=opening)
    assert choice(client, messages=later) == first == choice(client, prompt=ADD)
    assert choice(client, messages=later, llms=["llm-1", "llm-2"]) != first  # not allowed
    assert choice(client, prompt=ADD, conversation_id="c") == choice(client, prompt=TRANSLATE, conversation_id="c")
    assert choice(client, prompt=TRANSLATE, conversation_id="d") == choice(client, prompt=TRANSLATE)


def test_requests_at_the_same_time_are_turns_of_their_own_conversations(router_dir: Path) -> None:
    service = create_app(ServeSettings(router_dir=router_dir, stay=1.0, threads=1)).state.service
    texts = [f"{ADD if i % 2 else TRANSLATE} and {i}" for i in range(40)]

    async def route(prompts: list[str]) -> list[str]:
        asked = [RouteRequest(prompt=prompt, conversation_id=text) for prompt, text in zip(prompts, texts, strict=True)]
        answers = await asyncio.gather(*map(service.route, asked))
        return [json.loads(answer)["routes"][0]["llm_id"] for answer in answers]

    first = asyncio.run(route(texts))
    assert len(set(first)) > 1
    assert asyncio.run(route([""] * len(texts))) == first
    service.close()


def test_turns_that_stay_are_not_explored(make_client: MakeClient, tmp_path: Any) -> None:
    client = make_client(stay=1.0, explore="epsilon:1", feedback_dir=tmp_path / "feedback")
    routes = [client.post("/route", json={"messages": talk}).json()["routes"][0] for talk in (TALK[:2], TALK)]
    assert ["propensity" in route for route in routes] == [True, False]
    assert routes[0]["llm_id"] == routes[1]["llm_id"]
