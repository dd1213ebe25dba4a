"""The loop over seeds, splits and pools."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from recroute.data import Dataset
from recroute.encoders import encode_dataset
from recroute.errors import RouterError
from recroute.evaluation.choices import choice_table
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.outcomes import pool_outcomes
from recroute.evaluation.reference import reference_scores
from recroute.evaluation.summarise import Cell, summarise
from recroute.experiment.controls import headroom, shuffled
from recroute.experiment.old_protocol import Protocol
from recroute.experiment.prepare import with_vectors
from recroute.experiment.provenance import dataset_facts, environment, split_digest
from recroute.experiment.run import TEST_USE
from recroute.metrics import Outcome
from recroute.pools import Pool
from recroute.routers import Router, make_router
from recroute.splits import Split, take_train_fraction

PoolsOf = Callable[[Split], list[Pool]]
WHOLE = "all"  # the group of the pool of all LLMs


@dataclass(frozen=True)
class _Seen:
    """What is told of a split, without its data."""

    seed: int
    name: str
    note: str
    n_train: int
    n_valid: int
    n_test: int
    encoder: str | None
    digest: str

    @classmethod
    def of(cls, parts: Split) -> _Seen:
        encoder = parts.train.encoder
        n_train, n_valid, n_test = (data.n_instances for data in parts.parts().values())
        name = encoder.name if encoder else None
        return cls(parts.seed, parts.name, parts.note, n_train, n_valid, n_test, name, split_digest(parts))


def run(dataset: Dataset, routers: list[Router], pools_of: PoolsOf, protocol: Protocol, notes: list[str]) -> Evaluation:
    """Fit and judge all routers; an interrupt ends the loop and keeps what is finished.

    Parameters
    ----------
    dataset : Dataset
    routers : list of Router
        That the data set can fit, see `usable`.
    pools_of : callable
        The pools of a split; it sees all training data, before a fraction is taken or a control shuffles them.
    protocol : Protocol
    notes : list of str
        What is known so far; the Evaluation has these and more.
    """
    dataset = encode_dataset(dataset, protocol.encoder)
    cells: list[Cell] = []
    choices: list[pl.DataFrame] = []
    splits: list[_Seen] = []
    notes, complete = list(notes), True
    try:
        for cell, taken in _cells(dataset, routers, pools_of, protocol, splits):
            cells.append(cell)
            choices.append(taken)
    except KeyboardInterrupt:
        if not cells:
            raise
        complete = False
        notes.append("interrupted: only the pools that were finished are in the table")
    notes += dict.fromkeys(parts.note for parts in splits if parts.note)
    if not cells:
        raise RouterError(f"no LLM of any pool was evaluated on a test instance of {dataset.name}")
    baseline = make_router(protocol.baseline).label
    try:
        rows, pairs, more_notes = summarise(cells, protocol.seeds[0], protocol.n_resamples, baseline)
    except KeyboardInterrupt:  # minutes of fitting are not thrown away for seconds of resampling
        rows, pairs, more_notes = summarise(cells, protocol.seeds[0], protocol.n_resamples, baseline)
    room = headroom(dataset, protocol.headroom, protocol.seeds[0])
    if room is not None:
        more_notes.append(f"headroom of the whole data set: {room.evidence}")
    info = {
        "dataset": _describe(dataset, splits, protocol),
        "seed": protocol.seeds[0],
        "seeds": list(protocol.seeds),
        "notes": [*notes, *more_notes],
        "complete": complete,
        "headroom": dict(room.values) if room else None,
        "splits": {_key(parts, protocol): parts.digest for parts in splits},
        "routers": {router.label: {"name": router.name, **router.hyperparameters()} for router in routers},
        "environment": environment(),
        "test_use": TEST_USE,
    }
    return Evaluation(rows, info, pairs, pl.concat(choices[: len(cells)]))


def _cells(
    dataset: Dataset, routers: list[Router], pools_of: PoolsOf, protocol: Protocol, splits: list[_Seen]
) -> Iterable[tuple[Cell, pl.DataFrame]]:
    """Every pool that somebody was evaluated on, and the choices; what is known of a split goes into `splits`."""
    done, n_splits = 0, len(protocol.seeds) * protocol.n_folds(dataset)
    for seed in protocol.seeds:
        for bare in protocol.splits(dataset, seed):
            pools = pools_of(bare)
            parts = with_vectors(take_train_fraction(bare, protocol.train_fraction), protocol.encoder)
            parts = shuffled(parts, protocol.shuffle)
            splits.append(_Seen.of(parts))
            against = reference_scores(parts.test, protocol.reference)
            known: dict[bytes, dict[str, Outcome]] = {}  # where groups meet, as at the size of all LLMs
            for pool in pools:
                if parts.test.take_llms(pool.llm_index).is_rated.any():
                    members = pool.llm_index.tobytes()
                    if members not in known:
                        known[members] = pool_outcomes(routers, parts, pool.llm_index, against)
                    outcomes = known[members]
                    named = replace(pool, group=_group(pool, parts, protocol))
                    cell = Cell(seed, named.group, named.size, outcomes, parts.test.n_instances)
                    yield cell, choice_table(seed, named, outcomes, routers, dataset)
                done += 1
                if protocol.progress:
                    protocol.progress(done, n_splits * len(pools))


def _key(parts: _Seen, protocol: Protocol) -> str:
    """What a split is known by: its seed, and the kind of prompt that is held out."""
    return str(parts.seed) if protocol.holdout is None else f"{parts.seed}, {parts.name}"


def _group(pool: Pool, parts: Split, protocol: Protocol) -> str:
    """The pool's group; a held-out kind of prompt has groups of its own."""
    if protocol.holdout is None:
        return pool.group
    return parts.name if pool.group == WHOLE else f"{pool.group}, {parts.name}"


def _describe(dataset: Dataset, splits: list[_Seen], protocol: Protocol) -> dict[str, Any]:
    """The data set and its splits; of held-out kinds, whose sizes differ, the mean train and the summed test set."""
    last = [parts for parts in splits if parts.seed == splits[0].seed] if protocol.holdout else splits[-1:]
    return {
        **dataset_facts(dataset),
        "split": f"holdout {protocol.holdout}" if protocol.holdout else last[-1].name,
        "n_train": round(sum(parts.n_train for parts in last) / len(last)),
        "n_valid": round(sum(parts.n_valid for parts in last) / len(last)),
        "n_test": sum(parts.n_test for parts in last),
        "encoder": last[-1].encoder,
    }
