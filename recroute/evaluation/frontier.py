"""`frontier`: what quality costs, for each router as cost counts more and more, beside the LLMs themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from recroute.data import Dataset, llm_means
from recroute.data.means import standardised_scores
from recroute.encoders import encode_dataset
from recroute.errors import DataError
from recroute.evaluation.frontier_result import Frontier
from recroute.evaluation.frontier_rows import Traced, summarise_curves
from recroute.experiment.bootstrap import N_RESAMPLES
from recroute.experiment.prepare import prepare_split
from recroute.experiment.protocol import Progress
from recroute.experiment.provenance import dataset_facts, environment, split_digest
from recroute.experiment.run import TEST_USE, usable
from recroute.experiment.spending import PoolCosts, pool_costs, spend
from recroute.metrics import Spending
from recroute.routers import Router, as_routers, make_router
from recroute.routers.costs import cost_unit, no_costs
from recroute.splits import Split
from recroute.util.arguments import as_seeds, checked

WEIGHTS = np.logspace(-2.5, 2, 37)  # eight in each decade, see COST_WEIGHTS
ZERO = "zero"


@checked
def frontier(
    dataset: Dataset,
    routers: Iterable[Router | str],
    *,
    split: str | None = None,
    encoder: str = "auto",
    seeds: Sequence[int] = (0,),
    n_resamples: int = N_RESAMPLES,
    progress: Progress | None = None,
) -> Frontier:
    """The cost-quality curve of each router: argmax of predicted score - weight * predicted cost, weight by weight.

    Costs are predicted for each prompt (`CostModel`), fitted on train as the routers are; what a choice costs and
    scores is what was observed on test. Beside the routers stand the single LLMs, `best_single`, the `oracle`, and
    RouterBench's `zero` router, which mixes single LLMs by chance: those on the hull of their mean costs and scores
    on train. The curve of every router is the concave hull of its points on test, `zero`'s too.

    On incomplete data all curves are judged on the same instances (`Router.choose_judged`), and so is the best single
    LLM, whose quality is the target of `cost_at_quality`. Points of single LLMs are standardised to the tasks
    (`llm_means`), their costs where they were not evaluated are the predicted ones.

    Parameters
    ----------
    dataset : Dataset
        With costs.
    routers : list of Router or str
    split, encoder
        See `prepare_split`.
    seeds : list of int
        Each seed draws its own split and seeds the routers. A curve's points are means over the seeds, and its metrics
        are those of that mean curve: the best single LLM of one small test set is partly luck.
    n_resamples : int
    progress : callable, optional
        Called with the routers done and the routers in all.

    Raises
    ------
    DataError
        If there are no costs.
    RecrouteError
        As `evaluate`.
    """
    dataset, seeds = encode_dataset(dataset, encoder), as_seeds(seeds)
    chosen, notes = usable(dataset, [*as_routers(routers), "best_single", "oracle"])
    if by_chance := [r.label for r in chosen if r.chooses_by_chance]:
        notes.append(f"left out, because they choose by chance and weigh no cost: {', '.join(by_chance)}")
        chosen = [router for router in chosen if router.label not in by_chance]
    if "cost_note" in dataset.card:
        notes.append(str(dataset.card["cost_note"]))
    traced: list[Traced] = []
    splits: dict[str, str] = {}
    last, complete = None, True
    try:
        for i, seed in enumerate(seeds):
            parts = prepare_split(dataset, split=split, seed=seed, encoder=encoder)
            rest = (i * len(chosen), len(seeds) * len(chosen), progress)
            traced.append(_trace(parts, chosen, rest))
            splits[str(seed)] = split_digest(parts)
            last = parts
            notes += [note for note in (parts.note, _left_out(parts)) if note and note not in notes]
    except KeyboardInterrupt:
        if last is None:
            raise
        complete = False
        notes.append("interrupted: only the seeds that were finished are in the table")
    assert last is not None  # there is a seed
    rows, points, pairs, more = summarise_curves(traced, seeds[0], n_resamples)
    info = {
        "dataset": _facts(dataset, last),
        "seed": seeds[0],
        "seeds": list(seeds),
        "notes": [*notes, *more],
        "complete": complete,
        "splits": splits,
        "routers": {router.label: {"name": router.name, **router.hyperparameters()} for router in chosen},
        "environment": environment(),
        "test_use": TEST_USE,
    }
    return Frontier(rows, info, pairs, points=points)


def _trace(parts: Split, routers: Sequence[Router], rest: tuple[int, int, Progress | None]) -> Traced:
    """Every router's choices on the test instances of one split that have a record."""
    train, test = parts.train, parts.test.evaluated()
    costs, scores = pool_costs(train, test), test.interactions.dense()
    if costs is None:
        raise DataError(no_costs(train))
    done, total, progress = rest
    curves: dict[str, Spending] = {}
    for i, router in enumerate(routers, 1):
        fitted = replace(router, seed=parts.seed).fit(train)
        curves[router.label] = spend(fitted, fitted.score(test), scores, costs, WEIGHTS)
        if progress:
            progress(done + i, total)
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


def _facts(dataset: Dataset, parts: Split) -> dict[str, Any]:
    n_train, n_valid, n_test = (data.n_instances for data in parts.parts().values())
    return {
        **dataset_facts(dataset),
        "split": parts.name,
        "n_train": n_train,
        "n_valid": n_valid,
        "n_test": n_test,
        "encoder": parts.train.encoder.name if parts.train.encoder else None,
        "cost_unit": cost_unit(dataset),
    }
