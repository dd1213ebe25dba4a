"""`evaluate_fitted`: evaluation of a fitted router on the test part of its split."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import numpy as np

from recroute.errors import RouterError
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.settings import BASELINES
from recroute.evaluation.summarise import Cell, summarise
from recroute.experiment.bootstrap import N_RESAMPLES
from recroute.experiment.outcomes import fitted_outcomes
from recroute.experiment.provenance import environment, split_digest, split_facts
from recroute.experiment.reference import reference_scores
from recroute.experiment.run import TEST_USE, usable
from recroute.pools import WHOLE
from recroute.routers import Router
from recroute.splits import Split
from recroute.util.arguments import checked

BASELINE = "best_single"


@checked
def evaluate_fitted(
    router: Router, split: Split, *, n_resamples: int = N_RESAMPLES, predictions: bool = True
) -> Evaluation:
    """Evaluate a fitted router like `evaluate` does for one seed; only the baselines are fitted.

    Parameters
    ----------
    router : Router
        Fitted on `split.train`.
    split : Split
        With the vectors that the router was fitted on, see `prepare_split`.
    n_resamples : int
        Number of bootstrap resamples for the intervals.
    predictions : bool
        Whether to compute metrics of the predicted scores. If False, only the choices are evaluated, which is several
        times faster with thousands of LLMs.

    Raises
    ------
    RouterError
        If the router is not fitted, or no LLM was evaluated on a test instance.
    UnknownNameError
        If the split does not have an LLM of the router.
    """
    router.llm_index()  # raises if not fitted
    if not split.test.is_rated.any():
        raise RouterError(
            f"no LLM was evaluated on a test instance of {split.test.name}; use a split with evaluated test instances"
        )
    split = _of_its_llms(router, split)
    train, test = split.train, split.test
    usables, notes = usable(train, [router, *BASELINES])
    others = (replace(other, seed=split.seed).fit(train) for other in usables if other.label != router.label)
    reference = reference_scores(test, None)
    outcomes = fitted_outcomes(chain([router], others), train, test, reference, predictions=predictions)
    cell = Cell(split.seed, WHOLE, test.n_llms, outcomes, test.n_instances)
    rows, pairs, more = summarise([cell], split.seed, n_resamples, BASELINE)
    info = {
        "dataset": split_facts(split),
        "seed": split.seed,
        "seeds": [split.seed],
        "notes": [*notes, *filter(None, [split.note]), *more],
        "complete": True,
        "splits": {str(split.seed): split_digest(split)},
        "environment": environment(),
        "test_use": TEST_USE,
    }
    return Evaluation(rows, info, pairs)


def _of_its_llms(router: Router, split: Split) -> Split:
    """Split restricted to the router's LLMs, in its order."""
    index = split.test.llm_ids.to_index(list(router.llm_ids_))
    if len(index) == split.test.n_llms and (index == np.arange(len(index))).all():
        return split
    return split.take_llms(index)
