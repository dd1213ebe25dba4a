"""`evaluate`: routers on the whole pool. `scale`: routers as the pool grows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from recroute.data import Dataset
from recroute.errors import RouterError
from recroute.evaluation.choices import choice_table
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.settings import WHOLE, EvaluationSettings, PoolsOf, ScaleSettings
from recroute.evaluation.summarise import Cell, summarise
from recroute.experiment.controls import headroom
from recroute.experiment.outcomes import pool_outcomes
from recroute.experiment.protocol import Progress
from recroute.experiment.provenance import part_facts
from recroute.experiment.reference import reference_scores
from recroute.experiment.run import TEST_USE, Run, usable
from recroute.metrics import Outcome
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
        Routers (fitted or not: each is fitted anew) or registry names. `oracle`, `random`, `best_single`, `task_best`,
        `knn` and the baseline are added.
    **settings
    progress : callable, optional
        Called with the pools done and the pools in all.

    Notes
    -----
    With `holdout` each task (or benchmark) in turn is the test set, and nothing is learned from it (see
    `holdout_splits`); each has a group of its own, such as "task gsm8k", and the group "mean" is their mean. `shuffle`
    is a control (see `recroute.experiment.controls.shuffled`): a router that shrinks what it cannot tell falls back to
    the best single LLM, one below it was fitted to noise; the pools stay those of the data. `headroom` notes how far
    the oracle, and the best LLM per task, are above what luck alone would show (`recroute.data.doctor.headroom`).
    `train_fraction` is explained at `take_train_fraction`, `reference` at `recroute.experiment.reference`.

    Returns
    -------
    Evaluation with the group "all", or one group for each kind of prompt held out. After a KeyboardInterrupt it holds
    what was finished.

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

    Every router is fitted on each pool alone, as RouterEval does: a pool of 10 knows nothing of other LLMs. Beside the
    routers the result has r_o(p) for p = .25, .5, .75, the mean over the groups (group "mean") and the slope of mu on
    log2 of the pool size (metric "slope").

    Parameters
    ----------
    dataset : Dataset
    routers : list of Router or str
        As of `evaluate`.
    **settings
    progress : callable, optional
        Called with the pools done and the pools in all.

    Notes
    -----
    Pool sizes beyond what every group can take become that largest size, once. Groups are those of `make_pools`, or
    "own" alone: the pools that came with the data, which keep their groups and sizes (`pool_sizes` restricts them), see
    `own_pools`. Pools chosen on all instances, RouterEval's choice, look at test. The other settings, the result and
    the errors are those of `evaluate`. Where RouterEval published baselines for the same benchmark, groups and pool
    size, `info["published"]` has them.
    """
    return measure(ScaleSettings(**settings), dataset, routers, progress)


def measure(
    settings: EvaluationSettings,
    dataset: Dataset,
    routers: Iterable[Router | str],
    progress: Progress | None = None,
) -> Evaluation:
    """As `evaluate`, or as `scale` with its settings."""
    pools_of, of_pools = settings.pools(dataset)
    chosen, notes = usable(dataset, [*as_routers(routers), *settings.beside])
    run = Run(settings.encoded(dataset), settings.seeds, chosen, [*notes, *of_pools], progress)
    found = _Found()
    with run.keeping("pools"):
        for cell, taken in _cells(run, settings, pools_of, found):
            found.cells.append(cell)
            found.choices.append(taken)
            run.finished = list(dict.fromkeys([*run.finished, cell.seed]))
    if not found.cells:
        raise RouterError(f"no LLM of any pool was evaluated on a test instance of {dataset.name}")
    baseline = make_router(settings.baseline).label
    try:
        rows, pairs, more = summarise(found.cells, settings.seeds[0], settings.n_resamples, baseline)
    except KeyboardInterrupt:  # minutes of fitting are not thrown away for seconds of resampling
        rows, pairs, more = summarise(found.cells, settings.seeds[0], settings.n_resamples, baseline)
    run.note(*more)
    room = headroom(run.dataset, settings.headroom, settings.seeds[0])
    if room is not None:
        run.note(f"headroom of the whole data set: {room.evidence}")
    info = run.info(
        found.facts(settings),
        headroom=dict(room.values) if room else None,
        test_use=TEST_USE,
        **settings.more(dataset, rows),
    )
    return Evaluation(rows, info, pairs, pl.concat(found.choices[: len(found.cells)]))


@dataclass(eq=False)
class _Found:
    """What a run gathers: cells, choices, and the facts of each split with its seed."""

    cells: list[Cell] = field(default_factory=list)
    choices: list[pl.DataFrame] = field(default_factory=list)
    splits: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def facts(self, settings: EvaluationSettings) -> dict[str, Any]:
        """Of the last split; of held-out kinds, whose sizes differ, the mean train and the summed test set."""
        if not settings.holdout:
            return self.splits[-1][1]
        first = [facts for seed, facts in self.splits if seed == self.splits[0][0]]
        sizes = {name: sum(facts[name] for facts in first) for name in ("n_train", "n_valid", "n_test")}
        mean = {name: round(sizes[name] / len(first)) for name in ("n_train", "n_valid")}
        return {**first[-1], **sizes, **mean, "split": f"holdout {settings.holdout}"}


def _cells(
    run: Run, settings: EvaluationSettings, pools_of: PoolsOf, found: _Found
) -> Iterator[tuple[Cell, pl.DataFrame]]:
    """Every pool that somebody was evaluated on, with the choices in it.

    Pools see all training data, before a fraction is taken or a control shuffles them.
    """
    n_splits = settings.n_splits(run.dataset)
    for seed in settings.seeds:
        for bare in settings.splits(run.dataset, seed):
            pools, parts = pools_of(bare), settings.fitted_on(bare)
            run.saw(parts, f"{seed}, {parts.name}" if settings.holdout else None)
            found.splits.append((seed, part_facts(parts)))
            against = reference_scores(parts.test, settings.reference)
            known: dict[bytes, dict[str, Outcome]] = {}  # where groups meet, as at the size of all LLMs
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
    """The group of a pool; a held-out kind of prompt has groups of its own."""
    if settings.holdout is None:
        return group
    return parts.name if group == WHOLE else f"{group}, {parts.name}"
