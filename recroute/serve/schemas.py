"""What requests and answers look like, for validation and for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

ID = r"^[0-9a-f]{1,13}-[0-9a-f]{16}$"
LONGEST = 100_000  # items of a list, before the settings' own limits are asked


def _readable(text: str) -> str:
    try:
        text.encode("utf8")
    except UnicodeEncodeError:
        raise ValueError("the text has a lone surrogate, which is no character; send valid Unicode") from None
    return text


Text = Annotated[str, AfterValidator(_readable)]
LLMId = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_readable)]
Texts = Annotated[list[Text], Field(min_length=1, max_length=LONGEST, fail_fast=True)]
LLMIds = Annotated[list[LLMId], Field(min_length=1, max_length=LONGEST, fail_fast=True)]


class Request(BaseModel):
    """What is refused at its first fault: a list of 10^6 of them takes the server half a minute."""

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
    score: float = Field(ge=0, le=1, description="Of its answer, 0 to 1; a provider's error is not a score.")


class RouteRequest(Request):
    """Prompts to route, and among what."""

    prompt: Text | Texts = Field(description="One prompt or a list of prompts.", examples=["What is 12 times 13?"])
    k: int = Field(1, ge=1, le=10_000, description="How many LLMs to name for each prompt, best first.")
    llms: LLMIds | None = Field(
        None, description="Choose among these LLMs only; default all. See GET /llms.", examples=[None]
    )
    budget: float | None = Field(
        None,
        ge=0,
        description="Mean cost of 1,000 prompts to stay within, for routers fitted with a budget or a quality.",
        examples=[None],
    )
    tried: list[TriedLLM] | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="LLMs that have answered these prompts, with their scores: the others are ranked by what that "
        "tells. For routers fitted with --attempts.",
        examples=[None],
    )
    explain: bool = Field(
        False,
        description="Add the nearest known prompts and how the LLMs did on them, the predicted task, and the "
        "predicted score with its interval.",
    )

    @property
    def prompts(self) -> list[str]:
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt


class Candidate(BaseModel):
    llm_id: str
    predicted_score: float = Field(description="What the LLM is expected to score on the prompt, 0 to 1.")
    predicted_cost: float | None = Field(None, description="Of one answer, for routers that weigh cost.")


class Routed(BaseModel):
    decision_id: str | None = Field(None, description="For POST /feedback; absent where the server keeps none.")
    llm_id: str = Field(description="The chosen LLM.")
    llms: list[Candidate] = Field(description="The k LLMs, the chosen one first.")
    propensity: float | None = Field(
        None, description="Probability with which the LLM was chosen, where the server explores."
    )
    explanation: dict[str, Any] | None = Field(None, description="Where `explain` asked for it.")


class RouteResponse(BaseModel):
    router_version: str = Field(description="Which router answered: the start of its router.json's SHA-256.")
    routes: list[Routed] = Field(description="One for each prompt, in their order.")


class Preference(Request):
    """A battle of two LLMs on the routed prompt."""

    llm_a: LLMId
    llm_b: LLMId
    outcome: Literal["win", "tie", "loss"] = Field(description="Of llm_a.")


class FeedbackRequest(Request):
    """What came of a decision: either a score or a preference."""

    decision_id: str = Field(pattern=ID, description="From POST /route.", examples=["0-0123456789abcdef"])
    score: float | None = Field(None, ge=0, le=1, description="Quality of the answer.", examples=[1.0])
    llm_id: LLMId | None = Field(
        None,
        description="Which of the named LLMs gave the answer; default the chosen one.",
        examples=[None],
    )
    cost: float | None = Field(None, ge=0, description="Of the answer, in the unit of the records.", examples=[None])
    preference: Preference | None = Field(None, description="In place of a score.", examples=[None])

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
    duplicate: bool = Field(description="Whether the same feedback was there already; it is kept once.")


class LLM(BaseModel):
    llm_id: str
    train_mean: float | None = Field(description="Mean score on the training prompts.")


class LLMsResponse(BaseModel):
    router_version: str
    router: str = Field(description="Name and hyperparameters.")
    llms: list[LLM]


class Health(BaseModel):
    status: Literal["ok", "stale"] = Field(
        description="stale: the folder holds something else that cannot be loaded, and the older router goes on."
    )
    router_version: str
    loaded_at: str
    n_llms: int
    reload_error: str | None = Field(description="Why the folder's present content is not served.")


class ReloadResponse(BaseModel):
    router_version: str
    changed: bool = Field(description="Whether another router answers now.")


class Error(BaseModel):
    error: str = Field(description="One line that names what is wrong and the mend.")
