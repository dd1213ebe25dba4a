"""What a router keeps beside its fit, in memory and on disk: the floor between `RouterCore` and `Router`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.encoders import encoder_width
from recroute.errors import RouterError
from recroute.routers.core import RouterCore
from recroute.routers.memory.background import Background
from recroute.util.arrays import ArrayRule, Arrays, inside, rules_of
from recroute.util.settings import Layout, fitted, group_of, group_rules, group_state, groups

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs
    from recroute.routers.memory.prior import LLMPrior


@dataclass(kw_only=True, eq=False)
class RememberingRouter(RouterCore):
    """A router that keeps its training data, can grow from them, and knows which arrays make a folder of it.

    What is done with that, from explanations to unseen LLMs, stands beside this file in functions that take such a
    router; `Router` has them as methods.

    Class attributes
    ----------------
    takes_unseen_llms : bool
    llm_arrays : mapping of str to int
        The fitted arrays that have a row (0) or a column (1) for each LLM: enough for a router to take unseen LLMs. One
        that knows better than a linear function of what is known of the LLM overrides `_add_llms`.
    grows_from : sequence of str
        Arrays that only `_add_llms` needs: folders of older versions may lack them.
    """

    takes_unseen_llms: ClassVar[bool] = False
    llm_arrays: ClassVar[Mapping[str, int]] = {}
    grows_from: ClassVar[Sequence[str]] = ()

    background_: Background | None = fitted(array=False)

    def _remember(self, train: Dataset) -> None:
        has_scores = train.interactions.n_observed > 0
        self.background_ = Background.of(train, with_vectors=self.needs == "text") if has_scores else None

    def remembered(self) -> Background:
        """What the router keeps of its training data; RouterError if it is not fitted or keeps none."""
        self.llm_index()  # raises if not fitted
        if self.background_ is None:
            raise RouterError(
                f"this {self.name} router was saved without its training prompts (by an older version, or fitted on "
                "too few LLMs or on preferences alone) and can take no unseen LLM; fit it again, on scores"
            )
        return self.background_

    @property
    def training_prompts(self) -> pl.DataFrame:
        """The prompts an unseen LLM can be run on: `instance_id, task` and, where there are texts, `prompt`.

        Those the router was fitted on that have a record. Raises RouterError if the router does not keep them.
        """
        return self.remembered().prompts

    @property
    def prior(self) -> LLMPrior:
        """What the known LLMs' scores say about unseen ones; learned when it is first asked for, or when saved.

        Raises DataError if the router was fitted on too few LLMs, RouterError if it does not keep its training prompts.
        """
        return self.remembered().prior()

    def decisions_taken_in(self) -> NDArray[np.uint64]:
        """Numbers of the decisions that earlier refreshes took in, uint64 (k,); see `Feedback.decisions`."""
        return np.zeros(0, dtype=np.uint64)

    def _add_llms(self, new: NewLLMs) -> None:
        """Append to everything that has an entry for each LLM, in place; `llm_ids_` is not extended yet."""
        for name, axis in self.llm_arrays.items():
            array = getattr(self, name)
            of_known = array.reshape(len(array), -1) if axis == 0 else array.T
            setattr(self, name, _extend(array, new.parameters(of_known), axis))
        self.llm_mean_ = np.append(self.llm_mean_, new.posterior.mean)

    def _take_llms(self, kept: NDArray[np.int64]) -> None:
        """Keep the entries of the LLMs at these positions only, in place."""
        for name, axis in {"llm_mean_": 0, **self.llm_arrays}.items():
            setattr(self, name, np.take(getattr(self, name), kept, axis=axis))

    def state(self) -> dict[str, NDArray[Any]]:
        """The arrays that `save` writes: those that a fit sets."""
        declared = (f for f in fields(self) if f.metadata.get("array"))
        found = {f.name: getattr(self, f.name) for f in declared if f.metadata["needed"] or hasattr(self, f.name)}
        for f, prefix, _ in groups(self):
            found |= {prefix + name: array for name, array in group_state(getattr(self, f.name)).items()}
        return found

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Set what `state` gave; KeyError if an array is missing."""
        for f in fields(self):
            if f.metadata.get("array") and (f.metadata["needed"] or f.name in arrays):
                setattr(self, f.name, arrays[f.name])
        for f, prefix, of in groups(self):
            setattr(self, f.name, group_of(of, inside(arrays, prefix)))
        self.fill_in()

    def fill_in(self) -> None:
        """Set what folders of older versions lack; nothing by default."""

    def layout(self, arrays: Arrays) -> Layout:
        """What the arrays of `state` have to be, for these `arrays`; names that are not declared do not belong there.

        Where a router overrides `restore` and not this, any array passes that is not declared.
        """
        rules = rules_of(type(self))
        for _, prefix, of in groups(self):
            names = set(inside(arrays, prefix))
            rules |= {prefix + name: rule for name, rule in group_rules(of, names).items()}
        restores, declares = (_owner(type(self), name) for name in ("restore", "layout"))
        if restores is not declares and issubclass(restores, declares):
            rules = dict.fromkeys(arrays, ArrayRule(kind="any")) | rules
        sizes = {"n_llms": len(self.llm_ids_)}
        if self.needs == "text":
            width = 0 if self.encoder_ is None else encoder_width(self.encoder_)
            sizes |= {} if width is None else {"width": width}
        return Layout(rules, sizes)

    def restored(self, sizes: Mapping[str, int]) -> None:
        """Called once a folder is read: raises RouterError for what shapes and ranges cannot say.

        `sizes` are the dimensions of the arrays, `n_prompts` among them where it is known.
        """
        if self.needs != "text" or not (width := sizes.get("width")):
            return
        if hasattr(self, "width_") and int(self.width_[0]) != width:
            raise RouterError(f"{self.name} reads vectors {int(self.width_[0])} wide, and its arrays are {width} wide")
        self.width_ = np.array([width])

    def write_files(self, folder: Path) -> None:
        """Write into the router's folder what arrays cannot hold; nothing by default. `save` adds the hashes."""

    def read_files(self, folder: Path) -> None:
        """Read what `write_files` wrote, after `load` has checked the hashes and set the arrays."""


def _extend(array: NDArray[np.generic], new: NDArray[np.floating], axis: int) -> NDArray[np.generic]:
    """The array with more rows, or columns; `new` float (j, p) has a row for each."""
    rows = new.reshape(-1, *array.shape[1:]) if axis == 0 else new.T
    return np.concatenate([array, rows.astype(array.dtype)], axis=axis)


def _owner(cls: type, name: str) -> type:
    """The class that defines a method."""
    return next(owner for owner in cls.__mro__ if name in vars(owner))
