"""An explanation on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from recroute.routers.memory.explanation import Explanation, interval, shown_score, snippet

WIDTH = 50  # of a title, in characters: about that of its table


def print_explanation(screen: Console, prompt: str, explanation: Explanation) -> None:
    """Intervals of the predicted scores, the predicted task, and how the LLMs did on the nearest known prompts."""
    shown = " ".join(prompt.split())
    title = shown if len(shown) <= WIDTH else f"{shown[: WIDTH - 1]}…"
    table = Table(title=title, title_justify="left")
    table.add_column("")
    table.add_column("LLM", overflow="fold")
    table.add_column("predicted score", justify="right")
    table.add_column("90% interval", justify="right")
    for rank, llm in enumerate(explanation.llms, 1):
        table.add_row(str(rank), llm["llm_id"], shown_score(llm["predicted_score"]), interval(llm))
    screen.print(table)
    if (task := explanation.task) is not None:
        screen.print(f"predicted task: {task['name']} (probability {task['probability']:.2f})", markup=False)
    if not explanation.neighbors:
        screen.print("the router reads no text, so no known prompt is near this one")
        return
    table = Table(title="nearest known prompts, and what LLMs 1, 2, ... scored there", title_justify="left")
    table.add_column("prompt", max_width=40, no_wrap=True)
    table.add_column("task", overflow="fold")
    table.add_column("similarity", justify="right")
    for rank in range(1, len(explanation.llms) + 1):
        table.add_column(str(rank), justify="right", no_wrap=True)
    for near in explanation.neighbors:
        scores = [shown_score(score) for score in near["scores"].values()]
        table.add_row(snippet(near), near["task"], shown_score(near["similarity"]), *scores)
    screen.print(table)
