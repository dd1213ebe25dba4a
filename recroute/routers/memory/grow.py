"""Routers with more LLMs than they were fitted on, or with fewer; nothing is fitted again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data import Dataset, IdMap, InteractionMatrix
from recroute.errors import DataError, RouterError
from recroute.routers.memory.remembering import RememberingRouter
from recroute.util.numeric import AnyArray, Floats
from recroute.util.state import Kept, kept_fields

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
    _check_declared(router)
    entries = {"llm_mean_": new.posterior.mean, **router._llm_entries(new)}
    return with_llms(router, new.llm_ids, new.scores, entries, new)


def with_llms(
    router: R, llm_ids: Sequence[str], scores: Floats, entries: Mapping[str, AnyArray], new: NewLLMs | None = None
) -> R:
    """A copy of the router with LLMs behind its own, which scored f32 (n, j) on the training prompts.

    `entries` are those in the fitted arrays, as `_llm_entries` has them; without `new` they have to be there for each.
    """
    found = _changed(router, lambda name, kept, value: _extended(value, kept, new, entries.get(name)))
    if router.background_ is not None:
        found.background_ = router.background_.grown(scores)
    found.llm_ids_ = IdMap((*router.llm_ids_, *llm_ids), kind="llm")
    return found


def remove_llms(router: R, llms: Sequence[str]) -> R:
    """See `Router.remove_llms`."""
    check_takes_unseen(router)
    dropped = router.llm_index(llms)
    kept = np.setdiff1d(np.arange(len(router.llm_ids_)), dropped)
    if len(kept) == 0:
        raise RouterError(f"{router.name} would have no LLM left; leave at least one")
    return taken(router, kept)


def taken(router: R, at: NDArray[np.int64]) -> R:
    """A copy of the router with the LLMs at these positions only."""
    found = _changed(router, lambda _, kept, value: _taken(value, kept, at))
    if router.background_ is not None:
        found.background_ = router.background_.take_llms(at)
    found.llm_ids_ = router.llm_ids_.take(at)
    return found


def _changed(router: R, change: Callable[[str, Kept, Any], Any]) -> R:
    """A copy of the router, its fitted fields changed, and then those that follow from others."""
    found = copy(router)
    declared = [(name, kept) for name, kept, _ in kept_fields(router) if hasattr(router, name)]
    for name, kept in declared:
        if kept.follows is None:
            setattr(found, name, change(name, kept, getattr(router, name)))
    for name, kept in declared:
        if kept.follows is not None:
            setattr(found, name, kept.follows(found))
    return found


def _extended(value: Any, kept: Kept, new: Any, entries: AnyArray | None) -> Any:
    """What a field holds, with the new LLMs' entries; those that are not given follow from the LLMs' vectors."""
    if kept.rule is None:
        if isinstance(value, list):
            return [grown(part, new) for part in value]
        if hasattr(value, "grown"):
            return value.grown(new)
        return _record(value, lambda of, each: _extended(each, of, new, None))
    if not kept.rule.llm_axes:
        return value
    (axis,) = kept.rule.llm_axes
    if entries is None:
        first = np.moveaxis(value, axis, 0)  # an LLM in each row
        rows = new.parameters(first.reshape(len(first), -1))
        entries = np.moveaxis(rows.reshape(len(rows), *first.shape[1:]), 0, axis)
    return np.concatenate([value, entries.astype(value.dtype)], axis=axis)


def _taken(value: Any, kept: Kept, at: NDArray[np.int64]) -> Any:
    """What a field holds, of the LLMs at these positions only."""
    if kept.rule is not None:
        for axis in kept.rule.llm_axes:
            value = np.take(value, at, axis=axis)
        return value
    if isinstance(value, list):
        return [taken(part, at) for part in value]
    if hasattr(value, "take_llms"):
        return value.take_llms(at)
    return _record(value, lambda of, each: _taken(each, of, at))


def _record(value: Any, change: Callable[[Kept, Any], Any]) -> Any:
    """A dataclass of arrays with its fields changed; itself, with what it has cached, where none is."""
    if not is_dataclass(value) or isinstance(value, type):
        return value
    own = {name: (kept, getattr(value, name)) for name, kept, _ in kept_fields(value)}
    found = {name: change(kept, each) for name, (kept, each) in own.items()}
    same = all(found[name] is each for name, (_, each) in own.items())
    return value if same else replace(value, **found)


def _check_declared(router: RememberingRouter) -> None:
    """Raise RouterError if the router lacks what taking in LLMs needs, or does not say which arrays are the LLMs'."""
    for name, kept, _ in kept_fields(router):
        if kept.for_unseen and not hasattr(router, name):
            raise RouterError(f"this {router.name} router was saved without {name} and takes no LLM; fit it again")
        if kept.rule is not None and kept.rule.shape is None and kept.rule.per_llm is None:
            raise RouterError(
                f"{router.name} does not say whether {name} has an entry for each LLM; declare its dimensions, such as "
                'fitted("n_llms", "width")'
            )


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
    """Raise DataError if an LLM is the router's already, or occurs twice."""
    IdMap(tuple(llm_ids), kind="llm")
    for name in llm_ids:
        if name in router.llm_ids_:
            raise DataError(f"llm {name!r} is known to the router already; remove it first, or choose another id")
