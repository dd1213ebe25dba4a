"""What every run of an experiment keeps: seeds that were finished, notes, digests of splits, provenance."""

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
    "routers are fitted, and every choice of theirs is made, on training instances; "
    "test is scored once, afterwards, for all of them"
)


@dataclass(eq=False)
class Run:
    """One run of an experiment, step by step; an interrupt keeps what was finished.

    Parameters
    ----------
    dataset : Dataset
    seeds : list of int
        Those asked for.
    routers : list of Router
    notes : list of str
        What a reader has to know.
    progress : callable, optional
        Called with the steps done and the steps in all.
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
        """Ends at a KeyboardInterrupt with what was `finished` until then; passes it on if that is nothing."""
        try:
            yield
        except KeyboardInterrupt:
            if not self.finished:
                raise
            self.complete = False
            self.note(f"interrupted: only the {what} that were finished are in the table")

    def note(self, *lines: str | None) -> None:
        """Add notes that are not there yet."""
        self.notes += [line for line in dict.fromkeys(lines) if line and line not in self.notes]

    def saw(self, parts: Split, key: str | None = None) -> None:
        """Keep the digest and the note of a split, under its seed unless `key` says otherwise."""
        self.splits[key or str(parts.seed)] = split_digest(parts)
        self.note(parts.note)

    def step(self, of: int) -> None:
        """One of so many steps is done."""
        self._done += 1
        if self.progress:
            self.progress(self._done, of)

    def info(self, dataset: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """What is known of the run; `dataset` adds to the facts of the data set, `more` to the rest."""
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
    """The routers that can be fitted on the data set, each label once, and a line for those that cannot.

    Raises RouterError if there is none.
    """
    lacking = {}  # what a router may need and the data set does not have
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
        raise RouterError(f"none of the routers can be fitted on {dataset.name}")
    return list(routers.values()), notes
