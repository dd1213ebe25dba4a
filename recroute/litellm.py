"""recroute as the routing strategy of a `litellm.Router` (extra `[litellm]`).

LiteLLM calls the LLMs and handles retries, fallbacks and cooldowns; recroute chooses the LLM to call first:

    llms = litellm.Router(model_list=[...])  # one model_name, say "auto", for all that recroute may choose among
    llms.register_plugin(RecrouteStrategy("my_router", llms))
    llms.completion("auto", messages=[{"role": "user", "content": "What is 12 times 13?"}])

If your check of an answer fails, its score decides which LLM is asked next:

    tried = strategy.feedback(answer, 0)
    llms.completion("auto", messages=messages, metadata={"tried": tried})
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from recroute.conversation import Conversations, Messages, Reading, Turn
from recroute.data import Prompts
from recroute.errors import DataError, RouterError, UnknownNameError
from recroute.routers import Router, load_router
from recroute.routers.memory.attempts import check_learned, read_score
from recroute.routers.memory.verifier import Verifier

Deployment = Mapping[str, Any]  # an entry of LiteLLM's model_list
UNKNOWN = ("error", "ignore")
METADATA = ("metadata", "litellm_metadata")  # where LiteLLM keeps it, by the kind of request


class RecrouteStrategy:
    """Routing strategy that sends each request to a deployment of the LLM with the highest predicted score.

    It chooses among the deployments of the requested model group that LiteLLM would consider: not in cooldown, and not
    excluded by a retry, a tag or another of its checks. If the first choice fails and cools down, the next request or
    the retry goes to the second: an error of a provider says nothing about the prompt. Among several deployments of the
    chosen LLM, one is drawn at random.

    An answer that your check has scored does say something. A request whose `metadata` has `tried`, scores from 0 to 1
    by LLM id (see `feedback`), goes to the LLM with the highest expected score given these among those not tried
    (`Router.rank`). If all of them were tried, it goes to a deployment of an unknown LLM, or else to the LLM with the
    highest score. The router has to be fitted with `--attempts`.

    The router reads the text that `conversation` names. A deployment serves the LLM of the
    first of these names that the router knows: id and base model in `model_info`, `litellm_params.model` with and
    without the part before a slash, `model_name`. Deployments of unknown LLMs, such as those of a group for embeddings
    or for fallbacks, are used only if the group has no other, at random.

    An async request is routed in a thread, so the event loop is not blocked. LiteLLM's weights are ignored.

    Parameters
    ----------
    router : Router, str or Path
        A fitted router that can route raw text, or its folder.
    llms : litellm.Router
        Register the strategy there: `llms.register_plugin(RecrouteStrategy(router, llms))`.
    llm_of : mapping of str to str, optional
        The router's LLM id for names of deployments (any of those above) that differ from it.
    unknown : {"error", "ignore"}
        Whether a deployment of an unknown LLM raises an error here. Deployments added later never do.
    verifier : str
        What the scores of tried LLMs are: "exact" for scores, "noisy:TPR,TNR" for verdicts 0 or 1 of a judge with these
        rates of accepting right and rejecting wrong answers.
    seed : int
        Seed of the draws among deployments of the same LLM.
    conversation : str
        What the router reads of the messages: "last", "first", "joined" or "joined:CHARACTERS" (see
        `recroute.conversation.Reading`).
    stay : float, optional
        Stay with a conversation's LLM unless another's expected score is higher by more than this. A conversation is
        known by `session_id` in the request's metadata, or else by its messages up to the first of the user. Default:
        each request is routed by itself.

    Raises
    ------
    RouterError
        If the router's folder is damaged, the router cannot route raw text, or it knows no deployment's LLM.
    UnknownNameError
        If a deployment, or an LLM in `llm_of`, is not known to the router.
    DataError
        If the verifier or the conversation setting cannot be read.
    """

    def __init__(
        self,
        router: Router | str | Path,
        llms: Any,
        *,
        llm_of: Mapping[str, str] | None = None,
        unknown: str = "error",
        verifier: str = "exact",
        seed: int = 0,
        conversation: str = "last",
        stay: float | None = None,
    ) -> None:
        if not hasattr(llms, "register_plugin"):
            raise RouterError(
                f"llms is {llms!r}, not a litellm.Router; in LiteLLM's proxy, which makes its own, name "
                "recroute.serve.proxy.hook in the callbacks of config.yaml"
            )
        self.router = router if isinstance(router, Router) else load_router(router)
        self.llms = llms
        self.llm_of = dict(llm_of or {})
        self.verifier = verifier
        self.reading = Reading.of(conversation)
        self.conversations = None if stay is None else Conversations(stay)
        self._random = random.Random(seed)
        Verifier.of(verifier)  # raises if it cannot be read
        check_deployments(self.router, llms.registry().deployments() or [], self.llm_of, unknown)
        self.router.score([""])  # raises if it needs more than text

    async def async_get_available_deployment(
        self,
        model: str,
        messages: list[dict[str, Any]] | None = None,
        input: str | list[Any] | None = None,
        specific_deployment: bool | None = False,
        request_kwargs: dict[str, Any] | None = None,
    ) -> Deployment:
        """The deployment for a request; raises LiteLLM's error if there is none."""
        able = await self._able(model, messages, input, specific_deployment, request_kwargs)
        if isinstance(able, Mapping):
            return able
        return await asyncio.to_thread(self._choose, able, messages_of(messages, input), request_kwargs or {})

    def get_available_deployment(
        self,
        model: str,
        messages: list[dict[str, Any]] | None = None,
        input: str | list[Any] | None = None,
        specific_deployment: bool | None = False,
        request_kwargs: dict[str, Any] | None = None,
    ) -> Deployment:
        """The deployment for a request; raises LiteLLM's error if there is none."""
        with ThreadPoolExecutor(1) as thread:  # here a loop may be running already
            asked = self._able(model, messages, input, specific_deployment, request_kwargs)
            able = thread.submit(asyncio.run, asked).result()
        if isinstance(able, Mapping):
            return able
        return self._choose(able, messages_of(messages, input), request_kwargs or {})

    def feedback(self, answer: Any, score: float) -> dict[str, float]:
        """The score of an answer by LLM id, for `tried` in the metadata of the next request with the same prompt.

        Merge the results of several attempts. The result is empty if the router does not know the LLM that answered.

        Parameters
        ----------
        answer
            What `llms.completion` or another of its methods returned; a stream, too.
        score : float
            From 0 (the check failed) to 1.

        Raises
        ------
        RouterError
            If the answer is not of one of the deployments, or the router was not fitted for second attempts.
        DataError
            If the score is not a number from 0 to 1.

        Examples
        --------
        >>> tried = {}
        >>> while len(tried) < 3:  # doctest: +SKIP
        ...     answer = llms.completion("auto", messages=messages, metadata={"tried": tried})
        ...     if passes(answer):
        ...         break
        ...     tried |= strategy.feedback(answer, 0)
        """
        check_learned(self.router)
        name = (getattr(answer, "_hidden_params", None) or {}).get("model_id")
        deployment = None if name is None else self.llms.registry().deployment_dict(name)
        if deployment is None:
            raise RouterError(f"deployment {name!r} of the answer is not known; pass what the litellm.Router returned")
        llm = self._llm(deployment)
        return {} if llm is None else {llm: read_score(llm, score)}

    async def _able(
        self, model: str, messages: Any, input: Any, specific_deployment: bool | None, request_kwargs: Any
    ) -> Deployment | Sequence[Deployment]:
        """The deployments that LiteLLM would choose among, or the one that was asked for by its id."""
        return await self.llms.select(
            model,
            request_kwargs,
            kind="healthy",
            messages=messages,
            input=input,
            specific_deployment=specific_deployment,
        )

    def _choose(self, able: Sequence[Deployment], messages: Messages, request: Mapping[str, Any]) -> Deployment:
        tried = self._tried(request)
        by_llm: dict[str | None, list[Deployment]] = {}
        for deployment in able:
            by_llm.setdefault(self._llm(deployment), []).append(deployment)
        pool = sorted((llm for llm in by_llm if llm is not None), key=self.router.llm_ids_.position)
        best: str | None = None  # any deployment of an unknown LLM
        if untried := [llm for llm in pool if llm not in tried]:
            best = self._best(messages, untried, tried, request)
        elif best not in by_llm:
            best = max(pool, key=tried.__getitem__)
        return self._random.choice(by_llm[best])

    def _best(
        self, messages: Messages, untried: Sequence[str], tried: Mapping[str, float], request: Mapping[str, Any]
    ) -> str:
        """The LLM to ask among those not tried."""
        prompts = Prompts.of([self.reading.text(messages)])
        turn = Turn.of(messages, session_of(request))
        ranking = None
        if self.conversations is not None and not tried:
            ranking = self.conversations.rank(self.router, prompts, 1, untried, turn)
        if ranking is None:
            ranking = self.router.rank(prompts, llms=untried, tried=tried or None, verifier=self.verifier)
        ((best,),) = ranking.names
        if self.conversations is not None:
            self.conversations.keep(turn, best)
        return best

    def _tried(self, request: Mapping[str, Any]) -> dict[str, float]:
        """Scores by LLM id of `tried` in a request's metadata; raises as `Router.rank` does."""
        tried = metadata_of(request, "tried") or {}
        if not isinstance(tried, Mapping):
            raise DataError(f"tried in the metadata is {tried!r}; give scores by LLM id, such as {{'llm-a': 0}}")
        if tried:
            check_learned(self.router)
            self.router.llm_index([str(llm) for llm in tried])  # raises for an unknown LLM
        return {llm: read_score(llm, score) for llm, score in tried.items()}

    def _llm(self, deployment: Deployment) -> str | None:
        """The router's id of the LLM that a deployment serves."""
        return llm_of_deployment(self.router, deployment, self.llm_of)


def check_deployments(
    router: Router, deployments: Sequence[Deployment], llm_of: Mapping[str, str], unknown: str
) -> None:
    """Check that a router can choose among deployments; raises as `RecrouteStrategy` does."""
    if unknown not in UNKNOWN:
        raise UnknownNameError("value of unknown", unknown, UNKNOWN)
    router.llm_index(list(llm_of.values()) or None)  # raises for an unknown LLM
    strange = [deployment for deployment in deployments if llm_of_deployment(router, deployment, llm_of) is None]
    if strange and unknown == "error":
        where = ' of a deployment (name its LLM in llm_of={...}, or pass unknown="ignore")'
        raise UnknownNameError("llm", strange[0]["litellm_params"]["model"], router.llm_ids_, where)
    if len(strange) == len(deployments):
        raise RouterError(
            f"none of {len(deployments)} deployments is of an LLM that the router knows; name their LLMs in llm_of"
        )


def llm_of_deployment(router: Router, deployment: Deployment, llm_of: Mapping[str, str]) -> str | None:
    """The router's id of the LLM that a deployment serves; None if the router does not know it."""
    names = (llm_of.get(name, name) for name in names_of(deployment))
    return next((name for name in names if name in router.llm_ids_), None)


def messages_of(messages: Messages | None, input: str | Sequence[Any] | None = None) -> Messages:
    """The messages of a request, or its `input` as messages.

    `input` may be a text, a list of texts, or messages as in OpenAI's Responses API.

    >>> messages_of(None, ["What is 2 + 3?", "What is 3 + 4?"])
    [{'role': 'user', 'content': 'What is 2 + 3?\\nWhat is 3 + 4?'}]
    """
    turns = messages if messages is not None else [input] if isinstance(input, str) else input or []
    if turns and all(isinstance(turn, str) for turn in turns):
        return [{"role": "user", "content": "\n".join(str(turn) for turn in turns)}]
    return [turn for turn in turns if isinstance(turn, Mapping)]


def metadata_of(request: Mapping[str, Any], name: str) -> Any:
    """A field of a request's metadata, which LiteLLM keeps in either of two places; None if it is absent."""
    fields = [request.get(place) for place in METADATA]
    return next((f[name] for f in fields if isinstance(f, Mapping) and f.get(name) is not None), None)


def session_of(request: Mapping[str, Any]) -> str | None:
    """Id of the conversation that a request belongs to, if the client gave one."""
    given = metadata_of(request, "session_id") or request.get("litellm_session_id")
    return str(given) if given else None


def names_of(deployment: Deployment) -> list[str]:
    """Names of a deployment, the most specific first."""
    about, parts = deployment.get("model_info") or {}, str(deployment["litellm_params"]["model"]).split("/")
    served = ["/".join(parts[i:]) for i in range(len(parts))]
    names = [about.get("id"), about.get("base_model"), *served, deployment["model_name"]]
    return [str(name) for name in names if name]
