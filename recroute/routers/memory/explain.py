"""Explanations of a router's choices: intervals of its predictions, the predicted task, nearest training prompts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data import Prompts
from recroute.data.prompts import Instances
from recroute.report.document import Block, Document, Medium, Number, Table, Words, cut
from recroute.report.shown import Shown
from recroute.routers.core import Pool
from recroute.routers.memory.evidence import Evidence
from recroute.routers.memory.mixture import NORMAL
from recroute.routers.memory.remembering import RememberingRouter
from recroute.routers.memory.score_error import N_NEAR, evidence_of, nearest, score_error
from recroute.util.arguments import as_whole_number

SNIPPET_LENGTH = 200  # characters of a training prompt
MAX_TITLE, MAX_PROMPT = 60, 40  # characters of a prompt in a title and in a table
VOTE_WIDTH = 0.1  # of the kernel, in mean distances to the ten nearest prompts
VOTE_PRIOR = 0.05  # votes of each task in advance


@dataclass(frozen=True)
class Explanation(Shown):
    """Explanation of the choice for one prompt; `to_dict` is ready for JSON.

    Parameters
    ----------
    llms : list of dict
        The k best LLMs, best first: `llm_id`, `predicted_score` (within [0, 1]), and `ci_low, ci_high`, a 90% interval
        of the LLM's expected score.
    task : dict, optional
        The most likely task: `name, probability`. None if the router reads no text or knows only one task.
    neighbors : list of dict
        The nearest training prompts, nearest first: `instance_id`, `prompt` (its beginning, or None), `task`,
        `similarity` (cosine) and `scores` of the k LLMs, None where they were not run. Empty if the router reads no
        text.
    """

    llms: list[dict[str, Any]]
    task: dict[str, Any] | None
    neighbors: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def document(self, prompt: str = "") -> Document:
        """Predicted scores with intervals, the predicted task, and the LLMs' scores on the nearest training prompts."""
        llms = [
            [str(rank), llm["llm_id"], Number(llm["predicted_score"], llm["ci_low"], llm["ci_high"])]
            for rank, llm in enumerate(self.llms, 1)
        ]
        heads = ["", "LLM", "predicted score, 90% interval"]
        blocks: list[Block] = [Table(title=cut(prompt, MAX_TITLE), heads=heads, rows=llms)]
        if self.task is not None:
            task = f"predicted task: {self.task['name']} (probability {self.task['probability']:.2f})"
            blocks.append(Words(text=task, on=Medium.ALL))
        if self.neighbors:
            blocks.append(self._nearest())
        else:
            reason = "the router reads no text, so there are no nearest training prompts"
            blocks.append(Words(text=reason, on=Medium.ALL))
        return Document(title="Explanation", blocks=blocks)

    def _nearest(self) -> Table:
        rows = [
            [
                cut(near["prompt"] or near["instance_id"], MAX_PROMPT),
                near["task"],
                Number(near["similarity"]),
                *map(Number, near["scores"].values()),
            ]
            for near in self.neighbors
        ]
        return Table(
            title="nearest training prompts, with the scores of LLMs 1, 2, ...",
            heads=["prompt", "task", "similarity", *(str(rank) for rank in range(1, len(self.llms) + 1))],
            rows=rows,
        )


def explain(
    router: RememberingRouter,
    instances: Instances,
    k: int = 1,
    llms: Pool | None = None,
    n_neighbors: int = 5,
) -> list[Explanation]:
    """Explain the router's k best LLMs for each prompt.

    Parameters
    ----------
    router : Router
        Fitted on scores.
    instances : Dataset, list of str, or f32 (b, d)
    k, llms
        As in `Router.rank`.
    n_neighbors : int
        Training prompts to list, nearest first by cosine of the vectors that the router reads.

    Returns
    -------
    list of Explanation
        One for each prompt.

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
    neighborhood = nearest(router, evidence, known, max(N_NEAR, n_neighbors))
    of_error = None if neighborhood is None else (neighborhood[0][:, :N_NEAR], neighborhood[1][:, :N_NEAR])
    variance = score_error(router).variance(predicted, of_error, pool, reducible=False)
    score = np.take_along_axis(predicted.astype(np.float64), place, axis=1).clip(0, 1)
    std = np.take_along_axis(np.sqrt(variance), place, axis=1)
    low, high = (score - NORMAL * std).clip(0, 1), (score + NORMAL * std).clip(0, 1)
    names = ranking.names
    tasks: list[dict[str, Any] | None] = [None] * b
    neighbors: list[list[dict[str, Any]]] = [[] for _ in range(b)]
    if neighborhood is not None and (background := router.background_) is not None:
        near, similarity = neighborhood
        tasks = _tasks(router, known, background.tasks, near, similarity)
        for i in range(b):
            rows, best = near[i, :n_neighbors], ranking.llm_index[i]
            neighbors[i] = _neighbors(evidence, background.prompts, rows, similarity[i], names[i], best)
    explanations = []
    for i in range(b):
        cells = zip(names[i], score[i].tolist(), low[i].tolist(), high[i].tolist(), strict=True)
        best_llms = [dict(zip(("llm_id", "predicted_score", "ci_low", "ci_high"), cell, strict=True)) for cell in cells]
        explanations.append(Explanation(best_llms, tasks[i], neighbors[i]))
    return explanations


def _tasks(
    router: RememberingRouter,
    known: Prompts,
    tasks: tuple[NDArray[np.str_], NDArray[np.int64]],
    near: NDArray[np.int64],
    similarity: NDArray[np.float32],
) -> list[dict[str, Any] | None]:
    """Most likely task of each prompt, by the router's own classifier or by the votes of near training prompts."""
    names, code = tasks
    if len(names) < 2:
        return [None] * len(near)
    if (shares := router.task_shares(known)) is None:
        shares = _votes(code[near], 1 - similarity, len(names))
    best = shares.argmax(axis=1)
    return [{"name": str(names[t]), "probability": float(shares[i, t])} for i, t in enumerate(best)]


def _votes(code: NDArray[np.int64], distance: NDArray[np.float32], n_tasks: int) -> NDArray[np.float64]:
    """Share of each task f64 (b, t) among near prompts, weighted by their distance beyond that of the nearest one."""
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
    """Training prompts at rows `near`, with the scores of these LLMs."""
    scores = evidence.scores.take_instances(near).take_llms(llm_index).dense().astype(np.float64)
    neighbors = []
    for at, near_by, cells in zip(near.tolist(), similarity.tolist(), scores, strict=False):
        row = table.row(at, named=True)
        prompt = row.get("prompt")
        neighbors.append(
            {
                "instance_id": row["instance_id"],
                "prompt": None if prompt is None else prompt[:SNIPPET_LENGTH],
                "task": row["task"],
                "similarity": near_by,
                "scores": {name: None if np.isnan(s) else float(s) for name, s in zip(names, cells, strict=True)},
            }
        )
    return neighbors
