"""`frontier`: what quality costs, for each router as cost counts more and more, beside the LLMs themselves."""

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

WEIGHTS = np.logspace(-2.5, 2, 37)  # eight in each decade, see COST_WEIGHTS


@dataclass(frozen=True, kw_only=True)
class FrontierSettings(Protocol):
    """What `frontier` is asked for."""

    n_resamples: int = setting(N_RESAMPLES, low=1, help="Bootstrap resamples behind the intervals.", option="")


@checked
@takes_settings(FrontierSettings)
def frontier(
    dataset: Dataset, routers: Iterable[Router | str], *, progress: Progress | None = None, **settings: Any
) -> Frontier:
    """The cost-quality curve of each router: argmax of predicted score - weight * predicted cost, weight by weight.

    Costs are predicted for each prompt (`CostModel`), fitted on train as the routers are; what a choice costs and
    scores is what was observed on test. Beside the routers stand the single LLMs, `best_single`, the `oracle`, and
    RouterBench's `zero` router, which mixes single LLMs by chance: those on the hull of their mean costs and scores
    on train. The curve of every router, `zero` included, is the concave hull of its points on test.

    On incomplete data all curves are judged on the same instances (`Router.choose_judged`), and so is the best single
    LLM, whose quality is the target of `cost_at_quality`. Points of single LLMs are standardised to the tasks
    (`llm_means`); their costs where they were not evaluated are the predicted ones.

    Parameters
    ----------
    dataset : Dataset
        With costs.
    routers : list of Router or str
    **settings
    progress : callable, optional
        Called with the number of routers done and of routers in all.

    Returns
    -------
    Frontier. A curve's points are means over the seeds, and its metrics are those of that mean curve: the best single
    LLM of one small test set is partly luck. A KeyboardInterrupt keeps the seeds that were finished.

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
    """As `frontier`."""
    dataset = settings.encoded(dataset)
    chosen, notes = usable(dataset, [*routers, "best_single", "oracle"])
    if by_chance := [router.label for router in chosen if router.chooses_by_chance]:
        notes.append(f"left out, because they choose by chance and weigh no cost: {', '.join(by_chance)}")
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
    """Every router's choices on the test instances of one split that have a record."""
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
    return f"seed {parts.seed}: {lost:,} of {n:,} test instances were run on no LLM and are left out" if lost else ""


def _zero(train: Dataset, scores: Any, costs: PoolCosts) -> Spending:
    """The LLMs on the hull of train: those that win at some weight of mean cost against mean score."""
    alike = make_router("best_single").fit(train)
    block = np.ones((len(scores), 1), dtype=np.float32)
    by_mean = replace(costs, predicted=block * costs.mean.astype(np.float32))
    return spend(alike, block * llm_means(train).astype(np.float32), scores, by_mean, WEIGHTS)
