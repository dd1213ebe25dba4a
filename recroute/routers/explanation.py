"""What is said of one prompt: for programs, notebooks and people."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from typing import Any


@dataclass(frozen=True)
class Explanation:
    """Of one prompt; `to_dict` is ready for JSON.

    Parameters
    ----------
    llms : list of dict
        The k best, best first: `llm_id, predicted_score, ci_low, ci_high`, a 90% interval of the LLM's expected score.
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
        rows = [["LLM", "predicted score", "90% interval"]]
        rows += [[f["llm_id"], shown_score(f["predicted_score"]), interval(f)] for f in self.llms]
        html = _html_table(rows)
        if self.task is not None:
            html += f"<p>task {escape(self.task['name'])}, probability {self.task['probability']:.2f}</p>"
        if self.neighbors:
            names = [f["llm_id"] for f in self.llms]
            rows = [["nearest known prompts", "task", "similarity", *names]]
            for near in self.neighbors:
                scores = [shown_score(near["scores"][name]) for name in names]
                rows.append([snippet(near), near["task"], shown_score(near["similarity"]), *scores])
            html += _html_table(rows)
        return html


def interval(llm: dict[str, Any]) -> str:
    """Of one of `Explanation.llms`, for people."""
    return f"{llm['ci_low']:.3f} to {llm['ci_high']:.3f}"


def snippet(neighbor: dict[str, Any]) -> str:
    """Of one of `Explanation.neighbors`, for people: its text on one line, or its id where there is none."""
    return " ".join((neighbor["prompt"] or neighbor["instance_id"]).split())


def shown_score(value: float | None) -> str:
    """For people; an unobserved one is a dash."""
    return "-" if value is None else f"{value:.3f}"


def _html_table(rows: list[list[str]]) -> str:
    head, *body = rows
    lines = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
    lines += ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in body]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"
