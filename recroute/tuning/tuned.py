"""What a search has found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import polars as pl

from recroute.errors import DataError
from recroute.evaluation import Evaluation
from recroute.routers import Router
from recroute.tuning.choice import MIN_TRIALS


@dataclass(frozen=True, repr=False, eq=False)
class Tuned:
    """What a search has found.

    Parameters
    ----------
    best : Router
        The chosen pipeline, not fitted.
    trials : polars.DataFrame
        A row for each trial: number, state, router, value, values by fold, seconds.
    notes : list of str
        What a reader has to know: how the choice was made, and what was left out.
    front : list of Router
        With two metrics, the pipelines that no other one beats on both; `best` is the first.
    evaluation : Evaluation, optional
        The chosen pipeline on test, beside the default, the best of every router searched, and the baselines; None
        if the study was stopped before its end, because test is read once.
    router : Router
        The chosen pipeline, fitted on train.
    complete : bool
        Whether the study has all its trials.
    card : str
        What a person should know of `router`, see `router_card`.
    importances : dict of str to dict of str to float
        What the differences between trials come from, see `recroute.tuning.choice.importances`.
    maximize : bool
        Whether more of the (first) metric is better.
    """

    best: Router
    trials: pl.DataFrame
    notes: list[str]
    front: list[Router]
    evaluation: Evaluation | None
    router: Router
    complete: bool
    card: str
    importances: Mapping[str, Mapping[str, float]]
    maximize: bool

    def __repr__(self) -> str:
        end = "" if self.complete else ", not finished"
        return f"Tuned({self.best.label}, chosen in {self.trials.height:,} trials{end})"

    def plot(self, **options: Any) -> Any:
        """The value of each trial and the best so far, as Matplotlib axes; see `plot_history`."""
        return _report().plot_history(self.trials, maximize=self.maximize, **options)

    def plot_importances(self, **options: Any) -> Any:
        """What the differences between trials come from, as Matplotlib axes; see `plot_shares`.

        Raises DataError if no router has enough completed trials to tell.
        """
        if not self.importances:
            raise DataError(f"no router has {MIN_TRIALS} trials that were judged on all folds; ask for more trials")
        return _report().plot_shares(self.importances, **options)

    def _repr_html_(self) -> str:
        """What a notebook shows: the choice, why it was made, the first trials, and how it does on test."""
        return str(_report().study_notebook(self.trials, self.notes, self.best.label, self.evaluation))


def _report() -> Any:
    """The layer that shows results, looked up only when somebody looks."""
    return import_module("recroute.report")
