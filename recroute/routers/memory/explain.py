"""Why a router chooses what it chooses: the nearest known prompts, the predicted task, and intervals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data import Prompts
from recroute.data.prompts import Instances
from recroute.routers.core import Pool
from recroute.routers.memory.evidence import Evidence
from recroute.routers.memory.explanation import Explanation
from recroute.routers.memory.mixture import NORMAL
from recroute.routers.memory.remembering import RememberingRouter
from recroute.routers.memory.score_error import N_NEAR, evidence_of, nearest, score_error
from recroute.routers.text_views import TextViews
from recroute.util.arguments import as_whole_number

SNIPPET = 200  # characters of a known prompt
VOTE_WIDTH, VOTE_PRIOR = 0.1, 0.05  # in mean distances to the ten nearest; of each task


def explain(
    router: RememberingRouter,
    instances: Instances,
    k: int = 1,
    llms: Pool | None = None,
    n_neighbors: int = 5,
) -> list[Explanation]:
    """The router's k best LLMs for each prompt, and what speaks for them.

    Parameters
    ----------
    router : Router
        Fitted on scores.
    instances : Dataset, list of str, or f32 (b, d)
    k, llms
        As in `Router.rank`.
    n_neighbors : int
        Known prompts to name, nearest first by cosine of the router's own vectors.

    Raises
    ------
    RouterError
        As `Router.rank`, and if the router keeps no scores of its training prompts.
    """
    n_neighbors = as_whole_number(n_neighbors, "n_neighbors", low=0)
    evidence, known = evidence_of(router), router.prompts(instances)
    ranking = router.rank(known, k, llms)
    if (b := len(ranking.llm_index)) == 0:
        return []
    pool = np.unique(ranking.llm_index).astype(np.int64)
    place = np.searchsorted(pool, ranking.llm_index)
    predicted = router.predicted_score(known, pool)
    found = nearest(router, evidence, known, max(N_NEAR, n_neighbors))
    of_error = None if found is None else (found[0][:, :N_NEAR], found[1][:, :N_NEAR])
    variance = score_error(router).variance(predicted, of_error, pool, reducible=False)
    score = np.take_along_axis(predicted.astype(np.float64), place, axis=1).clip(0, 1)
    std = np.take_along_axis(np.sqrt(variance), place, axis=1)
    low, high = (score - NORMAL * std).clip(0, 1), (score + NORMAL * std).clip(0, 1)
    names = ranking.names
    tasks: list[dict[str, Any] | None] = [None] * b
    neighbors: list[list[dict[str, Any]]] = [[] for _ in range(b)]
    if found is not None and (background := router.background_) is not None:
        near, similarity = found
        tasks = _tasks(router, known, background.tasks, near, similarity)
        for i in range(b):
            rows, best = near[i, :n_neighbors], ranking.llm_index[i]
            neighbors[i] = _neighbors(evidence, background.prompts, rows, similarity[i], names[i], best)
    explanations = []
    for i in range(b):
        cells = zip(names[i], score[i].tolist(), low[i].tolist(), high[i].tolist(), strict=True)
        shown = [dict(zip(("llm_id", "predicted_score", "ci_low", "ci_high"), cell, strict=True)) for cell in cells]
        explanations.append(Explanation(shown, tasks[i], neighbors[i]))
    return explanations


def _tasks(
    router: RememberingRouter,
    known: Prompts,
    tasks: tuple[NDArray[np.str_], NDArray[np.int64]],
    near: NDArray[np.int64],
    similarity: NDArray[np.float32],
) -> list[dict[str, Any] | None]:
    """The most likely task of each prompt: by the router's own classifier, or by the votes of near known prompts."""
    names, code = tasks
    if len(names) < 2:
        return [None] * len(near)
    if (own := next(_classifiers(router), None)) is not None:
        part, views = own
        shares = views.task_shares(part.vectors(known))
    else:
        shares = _votes(code[near], 1 - similarity, len(names))
    best = shares.argmax(axis=1)
    return [{"name": str(names[t]), "probability": float(shares[i, t])} for i, t in enumerate(best)]


def _classifiers(router: RememberingRouter) -> Iterator[tuple[RememberingRouter, TextViews]]:
    """The parts of a router that predict the task, with what they do it by."""
    views = getattr(router, "views_", None)
    if isinstance(views, TextViews) and len(views.task_offset):
        yield router, views
    for part in getattr(router, "parts_", ()):
        yield from _classifiers(part)


def _votes(code: NDArray[np.int64], distance: NDArray[np.float32], n_tasks: int) -> NDArray[np.float64]:
    """Share of each task f64 (b, t) among near prompts, weighed by their distance beyond the nearest one's."""
    width = VOTE_WIDTH * max(float(distance[:, :10].mean()), 1e-6)
    weight = np.exp((distance[:, :1] - distance) / width)
    shares = np.full((len(code), n_tasks), VOTE_PRIOR)
    np.add.at(shares, (np.arange(len(code))[:, None], code), weight)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _neighbors(
    evidence: Evidence,
    table: pl.DataFrame,
    near: NDArray[np.int64],
    similarity: NDArray[np.float32],
    names: list[str],
    llm_index: NDArray[np.int32],
) -> list[dict[str, Any]]:
    """The known prompts at rows `near`, and what these LLMs scored on them."""
    scores = evidence.scores.take_instances(near).take_llms(llm_index).dense().astype(np.float64)
    found = []
    for at, near_by, cells in zip(near.tolist(), similarity.tolist(), scores, strict=False):
        row = table.row(at, named=True)
        prompt = row.get("prompt")
        found.append(
            {
                "instance_id": row["instance_id"],
                "prompt": None if prompt is None else prompt[:SNIPPET],
                "task": row["task"],
                "similarity": near_by,
                "scores": {name: None if np.isnan(s) else float(s) for name, s in zip(names, cells, strict=True)},
            }
        )
    return found
