"""Requests and responses, for validation and for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from recroute.conversation import Reading, Turn
from recroute.serve.decisions import ID

MAX_ITEMS = 100_000  # of a list; the settings' own limits are checked later


def _readable(text: str) -> str:
    try:
        text.encode("utf8")
    except UnicodeEncodeError:
        raise ValueError("the text has a lone surrogate, which is not a character; send valid Unicode") from None
    return text


Text = Annotated[str, AfterValidator(_readable)]
LLMId = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_readable)]
Texts = Annotated[list[Text], Field(min_length=1, max_length=MAX_ITEMS, fail_fast=True)]
LLMIds = Annotated[list[LLMId], Field(min_length=1, max_length=MAX_ITEMS, fail_fast=True)]


class Request(BaseModel):
    """Base class of requests; validation stops at the first error, because 10^6 errors take half a minute."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _one_unknown_key(cls, given: Any) -> Any:
        unknown = next((n for n in given if n not in cls.model_fields), None) if isinstance(given, dict) else None
        if unknown is None:
            return given
        return {name: given[name] for name in (*cls.model_fields, unknown) if name in given}


class TriedLLM(Request):
    """An LLM that has answered the prompt already."""

    llm: LLMId
    score: float = Field(ge=0, le=1, description="Score of its answer, 0 to 1; an error of a provider is not a score.")


class Message(BaseModel):
    """A message in OpenAI's form; what is not listed here is ignored."""

    model_config = ConfigDict(strict=True)
    role: str = Field(description="Messages of the roles system, developer, user and assistant are read.")
    content: str | list[dict[str, Any]] | None = Field(None, description="A text, or parts of which some have a text.")


class RouteRequest(Request):
    """Prompts to route, or the messages of a conversation, and the LLMs to choose from."""

    prompt: Text | Texts | None = Field(
        None, description="One prompt or a list of prompts.", examples=["What is 12 times 13?"]
    )
    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_ITEMS, fail_fast=True)] | None = Field(
        None,
        description="Instead of a prompt: a conversation in OpenAI's form, of which the server reads what its "
        "--conversation says. Messages without text are passed over, and a text that is too long is read without its "
        "middle.",
        examples=[None],
    )
    conversation_id: LLMId | None = Field(
        None,
        description="Id of the conversation, for servers that stay with its LLM (--stay). Default: a digest of the "
        "messages up to the first of the user.",
        examples=[None],
    )
    k: int = Field(1, ge=1, le=10_000, description="Number of LLMs to return for each prompt, best first.")
    llms: LLMIds | None = Field(
        None, description="Choose among these LLMs only (default: all, see GET /llms).", examples=[None]
    )
    budget: float | None = Field(
        None,
        ge=0,
        description="Maximum mean cost of 1,000 prompts, for routers fitted with a budget or a quality.",
        examples=[None],
    )
    tried: list[TriedLLM] | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="LLMs that have answered these prompts already, with their scores. The other LLMs are ranked by "
        "their expected scores given these. For routers fitted with --attempts.",
        examples=[None],
    )
    explain: bool = Field(
        False,
        description="Add the nearest training prompts with the LLMs' scores, the predicted task, and an interval of "
        "each predicted score.",
    )

    @model_validator(mode="after")
    def _prompt_or_messages(self) -> RouteRequest:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give either a prompt or messages")
        if self.conversation_id is not None and isinstance(self.prompt, list):
            raise ValueError("conversation_id goes with messages or one prompt, not with a list")
        return self

    @property
    def prompts(self) -> list[str]:
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt or []

    @property
    def turn(self) -> Turn:
        """Which conversation the request continues."""
        return Turn.of(self._messages, self.conversation_id)

    def as_prompt(self, reading: Reading) -> RouteRequest:
        """The request with the text of its messages as the prompt."""
        return self if self.messages is None else self.model_copy(update={"prompt": reading.text(self._messages)})

    @property
    def _messages(self) -> list[dict[str, Any]]:
        return [vars(message) for message in self.messages or []]


class Candidate(BaseModel):
    llm_id: str
    predicted_score: float = Field(
        description="Expected score of the LLM on the prompt; a linear model may go a little beyond 0 and 1."
    )
    predicted_cost: float | None = Field(None, description="Expected cost of the answer, for routers that weigh cost.")


class Routed(BaseModel):
    decision_id: str | None = Field(None, description="For POST /feedback; absent if the server keeps no feedback.")
    llm_id: str = Field(description="The chosen LLM.")
    llms: list[Candidate] = Field(description="The k LLMs, the chosen one first.")
    reference: Candidate | None = Field(
        None,
        description="LLM that would answer all prompts without a router (--reference, or the best one on average), to "
        "compare predicted costs; for routers that weigh cost.",
    )
    propensity: float | None = Field(
        None, description="Probability with which the LLM was chosen, if the server explores."
    )
    explanation: dict[str, Any] | None = Field(None, description="If requested by `explain`.")


class RouteResponse(BaseModel):
    router_version: str = Field(description="Router that answered: start of the SHA-256 of its router.json.")
    routes: list[Routed] = Field(description="One for each prompt, in the order of the request.")


class Preference(Request):
    """Comparison of the answers of two LLMs to the routed prompt."""

    llm_a: LLMId
    llm_b: LLMId
    outcome: Literal["win", "tie", "loss"] = Field(description="Of llm_a.")


class FeedbackRequest(Request):
    """Feedback on a decision: either a score or a preference."""

    decision_id: str = Field(
        pattern=f"^{ID}$", description="From POST /route.", examples=["5f3a9c.1-0-0123456789abcdef"]
    )
    score: float | None = Field(None, ge=0, le=1, description="Quality of the answer.", examples=[1.0])
    llm_id: LLMId | None = Field(
        None,
        description="LLM that gave the answer, one of those recommended (default: the chosen one).",
        examples=[None],
    )
    cost: float | None = Field(None, ge=0, description="Cost of the answer, in the records' unit.", examples=[None])
    preference: Preference | None = Field(None, description="Instead of a score.", examples=[None])

    @model_validator(mode="after")
    def _one_of_both(self) -> FeedbackRequest:
        if (self.score is None) == (self.preference is None):
            raise ValueError("give either a score or a preference")
        if self.preference is not None:
            if self.llm_id is not None or self.cost is not None:
                raise ValueError("llm_id and cost go with a score, not with a preference")
            if self.preference.llm_a == self.preference.llm_b:
                raise ValueError("a preference is between two different LLMs")
        return self


class FeedbackResponse(BaseModel):
    decision_id: str
    duplicate: bool = Field(description="Whether the same feedback had been stored before.")


class Start(BaseModel):
    service: Literal["recroute"]
    docs: str = Field(description="Path of the API documentation.")
    openapi: str = Field(description="Path of the OpenAPI document.")


class LLM(BaseModel):
    llm_id: str
    train_mean: float | None = Field(description="Mean score on the training prompts.")


class LLMsResponse(BaseModel):
    router_version: str
    router: str = Field(description="Name and hyperparameters.")
    llms: list[LLM]


class Health(BaseModel):
    status: Literal["ok", "stale"] = Field(
        description="stale: the folder has changed and cannot be loaded; the previous router is in use."
    )
    router_version: str
    loaded_at: str
    n_llms: int
    worker: str = Field(
        description="Name of the process that answers, which its decision ids start with.", examples=["5f3a9c.1"]
    )
    reload_error: str | None = Field(description="Why the folder cannot be loaded.")


class ReloadResponse(BaseModel):
    router_version: str
    changed: bool = Field(description="Whether another router is in use now.")


class Error(BaseModel):
    error: str = Field(description="One line that names the problem and the fix.")
    detail: str = Field(description="The same line, for clients that expect this key.")
