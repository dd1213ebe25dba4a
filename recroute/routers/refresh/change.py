"""Summary of a refresh: feedback received, predictions before and after, choices that changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.feedback import Feedback
from recroute.report.document import Document, Number, Table
from recroute.report.shown import Shown
from recroute.routers.base import Router
from recroute.routers.memory.mixture import NORMAL
from recroute.routers.ranking import clip_score
from recroute.routers.refresh.answers import Answers, predicted_cells
from recroute.util.numeric import Array, evenly, ratio

MAX_ROWS = 20  # LLMs in the table


@dataclass(frozen=True, eq=False)
class Change(Shown):
    """Observed feedback compared with the router's predictions before and after the refresh.

    Parameters
    ----------
    n_records, n_preferences : int
        Scores and preferences used.
    llms : polars.DataFrame
        A row for each LLM that has feedback, most answers first: `llm_id, n_answers, n_battles, predicted` (mean before
        the refresh), `observed, ci_low, ci_high` (mean score with 90% interval) and `refreshed` (mean prediction after
        it). Scores are null for an LLM that has preferences only.
    moved : float
        Share of the feedback's prompts whose first choice changes, of at most 2,000 with scores and 2,000 with
        preferences.
    """

    n_records: int
    n_preferences: int
    llms: pl.DataFrame
    moved: float

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        counts = {"n_records": self.n_records, "n_preferences": self.n_preferences, "n_llms": self.llms.height}
        return {**counts, "choices_changed": self.moved, "llms": self.llms.to_dicts()}

    def document(self) -> Document:
        """Amount of feedback, and a table of predicted and observed scores of the LLMs with most answers."""
        rows = [
            [
                row["llm_id"],
                Number(row["n_answers"], form=",d"),
                Number(row["n_battles"], form=",d"),
                _score(row["predicted"]),
                Number(row["observed"], row["ci_low"], row["ci_high"]),
                _score(row["refreshed"]),
            ]
            for row in self.llms.head(MAX_ROWS).iter_rows(named=True)
        ]
        more = self.llms.height - len(rows)
        return Document(
            title="Refresh",
            verdict=[
                f"taken in: {self.n_records:,} scores and {self.n_preferences:,} preferences of "
                f"{self.llms.height:,} LLMs; {self.moved:.1%} of the prompts now go to another LLM"
            ],
            notes=[f"{more:,} LLMs with fewer answers are omitted"] if more else [],
            blocks=[
                Table(
                    title="mean score of the answers",
                    heads=["LLM", "answers", "battles", "predicted", "observed, 90% interval", "predicted now"],
                    rows=rows,
                )
            ],
        )


def _score(value: float | None) -> Number:
    return Number(None if value is None else clip_score(value))


def refresh_with_change(router: Router, feedback: Feedback) -> tuple[Router, Change | None]:
    """Refresh a router and summarise the change; the summary is None if all feedback had been used before.

    Errors are those of `Router.refresh`.
    """
    after = router.refresh(feedback)
    new = feedback.without(router.decisions_taken_in())
    return after, None if new is None else compare(router, after, Answers.of(new, router))


def compare(before: Router, after: Router, answers: Answers) -> Change:
    """Summarise the refresh from `before` to `after` with these answers."""
    index = answers.llm_index
    predicted, refreshed = (predicted_cells(router, answers.scored, index) for router in (before, after))
    battles = np.bincount(np.concatenate([answers.llm_a, answers.llm_b]), minlength=len(before.llm_ids_))
    count = np.bincount(index, minlength=len(before.llm_ids_))
    llms = np.flatnonzero(count + battles)
    llms = llms[np.lexsort((llms, -battles[llms], -count[llms]))]

    def mean(values: Array) -> Array:
        return ratio(np.bincount(index, values, minlength=len(count))[llms], count[llms])

    observed = mean(answers.score)
    low, high = wilson(observed, count[llms])
    columns = {
        "llm_id": [before.llm_ids_.ids[i] for i in llms],
        "n_answers": count[llms],
        "n_battles": battles[llms],
        "predicted": mean(predicted),
        "observed": observed,
        "ci_low": low,
        "ci_high": high,
        "refreshed": mean(refreshed),
    }
    moved = []
    for prompts in (answers.scored, answers.compared):
        some = prompts.take(evenly(prompts.n))
        if some.n:
            first, then = (router.rank(some).llm_index[:, 0] for router in (before, after))
            moved.append(first != then)
    table = pl.DataFrame(columns).with_columns(pl.col(pl.Float64).fill_nan(None))
    return Change(len(index), len(answers.lead), table, float(np.concatenate(moved).mean()))


def wilson(mean: Array, n: NDArray[np.integer]) -> tuple[Array, Array]:
    """Wilson's 90% interval of the mean of n values in [0, 1]; exact for 0/1 values, conservative for graded ones.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 1927.

    >>> [float(end.round(3)) for end in wilson(np.array(0.5), np.array(10))]
    [0.269, 0.731]
    """
    z2, n = NORMAL**2, np.maximum(n, 1)
    centre = (mean + z2 / (2 * n)) / (1 + z2 / n)
    half = NORMAL * np.sqrt(mean * (1 - mean) / n + z2 / (4 * n**2)) / (1 + z2 / n)
    return np.clip(centre - half, 0, mean), np.clip(centre + half, mean, 1)
