"""Adding LLMs to a fitted router and removing them, without refitting."""

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
    """Implementation of `Router.add_llms`."""
    from recroute.routers.memory.new_llms import NewLLMs, read_costs, read_scores

    check_takes_unseen(router)
    background = router.remembered()
    scores, table = read_scores(interactions, llm_table, background.prompts["instance_id"].to_list())
    refuse_known(router, table["llm_id"].to_list())
    new = NewLLMs.of(scores, table, background.prior(), router.llm_ids_, read_costs(interactions, table))
    if len(new.known) < MIN_KNOWN:
        raise RouterError(
            f"only {len(new.known)} of the LLMs that the router was fitted on are left, too few to place an unseen "
            "one; fit the router again"
        )
    return grown(router, new)


def grown(router: R, new: NewLLMs) -> R:
    """Copy of the router with the new LLMs appended; RouterError if it was saved without the arrays this needs."""
    _check_declared(router)
    entries = {"llm_mean_": new.posterior.mean, **router._llm_entries(new)}
    return with_llms(router, new.llm_ids, new.scores, entries, new)


def with_llms(
    router: R, llm_ids: Sequence[str], scores: Floats, entries: Mapping[str, AnyArray], new: NewLLMs | None = None
) -> R:
    """Copy of the router with LLMs appended that have scores f32 (n, j) on the training prompts.

    `entries` are the new entries of the fitted arrays, as `_llm_entries` returns them; without `new` every array with
    an LLM axis needs one, and the joint distribution is learned anew when it is asked for.
    """
    if new is None:
        router = copy(router)
        router.joint_ = None
    larger = _changed(router, lambda name, kept, value: _extended(value, kept, new, entries.get(name)))
    if router.background_ is not None:
        larger.background_ = router.background_.grown(scores)
    larger.llm_ids_ = IdMap((*router.llm_ids_, *llm_ids), kind="llm")
    return larger


def remove_llms(router: R, llms: Sequence[str]) -> R:
    """Implementation of `Router.remove_llms`."""
    check_takes_unseen(router)
    dropped = router.llm_index(llms)
    kept = np.setdiff1d(np.arange(len(router.llm_ids_)), dropped)
    if len(kept) == 0:
        raise RouterError(f"{router.name} would have no LLM left; keep at least one")
    return taken(router, kept)


def taken(router: R, at: NDArray[np.int64]) -> R:
    """Copy of the router with the LLMs at these positions only."""
    smaller = _changed(router, lambda _, kept, value: _taken(value, kept, at))
    if router.background_ is not None:
        smaller.background_ = router.background_.take_llms(at)
    smaller.llm_ids_ = router.llm_ids_.take(at)
    return smaller


def without_prompts(router: R, kept: NDArray[np.int64]) -> R:
    """Copy of the router that keeps the training prompts at these positions only."""

    def change(_: str, declared: Kept, value: Any) -> Any:
        if isinstance(value, list):
            return [without_prompts(part, kept) for part in value]
        for axis in declared.rule.axes("n_prompts") if declared.rule is not None else ():
            value = np.take(value, kept, axis=axis)
        return value

    smaller = _changed(router, change)
    if router.background_ is not None:
        smaller.background_ = router.background_.take_prompts(kept)
    smaller.keep_prompts(kept)
    return smaller


def _changed(router: R, change: Callable[[str, Kept, Any], Any]) -> R:
    """Copy of the router with its fitted fields changed; fields that follow from others are computed last."""
    changed = copy(router)
    declared = [(name, kept) for name, kept, _ in kept_fields(router) if hasattr(router, name)]
    for name, kept in declared:
        if kept.follows is None:
            setattr(changed, name, change(name, kept, getattr(router, name)))
    for name, kept in declared:
        if kept.follows is not None:
            setattr(changed, name, kept.follows(changed))
    return changed


def _extended(value: Any, kept: Kept, new: Any, entries: AnyArray | None) -> Any:
    """Value of a field with the new LLMs' entries appended; entries not given are predicted from the LLMs' vectors."""
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
        first = np.moveaxis(value, axis, 0)  # one row per LLM
        rows = new.parameters(first.reshape(len(first), -1))
        entries = np.moveaxis(rows.reshape(len(rows), *first.shape[1:]), 0, axis)
    return np.concatenate([value, entries.astype(value.dtype)], axis=axis)


def _taken(value: Any, kept: Kept, at: NDArray[np.int64]) -> Any:
    """Value of a field restricted to the LLMs at these positions."""
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
    """Copy of a dataclass of arrays with its fields changed; the same object, with its caches, if none changes."""
    if not is_dataclass(value) or isinstance(value, type):
        return value
    own = {name: (kept, getattr(value, name)) for name, kept, _ in kept_fields(value)}
    changed = {name: change(kept, each) for name, (kept, each) in own.items()}
    same = all(changed[name] is each for name, (_, each) in own.items())
    return value if same else replace(value, **changed)


def _check_declared(router: RememberingRouter) -> None:
    """Raise RouterError if an array that adding LLMs needs is missing, or does not declare which axis is the LLMs'."""
    for name, kept, _ in kept_fields(router):
        if kept.for_unseen and not hasattr(router, name):
            raise RouterError(
                f"this {router.name} router was saved without {name}, which adding LLMs needs; fit it again"
            )
        if kept.rule is not None and kept.rule.shape is None and kept.rule.per_llm is None:
            raise RouterError(
                f"{router.name} does not declare whether {name} has an entry for each LLM; declare its dimensions, as "
                'in fitted("n_llms", "width")'
            )


def check_takes_unseen(router: RememberingRouter) -> None:
    """Raise RouterError if the router, or a part of it, must be refitted to add an LLM."""
    router.llm_index()  # raises if not fitted
    if (name := lacking(router)) is not None:
        raise RouterError(
            f"{name} cannot take unseen LLMs; fit it again with the new LLMs, or use a router that can "
            "(recroute routers lists them)"
        )


def lacking(router: RememberingRouter) -> str | None:
    """Name of the router, or of the part of it, that cannot take unseen LLMs; None if all can."""
    if not router.takes_unseen_llms:
        return router.name
    return next((name for part in getattr(router, "parts_", ()) if (name := lacking(part)) is not None), None)


def refuse_known(router: RememberingRouter, llm_ids: Sequence[str]) -> None:
    """Raise DataError if the router already has one of the LLMs, or an id occurs twice."""
    IdMap(tuple(llm_ids), kind="llm")
    for name in llm_ids:
        if name in router.llm_ids_:
            raise DataError(f"the router already has llm {name!r}; remove it first, or choose another id")
