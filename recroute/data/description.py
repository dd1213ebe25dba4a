"""What a data set holds: facts for programs, a document for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from recroute.data.cells import DenseCells, pass_over
from recroute.data.matrix import InteractionMatrix
from recroute.report.document import Cell, Document, Facts, Medium, Number, Table
from recroute.util.numeric import Array, Positions

Dataset = Any  # `recroute.data.Dataset`, whose file imports this one

MOST_TASKS = 50  # of the table
CAPTION = "oracle: mean over instances of the best score of any LLM; random: mean over instances of the mean score"


def shape_facts(dataset: Dataset) -> dict[str, Any]:
    """Shape and density of a data set, and whether it is simulated, for JSON."""
    return {
        "n_instances": dataset.n_instances,
        "n_llms": dataset.n_llms,
        "n_records": dataset.interactions.n_observed,
        "n_preferences": dataset.n_preferences,
        "density": round(dataset.interactions.density, 6),
        "simulated": bool(dataset.card.get("simulated", False)),
    }


def description(dataset: Dataset) -> dict[str, Any]:
    """Shape, density and scores of a data set and of each task, for JSON.

    `best_single`, `oracle` and `random` are None where there are no scores.
    """
    tasks = _tasks(dataset)
    return {
        "name": dataset.name,
        "title": str(dataset.card.get("title", "")),
        "simulated": bool(dataset.card.get("simulated", False)),
        "n_instances": dataset.n_instances,
        "n_llms": dataset.n_llms,
        "n_records": dataset.interactions.n_observed,
        **({"n_preferences": dataset.n_preferences} if dataset.preferences is not None else {}),
        "density": dataset.interactions.density,
        "prompts": dataset.prompts is not None,
        "costs": dataset.interactions.costs is not None,
        "embeddings": "none" if dataset.embeddings is None else f"{dataset.embeddings.shape[1]} dimensions",
        **_scores(tasks[-1]),
        "task_table": [
            {"task": row["task"], "n_instances": row["n_instances"], **_scores(row), "density": row["density"]}
            for row in tasks[:-1]
        ],
    }


def document_of(dataset: Dataset) -> Document:
    """Shape, density, what there is beside scores, and the tasks by size with the best LLM of each."""
    *tasks, whole = _tasks(dataset)
    tasks.sort(key=lambda row: -row["n_instances"])
    rows = [_row(task) for task in tasks[:MOST_TASKS]]
    if more := tasks[MOST_TASKS:]:
        size = sum(task["n_instances"] for task in more)
        rows.append([f"... {len(more)} more tasks", Number(size, form=",d"), Number(None), "-", *[Number(None)] * 3])
    if len(tasks) > 1:
        rows.append(_row({**whole, "task": "all"}))
    heads = ["task", "instances", "density", "best LLM", "its mean", "oracle", "random"]
    facts = _facts(dataset, whole)
    return Document(
        title=f"Dataset {dataset.name}",
        facts="; ".join(f"{name} {value}" for name, value in facts.items()),
        blocks=[
            Facts(title=dataset.name, facts=facts, on=Medium.SCREEN),
            Table(heads=heads, rows=rows, title="tasks", caption=CAPTION),
        ],
        simulated=bool(dataset.card.get("simulated")),
    )


def _facts(dataset: Dataset, whole: Mapping[str, Any]) -> dict[str, str]:
    """What there is, by name, for people."""
    matrix = dataset.interactions
    there = {
        "title": str(dataset.card.get("title", "")),
        "instances": f"{dataset.n_instances:,}",
        "LLMs": f"{dataset.n_llms:,}",
        "records": f"{matrix.n_observed:,}, density {matrix.density:.3f}",
        "preferences": f"{dataset.n_preferences:,}" if dataset.n_preferences else "",
        "prompts": "yes" if dataset.prompts is not None else "no",
        "costs": "yes" if matrix.costs is not None else "no",
        "embeddings": "no",
        "pools": "yes" if dataset.pools is not None else "",
    }
    if dataset.encoder is not None and dataset.embeddings is not None:
        there["embeddings"] = f"{dataset.embeddings.shape[1]} dimensions ({dataset.encoder.name})"
    if whole["oracle"] is not None:
        levels = ("best_single", "oracle", "random")
        there["mean score"] = ", ".join(f"{name.replace('_', ' ')} {whole[name]:.3f}" for name in levels)
    notes = dataset.card.get("notes", ())
    there["notes"] = notes if isinstance(notes, str) else "; ".join(map(str, notes))
    return {name: value for name, value in there.items() if value}


def _tasks(dataset: Dataset) -> list[dict[str, Any]]:
    """What is known of each task, in alphabetical order, then of all instances."""
    matrix = dataset.interactions
    names, task = np.unique(dataset.tasks, return_inverse=True)
    of_task, means, n_scored = dataset.task_means
    known = dict(zip(of_task.tolist(), means, strict=True))
    oracle, random = _instance_scores(matrix)

    def row(name: str, rows: Positions, llm_means: Array | None) -> dict[str, Any]:
        seen = rows[matrix.instance_counts[rows] > 0]
        best = None if llm_means is None else int(np.argmax(llm_means))
        return {
            "task": name,
            "n_instances": len(rows),
            "density": float(matrix.instance_counts[rows].sum() / (len(rows) * matrix.n_llms)),
            "best_llm": None if best is None else dataset.llm_ids.ids[best],
            "best_single": None if llm_means is None else float(llm_means.max()),
            "oracle": float(oracle[seen].mean()) if len(seen) else None,
            "random": float(random[seen].mean()) if len(seen) else None,
        }

    found = [row(str(name), np.flatnonzero(task == t), known.get(str(name))) for t, name in enumerate(names)]
    overall = n_scored @ means / n_scored.sum() if known else None
    return [*found, row("", np.arange(matrix.n_instances), overall)]


def _instance_scores(matrix: InteractionMatrix) -> tuple[Array, Array]:
    """Best and mean score of each instance over the LLMs that were evaluated on it, f64 (n,); 0 without a record."""
    counts = np.maximum(matrix.instance_counts, 1)
    if isinstance(matrix.cells, DenseCells):
        best, total = np.zeros(matrix.n_instances), np.zeros(matrix.n_instances)

        def read(rows: slice) -> None:
            block, _ = matrix.block(rows)  # 0 where unobserved
            best[rows] = block.max(axis=1)
            total[rows] = block.sum(axis=1, dtype=np.float64)

        for _ in pass_over(matrix.shape, read):
            pass
        return best, total / counts
    scores = matrix.scores
    total = np.asarray(scores.astype(np.float64).sum(axis=1)).ravel()
    return np.asarray(scores.max(axis=1).todense(), dtype=np.float64).ravel(), total / counts


def _scores(row: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: row[name] for name in ("best_single", "oracle", "random")}


def _row(task: Mapping[str, Any]) -> list[Cell]:
    numbers = [Number(task[name]) for name in ("best_single", "oracle", "random")]
    size, density = Number(task["n_instances"], form=",d"), Number(task["density"])
    return [task["task"], size, density, task["best_llm"] or "-", *numbers]
