"""Against LiteLLM's mock responses, without a network; skipped where litellm is not installed."""

from __future__ import annotations

import asyncio
import inspect
import os
from pathlib import Path
from typing import Any

import pytest

from recroute.conversation import Reading
from recroute.data import Dataset
from recroute.errors import DataError, RouterError, UnknownNameError
from recroute.litellm import RecrouteStrategy, messages_of
from recroute.routers import Router, make_router
from recroute.testing import twins_dataset

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no look at the network for prices
litellm = pytest.importorskip("litellm", reason="needs the extra [litellm]")
pytestmark = pytest.mark.filterwarnings(r"ignore:Items? .* on TypedDict class:UserWarning")  # Pydantic, of LiteLLM's

# planted: LLM l solves the prompts of kind l % 3, and no other
PROMPTS = {"0": "multiply the integers number 7", "1": "translate the sentence number 8", "2": "compile the program 9"}


@pytest.fixture(scope="module")
def fitted(planted: Dataset) -> Router:
    return make_router("ridge").fit(planted.take_llms([0, 1, 2]))


def deployment(llm: str, answer: Any = None, *, group: str = "auto", **params: Any) -> dict[str, Any]:
    served = {"model": f"openai/llm-{llm}", "api_key": "none", "mock_response": answer or llm}
    return {"model_name": group, "litellm_params": served | params}


def pool(*deployments: dict[str, Any], **options: Any) -> Any:
    return litellm.Router(model_list=list(deployments), num_retries=0, **options)


def with_strategy(router: Router | Path, llms: Any, **options: Any) -> Any:
    llms.register_plugin(RecrouteStrategy(router, llms, **options))
    return llms


def ask(llms: Any, prompt: str, model: str = "auto", **options: Any) -> str:
    answer = llms.completion(model, messages=[{"role": "user", "content": prompt}], **options)
    if options.get("stream"):
        return "".join(part.choices[0].delta.content or "" for part in answer)
    return str(answer.choices[0].message.content)


def test_each_kind_of_prompt_goes_to_the_llm_that_solves_it(fitted: Router, tmp_path: Path) -> None:
    fitted.save(tmp_path / "router")
    llms = with_strategy(tmp_path / "router", pool(*(deployment(llm) for llm in PROMPTS)))
    assert {llm: ask(llms, prompt) for llm, prompt in PROMPTS.items()} == {llm: llm for llm in PROMPTS}
    assert {llm: ask(llms, prompt, stream=True) for llm, prompt in PROMPTS.items()} == {llm: llm for llm in PROMPTS}


def test_async_requests_go_the_same_way(fitted: Router) -> None:
    llms = with_strategy(fitted, pool(*(deployment(llm) for llm in PROMPTS)))

    async def ask_all() -> list[str]:
        asked = [llms.acompletion("auto", messages=[{"role": "user", "content": p}]) for p in PROMPTS.values()]
        answers = [answer.choices[0].message.content for answer in await asyncio.gather(*asked)]
        message = [{"role": "user", "content": PROMPTS["2"]}]
        parts = [part async for part in await llms.acompletion("auto", messages=message, stream=True)]
        inside = ask(llms, PROMPTS["1"])  # a sync request while the loop runs
        return [*answers, "".join(part.choices[0].delta.content or "" for part in parts), inside]

    assert asyncio.run(ask_all()) == ["0", "1", "2", "2", "1"]


def test_a_first_choice_that_fails_cools_down_and_the_second_answers(fitted: Router) -> None:
    failing = deployment("0", "litellm.RateLimitError")
    llms = with_strategy(fitted, pool(failing, deployment("1"), allowed_fails=0, cooldown_time=600))
    with pytest.raises(litellm.RateLimitError):
        ask(llms, PROMPTS["0"])
    assert ask(llms, PROMPTS["0"]) == "1"
    assert ask(llms, PROMPTS["1"]) == "1"


@pytest.mark.parametrize("sync", [True, False])
def test_a_retry_asks_the_second_choice(fitted: Router, sync: bool) -> None:
    llms = pool(deployment("0", "litellm.RateLimitError"), deployment("1"), allowed_fails=0, cooldown_time=600)
    with_strategy(fitted, llms)
    request = {"model": "auto", "messages": [{"role": "user", "content": PROMPTS["0"]}], "num_retries": 2}
    answer = llms.completion(**request) if sync else asyncio.run(llms.acompletion(**request))
    assert answer.choices[0].message.content == "1"


def test_where_all_cool_down_litellm_raises_and_falls_back(fitted: Router) -> None:
    failing = [deployment(llm, "litellm.RateLimitError") for llm in "01"]
    llms = with_strategy(fitted, pool(*failing, allowed_fails=0, cooldown_time=600))
    for _ in failing:
        with pytest.raises(litellm.RateLimitError):
            ask(llms, PROMPTS["0"])
    with pytest.raises(ValueError, match="No deployments available"):
        ask(llms, PROMPTS["0"])
    spare = deployment("9", "spare", group="spare")
    llms = pool(*failing, spare, allowed_fails=0, cooldown_time=600, fallbacks=[{"auto": ["spare"]}])
    with_strategy(fitted, llms, unknown="ignore")
    assert [ask(llms, PROMPTS["0"]) for _ in range(4)] == ["spare"] * 4


TWINS = ("twin-1", "twin-2", "rival", "weak")


@pytest.fixture(scope="module")
def attempts() -> Router:
    """By text the order is that of TWINS; after a failure of twin-1 the best LLM is rival."""
    router = make_router("best_single").fit(twins_dataset())
    assert router.joint is not None
    return router


def twins(*llms: str, **answers: Any) -> Any:
    served = [deployment(llm, answers.get(llm.replace("-", "_"), llm), model=f"openai/{llm}") for llm in llms]
    return pool(*served, allowed_fails=0, cooldown_time=600)


def test_a_failed_check_decides_by_the_posterior_and_an_error_of_a_provider_does_not(attempts: Router) -> None:
    assert ask(with_strategy(attempts, twins(*TWINS)), "alpha") == "twin-1"
    llms = with_strategy(attempts, twins(*TWINS, twin_1="litellm.RateLimitError"))
    assert ask(llms, "alpha", num_retries=2) == "twin-2"
    llms = with_strategy(attempts, twins(*TWINS))
    assert ask(llms, "alpha", metadata={"tried": {"twin-1": 0}}) == "rival"
    assert ask(llms, "alpha", metadata={"tried": {"twin-1": 1.0}}) == "twin-2"
    assert ask(llms, "alpha", metadata={"tried": {"twin-1": 0, "rival": 0}}) == "twin-2"
    assert ask(llms, "alpha", metadata={"tried": {}}) == "twin-1"


def test_both_at_once_leave_out_the_llm_with_the_error_and_rank_the_others_by_the_posterior(attempts: Router) -> None:
    llms = with_strategy(attempts, twins(*TWINS, rival="litellm.RateLimitError"))
    assert ask(llms, "alpha", metadata={"tried": {"twin-1": 0}}, num_retries=2) == "twin-2"
    spare = deployment("9", "spare", group="spare") | {"model_info": {"base_model": "rival"}}
    failing = deployment("0", "litellm.RateLimitError", model="openai/twin-2")
    llms = pool(failing, spare, allowed_fails=0, cooldown_time=600, fallbacks=[{"auto": ["spare"]}])
    with_strategy(attempts, llms)
    assert ask(llms, "alpha", metadata={"tried": {"twin-1": 0}}) == "spare"


@pytest.mark.parametrize("stream", [True, False])
def test_feedback_names_the_llm_of_an_answer(attempts: Router, stream: bool) -> None:
    llms = twins(*TWINS)
    llms.register_plugin(strategy := RecrouteStrategy(attempts, llms))
    asked: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": "alpha"}], "stream": stream}

    async def feedback(tried: dict[str, float]) -> dict[str, float]:
        return strategy.feedback(await llms.acompletion(**asked, metadata={"tried": tried}), 0)

    tried: dict[str, float] = {}
    for llm in ("twin-1", "rival"):
        before = strategy.feedback(llms.completion(**asked, metadata={"tried": tried}), 0.5)
        assert before == {llm: 0.5}
        tried |= asyncio.run(feedback(tried))
        assert tried[llm] == 0
    assert list(tried) == ["twin-1", "rival"]


def test_a_judge_that_errs_counts_for_less(attempts: Router) -> None:
    tried: dict[str, Any] = {"metadata": {"tried": {"twin-1": 0}}}
    for verifier, llm in (("noisy:.95,.95", "rival"), ("noisy:.5,.55", "twin-2")):
        assert ask(with_strategy(attempts, twins(*TWINS), verifier=verifier), "alpha", **tried) == llm


def test_where_all_were_tried_an_unknown_llm_or_the_best_of_them_answers(attempts: Router) -> None:
    tried: dict[str, Any] = {"metadata": {"tried": {"twin-1": 0, "twin-2": 0.5, "weak": 0.25}}}
    assert ask(with_strategy(attempts, twins("twin-1", "twin-2", "weak")), "alpha", **tried) == "twin-2"
    llms = with_strategy(attempts, twins("twin-1", "twin-2", "weak", "strange"), unknown="ignore")
    assert ask(llms, "alpha", **tried) == "strange"


WRONG: list[tuple[Any, type[Exception], str]] = [
    ({"nobody": 0}, UnknownNameError, "unknown llm 'nobody'"),
    ({"twin-1": 2}, DataError, "tried score of 'twin-1' is 2; give a number from 0 to 1"),
    ({"twin-1": None}, DataError, "is None; give a number"),
    (["twin-1"], DataError, r"tried in the metadata is \['twin-1'\]; give scores by LLM id"),
]


@pytest.mark.parametrize(("tried", "error", "message"), WRONG)
def test_what_cannot_have_been_tried_is_refused(
    attempts: Router, tried: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ask(with_strategy(attempts, twins(*TWINS)), "alpha", metadata={"tried": tried})


def test_a_router_without_attempts_and_an_answer_from_elsewhere_are_refused(fitted: Router, attempts: Router) -> None:
    llms = pool(deployment("0"), deployment("1"))
    llms.register_plugin(strategy := RecrouteStrategy(fitted, llms))
    with pytest.raises(RouterError, match=r"not fitted for second attempts; read router.joint"):
        ask(llms, PROMPTS["0"], metadata={"tried": {"llm-0": 0}})
    answer = llms.completion("auto", messages=[{"role": "user", "content": "alpha"}])
    with pytest.raises(RouterError, match="not fitted for second attempts"):
        strategy.feedback(answer, 0)
    strategy = RecrouteStrategy(attempts, twins(*TWINS))
    with pytest.raises(RouterError, match="deployment None of the answer is not known"):
        strategy.feedback("an answer", 0)
    with pytest.raises(RouterError, match=r"of the answer is not known; pass what the litellm.Router returned"):
        strategy.feedback(answer, 0)
    with pytest.raises(DataError, match="'judge' is neither exact nor noisy"):
        RecrouteStrategy(attempts, twins(*TWINS), verifier="judge")


def test_an_answer_of_an_unknown_llm_tells_nothing(attempts: Router) -> None:
    llms = pool(deployment("9"), deployment("0", model="openai/weak", group="other"))
    strategy = RecrouteStrategy(attempts, llms, unknown="ignore")
    assert strategy.feedback(llms.completion("auto", messages=[{"role": "user", "content": "alpha"}]), 0) == {}


def test_an_unknown_llm_is_taken_only_where_there_is_no_other(fitted: Router) -> None:
    llms = pool(deployment("9"), deployment("1"), deployment("9", group="other"))
    with pytest.raises(UnknownNameError, match=r"unknown llm 'openai/llm-9' of a deployment .*known: llm-0"):
        RecrouteStrategy(fitted, llms)
    with_strategy(fitted, llms, unknown="ignore")
    assert {ask(llms, PROMPTS["0"]) for _ in range(8)} == {"1"}
    assert ask(llms, PROMPTS["0"], model="other") == "9"


def test_a_deployment_that_is_asked_for_by_its_id_answers(fitted: Router) -> None:
    llms = pool(*(deployment(llm) | {"model_info": {"id": f"key-{llm}"}} for llm in PROMPTS))
    assert ask(with_strategy(fitted, llms), PROMPTS["0"], model="key-2") == "2"


def test_deployments_of_one_llm_take_turns_by_chance_and_seed(fitted: Router) -> None:
    def drawn(seed: int) -> str:
        same = [deployment("0", answer, api_key=answer) for answer in "ab"]
        llms = with_strategy(fitted, pool(*same, deployment("1")), seed=seed)
        return "".join(ask(llms, PROMPTS["0"]) for _ in range(12))

    assert set(drawn(0)) == {"a", "b"}
    assert drawn(0) == drawn(0) != drawn(1)


def test_the_llm_of_a_deployment_is_found_by_any_of_its_names(fitted: Router) -> None:
    by_base = deployment("0", model="azure/x", api_base="http://none") | {"model_info": {"base_model": "llm-0"}}
    by_group = deployment("1", model="azure/y", api_base="http://none", group="llm-1")
    by_mapping = deployment("2", model="azure/z", api_base="http://none")
    strategy = RecrouteStrategy(fitted, pool(by_base, by_group, by_mapping), llm_of={"azure/z": "llm-2"})
    assert [strategy._llm(found) for found in strategy.llms.registry().deployments()] == ["llm-0", "llm-1", "llm-2"]
    deep = deployment("0", model="openrouter/openai/llm-0")
    assert RecrouteStrategy(fitted, pool(deep))._llm(deep) == "llm-0"


def test_what_cannot_work_is_refused_at_construction(fitted: Router, planted: Dataset, tmp_path: Path) -> None:
    llms = pool(deployment("0"))
    with pytest.raises(RouterError, match="no router at"):
        RecrouteStrategy(tmp_path / "nowhere", llms)
    with pytest.raises(UnknownNameError, match=r"unknown llm 'llm-7'"):
        RecrouteStrategy(fitted, llms, llm_of={"openai/llm-0": "llm-7"})
    with pytest.raises(RouterError, match="none of 1 deployments"):
        RecrouteStrategy(fitted, pool(deployment("9")), unknown="ignore")
    with pytest.raises(UnknownNameError, match="unknown value of unknown 'skip'"):
        RecrouteStrategy(fitted, llms, unknown="skip")
    with pytest.raises(RouterError, match="cannot route a prompt"):
        RecrouteStrategy(make_router("oracle").fit(planted), llms)


def test_it_has_the_methods_that_litellm_calls() -> None:
    base = pytest.importorskip("litellm.router").CustomRoutingStrategyBase
    for name in ("get_available_deployment", "async_get_available_deployment"):
        ours, theirs = (inspect.signature(getattr(cls, name)).parameters for cls in (RecrouteStrategy, base))
        assert list(ours) == list(theirs)


TEXT, IMAGE = {"type": "text", "text": "What is"}, {"type": "image_url", "image_url": {"url": "data:"}}


@pytest.mark.parametrize(
    ("messages", "input", "prompt"),
    [
        ([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}], None, "Hi"),
        ([{"role": "user", "content": "First"}, {"role": "assistant", "content": "No"}], None, "First"),
        (
            [{"role": "user", "content": "Old"}, {"role": "user", "content": [TEXT, IMAGE, TEXT]}],
            None,
            "What is\nWhat is",
        ),
        ([{"role": "user", "content": "Look"}, {"role": "user", "content": [IMAGE]}], None, "Look"),
        ([{"role": "user", "content": None}], None, ""),
        ([], None, ""),
        (None, "Embed", "Embed"),
        (None, ["a", "b"], "a\nb"),
        (None, [[1, 2], [3]], ""),
        (None, [{"role": "user", "content": [{"type": "input_text", "text": "Respond"}]}], "Respond"),
        (None, None, ""),
    ],
)
def test_prompt_is_the_last_thing_the_user_wrote(messages: Any, input: Any, prompt: str) -> None:
    assert Reading().text(messages_of(messages, input)) == prompt


def test_a_follow_up_is_read_as_chosen(fitted: Router) -> None:
    follow_up = [{"role": "user", "content": PROMPTS["1"]}, {"role": "assistant", "content": "Done."}]
    follow_up.append({"role": "user", "content": PROMPTS["2"]})
    for conversation, llm in (("last", "2"), ("first", "1")):
        llms = with_strategy(fitted, pool(*(deployment(llm) for llm in PROMPTS)), conversation=conversation)
        assert llms.completion("auto", messages=follow_up).choices[0].message.content == llm
    with pytest.raises(DataError, match="conversation 'middle' is none of: last, first"):
        with_strategy(fitted, pool(deployment("0")), conversation="middle")


@pytest.mark.parametrize("session", [None, "s-1"])
def test_a_conversation_stays_with_its_llm_unless_another_gains_more_than_the_margin(
    fitted: Router, session: str | None
) -> None:
    first = [{"role": "user", "content": PROMPTS["1"]}]
    turns = [*first, {"role": "assistant", "content": "Done."}, {"role": "user", "content": PROMPTS["2"]}]
    metadata = {} if session is None else {"metadata": {"session_id": session}}

    def answer(llms: Any, messages: Any) -> str:
        return str(llms.completion("auto", messages=messages, **metadata).choices[0].message.content)

    for stay, llm in ((1.5, "1"), (0.0, "2")):
        llms = with_strategy(fitted, pool(*(deployment(llm) for llm in PROMPTS)), stay=stay)
        assert answer(llms, turns) == "2"  # a conversation that it has not seen
        llms = with_strategy(fitted, pool(*(deployment(llm) for llm in PROMPTS)), stay=stay)
        assert [answer(llms, first), answer(llms, turns)] == ["1", llm]


def test_a_strategy_without_a_router_of_litellm_says_what_the_proxy_needs(fitted: Router) -> None:
    with pytest.raises(RouterError, match=r"llms is None, not a litellm.Router; .* name recroute.serve.proxy.hook"):
        RecrouteStrategy(fitted, None)


def test_in_the_proxy_a_decision_that_cannot_be_written_leaves_no_request_without_an_answer(
    fitted: Router, tmp_path: Path
) -> None:
    create_app = pytest.importorskip("recroute.serve.app").create_app
    from recroute.serve import ServeSettings
    from recroute.serve.proxy import ProxyStrategy

    def full(decisions: Any) -> None:
        raise OSError(28, "No space left on device")

    fitted.save(tmp_path / "router")
    service = create_app(
        ServeSettings(router_dir=tmp_path / "router", feedback_dir=tmp_path / "feedback")
    ).state.service
    llms = pool(*(deployment(llm) for llm in PROMPTS))
    llms.register_plugin(ProxyStrategy(service, llms))
    told: dict[str, Any] = {}
    assert ask(llms, PROMPTS["1"], metadata={"recroute": told}) == "1"
    assert told["route"]["decision_id"]
    service.feedback.decisions.add = full
    assert ask(llms, PROMPTS["2"], metadata={"recroute": told}) == "2"
    assert told == {}
    service.close()
