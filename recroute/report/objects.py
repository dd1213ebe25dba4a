"""Data sets, splits, routers and rankings as a notebook shows them: plain tables in the notebook's own colours."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np

from recroute.data import Dataset, llm_means
from recroute.data.means import task_means
from recroute.report.old_html_table import Number, html_table
from recroute.routers import Ranking, Router
from recroute.routers.memory.explanation import Explanation, interval, shown_score, snippet
from recroute.routers.ranking import shown
from recroute.splits import Split

MOST_TASKS = 20
MOST_PROMPTS, MOST_LLMS = 10, 5  # of a ranking
SIMULATED = "SIMULATED DATA: nothing here says anything about real LLMs."


def dataset_notebook(dataset: Dataset) -> str:
    """Shape, density, what there is beside scores, and a table of the tasks."""
    told = (
        f"{dataset.n_instances:,} instances x {dataset.n_llms:,} LLMs, {dataset.interactions.n_observed:,} records, "
        f"density {dataset.interactions.density:.3f}"
    )
    told += "".join(f"; {name}" for name in _beside_scores(dataset))
    return "\n".join([*_head(f"Dataset {dataset.name}", told, dataset), _task_table(dataset)])


def _beside_scores(dataset: Dataset) -> Iterator[str]:
    if dataset.n_preferences:
        yield f"{dataset.n_preferences:,} preferences"
    if dataset.prompts is not None:
        yield "prompts"
    if dataset.encoder is not None and dataset.embeddings is not None:
        yield f"embeddings of {dataset.embeddings.shape[1]} dimensions ({dataset.encoder.name})"
    if dataset.pools is not None:
        yield "pools"


def _task_table(dataset: Dataset) -> str:
    """Tasks by size; where there are no scores, their sizes only."""
    names, sizes = np.unique(dataset.tasks, return_counts=True)
    means = dict(zip(*task_means(dataset)[:2], strict=True)) if dataset.interactions.n_observed else {}
    order = np.argsort(-sizes, kind="stable")
    rows = [_task_row(dataset, str(names[t]), int(sizes[t]), means.get(names[t])) for t in order[:MOST_TASKS]]
    if len(order) > MOST_TASKS:
        rest = order[MOST_TASKS:]
        rows.append(_task_row(dataset, f"... {len(rest)} more tasks", int(sizes[rest].sum()), None))
    if means and len(names) > 1:
        rows.append(_task_row(dataset, "all", dataset.n_instances, llm_means(dataset)))
    heads = ["task", "instances", "mean score of all LLMs", "best LLM", "its mean score"]
    return html_table(heads, rows, sortable=False)


def _task_row(dataset: Dataset, task: str, size: int, means: Any) -> list[str | Number]:
    if means is None:
        return [task, Number(size, form=",d"), Number(None), "-", Number(None)]
    best = int(np.argmax(means))
    name = dataset.llm_ids.ids[best]
    return [task, Number(size, form=",d"), Number(float(means.mean())), name, Number(float(means[best]))]


def split_notebook(split: Split) -> str:
    """The sizes of the parts."""
    rows: list[list[str | Number]] = [
        [
            name,
            Number(part.n_instances, form=",d"),
            Number(part.interactions.n_observed, form=",d"),
            Number(len(set(part.tasks)), form="d"),
        ]
        for name, part in split.parts().items()
    ]
    told = f"{split.train.n_llms:,} LLMs; seed {split.seed}{'; ' * bool(split.note)}{split.note}"
    table = html_table(["part", "instances", "records", "tasks"], rows, sortable=False)
    return "\n".join([*_head(f"Split {split.name} of {split.train.name}", told, split.train), table])


def router_notebook(router: Router) -> str:
    """Whether it is fitted, and its settings: value, default and what each is."""
    told = f"fitted on {len(router.llm_ids_):,} LLMs" if hasattr(router, "llm_ids_") else "not fitted"
    rows = [
        [f.name, str(getattr(router, f.name)), str(f.default), f.metadata.get("help", "")] for f in router.settings()
    ]
    table = html_table(["setting", "value", "default", "what it is"], rows, sortable=False)
    return "\n".join([*_head(f"Router {router.name}", told), table])


def ranking_notebook(ranking: Ranking) -> str:
    """A row for each prompt, its LLMs by name with predicted scores; a long one is cut."""
    n, k = ranking.llm_index.shape
    n_shown = min(k, MOST_LLMS)
    rows = [
        [str(i), *(f"{name} ({shown(score)})" for name, score in ranking.row(i)[:n_shown])]
        for i in range(min(n, MOST_PROMPTS))
    ]
    told = f"the best {k:,} of {len(ranking.llm_ids):,} LLMs for each of {n:,} prompts, with their predicted scores"
    if n > MOST_PROMPTS or k > n_shown:
        told += f"; here the first {min(n, MOST_PROMPTS)} prompts and {n_shown} LLMs"
    heads = ["prompt", *(f"{place}." for place in range(1, n_shown + 1))]
    return "\n".join([*_head("Ranking", told), html_table(heads, rows, sortable=False)])


def explanation_notebook(explanation: Explanation) -> str:
    """Intervals of the predicted scores, the predicted task, and how the LLMs did on the nearest known prompts."""
    llms, task = explanation.llms, explanation.task
    rows = [[f["llm_id"], shown_score(f["predicted_score"]), interval(f)] for f in llms]
    blocks = [html_table(["LLM", "predicted score", "90% interval"], rows, sortable=False)]
    if task is not None:
        blocks.append(f"<p>task {escape(task['name'])}, probability {task['probability']:.2f}</p>")
    if explanation.neighbors:
        names = [f["llm_id"] for f in llms]
        near = [
            [snippet(n), n["task"], shown_score(n["similarity"]), *(shown_score(n["scores"][name]) for name in names)]
            for n in explanation.neighbors
        ]
        blocks.append(html_table(["nearest known prompts", "task", "similarity", *names], near, sortable=False))
    return "\n".join(blocks)


def _head(title: str, told: str, dataset: Dataset | None = None) -> Iterator[str]:
    yield f"<p><b>{escape(title)}</b>: {escape(told)}</p>"
    if dataset is not None and dataset.card.get("simulated"):
        yield f"<p><b>{SIMULATED}</b></p>"
