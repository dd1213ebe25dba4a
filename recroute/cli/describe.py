"""recroute data describe: what a data set holds."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.table import Table

from recroute.cli.options import DatasetPath, JsonPath, Quiet
from recroute.cli.places import check_places
from recroute.cli.screen import console
from recroute.data import Dataset, llm_means, read_dataset
from recroute.util.files import write_json


def describe(dataset: DatasetPath, json_path: JsonPath = None, quiet: Quiet = False) -> None:
    """Print shape, density, scores and tasks of a data set.

    Example: recroute data describe my_dataset
    """
    check_places(json_path, inputs=[dataset])
    facts = description(read_dataset(dataset))
    if json_path is not None:
        write_json(json_path, facts)
    head = Table(title=facts["name"], title_justify="left", show_header=False)
    for key, value in facts.items():
        if key not in ("name", "task_table"):
            head.add_row(key.replace("_", " "), _shown(value, 4))
    tasks = Table(title="tasks", title_justify="left")
    for column in ("task", "instances", "density", "best single", "oracle", "random"):
        tasks.add_column(column, justify="left" if column == "task" else "right")
    for row in facts["task_table"]:
        numbers = (_shown(row[key], 3) for key in ("density", "best_single", "oracle", "random"))
        tasks.add_row(row["task"], str(row["n_instances"]), *numbers)
    console(quiet, json_path).print(head, tasks)


def _shown(value: Any, digits: int) -> str:
    if value is None:
        return "-"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def description(dataset: Dataset) -> dict[str, Any]:
    """Facts of a data set, in the order to print them."""
    names, counts = np.unique(dataset.tasks, return_counts=True)
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
        **_levels(dataset),
        "task_table": [
            {"task": str(name), "n_instances": int(count), **_levels(_task(dataset, name))}
            | {"density": _task(dataset, name).interactions.density}
            for name, count in zip(names, counts, strict=True)
        ],
    }


def _task(dataset: Dataset, name: str) -> Dataset:
    return dataset.take_instances(np.flatnonzero(dataset.tasks == name))


def _levels(dataset: Dataset) -> dict[str, float | None]:
    """Mean score of the best single LLM, the oracle and a random choice over all instances with a record, if any."""
    if dataset.interactions.n_observed == 0:
        return dict.fromkeys(("best_single", "oracle", "random"))
    scores = dataset.interactions.scores
    n = np.diff(scores.indptr)
    total = np.asarray(scores.astype(np.float64).sum(axis=1)).ravel()
    best = np.asarray(scores.max(axis=1).todense()).ravel()
    seen = n > 0
    return {
        "best_single": float(llm_means(dataset).max()),
        "oracle": float(best[seen].mean()),
        "random": float((total[seen] / n[seen]).mean()),
    }
