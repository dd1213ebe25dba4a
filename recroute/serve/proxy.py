"""recroute in LiteLLM's proxy: one OpenAI-compatible endpoint behind which the router chooses the LLM.

In the proxy's config.yaml (`serve/config.yaml` is a complete example):

    litellm_settings:
      callbacks: recroute.serve.proxy.hook
    callback_settings:
      recroute: {router: my_router, feedback: feedback}

The settings are those of `recroute serve`, and `llm_of` and `unknown` of `RecrouteStrategy`. Each process of the proxy
has one hook. It refuses a deployment of an unknown LLM when the proxy starts, and mounts the service's paths at
/recroute, for keys of the proxy.
"""

from __future__ import annotations

import asyncio
import atexit
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from recroute.conversation import Messages, Turn
from recroute.errors import RecrouteError
from recroute.litellm import (
    METADATA,
    Deployment,
    RecrouteStrategy,
    check_deployments,
    metadata_of,
    names_of,
    session_of,
)
from recroute.serve.app import create_app
from recroute.serve.errors import ServeError, error_response
from recroute.serve.schemas import RouteRequest
from recroute.serve.service import Service
from recroute.serve.settings import ServeSettings
from recroute.util.settings import check_known

try:
    from litellm.integrations.custom_logger import CustomLogger
except ModuleNotFoundError:  # `hook` then says what is missing
    CustomLogger = object

MOUNT = "/recroute"
CHOICE = "recroute"  # field of a request's metadata, set by the hook: its key, what this allows, and the decision
RENAMED = {"router": "router_dir", "feedback": "feedback_dir"}
RENAMED_BACK = {field: name for name, field in RENAMED.items()}
NOT_HERE = ("token", "root_path", "open_metrics")  # the proxy has its own
OF_STRATEGY = ("llm_of", "unknown")


class ProxyStrategy(RecrouteStrategy):
    """Routing strategy that asks the service, so that decisions are explored, logged and counted as those of /route.

    Parameters
    ----------
    service : Service
    llms : litellm.Router
    **options
        `llm_of` and `unknown` of `RecrouteStrategy`.
    """

    def __init__(self, service: Service, llms: Any, **options: Any) -> None:
        super().__init__(service.live.current.router, llms, **options)
        self.service, self.reading = service, service.reading
        self.conversations = service.answer.conversations

    async def _able(self, *request: Any) -> Deployment | Sequence[Deployment]:
        _choice(request[-1]).pop("route", None)  # of an attempt that has failed
        return await super()._able(*request)

    def _choose(self, able: Sequence[Deployment], messages: Messages, request: Mapping[str, Any]) -> Deployment:
        from litellm import BadRequestError

        self.router = self.service.live.current.router
        try:
            return super()._choose(able, messages, request)
        except RecrouteError as error:
            raise BadRequestError(str(error), model=str(request.get("model")), llm_provider="recroute") from None

    def _best(
        self, messages: Messages, untried: Sequence[str], tried: Mapping[str, float], request: Mapping[str, Any]
    ) -> str:
        asked = RouteRequest.model_validate(
            {
                "prompt": self.reading.text(messages),
                "llms": list(untried),
                "k": len(untried),
                "tried": [{"llm": llm, "score": score} for llm, score in tried.items()] or None,
            }
        )
        choice = _choice(request)
        turn = Turn.of(messages, session_of(request), owner=str(choice.get("key")))
        loaded = self.service.live.current
        try:
            answer = self.service.answer(loaded, asked, turn)
        except ServeError:  # the disk is full, which the log says: no reason to leave a request without an answer
            return super()._best(messages, untried, tried, request)
        self.service.metrics.count_routes(answer.routes, answer.seconds)
        (route,) = answer.routes
        choice["route"] = {**route, "router_version": loaded.version}
        return str(route["llm_id"])


class RecrouteHook(CustomLogger):  # type: ignore[misc]  # a class of litellm, which need not be here
    """Callback of LiteLLM's proxy: registers the strategy, keeps to the models of a key, tells of decisions.

    Parameters
    ----------
    settings : mapping
        `callback_settings.recroute` of config.yaml.

    Raises
    ------
    RecrouteError
        If a setting is wrong, the router cannot be loaded, or a deployment of config.yaml has an unknown LLM.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        from litellm.proxy import proxy_server
        from litellm.proxy.auth.user_api_key_auth import user_api_key_auth

        super().__init__()
        served, self._options = read_settings(settings)
        app = create_app(served, auth=user_api_key_auth)
        app.add_exception_handler(proxy_server.ProxyException, _refused)
        self.service: Service = app.state.service
        self._llms: Any = None
        deployments = proxy_server.proxy_config.get_config_state().get("model_list") or []
        options = {"llm_of": {}, "unknown": "error", **self._options}
        if deployments:  # else they are in a database
            check_deployments(self.service.live.current.router, deployments, **options)
        proxy_server.app.mount(MOUNT, app)
        self._watcher = asyncio.get_running_loop().create_task(self.service.watch())

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: Any
    ) -> dict[str, Any]:
        """Register the strategy if the proxy has a new router, and note which models the key allows."""
        from litellm.proxy.proxy_server import llm_router

        if llm_router is not None and llm_router is not self._llms:
            strategy = ProxyStrategy(self.service, llm_router, **{**self._options, "unknown": "ignore"})
            llm_router.register_plugin(strategy)
            self._llms = llm_router
        for place in METADATA:
            if isinstance(data.get(place), dict):
                data[place].pop(CHOICE, None)  # a client's own says nothing about its key
        place = next((place for place in reversed(METADATA) if place in data), METADATA[0])
        lists = [user_api_key_dict.models, user_api_key_dict.team_models]
        data[place] = data.get(place) or {}
        data[place][CHOICE] = {"key": user_api_key_dict.token, "models": [list(models) for models in lists if models]}
        return data

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: list[Any],
        messages: Any,
        request_kwargs: dict[str, Any] | None = None,
        parent_otel_span: Any = None,
    ) -> list[Any]:
        """The deployments that the key allows: if it lists LLMs of the group beside the group's name, only these."""
        lists = _choice(request_kwargs).get("models")
        group = self._llms.registry().deployments(model_name=model) or [] if lists else []
        for patterns in lists or []:
            if any(_listed(deployment, patterns, model) for deployment in group):
                healthy_deployments = [each for each in healthy_deployments if _listed(each, patterns, model)]
        return healthy_deployments

    async def async_post_call_response_headers_hook(
        self,
        data: dict[str, Any],
        user_api_key_dict: Any,
        response: Any,
        request_headers: dict[str, str] | None = None,
        litellm_call_info: dict[str, Any] | None = None,
    ) -> dict[str, str] | None:
        """The decision as headers of the response."""
        route = _choice(data).get("route")
        if route is None:
            return None
        told = {name: route.get(name) for name in ("decision_id", "llm_id", "propensity", "router_version")}
        told |= {name: value for name, value in route["llms"][0].items() if name.startswith("predicted")}
        told["reference_cost"] = route.get("reference", {}).get("predicted_cost")
        shown = {name: quote(str(value), safe="/:@ ") for name, value in told.items() if value is not None}
        return {f"x-recroute-{name.replace('_', '-')}": value for name, value in shown.items()}


def read_settings(given: Any) -> tuple[ServeSettings, dict[str, Any]]:
    """Settings of the service and of the strategy; RecrouteError if one is unknown or wrong, or there is no router."""
    place = "callback_settings.recroute of config.yaml"
    if not isinstance(given, Mapping) or not given.get("router"):
        raise RecrouteError(f"{place} names no router; add {{router: FOLDER}}")
    names = {RENAMED_BACK.get(f.name, f.name): f.name for f in fields(ServeSettings) if f.name not in NOT_HERE}
    check_known(map(str, given), [*names, *OF_STRATEGY], place)
    of_service = {names[name]: value for name, value in given.items() if name in names}
    folders = {name: Path(of_service[name]) for name in RENAMED.values() if isinstance(of_service.get(name), str)}
    of_strategy = {name: given[name] for name in OF_STRATEGY if name in given}
    if not isinstance(of_strategy.get("llm_of", {}), Mapping):
        raise RecrouteError(f"llm_of of {place} is {given['llm_of']!r}; give LLM ids by deployment, as {{NAME: LLM}}")
    return ServeSettings(**{**of_service, **folders}), of_strategy


def _choice(request: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the hook and the strategy keep in the metadata of a request."""
    choice = metadata_of(request or {}, CHOICE)
    return choice if isinstance(choice, dict) else {}


def _listed(deployment: Deployment, patterns: Sequence[str], group: str) -> bool:
    """Whether a key's list names this deployment, other than by the group; entries may be patterns such as openai/*."""
    return any(fnmatchcase(name, p) for name in names_of(deployment) if name != group for p in patterns if p != group)


async def _refused(request: Any, error: Any) -> Any:
    """What the proxy says of a key that is not valid, in the service's form."""
    status = int(error.code) if str(error.code).isdecimal() else 401
    return error_response(ServeError(status, str(error.message)))


@cache
def _hook() -> RecrouteHook:
    """The hook of this process; the reason why there is none is also the last line of the proxy that does not start."""
    try:
        if CustomLogger is object:
            raise RecrouteError("this hook needs litellm; install it with: pip install 'recroute[litellm]'")
        try:
            asyncio.get_running_loop()  # the proxy loads its callbacks in one
        except RuntimeError:
            reason = "this hook is for LiteLLM's proxy; in Python use recroute.litellm.RecrouteStrategy"
            raise RecrouteError(reason) from None
        import litellm

        return RecrouteHook(litellm.callback_settings.get("recroute") or {})
    except RecrouteError as error:
        atexit.register(print, f"\nrecroute: {error}", file=sys.stderr)
        raise


def __getattr__(name: str) -> Any:
    if name != "hook":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _hook()
