"""A router with what has been observed since it was fitted; nothing is fitted again."""

from __future__ import annotations

from recroute.data.feedback import Feedback
from recroute.errors import RouterError
from recroute.routers.base import Router
from recroute.routers.refresh.answers import Answers
from recroute.routers.refresh.basis import training_prompts
from recroute.util.arguments import checked


@checked
def refresh(router: Router, feedback: Feedback) -> Router:
    """See `Router.refresh`."""
    router.llm_index()  # raises if not fitted
    if router.needs == "scores" or type(router).expected_score is not Router.expected_score:
        raise RouterError(
            f"{router.label} predicts no scores from data and has nothing to refresh; take another router"
        )
    new = feedback.without(router.decisions_taken_in())
    return router if new is None else router._refreshed(Answers.of(new, router), training_prompts(router))
