"""What is said of one prompt: for programs, notebooks and people."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from recroute.report.document import Block, Document, Medium, Number, Table, Words, cut
from recroute.report.shown import Shown

LONGEST_TITLE, LONGEST_PROMPT = 60, 40  # characters of a prompt in a table


@dataclass(frozen=True)
class Explanation(Shown):
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

    def document(self, prompt: str = "") -> Document:
        """Intervals of the predicted scores, the predicted task, and how the LLMs did on the nearest known prompts."""
        llms = [
            [str(rank), llm["llm_id"], Number(llm["predicted_score"], llm["ci_low"], llm["ci_high"])]
            for rank, llm in enumerate(self.llms, 1)
        ]
        heads = ["", "LLM", "predicted score, 90% interval"]
        blocks: list[Block] = [Table(title=cut(prompt, LONGEST_TITLE), heads=heads, rows=llms)]
        if self.task is not None:
            task = f"predicted task: {self.task['name']} (probability {self.task['probability']:.2f})"
            blocks.append(Words(text=task, on=Medium.ALL))
        if self.neighbors:
            blocks.append(self._nearest())
        else:
            nothing = "the router reads no text, so no known prompt is near this one"
            blocks.append(Words(text=nothing, on=Medium.ALL))
        return Document(title="Explanation", blocks=blocks)

    def _nearest(self) -> Table:
        rows = [
            [
                cut(near["prompt"] or near["instance_id"], LONGEST_PROMPT),
                near["task"],
                Number(near["similarity"]),
                *map(Number, near["scores"].values()),
            ]
            for near in self.neighbors
        ]
        return Table(
            title="nearest known prompts, and what LLMs 1, 2, ... scored there",
            heads=["prompt", "task", "similarity", *(str(rank) for rank in range(1, len(self.llms) + 1))],
            rows=rows,
        )
