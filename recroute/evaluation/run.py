"""`evaluate`: routing quality on the whole pool. `scale`: routing quality as the pool grows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from recroute.data import Dataset
from recroute.errors import RouterError
from recroute.evaluation.choices import choice_table
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.settings import EvaluationSettings, PoolsOf, ScaleSettings
from recroute.evaluation.summarise import Cell, summarise
from recroute.experiment.controls import headroom
from recroute.experiment.outcomes import pool_outcomes
from recroute.experiment.protocol import Progress
from recroute.experiment.provenance import part_facts
from recroute.experiment.reference import reference_scores
from recroute.experiment.run import TEST_USE, Run, usable
from recroute.metrics import Outcome
from recroute.pools import WHOLE
from recroute.routers import Router, as_routers, make_router
from recroute.splits import Split
from recroute.util.arguments import checked
from recroute.util.settings import takes_settings


@checked
@takes_settings(EvaluationSettings)
def evaluate(
    dataset: Dataset, routers: Iterable[Router | str], *, progress: Progress | None = None, **settings: Any
) -> Evaluation:
    """Top-1 routing quality with all LLMs of the data set as the pool.

    Parameters
    ----------
    dataset : Dataset
    routers : list of Router or str
        Routers or registry names; fitted routers are fitted again. `oracle`, `random`, `best_single`, `task_best`,
        `knn` and the baseline are added.
    **settings
        See `EvaluationSettings`.
    progress : callable, optional
        Called with the number of pools done and the total number.

    Returns
    -------
    Evaluation
        With the group "all", or one group for each held-out task or benchmark. After a KeyboardInterrupt it holds what
        was finished.

    Notes
    -----
    With `holdout` each task (or benchmark) in turn is the test set, and nothing is learned from it (see
    `holdout_splits`). Each has its own group, such as "task gsm8k", and the group "mean" is their mean. `shuffle` is a
    negative control (see `recroute.experiment.controls.shuffled`): a router that shrinks properly falls back to the
    best single LLM, and one that scores below it has fitted noise. Pools are not affected by it. `headroom` adds a note
    on how far the oracle and the best LLM per task exceed what chance alone would show
    (`recroute.data.doctor.headroom`). For `train_fraction` see `take_train_fraction`, for `reference` see
    `recroute.experiment.reference`.

    Raises
    ------
    RecrouteError
        If the data set cannot be split, a name is unknown, or no router can be fitted on it.
    """
    return measure(EvaluationSettings(**settings), dataset, routers, progress)


@checked
@takes_settings(ScaleSettings)
def scale(
    dataset: Dataset, routers: Iterable[Router | str], *, progress: Progress | None = None, **settings: Any
) -> Evaluation:
    """Top-1 routing quality as the pool of candidate LLMs grows.

    Every router is fitted on each pool separately, as in RouterEval, so it knows only the LLMs of the pool. The result
    also has r_o(p) for p = .25, .5, .75, the mean over groups (group "mean") and the slope of mu on log2 of the pool
    size (metric "slope").

    Parameters
    ----------
    dataset : Dataset
    routers : list of Router or str
        As in `evaluate`.
    **settings
        See `ScaleSettings`.
    progress : callable, optional
        Called with the number of pools done and the total number.

    Notes
    -----
    Pool sizes larger than some group allows are replaced by the largest possible size. Groups are those of
    `make_pools`, or "own" alone: the pools that came with the data, with their own groups and sizes (restricted by
    `pool_sizes`), see `own_pools`. Choosing pools on all instances, as RouterEval does, uses test instances. Other
    settings, the result and the errors are those of `evaluate`. If RouterEval published baselines for the same
    benchmark, groups and pool size, they are in `info["published"]`.
    """
    return measure(ScaleSettings(**settings), dataset, routers, progress)


def measure(
    settings: EvaluationSettings,
    dataset: Dataset,
    routers: Iterable[Router | str],
    progress: Progress | None = None,
) -> Evaluation:
    """Implementation of `evaluate` and, with its settings, of `scale`."""
    pools_of, of_pools = settings.pools(dataset)
    chosen, notes = usable(dataset, [*as_routers(routers), *settings.beside])
    run = Run(settings.encoded(dataset), settings.seeds, chosen, [*notes, *of_pools], progress)
    results = _Results()
    with run.keeping("pools"):
        for cell, taken in _cells(run, settings, pools_of, results):
            results.cells.append(cell)
            results.choices.append(taken)
            run.finished = list(dict.fromkeys([*run.finished, cell.seed]))
    if not results.cells:
        raise RouterError(f"no LLM of any pool was evaluated on a test instance of {dataset.name}")
    baseline = make_router(settings.baseline).label
    try:
        rows, pairs, more = summarise(results.cells, settings.seeds[0], settings.n_resamples, baseline)
    except KeyboardInterrupt:  # resampling takes seconds, so it is repeated to keep minutes of fitting
        rows, pairs, more = summarise(results.cells, settings.seeds[0], settings.n_resamples, baseline)
    run.note(*more)
    room = headroom(run.dataset, settings.headroom, settings.seeds[0])
    if room is not None:
        run.note(f"headroom of the whole data set: {room.evidence}")
    info = run.info(
        results.facts(settings),
        headroom=dict(room.values) if room else None,
        test_use=TEST_USE,
        **settings.more(dataset, rows),
    )
    return Evaluation(rows, info, pairs, pl.concat(results.choices[: len(results.cells)]))


@dataclass(eq=False)
class _Results:
    """Intermediate results of a run: cells, choices, and the facts of each split with its seed."""

    cells: list[Cell] = field(default_factory=list)
    choices: list[pl.DataFrame] = field(default_factory=list)
    splits: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def facts(self, settings: EvaluationSettings) -> dict[str, Any]:
        """Facts of the last split; with held-out tasks the mean size of training and the total size of test sets."""
        if not settings.holdout:
            return self.splits[-1][1]
        first = [facts for seed, facts in self.splits if seed == self.splits[0][0]]
        sizes = {name: sum(facts[name] for facts in first) for name in ("n_train", "n_valid", "n_test")}
        mean = {name: round(sizes[name] / len(first)) for name in ("n_train", "n_valid")}
        return {**first[-1], **sizes, **mean, "split": f"holdout {settings.holdout}"}


def _cells(
    run: Run, settings: EvaluationSettings, pools_of: PoolsOf, results: _Results
) -> Iterator[tuple[Cell, pl.DataFrame]]:
    """Evaluate every pool that has an evaluated LLM; yields its outcomes and choices.

    Pools are chosen on all training data, before a fraction is taken or a control shuffles them.
    """
    n_splits = settings.n_splits(run.dataset)
    for seed in settings.seeds:
        for bare in settings.splits(run.dataset, seed):
            pools, parts = pools_of(bare), settings.fitted_on(bare)
            run.saw(parts, f"{seed}, {parts.name}" if settings.holdout else None)
            results.splits.append((seed, part_facts(parts)))
            against = reference_scores(parts.test, settings.reference)
            known: dict[
                bytes, dict[str, Outcome]
            ] = {}  # pools of several groups may be equal, as at the size of all LLMs
            for pool in pools:
                if parts.test.take_llms(pool.llm_index).is_rated.any():
                    members = pool.llm_index.tobytes()
                    if members not in known:
                        known[members] = pool_outcomes(list(run.routers), parts, pool.llm_index, against)
                    outcomes = known[members]
                    named = replace(pool, group=_group(pool.group, parts, settings))
                    cell = Cell(seed, named.group, named.size, outcomes, parts.test.n_instances)
                    yield cell, choice_table(seed, named, outcomes, run.routers, run.dataset)
                run.step(n_splits * len(pools))


def _group(group: str, parts: Split, settings: EvaluationSettings) -> str:
    """Group of a pool; each held-out task or benchmark has its own groups."""
    if settings.holdout is None:
        return group
    return parts.name if group == WHOLE else f"{group}, {parts.name}"
