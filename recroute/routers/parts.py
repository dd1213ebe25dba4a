"""What routers made of other routers share: their parts, fits on folds, and persistence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, llm_means
from recroute.encoders import view_encoder
from recroute.retrieval import tie_order
from recroute.routers.base import VIEWS, Router, TextRouter, fitted, setting
from recroute.routers.registry import make_router
from recroute.splits import make_folds
from recroute.util.memo import Memo
from recroute.util.state import ListOf


@dataclass(kw_only=True)
class Composite(TextRouter):
    """A router with other routers inside, fitted on the same data.

    It takes unseen LLMs where all of its parts do.
    """

    takes_unseen_llms: ClassVar[bool] = True

    views: str = setting("all", choices=VIEWS, help="what the parts may read")
    n_folds: int = setting(4, low=2, high=20, help="folds of the training prompts that parts are compared on")

    parts_: list[Router] = fitted(of=ListOf(lambda router: router.blank_parts()), prefix="part")

    def part_names(self) -> Sequence[str]:
        """Names of the parts, as `make_router` reads them."""
        raise NotImplementedError

    def make_parts(self) -> list[Router]:
        """The parts, not fitted."""
        return [replace(make_router(name), seed=self.seed) for name in self.part_names()]

    def blank_parts(self) -> list[Router]:
        """The parts as a folder of this router has them, before they are restored."""
        parts = self.make_parts()
        for part in parts:
            encoder = self.encoder_
            reads = getattr(part, "views", "all")
            part.llm_ids_ = self.llm_ids_
            part.background_ = None  # the whole keeps it
            part.encoder_ = None if encoder is None else view_encoder(encoder, reads)
        return parts


def out_of_fold(
    parts: Sequence[Router], train: Dataset, n_folds: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """What each part predicts for training prompts it was not fitted on.

    Prompts that occur twice are in one fold, and tasks are spread evenly over the folds.

    Returns
    -------
    predicted f32 (p, n, m), best int (n,)
        `best` is the best single LLM of the prompts that the prediction was fitted on: chosen on the prompt itself,
        among many LLMs, it would look better than it is.
    """
    folds = make_folds(train, n_folds, seed)
    best = np.empty(train.n_instances, dtype=np.int64)
    for fold in folds:
        best[fold.index] = tie_order(llm_means(fold.parts.train))[0]

    def of_part(part: Router) -> NDArray[np.float32]:
        predicted = np.empty((train.n_instances, train.n_llms), dtype=np.float32)
        for fold in folds:
            predicted[fold.index] = replace(part).fit(fold.parts.train).score(fold.parts.test)
        return predicted

    known, cells = [np.array([n_folds, seed]), *_contents(train)], train.n_instances * train.n_llms
    found = np.empty((len(parts), train.n_instances, train.n_llms), dtype=np.float32)
    for i, part in enumerate(parts):
        found[i] = _predicted.get([_name(part), *known], partial(of_part, part), cells)
    return found, best


def fit_parts(parts: Sequence[Router], train: Dataset) -> list[Router]:
    """The parts, fitted; a part that was fitted on the same data before is taken as it is: nobody changes it."""
    known, cells = _contents(train), train.n_instances * train.n_llms
    return [_fitted.get([_name(part), *known], partial(_fit_part, part, train), cells) for part in parts]


def _fit_part(part: Router, train: Dataset) -> Router:
    found = replace(part).fit(train)
    found.background_ = None  # the whole keeps the training data, not what is remembered of earlier fits
    return found


def _name(part: Router) -> NDArray[np.str_]:
    return np.array(f"{type(part).__qualname__} {part.hyperparameters()}")


def _contents(train: Dataset) -> list[NDArray[Any]]:
    """All that a router reads."""
    texts = ["\0".join(train.prompts or ()), "\0".join(train.instance_ids.ids), train.llms.write_csv()]
    found = [*train.interactions.state().values(), train.tasks]
    if train.interactions.costs is not None:
        found.append(train.interactions.costs.data)
    if train.preferences is not None:
        found += train.preferences.arrays
    if train.embeddings is not None and train.encoder is not None:
        found += [train.embeddings, np.array(train.encoder.name)]
    return [*found, *(np.frombuffer(text.encode("utf8", "surrogatepass"), dtype=np.uint8) for text in texts)]


_predicted: Memo[NDArray[np.float32]] = Memo(max_cells=1 << 24)
_fitted: Memo[Router] = Memo(max_cells=1 << 24)
