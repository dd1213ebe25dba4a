"""`frontier`: cost-quality curves of routers, compared with single LLMs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recroute.data import Dataset, llm_means
from recroute.data.means import standardised_scores
from recroute.errors import DataError
from recroute.evaluation.frontier_result import Frontier
from recroute.evaluation.frontier_rows import ZERO, Traced, summarise_curves
from recroute.experiment.bootstrap import N_RESAMPLES
from recroute.experiment.protocol import Progress, Protocol
from recroute.experiment.provenance import part_facts
from recroute.experiment.run import TEST_USE, Run, usable
from recroute.experiment.spending import PoolCosts, pool_costs, spend
from recroute.metrics import Spending
from recroute.routers import Router, as_routers, make_router
from recroute.routers.costs import cost_unit, no_costs
from recroute.splits import Split
from recroute.util.arguments import checked
from recroute.util.settings import setting, takes_settings

WEIGHTS = np.logspace(-2.5, 2, 37)  # eight per decade, see COST_WEIGHTS


@dataclass(frozen=True, kw_only=True)
class FrontierSettings(Protocol):
    """Settings of `frontier`."""

    n_resamples: int = setting(N_RESAMPLES, low=1, help="Number of bootstrap resamples for the intervals.", option="")


@checked
@takes_settings(FrontierSettings)
def frontier(
    dataset: Dataset, routers: Iterable[Router | str], *, progress: Progress | None = None, **settings: Any
) -> Frontier:
    """Cost-quality curve of each router: the choices that maximise predicted score - weight * predicted cost.

    Costs are predicted for each prompt by a `CostModel` fitted on the training instances; costs and scores of the
    choices are those observed on test instances. The routers are compared with the single LLMs, `best_single`, the
    `oracle`, and RouterBench's `zero` router, which mixes at random the single LLMs on the hull of their training mean
    costs and scores. The curve of every router, including `zero`, is the concave hull of its points on test instances.

    On incomplete data all curves are judged on the same instances (`Router.choose_judged`), and so is the best single
    LLM, whose quality is the target of `cost_at_quality`. Points of single LLMs are standardised over tasks
    (`llm_means`), with predicted costs where they were not evaluated.

    Parameters
    ----------
    dataset : Dataset
        With costs.
    routers : list of Router or str
    **settings
        See `FrontierSettings`.
    progress : callable, optional
        Called with the number of routers done and the total number.

    Returns
    -------
    Frontier
        The points of a curve are means over seeds, and its metrics are those of the mean curve, because the best single
        LLM on one small test set is partly chance. After a KeyboardInterrupt it holds the finished seeds.

    Raises
    ------
    DataError
        If there are no costs.
    RecrouteError
        As `evaluate`.
    """
    return measure(FrontierSettings(**settings), dataset, as_routers(routers), progress)


def measure(
    settings: FrontierSettings, dataset: Dataset, routers: Sequence[Router], progress: Progress | None = None
) -> Frontier:
    """Implementation of `frontier`."""
    dataset = settings.encoded(dataset)
    chosen, notes = usable(dataset, [*routers, "best_single", "oracle"])
    if by_chance := [router.label for router in chosen if router.chooses_by_chance]:
        notes.append(f"left out, because they choose at random whatever the cost: {', '.join(by_chance)}")
        chosen = [router for router in chosen if router.label not in by_chance]
    if "cost_note" in dataset.card:
        notes.append(str(dataset.card["cost_note"]))
    run = Run(dataset, settings.seeds, chosen, notes, progress)
    traced: list[Traced] = []
    facts: dict[str, Any] = {}
    with run.keeping():
        for seed in settings.seeds:
            parts = settings.parts(dataset, seed)
            traced.append(_trace(parts, run))
            run.saw(parts)
            run.note(_left_out(parts))
            run.finished.append(seed)
            facts = part_facts(parts)
    rows, points, pairs, more = summarise_curves(traced[: len(run.finished)], settings.seeds[0], settings.n_resamples)
    run.note(*more)
    info = run.info(facts | {"cost_unit": cost_unit(dataset)}, test_use=TEST_USE)
    return Frontier(rows, info, pairs, points=points)


def _trace(parts: Split, run: Run) -> Traced:
    """Choices of every router on the evaluated test instances of one split."""
    train, test = parts.train, parts.test.evaluated()
    costs, scores = pool_costs(train, test), test.interactions.dense()
    if costs is None:
        raise DataError(no_costs(train))
    curves: dict[str, Spending] = {}
    for router in run.routers:
        fitted = replace(router, seed=parts.seed).fit(train)
        curves[router.label] = spend(fitted, fitted.score(test), scores, costs, WEIGHTS)
        run.step(len(run.seeds) * len(run.routers))
    curves[ZERO] = _zero(train, scores, costs)
    ids = np.array(test.instance_ids.ids)
    weights, of_llms = np.array([0.0, *WEIGHTS, np.inf]), standardised_scores(test)
    spent = np.where(np.isnan(scores) & ~np.isnan(of_llms), costs.predicted, costs.observed)
    return Traced(parts.seed, ids, curves, weights, list(test.llm_ids), of_llms, spent, scores)


def _left_out(parts: Split) -> str:
    n = parts.test.n_instances
    lost = n - parts.test.evaluated().n_instances
    return f"seed {parts.seed}: {lost:,} of {n:,} test instances have no score and are left out" if lost else ""


def _zero(train: Dataset, scores: Any, costs: PoolCosts) -> Spending:
    """Choices of the `zero` router: the LLM with the highest mean score - weight * mean cost on the training data."""
    alike = make_router("best_single").fit(train)
    block = np.ones((len(scores), 1), dtype=np.float32)
    by_mean = replace(costs, predicted=block * costs.mean.astype(np.float32))
    return spend(alike, block * llm_means(train).astype(np.float32), scores, by_mean, WEIGHTS)
