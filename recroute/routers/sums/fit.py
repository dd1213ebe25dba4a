"""Fitting a router from sums, and taking records in and out of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from recroute.data import Dataset, IdMap, InteractionMatrix
from recroute.data.parts import Parts
from recroute.data.prompts import Prompts
from recroute.encoders import with_encoder
from recroute.errors import DataError, RouterError, argument
from recroute.routers.memory.grow import without_prompts
from recroute.routers.memory.remembering import RememberingRouter
from recroute.routers.parts import Composite
from recroute.routers.sums.moments import KeptSums, Moments
from recroute.util.numeric import Array

N_SAMPLE = 20_000

R = TypeVar("R", bound=RememberingRouter)


def check_follows_from_sums(router: RememberingRouter) -> None:
    """Raise RouterError if the router does not follow from sums."""
    parts = router.make_parts() if isinstance(router, Composite) else []
    if not router.sums_over or len(parts) > 1 or not all(part.sums_over for part in parts):
        raise RouterError(
            f"{router.label} does not follow from sums over prompts; use best_single, ridge, svd, ease, kmeans, "
            "hierarchy, knn (on a sample) or auto with one of them"
        )


def block_moments(router: RememberingRouter, block: Dataset) -> Moments:
    """The sums over a data set that has the router's LLMs, in the router's order."""

    def features(rows: slice) -> Array:
        return router.sum_features(Prompts.of(block.take_instances(np.arange(rows.start, rows.stop))))

    return Moments.of(block.interactions, block.tasks, features, pairwise=router.sums_over == "pairs")


def add_up(router: RememberingRouter, blocks: Iterable[Dataset]) -> Moments:
    """The sums over several data sets."""
    total: Moments | None = None
    for block in blocks:
        part = block_moments(router, block)
        total = part if total is None else total + part
    if total is None or not total.n:
        raise DataError("there is no record to add up; name data with records")
    return total


def set_from_sums(router: RememberingRouter, sums: KeptSums, *, keep: bool) -> None:
    """Set what follows from the sums in a fitted router, and keep them with it if asked."""
    router.joint_ = None  # learned again when it is asked for
    router.llm_mean_ = sums.moments.llm_means()
    with threadpool_limits(limits=1, user_api="blas"):
        router.take_moments(sums.moments, float(sums.penalty[0]))
    router.kept_sums_ = sums if keep else None


def fit_on_blocks(router: R, sample: Dataset, blocks: Iterable[Dataset], *, keep_sums: bool = False) -> R:
    """Fit a router on a sample, then everything that follows from sums over prompts on all of them.

    The sample decides what cannot be added up: the encoder, cluster centres, penalties, the threshold of a guard. It
    is also what the router keeps of its training data, for unseen LLMs and second attempts. Means, factors and
    regression weights follow from the sums, which are those of one pass, whatever the blocks. With every cell observed
    and the sample being all there is, the router is the one that `fit` gives; unobserved cells count by their expected
    share in the sums, where `fit` would impute each from the prompt's other cells.

    Parameters
    ----------
    router : Router
        `best_single`, `ridge`, `svd`, `ease`, `kmeans`, `hierarchy`, `knn`, `guarded` or `auto`.
    sample : Dataset
    blocks : iterable of Dataset
        All training prompts, each in one block with all of its records; LLMs in the order of the sample's.
    keep_sums : bool
        Keep the sums with the router, so that `taken_in` can change them.

    Raises
    ------
    RouterError
        If the router does not follow from sums, or as `fit`.
    """
    return fit_on_moments(router, sample, lambda fitted: add_up(fitted, blocks), keep_sums=keep_sums)


def fit_on_moments(router: R, sample: Dataset, added_up: Callable[[R], Moments], *, keep_sums: bool) -> R:
    """`fit_on_blocks` with sums that `added_up` makes of the router fitted on the sample."""
    check_follows_from_sums(router)
    router.fit(sample)
    penalty = np.array([router.penalty_on(sample.evaluated())])
    set_from_sums(router, KeptSums(added_up(router), penalty), keep=keep_sums)
    return router


def fit_from_sums(
    source: Dataset | str | Path,
    router: R,
    *,
    n_sample: int | None = None,
    n_test: int = 0,
    keep_sums: bool = False,
    encoder: Any = None,
) -> R:
    """Fit a router on a data set of any size in one pass, see `fit_on_blocks`.

    Parameters
    ----------
    source : Dataset, or path of a dataset folder
        In the folder, `records.parquet` and `instances.parquet` may be folders of Parquet files that together do not
        fit into memory, see `Parts`. Vectors may stand in a column `embedding` of the instances.
    router : Router
    n_sample : int, optional
        Number of instances in the sample, drawn by the hash of their ids with the router's seed. Default: 20,000, and
        of a Dataset all, for which the result is that of `fit` where every cell was observed.
    n_test : int
        Number of instances of a folder to leave out, drawn likewise.
    keep_sums : bool
    encoder : str, callable, or object with `encode`, optional
        As in `fit`.

    Raises
    ------
    DataError
        If a file is missing, or holds an unknown id or a score that is none.
    RouterError
        As `fit_on_blocks`.

    Examples
    --------
    >>> import recroute as rr
    >>> router = rr.fit_from_sums("logs", rr.make_router("svd"), keep_sums=True)  # doctest: +SKIP
    """
    check_follows_from_sums(router)
    if isinstance(source, Dataset):
        if encoder is not None:
            source = with_encoder(source, encoder)
        source = source.evaluated()
        hashed = source.instances["instance_id"].hash(router.seed).to_numpy()
        sample = source.take_instances(np.sort(np.argsort(hashed, kind="stable")[:n_sample]))
        return fit_on_blocks(router, sample, [source], keep_sums=keep_sums)
    parts = Parts.read(source, n_test=n_test, n_sample=N_SAMPLE if n_sample is None else n_sample, seed=router.seed)
    sample = parts.sample("train")
    sample = sample if encoder is None else with_encoder(sample, encoder)
    with parts.blocks() as blocks:
        return fit_on_blocks(router, sample, blocks, keep_sums=keep_sums)


def taken_in(router: R, added: Dataset | None = None, removed: Dataset | None = None) -> R:
    """Copy of a router that keeps its sums, with records taken in and out of them.

    Use this for prompts with all their records; for what a service observes, a few answers a prompt, use
    `Router.refresh`.

    Nothing is read again: what follows from the sums is as if the router had been fitted on the other records from the
    start, with the same sample. Removed prompts also leave the training data that the router keeps; the encoder,
    cluster centres and penalties stay.

    Parameters
    ----------
    router : Router
    added : Dataset, optional
        Prompts that the router has not learned from, with all of their records.
    removed : Dataset, optional
        Prompts that it has learned from, with the records and texts (or vectors) that they had then.

    Raises
    ------
    RouterError
        If the router keeps no sums.
    DataError
        If an LLM is unknown to the router, a prompt is added that it is known to have learned from (it knows those of
        its sample), or more records are removed than the sums hold.
    """
    if router.kept_sums_ is None:
        raise RouterError(f"this {router.name} router keeps no sums; fit it again with {argument('keep_sums')}")
    moments, known = router.kept_sums_.moments, router.remembered().prompts["instance_id"]
    if added is not None:
        added = aligned(added, router.llm_ids_)
        twice = added.instances["instance_id"].filter(added.instances["instance_id"].is_in(known.implode()))
        if len(twice):
            raise DataError(f"the router has learned from {twice[0]!r} already; add prompts that are new to it")
        moments = moments + block_moments(router, added)
    if removed is not None:
        moments = moments - block_moments(router, aligned(removed, router.llm_ids_))
    changed = copy(router)  # `take_moments` sets other arrays, and changes none
    if removed is not None:
        kept = ~known.is_in(removed.instances["instance_id"].implode()).to_numpy()
        if not kept.any():
            raise RouterError("the router would keep no training prompt; fit it again on the other records")
        if not kept.all():
            changed = without_prompts(changed, np.flatnonzero(kept))
    set_from_sums(changed, KeptSums(moments, router.kept_sums_.penalty), keep=True)
    return changed


def aligned(block: Dataset, llm_ids: IdMap) -> Dataset:
    """The data set with these LLMs, in this order; DataError for records of others."""
    if block.llm_ids == llm_ids:
        return block
    block = block.take_llms(np.flatnonzero(block.interactions.llm_counts))
    if (other := next((llm for llm in block.llm_ids if llm not in llm_ids), None)) is not None:
        raise DataError(
            f"{block.name} has records of {other!r}, which the router does not know; onboard it, or leave it out"
        )
    at = llm_ids.to_index(block.llm_ids)
    rows, columns = block.interactions.coordinates()
    shape = (block.n_instances, len(llm_ids))
    matrix = InteractionMatrix.from_coordinates(rows, at[columns], block.interactions.scores.data, shape)
    llms = pl.DataFrame({"llm_id": list(llm_ids)})
    return replace(block, interactions=matrix, llms=llms, preferences=None, verdicts=None, pools=None)
