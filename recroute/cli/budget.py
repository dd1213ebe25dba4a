"""Options of verbs that weigh cost."""

from __future__ import annotations

from recroute.cli.options import COST, Option
from recroute.routers import Router, make_router
from recroute.routers.ranking import format_score

BUDGET = Option(
    "budget",
    float | None,
    None,
    help="Mean cost of 1,000 prompts to stay within: USD, or the unit of --cost.",
    panel=COST,
    low=0,
)
QUALITY = Option(
    "quality",
    float | None,
    None,
    help="Least share of the best single LLM's quality to keep: 0.98. Cost is saved.",
    panel=COST,
    low=0,
)


def with_budget(router: Router, budget: float | None, quality: float | None) -> Router:
    """The router, made to weigh cost where a budget or a quality is given."""
    if budget is None and quality is None:
        return router
    if router.weighs_cost:
        target = {"budget": budget, "quality": quality, "trade_off": None}
        return make_router(router.name, **(router.hyperparameters() | target))
    return make_router("budgeted", router=router.label, budget=budget, quality=quality, seed=router.seed)


def retarget(router: Router, budget: float | None, quality: float | None) -> Router:
    """A fitted router at another budget or quality, by the curve saved with it."""
    if budget is None and quality is None:
        return router
    return router.with_target(budget=budget, quality=quality)


def expectation(router: Router) -> str | None:
    """What a fitted router that weighs cost is expected to cost and to score; None for any other."""
    if (found := router.expected()) is None:
        return None
    return (
        f"expected of prompts like the training prompts: {found['cost']:.4g} {found['unit']} per 1,000, mean score "
        f"{format_score(found['score'])} (best single LLM: {found['best_single']:.3f})"
    )
