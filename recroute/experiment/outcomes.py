"""Routers on one pool and one test set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, llm_means
from recroute.experiment.spending import pool_costs, spend
from recroute.metrics import Agreement, Outcome
from recroute.metrics.spread import entropy_bits
from recroute.retrieval import first_evaluated, tie_order
from recroute.routers import Router
from recroute.splits import Split

MANY_UNOBSERVED = 0.01  # share of choices that a reader is told of


def pool_outcomes(
    routers: Sequence[Router],
    split: Split,
    llm_index: NDArray[np.int64],
    reference: NDArray[np.float64],
) -> dict[str, Outcome]:
    """Fit each router on the pool's training scores and see what its choices score on test.

    Parameters
    ----------
    routers : list of Router
        Unfitted; each is fitted anew with the split's seed.
    split : Split
        With all LLMs and with vectors.
    llm_index : int (m,)
        The pool.
    reference : f64 (n,)
        The reference's score on each test instance.

    Returns
    -------
    Outcome by router label, on the test instances that at least one LLM of the pool was evaluated on, or two of
    them met in a battle.
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
    """See what the choices of routers that were fitted on `train` score on `test`; the rest as in `pool_outcomes`.

    Every router, the best single LLM among them, is judged by its highest-ranked LLM that was evaluated on the instance
    (`Router.choose_judged`), so all are judged on the same instances.

    Without `predictions` only choices are judged, and no predicted score: sorting those takes most of the time where
    there are thousands of LLMs.
    """
    rows = np.flatnonzero(test.is_rated)
    test, reference = test.take_instances(rows), reference[rows]
    scores = test.interactions.dense()
    orders = (tie_order(llm_means(data)) for data in (train, test))
    train_best, best_single = (scores[np.arange(len(scores)), first_evaluated(scores, order)] for order in orders)
    costs = pool_costs(train, test)
    outcomes = {}
    for fitted in routers:
        predicted = fitted.score(test)
        expected = expected_scores(fitted, scores)
        # a router that chooses by chance predicts one draw; its distribution follows from the observed scores
        known = predicted if expected is None else np.nan_to_num(scores, nan=-np.inf)
        choice, judged_by = fitted.choose_judged(predicted, scores)
        outcomes[fitted.label] = Outcome.of(
            scores,
            choice,
            judged_by=judged_by,
            chosen=expected,
            entropy=entropy_bits(fitted.distribution(known)),
            train_best=train_best,
            best_single=best_single,
            instance_id=np.array(test.instance_ids.ids),
            reference=reference,
            predicted=predicted if predictions and expected is None else None,
            spending=spend(fitted, predicted, scores, costs) if costs and expected is None else None,
            agreement=None if expected is not None or fitted.needs == "scores" else agreed(predicted, test),
        )
    return outcomes


def expected_scores(router: Router, scores: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """`Router.expected_score`, NaN on instances where nothing was observed."""
    judged = ~np.isnan(scores).all(axis=1)
    expected = router.expected_score(scores[judged])
    if expected is None:
        return None
    found = np.full(len(scores), np.nan)
    found[judged] = expected
    return found


def agreed(predicted: NDArray[np.float32], test: Dataset) -> Agreement | None:
    """How predicted scores f32 (n, m) agree with the preferences of the test set; None where it has none."""
    fought = test.preferences
    if not fought:
        return None
    return Agreement.of(predicted, fought.instance_index, fought.llm_a, fought.llm_b, fought.outcome)


def unobserved_notes(share: Mapping[str, float]) -> list[str]:
    """One line if many choices fell on cells that nobody evaluated, for the share of each router or group."""
    many = [f"{name} up to {worst:.0%}" for name, worst in share.items() if worst > MANY_UNOBSERVED]
    told = "choices that nobody evaluated are judged by the next LLM of the ranking that was (see unobserved_choice)"
    return [f"{told}: {', '.join(many)}"] if many else []
