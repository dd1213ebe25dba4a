"""What a refresh saw and what it changes."""

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
from recroute.routers.ranking import within
from recroute.routers.refresh.answers import Answers, predicted_cells
from recroute.util.numeric import Array, evenly, ratio

MOST_LLMS = 20  # of the table


@dataclass(frozen=True, eq=False)
class Change(Shown):
    """Feedback beside what a router predicted for it.

    Parameters
    ----------
    n_records, n_preferences : int
    llms : polars.DataFrame
        A row for each LLM that has feedback, most answers first: `llm_id, n_answers, n_battles, predicted` (mean over
        its answers, before), `observed, ci_low, ci_high` (mean score, 90% interval), `refreshed` (mean predicted now).
        Null for an LLM that has battles only.
    moved : float
        Share of the feedback's prompts, at most 2,000 of answers and 2,000 of battles, whose first choice changes.
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
        """How much was taken in, and for the LLMs with most answers what was predicted, observed, and is predicted."""
        rows = [
            [
                row["llm_id"],
                Number(row["n_answers"], form=",d"),
                Number(row["n_battles"], form=",d"),
                _score(row["predicted"]),
                Number(row["observed"], row["ci_low"], row["ci_high"]),
                _score(row["refreshed"]),
            ]
            for row in self.llms.head(MOST_LLMS).iter_rows(named=True)
        ]
        more = self.llms.height - len(rows)
        return Document(
            title="Refresh",
            verdict=[
                f"taken in: {self.n_records:,} scores and {self.n_preferences:,} preferences of "
                f"{self.llms.height:,} LLMs; {self.moved:.1%} of the prompts now go to another LLM"
            ],
            notes=[f"{more:,} LLMs with fewer answers are not in the table"] if more else [],
            blocks=[
                Table(
                    title="mean score of the answers",
                    heads=["LLM", "answers", "battles", "predicted", "observed, 90% interval", "predicted now"],
                    rows=rows,
                )
            ],
        )


def _score(value: float | None) -> Number:
    return Number(None if value is None else within(value))


def refresh_with_change(router: Router, feedback: Feedback) -> tuple[Router, Change | None]:
    """The router refreshed, and what that changed: None if all of the feedback was taken in before.

    Raises as `Router.refresh`.
    """
    after = router.refresh(feedback)
    new = feedback.without(router.decisions_taken_in())
    return after, None if new is None else compare(router, after, Answers.of(new, router))


def compare(before: Router, after: Router, answers: Answers) -> Change:
    """What a refresh of `before` with these answers to `after` changed."""
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
    for prompts in (answers.scored, answers.fought):
        some = prompts.take(evenly(prompts.n))
        if some.n:
            first, then = (router.rank(some).llm_index[:, 0] for router in (before, after))
            moved.append(first != then)
    table = pl.DataFrame(columns).with_columns(pl.col(pl.Float64).fill_nan(None))
    return Change(len(index), len(answers.lead), table, float(np.concatenate(moved).mean()))


def wilson(mean: Array, n: NDArray[np.integer]) -> tuple[Array, Array]:
    """90% interval of the mean of n values in [0, 1]: Wilson's, which is for 0 and 1 and wider than others need.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 1927.

    >>> [float(end.round(3)) for end in wilson(np.array(0.5), np.array(10))]
    [0.269, 0.731]
    """
    z2, n = NORMAL**2, np.maximum(n, 1)
    centre = (mean + z2 / (2 * n)) / (1 + z2 / n)
    half = NORMAL * np.sqrt(mean * (1 - mean) / n + z2 / (4 * n**2)) / (1 + z2 / n)
    return np.clip(centre - half, 0, mean), np.clip(centre + half, mean, 1)
