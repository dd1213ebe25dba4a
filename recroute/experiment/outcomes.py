"""Outcomes of routers on one pool and one test set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, llm_means
from recroute.data.cells import CELLS_IN_CACHE, row_blocks
from recroute.experiment.spending import pool_costs, spend
from recroute.metrics import Agreement, Outcome
from recroute.metrics.observed import Observed
from recroute.metrics.spread import entropy_bits
from recroute.retrieval import first_evaluated, tie_order
from recroute.routers import Router
from recroute.splits import Split
from recroute.util.numeric import Array

MANY_UNOBSERVED = 0.01  # share of unobserved choices above which there is a note


def pool_outcomes(
    routers: Sequence[Router],
    split: Split,
    llm_index: NDArray[np.int64],
    reference: NDArray[np.float64],
) -> dict[str, Outcome]:
    """Fit each router on the pool's training scores and evaluate its choices on the test instances.

    Parameters
    ----------
    routers : list of Router
        Fitted copies are made with the split's seed.
    split : Split
        With all LLMs, and with vectors.
    llm_index : int (m,)
        Positions of the pool's LLMs.
    reference : f64 (n,)
        Score of the reference on each test instance.

    Returns
    -------
    dict of str to Outcome
        By router label, on the test instances that have a score or a preference about the pool's LLMs.
    """
    train, test = split.train.take_llms(llm_index), split.test.take_llms(llm_index)
    return fitted_outcomes((replace(router, seed=split.seed).fit(train) for router in routers), train, test, reference)


def fitted_outcomes(
    routers: Iterable[Router],
    train: Dataset,
    test: Dataset,
    reference: NDArray[np.float64],
    *,
    predictions: bool = True,
) -> dict[str, Outcome]:
    """Evaluate the choices of routers fitted on `train` on the instances of `test`, see `pool_outcomes`.

    Every router, and also the best single LLM, is judged by its highest-ranked LLM that was evaluated on the instance
    (`Router.choose_judged`), so all are judged on the same instances. Without `predictions`, predicted scores are not
    evaluated, which saves most of the time with thousands of LLMs.
    """
    rows = np.flatnonzero(test.is_rated)
    test, reference = test.take_instances(rows), reference[rows]
    scores = test.interactions.dense()
    observed = Observed.of(scores)
    orders = (tie_order(llm_means(data)) for data in (train, test))
    train_best, best_single = (scores[np.arange(len(scores)), first_evaluated(scores, order)] for order in orders)
    costs = pool_costs(train, test)
    outcomes = {}
    for fitted in routers:
        predicted = fitted.score(test)
        expected = expected_scores(fitted, scores)
        # the predictions of a router that chooses by chance are one random draw
        known = predicted if expected is None else np.nan_to_num(scores, nan=-np.inf)
        choice, judged_by = fitted.choose_judged(predicted, scores)
        outcomes[fitted.label] = Outcome.of(
            observed,
            choice,
            judged_by=judged_by,
            chosen=expected,
            entropy=_entropy(fitted, known),
            train_best=train_best,
            best_single=best_single,
            instance_id=np.array(test.instance_ids.ids),
            reference=reference,
            predicted=predicted if predictions and expected is None else None,
            spending=spend(fitted, predicted, scores, costs) if costs and expected is None else None,
            agreement=None if expected is not None or fitted.needs == "scores" else agreed(predicted, test),
        )
    return outcomes


def _entropy(router: Router, predicted: NDArray[np.float32]) -> Array:
    """Entropy f64 (n,) in bits of the router's own distribution, some instances at a time."""
    blocks = row_blocks(len(predicted), predicted.shape[1], CELLS_IN_CACHE)
    return np.concatenate([np.zeros(0), *(entropy_bits(router.distribution(predicted[rows])) for rows in blocks)])


def expected_scores(router: Router, scores: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """`Router.expected_score`, with NaN on instances without scores."""
    judged = ~np.isnan(scores).all(axis=1)
    expected = router.expected_score(scores[judged])
    if expected is None:
        return None
    padded = np.full(len(scores), np.nan)
    padded[judged] = expected
    return padded


def agreed(predicted: NDArray[np.float32], test: Dataset) -> Agreement | None:
    """Agreement of predicted scores f32 (n, m) with the preferences of the test set; None if it has none."""
    battles = test.preferences
    if not battles:
        return None
    return Agreement.of(predicted, battles.instance_index, battles.llm_a, battles.llm_b, battles.outcome)


def unobserved_notes(share: Mapping[str, float]) -> list[str]:
    """Note if many choices were not evaluated, given their share for each router or group."""
    many = [f"{name} up to {worst:.0%}" for name, worst in share.items() if worst > MANY_UNOBSERVED]
    rule = "choices that were not evaluated are judged by the next evaluated LLM of the ranking (see unobserved_choice)"
    return [f"{rule}: {', '.join(many)}"] if many else []
