"""What is said of one prompt: for programs, notebooks and people."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Explanation:
    """Of one prompt; `to_dict` is ready for JSON.

    Parameters
    ----------
    llms : list of dict
        The k best, best first: `llm_id, predicted_score` (within [0, 1]), `ci_low, ci_high`, a 90% interval of the
        LLM's expected score.
    task : dict, optional
        The most likely task of the prompt: `name, probability`. None where the router reads no text or knows one task.
    neighbors : list of dict
        The nearest known prompts, nearest first: `instance_id, prompt` (its beginning, or None), `task, similarity`
        (cosine) and `scores`, what the k LLMs scored on it, None where they were not run. Empty where the router reads
        no text.
    """

    llms: list[dict[str, Any]]
    task: dict[str, Any] | None
    neighbors: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: intervals, the predicted task, and the nearest known prompts."""
        return str(import_module("recroute.report").explanation_notebook(self))


def interval(llm: dict[str, Any]) -> str:
    """Of one of `Explanation.llms`, for people."""
    return f"{llm['ci_low']:.3f} to {llm['ci_high']:.3f}"


def snippet(neighbor: dict[str, Any]) -> str:
    """Of one of `Explanation.neighbors`, for people: its text on one line, or its id where there is none."""
    return " ".join((neighbor["prompt"] or neighbor["instance_id"]).split())


def shown_score(value: float | None) -> str:
    """For people; an unobserved one is a dash."""
    return "-" if value is None else f"{value:.3f}"
