"""LiteLLM's proxy on loopback with mock answers, asked by OpenAI's client; skipped where a module of it is missing."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import recroute as rr
from recroute.offpolicy.logs import read_logs
from recroute.routers import Router, make_router
from recroute.testing import planted_dataset

openai = pytest.importorskip("openai", reason="needs the extra [litellm]")
NEEDED = ("litellm", "websockets", "orjson", "backoff", "apscheduler", "jwt", "fastapi_sso", "mcp", "prisma", "uvloop")
if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
    pytest.skip(f"LiteLLM's proxy needs {', '.join(missing)}", allow_module_level=True)

PROMPTS = ("multiply the integers number 7", "translate the sentence number 8", "compile the program 9")
PLACE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONPATH": str(Path(rr.__file__).parents[1])}
KEYS = {
    "sk-all": [],
    "sk-few": ["auto", "llm-1", "openai/llm-[25]"],
    "sk-group": ["auto"],
    "sk-broken": ["failing", "llm-0"],
}
FORGED: dict[str, Any] = {"recroute": {"models": []}, "user_id": "someone"}
AUTH = f"""
from fastapi import HTTPException
from litellm.proxy._types import UserAPIKeyAuth

async def auth(request, api_key):
    if api_key not in {KEYS}:
        raise HTTPException(401, "this key is not known")
    return UserAPIKeyAuth(api_key=api_key, models={KEYS}[api_key])
"""


def deployment(llm: str, answer: str | None = None, *, group: str = "auto") -> dict[str, Any]:
    served = {"model": f"openai/llm-{llm}", "api_key": "none", "mock_response": answer or f"llm-{llm}"}
    return {"model_name": group, "litellm_params": served}


def configuration(*deployments: dict[str, Any], **settings: Any) -> str:
    """A config.yaml, as JSON."""
    config = {
        "model_list": deployments,
        "litellm_settings": {"callbacks": "recroute.serve.proxy.hook"},
        "callback_settings": {"recroute": {"router": "router", **settings}},
        "router_settings": {"num_retries": 2, "allowed_fails": 0, "cooldown_time": 600},
        "general_settings": {"master_key": f"sk-{'0123456789abcdef' * 3}", "custom_auth": "keys.auth"},
    }
    return json.dumps(config)


class Proxy:
    """The proxy in another process."""

    def __init__(self, folder: Path, config: str) -> None:
        (folder / "config.yaml").write_text(config, "utf8")
        (folder / "keys.py").write_text(AUTH, "utf8")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with (folder / "log.txt").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    Path(sys.executable).with_name("litellm"),
                    *f"--config config.yaml --host 127.0.0.1 --port {port}".split(),
                ],
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **PLACE},
            )
        self.folder, self.url = folder, f"http://127.0.0.1:{port}"

    def wait(self) -> None:
        until = time.monotonic() + 300
        while True:
            try:
                if httpx.get(f"{self.url}/health/liveliness", timeout=60).is_success:
                    return
            except httpx.TransportError:
                pass
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self.folder / "log.txt").read_text("utf8")[-3000:])
            time.sleep(0.1)

    def ask(self, prompt: Any, key: str = "sk-all", model: str = "auto", **options: Any) -> tuple[str, dict[str, str]]:
        """The LLM that answered, which its mock answer names, and recroute's headers."""
        messages = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
        with openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0) as client:
            asked = client.chat.completions.with_raw_response.create(model=model, messages=messages, **options)
            answer = asked.parse()
            if options.get("stream"):
                text = "".join(part.choices[0].delta.content or "" for part in answer)
            else:
                text = answer.choices[0].message.content
        start = "x-recroute-"
        return text, {n.removeprefix(start): value for n, value in asked.headers.items() if n.startswith(start)}

    def feedback(self, decision_id: str, score: float, key: str = "sk-all") -> httpx.Response:
        body = {"decision_id": decision_id, "score": score}
        return httpx.post(f"{self.url}/recroute/feedback", json=body, headers={"Authorization": f"Bearer {key}"})


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Router, Path]:
    """A router for second attempts, and the folder that has it."""
    router = make_router("ridge").fit(planted_dataset())
    assert router.joint is not None
    router.save((folder := tmp_path_factory.mktemp("proxy")) / "router")
    return router, folder


@pytest.fixture(scope="module")
def router(fitted: tuple[Router, Path]) -> Router:
    return fitted[0]


@pytest.fixture(scope="module")
def proxy(fitted: tuple[Router, Path]) -> Iterator[Proxy]:
    groups = [deployment(str(llm)) for llm in range(6)]
    groups += [
        deployment("0", "litellm.RateLimitError", group="failing"),
        *(deployment(llm, group="failing") for llm in "1235"),
    ]
    running = Proxy(fitted[1], configuration(*groups, feedback="feedback", explore="epsilon:0.001", seed=0, stay=1.0))
    try:
        running.wait()
        yield running
    finally:
        running.process.terminate()
        running.process.wait(30)


def first_choice(router: Router, prompt: str, **options: Any) -> str:
    ((best,),) = router.rank([prompt], **options).names
    return best


@pytest.mark.parametrize("stream", [False, True])
def test_each_prompt_goes_to_the_llm_predicted_best_and_headers_tell_the_decision(
    proxy: Proxy, router: Router, stream: bool
) -> None:
    for prompt in PROMPTS:
        ((best, score),) = router.rank([prompt])[0]
        text, headers = proxy.ask(prompt, stream=stream)
        assert text == headers["llm-id"] == best
        assert float(headers["predicted-score"]) == pytest.approx(score, abs=1e-5)
        assert float(headers["propensity"]) > 0.99
        assert {"decision-id", "router-version"} <= headers.keys()


def test_tools_and_images_pass_and_the_text_beside_them_is_read(proxy: Proxy, router: Router) -> None:
    tool = {"type": "function", "function": {"name": "run", "parameters": {"type": "object", "properties": {}}}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    for prompt in PROMPTS:
        content = [{"type": "text", "text": prompt}, image]
        assert proxy.ask([{"role": "user", "content": content}], tools=[tool])[0] == first_choice(router, prompt)
    assert proxy.ask([{"role": "user", "content": [image]}])[0].startswith("llm-")


def test_a_key_that_lists_llms_gets_no_other(proxy: Proxy, router: Router) -> None:
    for prompt in PROMPTS:
        assert proxy.ask(prompt, key="sk-few")[0] == first_choice(router, prompt, llms=["llm-1", "llm-2", "llm-5"])
        assert proxy.ask(prompt, key="sk-group")[0] == proxy.ask(prompt)[0]
    for place in ("metadata", "litellm_metadata"):  # what a client writes there changes nothing
        body = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": PROMPTS[0]}], place: FORGED}
        for path in ("messages", "chat/completions"):
            answer = httpx.post(f"{proxy.url}/v1/{path}", json=body, headers={"Authorization": "Bearer sk-few"})
            assert answer.headers["x-recroute-llm-id"] == first_choice(
                router, PROMPTS[0], llms=["llm-1", "llm-2", "llm-5"]
            )
    with pytest.raises(openai.APIStatusError):  # the one that it lists does not answer
        proxy.ask(PROMPTS[0], key="sk-broken", model="failing")
    with pytest.raises(openai.APIStatusError, match="key"):
        proxy.ask("hello", key="sk-nobody")


def test_after_an_error_the_next_llm_answers_and_after_a_failed_check_the_likeliest(
    proxy: Proxy, router: Router
) -> None:
    prompt = PROMPTS[0]
    text, headers = proxy.ask(prompt, model="failing")
    assert text == headers["llm-id"] == first_choice(router, prompt, llms=["llm-1", "llm-2", "llm-3", "llm-5"])
    for tried in ({"llm-0": 0.0}, {"llm-0": 0, "llm-3": 0}, {"llm-0": 1.0}):
        text, headers = proxy.ask(prompt, extra_body={"metadata": {"tried": tried}})
        assert text == headers["llm-id"] == first_choice(router, prompt, tried=tried)
        assert "propensity" not in headers
    by_text = [name for name in router.rank([prompt], 6).names[0] if name not in ("llm-0", "llm-3")]
    assert by_text[0] != first_choice(router, prompt, tried={"llm-0": 0, "llm-3": 0})
    with pytest.raises(openai.BadRequestError, match="unknown llm 'nobody'"):
        proxy.ask(prompt, extra_body={"metadata": {"tried": {"nobody": 0}}})


def test_a_conversation_stays_with_its_llm(proxy: Proxy, router: Router) -> None:
    opening = f"{PROMPTS[1]} again"  # of no other test's conversation
    one, other = (first_choice(router, prompt) for prompt in (opening, PROMPTS[2]))
    first = [{"role": "user", "content": opening}]
    later = [*first, {"role": "assistant", "content": "Done."}, {"role": "user", "content": PROMPTS[2]}]
    assert [proxy.ask(messages)[0] for messages in (first, later, PROMPTS[2])] == [one, one, other]
    assert proxy.ask(later, key="sk-group")[0] == other  # this key had no such conversation
    session: dict[str, Any] = {"extra_body": {"metadata": {"session_id": "s-1"}}}
    assert [proxy.ask(prompt, **session)[0] for prompt in (PROMPTS[1], PROMPTS[2])] == [one, one]


def test_feedback_of_a_client_is_read_by_off_policy_and_refresh(proxy: Proxy) -> None:
    told = {proxy.ask(prompt)[1]["decision-id"]: score for prompt, score in zip(PROMPTS, (1, 0, 0.5), strict=True)}
    for duplicate in (False, True):
        for decision, score in told.items():
            assert proxy.feedback(decision, score).json() == {"decision_id": decision, "duplicate": duplicate}
    records = rr.read_feedback(proxy.folder / "feedback").records
    assert dict(records.select("decision_id", "score").iter_rows()) == told
    assert read_logs(proxy.folder / "feedback").propensity.min() > 0.99
    other = "0123456789abcdef"
    assert proxy.feedback(f"0-{other}", 1).status_code == 404
    refused = proxy.feedback(next(iter(told)), 1, key="sk-nobody")
    assert refused.status_code == 401
    assert "this key is not known" in refused.json()["error"]
    for path in ("llms", "metrics"):
        assert httpx.get(f"{proxy.url}/recroute/{path}").status_code == 401
    assert httpx.get(f"{proxy.url}/recroute/healthz").json()["status"] == "ok"


def test_the_hook_outside_the_proxy_says_what_to_use_instead() -> None:
    code = "from recroute.serve.proxy import hook"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **PLACE})
    assert found.returncode != 0
    assert found.stderr.strip().splitlines()[-1].startswith("recroute: this hook is for LiteLLM's proxy; in Python use")


def test_a_deployment_of_an_unknown_llm_is_refused_when_the_proxy_starts(
    fitted: tuple[Router, Path], tmp_path: Path
) -> None:
    (tmp_path / "router").symlink_to(fitted[1] / "router")
    proxy = Proxy(tmp_path, configuration(deployment("0"), deployment("9")))
    assert proxy.process.wait(300) != 0
    last = (tmp_path / "log.txt").read_text("utf8").strip().splitlines()[-1]
    assert last.startswith("recroute: unknown llm 'openai/llm-9' of a deployment (name its LLM in llm_of={...}")
