"""`Run`: bookkeeping of an experiment (finished seeds, notes, split digests, provenance), and the choice of routers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from recroute.data import Dataset
from recroute.data.description import shape_facts
from recroute.errors import RouterError
from recroute.experiment.protocol import Progress
from recroute.experiment.provenance import environment, split_digest
from recroute.routers import Router, as_router
from recroute.splits import Split

TEST_USE = (
    "routers are fitted and configured on training instances only; test instances are scored once, afterwards, for all "
    "routers"
)


@dataclass(eq=False)
class Run:
    """One run of an experiment; after an interrupt the finished part is kept.

    Parameters
    ----------
    dataset : Dataset
    seeds : list of int
        Requested seeds.
    routers : list of Router
    notes : list of str
        Notes for the reader of the result.
    progress : callable, optional
        Called with the number of steps done and the total number.
    """

    dataset: Dataset
    seeds: Sequence[int]
    routers: Sequence[Router] = ()
    notes: list[str] = field(default_factory=list)
    progress: Progress | None = None
    splits: dict[str, str] = field(default_factory=dict)
    finished: list[int] = field(default_factory=list)
    complete: bool = True
    _done: int = 0

    @contextmanager
    def keeping(self, what: str = "seeds") -> Iterator[None]:
        """End the block at a KeyboardInterrupt and keep what is `finished`; re-raises it if nothing is finished."""
        try:
            yield
        except KeyboardInterrupt:
            if not self.finished:
                raise
            self.complete = False
            self.note(f"interrupted: only finished {what} are in the table")

    def note(self, *lines: str | None) -> None:
        """Add notes, without repetitions."""
        self.notes += [line for line in dict.fromkeys(lines) if line and line not in self.notes]

    def saw(self, parts: Split, key: str | None = None) -> None:
        """Record the digest and the note of a split, by default under its seed."""
        self.splits[key or str(parts.seed)] = split_digest(parts)
        self.note(parts.note)

    def step(self, of: int) -> None:
        """Report that one more of `of` steps is done."""
        self._done += 1
        if self.progress:
            self.progress(self._done, of)

    def info(self, dataset: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """`info` of the result; `dataset` adds to the facts of the data set, `more` adds other entries."""
        return {
            "dataset": {"name": self.dataset.name, **shape_facts(self.dataset), **(dataset or {})},
            "seed": self.seeds[0],
            "seeds": self.finished,
            "notes": list(self.notes),
            "complete": self.complete,
            "splits": self.splits,
            "routers": {router.label: {"name": router.name, **router.hyperparameters()} for router in self.routers},
            "environment": environment(),
            **more,
        }


def usable(dataset: Dataset, wanted: Iterable[Router | str]) -> tuple[list[Router], list[str]]:
    """Routers that can be fitted on the data set, without repetitions, and notes on those that cannot.

    Raises RouterError if there is none.
    """
    lacking = {}  # router needs that the data set does not meet, with the reason
    if dataset.prompts is None:
        lacking["prompts"] = "no prompts"
        if dataset.embeddings is None:
            lacking["text"] = "neither prompts nor embeddings"
    only_preferences = dataset.interactions.n_observed == 0
    routers: dict[str, Router] = {}
    refused: dict[str, list[str]] = {}
    for item in wanted:
        router = replace(as_router(item))
        if only_preferences and not router.learns_from_preferences:
            refused.setdefault("preferences and no scores", []).append(router.label)
        elif router.reads in lacking:
            refused.setdefault(lacking[router.reads], []).append(router.label)
        else:
            routers.setdefault(router.label, router)
    notes = [
        f"left out, because {dataset.name} has {reason}: {', '.join(dict.fromkeys(labels))}"
        for reason, labels in refused.items()
    ]
    if not routers:
        raise RouterError(f"none of the routers can be fitted on {dataset.name}: {'; '.join(notes)}")
    return list(routers.values()), notes
