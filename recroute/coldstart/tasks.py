"""Cold start of tasks: routing of a task that no router was fitted on, after a few of its prompts were answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from recroute.coldstart.result import COLUMNS
from recroute.coldstart.settings import ColdStartSettings
from recroute.coldstart.tasks_result import BEST_SINGLE, FULL, LEAD, REFRESH, TaskColdStart
from recroute.data import Dataset, prompt_groups
from recroute.data.feedback import Feedback
from recroute.errors import DataError, argument
from recroute.experiment.bootstrap import Bootstrap
from recroute.experiment.prepare import with_vectors
from recroute.experiment.protocol import Progress
from recroute.experiment.rows import rows_of_seeds
from recroute.experiment.run import Run, usable
from recroute.routers import Router, as_routers, make_router
from recroute.splits import Split, holdout_splits
from recroute.util.numeric import Array, known_mean

Key = tuple[str, str | None, int | None]  # router, strategy, number of prompts
MEAN = "mean"  # group of the mean over tasks


@dataclass(frozen=True, eq=False)
class NewTask:
    """A task that is left out of training.

    Parameters
    ----------
    name : str
    seed : int
    parts : Split
        The other tasks are the training part, the second half of the task is the test part; with vectors.
    given : Dataset
        The first half of the task in random order, with vectors; its prompts are given from the first on.
    full : Split
        The same test part, and the other tasks and the first half of the task as the training part.
    """

    name: str
    seed: int
    parts: Split
    given: Dataset
    full: Split

    @classmethod
    def of(cls, dataset: Dataset, parts: Split, encoder: str | Any) -> NewTask:
        """Halve the test part of a split; instances with the same prompt stay together."""
        task, group = parts.test, prompt_groups(parts.test)
        rank = np.random.default_rng([parts.seed, 13]).permutation(group.max() + 1)[group]
        order = np.argsort(rank, kind="stable")
        half = int((rank <= rank[order[len(order) // 2 - 1]]).sum())
        given, rest = order[:half], np.sort(order[half:])
        cold = with_vectors(parts, encoder)
        ids = [*parts.train.instance_ids, *task.take_instances(given).instance_ids]
        known = dataset.take_instances(np.sort(dataset.instance_ids.to_index(ids)))
        return cls(
            parts.name,
            parts.seed,
            replace(cold, test=cold.test.take_instances(rest)),
            cold.test.take_instances(given),
            with_vectors(replace(parts, train=known, test=task.take_instances(rest)), encoder),
        )

    def bounds(self) -> dict[Key, Array]:
        """Scores f64 (n,) of random choices (in expectation), of the oracle, and of single LLMs."""
        scores = self.parts.test.interactions.dense().astype(np.float64)
        return {
            ("random", None, None): known_mean(scores.T)[0],
            ("oracle", None, None): np.fmax.reduce(scores, axis=1),
            (BEST_SINGLE, FULL, None): routed(make_router(BEST_SINGLE).fit(self.given), self.parts.test),
        }

    def best_single(self, k: int) -> Array:
        """Scores f64 (n,) of the LLM with the best mean on k given prompts; ties are broken by the other tasks."""
        router = make_router(BEST_SINGLE).fit(self.parts.train)
        if k == 0:
            return routed(router, self.parts.test)
        mean = known_mean(self.given.take_instances(np.arange(k)).interactions.dense())[0]
        predicted = np.tile(np.nan_to_num(mean, nan=-1.0), (self.parts.test.n_instances, 1)).astype(np.float32)
        return routed(router, self.parts.test, predicted)

    def router(self, router: Router, anchors: Sequence[int]) -> dict[Key, Array]:
        """Scores f64 (n,) of a router's choices after a refresh with k prompts, and fitted with the task."""
        label, cold = router.label, replace(router, seed=self.seed).fit(self.parts.train)
        full = replace(router, seed=self.seed).fit(self.full.train)
        found: dict[Key, Array] = {(label, FULL, None): routed(full, self.full.test)}
        for k in anchors:
            given = self.given.take_instances(np.arange(k))
            after = cold.refresh(feedback_of(cold, given)) if k else cold
            found[label, REFRESH, k] = routed(after, self.parts.test)
        return found


def routed(router: Router, test: Dataset, predicted: np.ndarray[Any, Any] | None = None) -> Array:
    """Score f64 (n,) of the best evaluated choice for each test prompt, NaN without any score."""
    scores = test.interactions.dense().astype(np.float64)
    chosen = router.choose_judged(router.score(test) if predicted is None else predicted, scores).judged
    return np.asarray(scores[np.arange(len(scores)), chosen])


def feedback_of(router: Router, given: Dataset) -> Feedback:
    """All scores of these prompts as feedback, with the text and the vectors that the router reads."""
    scores = given.interactions.dense()
    rows, llms = np.nonzero(~np.isnan(scores))
    table = given.instances.select(
        name for name in ("instance_id", "prompt", "task") if name in given.instances.columns
    )
    if router.reads in ("text", "prompts") and router.encoder_ is not None:
        vectors = router.vectors(given)
        kind = pl.List(pl.Float32)
        table = table.with_columns(vector=pl.Series(vectors.tolist(), dtype=kind), encoder=pl.lit(router.encoder_.name))
    llm_ids = np.array(given.llm_ids.ids)[llms]
    return Feedback(table[rows].with_columns(llm_id=pl.Series(llm_ids), score=pl.Series(scores[rows, llms])))


@dataclass(eq=False)
class Seen:
    """Scores f64 (n,) of the choices by key, seed and task, and the ids of the test prompts by seed and task."""

    scores: dict[Key, dict[int, dict[str, Array]]] = field(default_factory=dict)
    ids: dict[int, dict[str, np.ndarray[Any, Any]]] = field(default_factory=dict)

    def add(self, task: NewTask, found: dict[Key, Array]) -> None:
        self.ids.setdefault(task.seed, {})[task.name] = np.array(task.parts.test.instance_ids.ids)
        for key, scores in found.items():
            self.scores.setdefault(key, {}).setdefault(task.seed, {})[task.name] = scores


def measure_tasks(
    settings: ColdStartSettings, dataset: Dataset, routers: Sequence[Router | str], progress: Progress | None = None
) -> TaskColdStart:
    """Implementation of `coldstart` with `holdout` "task" or "benchmark"."""
    dataset.require_scores("coldstart")
    chosen, notes = usable(dataset, as_routers(routers)) if routers else ([], [])
    chosen = [router for router in chosen if router.label != BEST_SINGLE]
    run = Run(settings.encoded(dataset) if chosen else dataset, settings.seeds, chosen, notes, progress)
    seen, anchors = Seen(), sorted(settings.anchors)
    with run.keeping():
        for seed in settings.seeds:
            tasks = list(_tasks(run, settings, seed))
            for parts in tasks:
                task = NewTask.of(run.dataset, parts, settings.encoder if chosen else "precomputed")
                found = task.bounds()
                found |= {(BEST_SINGLE, REFRESH, k): task.best_single(k) for k in anchors}
                for router in chosen:
                    found |= task.router(router, anchors)
                seen.add(task, found)
                run.step(len(tasks) * len(settings.seeds))
            run.finished.append(seed)
    rows = _rows(seen, run.finished, settings.seeds[0], dataset.n_llms)
    tested = sum(map(len, seen.ids[run.finished[0]].values()))
    of_data = {"holdout": settings.holdout, "n_tasks": len(seen.ids[run.finished[0]]), "n_test": tested}
    return TaskColdStart(rows, run.info(of_data, anchors=anchors))


def _tasks(run: Run, settings: ColdStartSettings, seed: int) -> Iterator[Split]:
    """Splits of the tasks with enough prompts: half of a task is given, half is judged."""
    most, left_out, n = max(settings.anchors), [], 0
    for parts in holdout_splits(run.dataset, str(settings.holdout), seed=seed):
        if parts.test.n_instances < 2 * max(most, 1):
            left_out.append(f"{parts.name} ({parts.test.n_instances})")
            continue
        run.saw(parts, f"{seed}, {parts.name}")
        n += 1
        yield parts
    if left_out:
        run.note(f"left out, with fewer than {2 * most} prompts: {', '.join(left_out)}")
    if n == 0:
        raise DataError(
            f"{run.dataset.name}: no {settings.holdout} has {2 * most} prompts, half of them to give and half to judge "
            f"by; use smaller {argument('anchors')}"
        )


def _rows(seen: Seen, seeds: list[int], seed: int, n_llms: int) -> pl.DataFrame:
    """Rows of a `TaskColdStart`; intervals resample test prompts, the same for all routers."""
    ids = [np.concatenate(list(seen.ids[s].values())) for s in seeds]
    resamples = Bootstrap(ids, seed)
    tasks = list(seen.ids[seeds[0]])

    def estimate(key: Key, group: str) -> tuple[Array, Array]:
        """Means f64 (seeds,) over a task, or of the means over tasks, and their replicates f64 (seeds, b)."""
        values, drawn = [], []
        for i, s in enumerate(seeds):
            of_task = [
                (known_mean(scores)[0], known_mean(scores, resamples.weights(i, seen.ids[s][task])))
                for task, scores in seen.scores[key][s].items()
                if group in (MEAN, task)
            ]
            values.append(np.mean([value for value, _ in of_task]))
            drawn.append(np.mean([replicates for _, replicates in of_task], axis=0))
        return np.array(values), np.stack(drawn)

    rows: list[dict[str, Any]] = []
    for group in (MEAN, *tasks):
        counts = [sum(len(own) for task, own in seen.ids[s].items() if group in (MEAN, task)) for s in seeds]
        found = {key: estimate(key, group) for key in seen.scores}
        for (router, strategy, k), (values, drawn) in found.items():
            head = {"router": router, "group": group, "strategy": strategy, "n_anchors": k}
            metrics = {"mean_score": (values, drawn)}
            if router != BEST_SINGLE and strategy is not None:
                of_single, drawn_single = found[BEST_SINGLE, strategy, k]
                metrics[LEAD] = (values - of_single, drawn - drawn_single)
            for metric, (value, replicates) in metrics.items():
                made = rows_of_seeds(
                    {**head, "metric": metric},
                    seeds,
                    value,
                    replicates,
                    pool=resamples.pool,
                    counts=[counts[0], *counts],
                )
                rows += [{**row, "pool_size": n_llms, "n_llms": n_llms, "n_instances": counts[0]} for row in made]
    return pl.DataFrame([{name: row.get(name) for name in COLUMNS} for row in rows], schema=COLUMNS)
