"""`Tuned`: the result of a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl
from optuna import Study

from recroute.errors import DataError
from recroute.evaluation.evaluation import Evaluation
from recroute.report.document import Block, Document, Figure, Medium, Number, Section, Table
from recroute.report.shown import Shown
from recroute.routers import Router
from recroute.tuning.choice import MIN_TRIALS
from recroute.tuning.picture import draw_history, draw_importances
from recroute.tuning.trials import STATES

BEST_TRIALS = 8  # rows of the table in a terminal and a notebook
HISTORY = (
    "Validation value of each trial (mean over all folds) and the best value so far. Crosses at the bottom mark trials "
    "that were stopped early and have no value."
)
IMPORTANCES = (
    "Share of the variance between completed trials that each hyperparameter explains. The sampler tries promising "
    "values more often, so this describes the trials, not the whole space."
)


@dataclass(frozen=True, repr=False, eq=False)
class Tuned(Shown):
    """Result of a search. Displays itself in a notebook; `write_html` writes a report.

    Parameters
    ----------
    name : str
        Name of the study.
    best : Router
        The chosen pipeline, not fitted.
    study : optuna.Study
        A copy in memory, for Optuna's own plots and tables; the study itself is in the folder.
    trials : polars.DataFrame
        One row for each trial, see `recroute.tuning.trials.trial_table`.
    notes : list of str
        How the choice was made, and warnings.
    front : list of Router
        With two metrics, the Pareto front, of which `best` is the first; otherwise empty.
    evaluation : Evaluation, optional
        Test results of the chosen pipeline, the default, the best pipeline of every router searched, and the baselines.
        None after an interrupt, because test instances are read only once.
    router : Router
        The chosen pipeline, fitted on the training instances.
    complete : bool
        Whether the search ended as planned, with all trials or at the time limit; False after an interrupt.
    card : str
        Markdown card of `router`, see `router_card`.
    importances : dict of str to dict of str to float
        Shares of the variance between trials, see `recroute.tuning.choice.importances`.
    maximize : bool
        Whether higher values of the (first) metric are better.
    """

    name: str
    best: Router
    study: Study
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

    def plot(self, *, ax: Any = None) -> Any:
        """Plot the value of each trial and the best so far; returns the Matplotlib axes (default: of a new figure)."""
        return draw_history(self.trials, maximize=self.maximize, ax=ax)

    def plot_importances(self, *, ax: Any = None) -> Any:
        """Plot the importances of what was searched; returns the Matplotlib axes (default: of a new figure).

        Raises DataError if no router has enough completed trials whose values differ.
        """
        if not self.importances:
            raise DataError(
                f"no router has {MIN_TRIALS} trials judged on all folds whose values differ; run more trials"
            )
        return draw_importances(self.importances, ax=ax)

    def document(self) -> Document:
        tested = Document(title="") if self.evaluation is None else self.evaluation.document()
        return Document(
            title=f"Study {self.name}",
            facts=f"{self._counted()}; {self.trials['seconds'].sum():,.0f} seconds of computing time. The search did "
            "not use test instances.",
            verdict=[f"chosen: {self.best.label}", *self.notes, *tested.verdict],
            notes=tested.notes,
            blocks=[Section(title="Search", blocks=self._search()), Section(title="On test", blocks=tested.blocks)],
            simulated=tested.simulated,
            unfinished=""
            if self.complete
            else "NOT FINISHED: there are no test results yet. Run the same command again to resume.",
        )

    def _counted(self) -> str:
        """Number of trials, by outcome."""
        counts = dict(self.trials["state"].value_counts().iter_rows())
        kinds = [f"{counts[state]} {words}" for state, words in STATES.items() if state in counts]
        return f"{self.trials.height} trials: {', '.join(kinds)}"

    def _search(self) -> list[Block]:
        ranked = self.trials.sort("place")
        blocks: list[Block] = [Figure(name="history", draw=self.plot, caption=HISTORY, on=Medium.PAGE)]
        if self.importances:
            draw = partial(draw_importances, self.importances)
            blocks.append(Figure(name="importance", draw=draw, caption=IMPORTANCES, on=Medium.PAGE))
        best = _table(ranked.head(BEST_TRIALS), "best trials", self._counted())
        return [
            *blocks,
            Section(title="Best trials", blocks=[best], on=Medium.SCREEN | Medium.NOTEBOOK),
            Section(title="All trials", blocks=[_table(ranked)], folded=True, on=Medium.PAGE),
        ]


def _table(trials: pl.DataFrame, title: str = "", caption: str = "") -> Table:
    values = [name for name in ("value", "value_2") if name in trials.columns]
    rows = [
        [
            row["pipeline"],
            row["outcome"],
            Number(row["number"], form="d"),
            *(Number(row[name], form=".4f") for name in values),
            Number(row["n_folds"], form="d"),
            Number(row["seconds"], form=".1f"),
        ]
        for row in trials.iter_rows(named=True)
    ]
    heads = ("pipeline", "outcome", "trial", *(name.replace("_", " ") for name in values), "folds", "seconds")
    return Table(heads=heads, rows=rows, title=title, caption=caption)
