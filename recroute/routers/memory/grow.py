"""Routers with more LLMs than they were fitted on, or with fewer; nothing is fitted again."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data import Dataset, IdMap, InteractionMatrix
from recroute.errors import DataError, RouterError
from recroute.routers.memory.remembering import RememberingRouter

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs

R = TypeVar("R", bound=RememberingRouter)
MIN_KNOWN = 3


def add_llms(router: R, interactions: InteractionMatrix | Dataset | None, llm_table: pl.DataFrame | None) -> R:
    """See `Router.add_llms`."""
    from recroute.routers.memory.new_llms import NewLLMs, read_costs, read_scores

    check_takes_unseen(router)
    background = router.remembered()
    scores, table = read_scores(interactions, llm_table, background.prompts["instance_id"].to_list())
    refuse_known(router, table["llm_id"].to_list())
    new = NewLLMs.of(scores, table, background.prior(), router.llm_ids_, read_costs(interactions, table))
    if len(new.known) < MIN_KNOWN:
        raise RouterError(
            f"{len(new.known)} of the LLMs that the router was fitted on are left, too few to place an unseen one; "
            "fit it again"
        )
    return grown(router, new)


def grown(router: R, new: NewLLMs) -> R:
    """A copy of the router with the new LLMs behind its own; RouterError if its folder lacked what that takes."""
    if gone := [name for name in router.grows_from if not hasattr(router, name)]:
        raise RouterError(f"this {router.name} router was saved without {gone[0]} and takes no LLM; fit it again")
    found = copy(router)
    found._add_llms(new)
    if router.background_ is not None:
        found.background_ = router.background_.grown(new.scores)
    found.llm_ids_ = IdMap((*router.llm_ids_, *new.llm_ids), kind="llm")
    return found


def remove_llms(router: R, llms: Sequence[str]) -> R:
    """See `Router.remove_llms`."""
    check_takes_unseen(router)
    dropped = router.llm_index(llms)
    kept = np.setdiff1d(np.arange(len(router.llm_ids_)), dropped)
    if len(kept) == 0:
        raise RouterError(f"{router.name} would have no LLM left; leave at least one")
    return taken(router, kept)


def taken(router: R, kept: NDArray[np.int64]) -> R:
    """A copy of the router with the LLMs at these positions only."""
    found = copy(router)
    found._take_llms(kept)
    if router.background_ is not None:
        found.background_ = router.background_.take_llms(kept)
    found.llm_ids_ = router.llm_ids_.take(kept)
    return found


def check_takes_unseen(router: RememberingRouter) -> None:
    """Raise RouterError if the router, or a part of it, has to be fitted for every LLM."""
    router.llm_index()  # raises if not fitted
    if (name := lacking(router)) is not None:
        raise RouterError(
            f"{name} has to be fitted for every LLM and takes no unseen one; fit anew, or take a router that does "
            "(recroute routers lists them)"
        )


def lacking(router: RememberingRouter) -> str | None:
    """Name of the router, or of the part of it, that takes no unseen LLMs; None if all do."""
    if not router.takes_unseen_llms:
        return router.name
    return next((name for part in getattr(router, "parts_", ()) if (name := lacking(part)) is not None), None)


def refuse_known(router: RememberingRouter, llm_ids: Sequence[str]) -> None:
    """Raise DataError if an LLM is the router's already, or stands twice."""
    IdMap(tuple(llm_ids), kind="llm")
    for name in llm_ids:
        if name in router.llm_ids_:
            raise DataError(f"llm {name!r} is known to the router already; remove it first, or choose another id")
