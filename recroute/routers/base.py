"""`Router`, the base class of all routers, and `TextRouter`, the base class of those that read prompt vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl

from recroute.data import Dataset, InteractionMatrix, Prompts
from recroute.data.feedback import Feedback
from recroute.data.prompts import Instances
from recroute.errors import RouterError, argument
from recroute.report.document import Document, Table
from recroute.report.shown import Shown
from recroute.routers.core import Pool, Scores
from recroute.routers.estimator import Estimator
from recroute.routers.memory.remembering import RememberingRouter
from recroute.routers.names import ROUTERS
from recroute.routers.ranking import Ranking
from recroute.util.arguments import checked
from recroute.util.settings import setting
from recroute.util.state import fitted

if TYPE_CHECKING:
    from recroute.routers.memory.attempts import Tried
    from recroute.routers.memory.explain import Explanation
    from recroute.routers.memory.joint import JointScores
    from recroute.routers.refresh.answers import Answers

VIEWS = ("embedding", "tfidf", "all")

__all__ = ["VIEWS", "Instances", "Prompts", "Ranking", "Router", "Scores", "TextRouter", "fitted", "setting"]


@dataclass(kw_only=True, eq=False)
class Router(RememberingRouter, Estimator, Shown):
    """Base class of all routers. A subclass declares its hyperparameters as fields and implements `_fit` and `_score`.

    `RouterCore` documents what the author of a router needs: hyperparameters, fit, score, rank. This class adds
    explanations, unseen LLMs, refreshing (implemented in `recroute.routers.memory` and `recroute.routers.refresh`) and
    saving. A router that trades score for cost sets `weighs_cost` and overrides `predicted_score`, `predicted_cost`,
    `expected`, `cost_limit` and `with_target`.
    """

    is_composite: ClassVar[bool] = False  # made of other routers

    def document(self) -> Document:
        """Whether the router is fitted, and a table of its hyperparameters: value, default and meaning."""
        rows = [
            [f.name, str(getattr(self, f.name)), str(f.default), f.metadata.get("help", "")] for f in self.settings()
        ]
        return Document(
            title=f"Router {self.name}",
            facts=f"fitted on {len(self.llm_ids_):,} LLMs" if hasattr(self, "llm_ids_") else "not fitted",
            blocks=[Table(heads=["setting", "value", "default", "what it is"], rows=rows)],
        )

    def rank(
        self,
        instances: Instances,
        k: int = 1,
        llms: Pool | None = None,
        *,
        tried: Tried | None = None,
        verifier: str = "exact",
    ) -> Ranking:
        """The k best LLMs for each instance; equal scores go to the higher train mean, then the lower index.

        Parameters
        ----------
        instances, llms
            As in `score`.
        k : int
        tried : mapping of str to float, or a list of them, optional
            Scores, 0 to 1, of the LLMs that have answered already, by id: the same for all instances, or one mapping
            for each. The others are ranked by their expected score given these (see `recroute.routers.memory.joint`).
        verifier : str
            What the tried scores are: "exact" for scores, "noisy:TPR,TNR" for verdicts 0 or 1 of a judge with these
            rates of accepting right and rejecting wrong answers.

        Raises
        ------
        RouterError
            As `score`; if k LLMs are not left, and with `tried` if the router keeps no training prompts.
        DataError
            If a tried score is not from 0 to 1, or the verifier cannot be read.

        Examples
        --------
        >>> router.rank(["What is 12 times 13?"], tried={"llm-a": 0.0})  # doctest: +SKIP
        """
        if tried is None:
            return super().rank(instances, k, llms)
        from recroute.routers.memory.attempts import rank_tried

        return rank_tried(self, self.prompts(instances), k, self.llm_index(llms), tried, verifier)

    @property
    def joint(self) -> JointScores:
        """What LLMs' scores on one prompt say about each other: learned when it is first asked for, and saved with it.

        The router is fitted anew on folds of its training prompts for that. Raises RouterError if it does not keep
        them, or keeps too few.
        """
        from recroute.routers.memory.attempts import joint_of

        return joint_of(self)

    def choose_set(
        self, instances: Instances, k: int, llms: Pool | None = None, *, tried: Tried | None = None
    ) -> Ranking:
        """The k LLMs to ask at once: those with the highest expected *maximum* score, which are not the top k.

        Parameters and errors are those of `rank` with `tried`. In the ranking the LLMs stand in the order in which
        they were added, greedily, and `predicted_score` is the expected maximum of the first one, two, ... of them. A
        router that weighs cost adds the LLM whose gain in the expected maximum, less its predicted cost times the
        trade-off, is highest. With `tried` scores the set is chosen from the other LLMs by what they add to the best of
        these, which counts in the maximum.
        """
        from recroute.routers.memory.attempts import choose_set

        return choose_set(self, self.prompts(instances), k, self.llm_index(llms), tried)

    def score_std(
        self,
        instances: Instances,
        llms: Pool | None = None,
        *,
        reducible: bool = False,
    ) -> Scores:
        """Standard deviation of the error of `predicted_score`.

        The error is measured against the LLM's expected score on the prompt, not against a single noisy answer. It
        grows with the distance to the nearest training prompts; see `recroute.routers.memory.score_error`.

        Parameters
        ----------
        instances, llms
            As in `score`.
        reducible : bool
            Return only the epistemic part, which more scores of the LLM on similar prompts would remove. This is what
            exploration can gain. The rest is specific to the prompt.

        Returns
        -------
        f32 (b, m)

        Raises
        ------
        RouterError
            As `score`, and if the router keeps no scores of its training prompts.
        """
        from recroute.routers.memory.score_error import score_std

        return score_std(self, instances, self.llm_index(llms), reducible=reducible)

    def explain(
        self,
        instances: Instances,
        k: int = 1,
        llms: Pool | None = None,
        n_neighbors: int = 5,
    ) -> list[Explanation]:
        """Explain the k best LLMs of each instance: intervals, predicted task and nearest training prompts.

        Parameters and errors are those of `recroute.routers.memory.explain.explain`.
        """
        from recroute.routers.memory.explain import explain

        return explain(self, instances, k, llms, n_neighbors)

    def predicted_cost(self, instances: Instances, llms: Pool | None = None) -> Scores | None:
        """Predicted cost of each LLM's answer, f32 (b, m), in the cost unit of the training data.

        None unless the router weighs cost. Parameters are those of `score`.
        """
        return None

    def score_parts(self, instances: Instances, ranking: Ranking) -> tuple[Scores, Scores | None]:
        """Predicted scores f32 (b, k) and predicted costs f32 (b, k) of the LLMs in a ranking made by this router.

        A router that weighs cost ranks by a combination of the two; this method separates them again. For any other
        router the scores are those of the ranking and the costs are None.
        """
        prompts = self.prompts(instances)
        if (costs := self.predicted_cost(prompts)) is None:
            return ranking.predicted_score, None
        score, cost = (
            np.take_along_axis(block, ranking.llm_index, axis=1) for block in (self.predicted_score(prompts), costs)
        )
        return score, cost

    def expected(self) -> dict[str, Any] | None:
        """Expected cost and score of this router's choices on prompts like the training prompts.

        Returns
        -------
        dict or None
            `cost` of 1,000 prompts in `unit`, mean `score`, mean score of the `best_single` LLM, and the `trade_off`;
            `second_trade_off` and its `share_of_second` of the prompts, if two are mixed.
            None unless the router weighs cost.
        """
        return None

    def cost_limit(self) -> float:
        """Mean cost per prompt that the router may spend; infinite unless it weighs cost."""
        return np.inf

    def with_target(
        self, *, budget: float | None = None, quality: float | None = None, trade_off: float | None = None
    ) -> Self:
        """Copy of this router with another target, read off the cost curve that it keeps; nothing is refitted.

        Parameters
        ----------
        budget : float, optional
            Mean cost of 1,000 prompts, in the cost unit of the training data.
        quality : float, optional
            Share of the best single LLM's mean score, such as 0.98.
        trade_off : float, optional
            Score worth giving up per unit of cost.

        Raises
        ------
        RouterError
            If the router does not weigh cost or is not fitted, if more than one target is given, or if the target
            cannot be met.
        """
        raise RouterError(
            f"this {self.name} router has no cost curve and cannot meet a budget; leave the target out, or fit it "
            f"again with {argument('budget')} or {argument('quality')}"
        )

    def add_llms(self, interactions: InteractionMatrix | Dataset | None, llm_table: pl.DataFrame | None = None) -> Self:
        """Copy of this router with additional LLMs, which need few or no evaluations.

        The scores expected of a new LLM on every training prompt come from the known LLMs (`LLMPrior`), its own scores
        and its metadata; its parameters follow from these. The other LLMs are scored as before, and this router does
        not change.

        Parameters
        ----------
        interactions : InteractionMatrix (n, j) or Dataset, optional
            Scores on the n `training_prompts`, in their order; or a data set, whose instances are matched by id. An
            LLM without records is expected to be like the known ones.
        llm_table : polars.DataFrame, optional
            j rows: `llm_id` and, if known, `family, n_params_b, price_in, price_out`. Default: the data set's table.

        Raises
        ------
        RouterError
            If the router is not fitted, cannot take unseen LLMs, or does not keep its training prompts.
        DataError
            If the router already has one of the LLMs, an instance is not a training prompt, or the table is invalid.
        """
        from recroute.routers.memory.grow import add_llms

        return add_llms(self, interactions, llm_table)

    def remove_llms(self, llms: Sequence[str]) -> Self:
        """Copy of this router without these LLMs (ids); nothing is refitted.

        Raises
        ------
        RouterError
            If the router must be refitted whenever its LLMs change, or no LLM would be left.
        UnknownNameError
            If the router does not know one of the LLMs.
        """
        from recroute.routers.memory.grow import remove_llms

        return remove_llms(self, llms)

    @checked
    def refresh(self, feedback: Feedback) -> Router:
        """Correct the router's predictions by feedback observed since the fit, without refitting it.

        Use this for what a service observes, a few answers a prompt; for prompts with all their records, and a router
        that keeps its sums, use `taken_in`.

        Takes milliseconds to seconds and returns a `refreshed` router around this one, which does not change.
        Refreshing in several steps gives the same router as refreshing once with all feedback. Decisions that were
        already used are skipped, so the same growing file can be passed again.

        Parameters
        ----------
        feedback : Feedback
            Scores, typically of the one LLM that answered each prompt, and preferences; see `read_feedback`.

        Raises
        ------
        RouterError
            If the router is not fitted or predicts no scores, or the feedback lacks the text or task it reads.
        DataError
            If the feedback names an LLM that the router does not know.
        """
        from recroute.routers.refresh.answers import Answers

        self.llm_index()  # raises if not fitted
        if self.needs == "scores" or self.chooses_by_chance:
            raise RouterError(f"{self.label} does not learn from scores and cannot be refreshed; use another router")
        new = feedback.without(self.decisions_taken_in())
        training = None if self.background_ is None else self.training_sample()
        return self if new is None else self._refreshed(Answers.of(new, self), training)

    def _refreshed(self, answers: Answers, training: Prompts | None) -> Router:
        """Copy corrected by these answers; `training` are prompts it was fitted on, if it keeps them."""
        return ROUTERS.get("refreshed").around(self, training)._refreshed(answers, training)

    def save(self, path: str | Path, card: str | None = None) -> None:
        """Write the router to a folder; see `recroute.routers.storage.save_router` for its layout and errors.

        `card` is Markdown for people, written as CARD.md.
        """
        from recroute.routers.storage import save_router

        save_router(self, path, card)

    @staticmethod
    def load(path: str | Path) -> Router:
        """Load a router from its folder; see `load_router` for the errors."""
        from recroute.routers.storage import read_router

        router = read_router(Path(path))
        assert isinstance(router, Router)  # every registered class derives from it
        return router


@dataclass(kw_only=True)
class TextRouter(Router):
    """Base class of routers that read prompt vectors.

    `_fit` finds them in `train.embeddings`, `_score` in `self.vectors(prompts)`. They come from the data set. If it has
    none, `fit` fits a TF-IDF encoder to the training prompts (`fit_encoder`).
    """

    needs: ClassVar[str] = "text"

    views: str = setting("embedding", choices=VIEWS, help="prompt vectors to read: the main ones, TF-IDF, or all")
