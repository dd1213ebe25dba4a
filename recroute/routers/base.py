"""Every router: the core and what it remembers."""

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
from recroute.errors import RouterError
from recroute.report.document import Document, Table
from recroute.report.shown import Shown
from recroute.routers.core import Pool, Scores
from recroute.routers.memory.remembering import RememberingRouter
from recroute.routers.names import ROUTERS
from recroute.routers.ranking import Ranking
from recroute.util.arguments import checked
from recroute.util.settings import setting
from recroute.util.state import fitted

if TYPE_CHECKING:
    from recroute.routers.memory.explanation import Explanation
    from recroute.routers.refresh.answers import Answers

VIEWS = ("embedding", "tfidf", "all")

__all__ = ["VIEWS", "Instances", "Prompts", "Ranking", "Router", "Scores", "TextRouter", "fitted", "setting"]


@dataclass(kw_only=True, eq=False)
class Router(RememberingRouter, Shown):
    """Base of all routers. A subclass declares its hyperparameters as fields and fills in `_fit` and `_score`.

    What its author has to know stands in `RouterCore`: hyperparameters, fit, score, rank. Here are the methods for what
    a router remembers, each in a file of `recroute.routers.memory` or `recroute.routers.refresh`, and its folder. A
    router that weighs cost says so by `weighs_cost` and overrides `predicted_score`, `predicted_cost`, `expected`,
    `cost_limit` and `with_target`.
    """

    weighs_cost: ClassVar[bool] = False

    def document(self) -> Document:
        """Whether it is fitted, and its settings: value, default and what each is."""
        rows = [
            [f.name, str(getattr(self, f.name)), str(f.default), f.metadata.get("help", "")] for f in self.settings()
        ]
        return Document(
            title=f"Router {self.name}",
            facts=f"fitted on {len(self.llm_ids_):,} LLMs" if hasattr(self, "llm_ids_") else "not fitted",
            blocks=[Table(heads=["setting", "value", "default", "what it is"], rows=rows)],
        )

    def score_std(
        self,
        instances: Instances,
        llms: Pool | None = None,
        *,
        reducible: bool = False,
    ) -> Scores:
        """Standard deviation f32 (b, m) of the error of `predicted_score`.

        The error is the difference to the LLM's expected score on that prompt, not to one noisy answer; see
        `recroute.routers.memory.score_error`. It is larger where the known prompts are further away.

        Parameters
        ----------
        instances, llms
            As in `score`.
        reducible : bool
            Only the part that scores of the LLM on prompts like this one would take away: what exploring can gain.
            Left out is what sets the prompt apart from its like.

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
        """Why these k LLMs, for each instance; see `recroute.routers.memory.explain`."""
        from recroute.routers.memory.explain import explain

        return explain(self, instances, k, llms, n_neighbors)

    def predicted_cost(self, instances: Instances, llms: Pool | None = None) -> Scores | None:
        """Predicted cost f32 (b, m) of each LLM's answer, in the unit of the data; None unless the router weighs cost.

        Parameters are those of `score`.
        """
        return None

    def score_parts(self, instances: Instances, ranking: Ranking) -> tuple[Scores, Scores | None]:
        """Predicted scores f32 (b, k) of the LLMs in this router's ranking, and their predicted costs f32 (b, k).

        Without costs a score is what the ranking says. A router that weighs cost ranks by the one less what the other
        is worth.
        """
        prompts = self.prompts(instances)
        if (costs := self.predicted_cost(prompts)) is None:
            return ranking.predicted_score, None
        score, cost = (
            np.take_along_axis(block, ranking.llm_index, axis=1) for block in (self.predicted_score(prompts), costs)
        )
        return score, cost

    def expected(self) -> dict[str, Any] | None:
        """What the choices of a router that weighs cost come to on prompts like the training prompts; None of others.

        `cost` of 1,000 prompts in `unit`, mean `score`, that of the `best_single` LLM, and the `trade_off`.
        """
        return None

    def cost_limit(self) -> float:
        """What a prompt may cost in the mean; infinite for a router that does not weigh cost."""
        return np.inf

    def with_target(
        self, *, budget: float | None = None, quality: float | None = None, trade_off: float | None = None
    ) -> Self:
        """The same fitted router with another target, by the curve it keeps; this one stays as it is.

        Raises RouterError if the router does not weigh cost or is not fitted, more than one target is given, or it
        cannot be met.
        """
        raise RouterError(
            f"this {self.name} router knows no budget: it has no cost curve; leave the target out, or fit it again "
            "with --budget or --quality"
        )

    def add_llms(self, interactions: InteractionMatrix | Dataset | None, llm_table: pl.DataFrame | None = None) -> Self:
        """The router with LLMs that nobody has evaluated, or only on some of its training prompts.

        What is expected of an unseen LLM comes from the known LLMs' scores (`LLMPrior`), its own, and what is known
        beside them; its parameters follow from that. Nothing else is fitted again, the LLMs the router knows are
        scored as before, and this router stays as it is.

        Parameters
        ----------
        interactions : InteractionMatrix (n, j) or Dataset, optional
            Scores on the n `training_prompts`, in their order; or a data set, whose instances are found by their ids.
            None, or an LLM without a record: it is expected to be like the known ones.
        llm_table : polars.DataFrame
            j rows: `llm_id` and, if known, `family, n_params_b, price_in, price_out`. Default: that of the data set.

        Raises
        ------
        RouterError
            If the router is not fitted, cannot take unseen LLMs, or does not keep its training prompts.
        DataError
            If an LLM or an instance is not what it has to be, or the router knows an LLM already.
        """
        from recroute.routers.memory.grow import add_llms

        return add_llms(self, interactions, llm_table)

    def remove_llms(self, llms: Sequence[str]) -> Self:
        """The router without these LLMs; this one stays as it is.

        Raises RouterError if it has to be fitted for every LLM or none would be left, UnknownNameError for an
        unknown LLM.
        """
        from recroute.routers.memory.grow import remove_llms

        return remove_llms(self, llms)

    @checked
    def refresh(self, feedback: Feedback) -> Router:
        """The router with what has been observed since it was fitted: a `refreshed` one around it.

        Nothing is fitted again, which takes milliseconds to seconds, and this router stays as it is. Refreshing twice
        gives what refreshing once with all of the feedback gives; rows of a decision that was taken in before are left
        out, so the same growing file can be given again.

        Parameters
        ----------
        feedback : Feedback
            Scores, typically of the one LLM that answered a prompt, and preferences; see `read_feedback`.

        Raises
        ------
        RouterError
            If the router is not fitted or predicts no scores, or the feedback lacks what it reads of a prompt.
        DataError
            If the feedback is about an LLM that the router does not know.
        """
        from recroute.routers.refresh.answers import Answers

        self.llm_index()  # raises if not fitted
        if self.needs == "scores" or self.chooses_by_chance:
            raise RouterError(
                f"{self.label} predicts no scores from data and has nothing to refresh; take another router"
            )
        new = feedback.without(self.decisions_taken_in())
        training = None if self.background_ is None else self.training_sample()
        return self if new is None else self._refreshed(Answers.of(new, self), training)

    def _refreshed(self, answers: Answers, training: Prompts | None) -> Router:
        """A router with these answers; `training` are prompts it was fitted on, if it keeps them."""
        return ROUTERS.get("refreshed").around(self, training)._refreshed(answers, training)

    def save(self, path: str | Path, card: str | None = None) -> None:
        """Write the router's folder, see `recroute.routers.storage`; `card` is what a person reads there."""
        from recroute.routers.storage import save_router

        save_router(self, path, card)

    @staticmethod
    def load(path: str | Path) -> Router:
        """Read a router's folder, see `recroute.routers.storage`."""
        from recroute.routers.storage import read_router

        found = read_router(Path(path))
        assert isinstance(found, Router)  # the registry has no other
        return found


@dataclass(kw_only=True)
class TextRouter(Router):
    """A router that reads prompts as vectors: `train.embeddings` in `_fit`, `self.vectors(prompts)` in `_score`.

    The vectors are those the data set carries, or TF-IDF fitted here where it carries none (`fit_encoder`).
    """

    needs: ClassVar[str] = "text"

    views: str = setting("embedding", choices=VIEWS, help="of the text: the main vectors, TF-IDF, or all there is")
