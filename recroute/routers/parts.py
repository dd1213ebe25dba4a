"""`Composite`, the base class of routers made of other routers, with out-of-fold predictions of the parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, llm_means
from recroute.data.cells import row_blocks
from recroute.encoders import view_encoder
from recroute.retrieval import tie_order
from recroute.routers.base import VIEWS, Prompts, Router, Scores, TextRouter, fitted, setting
from recroute.routers.registry import make_router
from recroute.splits.folds import Fold, each_fold
from recroute.util.memo import Memo
from recroute.util.numeric import Array, Index
from recroute.util.state import ListOf

BLOCK = 1 << 21  # cells predicted at a time, in double precision
# out-of-fold predictions f32 (b, m) of some training prompts int (b,), and the best single LLM int (b,) of the folds
# that they were fitted on
FoldScores = tuple[Index, Scores, Index]


@dataclass(kw_only=True)
class Composite(TextRouter):
    """A router made of other routers (parts), which are fitted on the same data.

    It takes unseen LLMs if all of its parts do.
    """

    takes_unseen_llms: ClassVar[bool] = True
    is_composite: ClassVar[bool] = True

    views: str = setting("all", choices=VIEWS, help="prompt vectors that the parts may read")
    n_folds: int = setting(4, low=2, high=20, help="cross-validation folds for out-of-fold predictions of the parts")

    parts_: list[Router] = fitted(of=ListOf(lambda router: router.blank_parts()), prefix="part")

    def part_names(self) -> Sequence[str]:
        """Names of the parts, as `make_router` reads them."""
        raise NotImplementedError

    def make_parts(self) -> list[Router]:
        """Unfitted parts."""
        return [replace(make_router(name), seed=self.seed) for name in self.part_names()]

    def blank_parts(self) -> list[Router]:
        """Unfitted parts that share this router's LLMs and encoder, ready to have their arrays restored."""
        parts = self.make_parts()
        for part in parts:
            encoder = self.encoder_
            views = getattr(part, "views", "all")
            part.llm_ids_ = self.llm_ids_
            part.background_ = None  # kept once, by the composite router
            part.encoder_ = None if encoder is None else view_encoder(encoder, views)
        return parts

    def task_shares(self, prompts: Prompts) -> Array | None:
        shares = (part.task_shares(prompts) for part in self.parts_)
        return next((each for each in shares if each is not None), None)


def out_of_fold(
    parts: Sequence[Router], train: Dataset, n_folds: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Out-of-fold predictions of each part for the training prompts.

    Duplicate prompts share a fold, and tasks are spread evenly over the folds.

    Returns
    -------
    predicted : f32 (p, n, m)
    best : int (n,)
        For each prompt the best single LLM of the folds that its predictions were fitted on. Chosen on the prompt
        itself, the best of many LLMs would look better than it is.
    """

    found = [_kept(part, train, n_folds, seed) for part in parts]
    (first, best), *_ = found
    return first[None] if len(parts) == 1 else np.stack([predicted for predicted, _ in found]), best


def each_out_of_fold(part: Router, train: Dataset, n_folds: int, seed: int) -> Iterator[FoldScores]:
    """`out_of_fold` of one part, some prompts at a time; those of a large data set are never all in memory."""
    n, m = train.interactions.shape
    if n * m > _predicted.largest:
        yield from _fold_by_fold(part, train, n_folds, seed)
    else:
        yield np.arange(n), *_kept(part, train, n_folds, seed)


def _kept(part: Router, train: Dataset, n_folds: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Out-of-fold predictions f32 (n, m) of a part and best single LLMs int (n,), from a cache if they are in it."""

    def compute() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        predicted = np.empty(train.interactions.shape, dtype=np.float32)
        best = np.empty(train.n_instances, dtype=np.int64)
        for rows, scores, of_fold in _fold_by_fold(part, train, n_folds, seed):
            predicted[rows], best[rows] = scores, of_fold
        predicted.flags.writeable = False  # it may be kept
        return predicted, best

    key = [_name(part), np.array([n_folds, seed]), *_contents(train)]
    return _predicted.get(key, compute, train.n_instances * train.n_llms)


def _fold_by_fold(part: Router, train: Dataset, n_folds: int, seed: int) -> Iterator[FoldScores]:
    for fold in each_fold(train, n_folds, seed):
        yield from _of_fold(part, fold)
        del fold  # before the next one is made


def _of_fold(part: Router, fold: Fold) -> Iterator[FoldScores]:
    index, best, test = fold.index, tie_order(llm_means(fold.parts.train))[0], fold.parts.test
    fitted_part = _fit_part(part, fold.parts.train)
    for rows in row_blocks(*test.interactions.shape, BLOCK):
        predicted = fitted_part.score(test.take_instances(np.arange(rows.start, rows.stop)))
        yield index[rows], predicted, np.full(len(predicted), best)


def fit_parts(parts: Sequence[Router], train: Dataset) -> list[Router]:
    """Fitted parts. A part that was fitted on the same data before comes from a cache; it must not be changed."""
    key, cells = _contents(train), train.n_instances * train.n_llms
    return [_fitted.get([_name(part), *key], partial(_fit_part, part, train), cells) for part in parts]


def _fit_part(part: Router, train: Dataset) -> Router:
    fitted_part = replace(part).fit(train)
    fitted_part.background_ = None  # the composite router keeps the training data
    return fitted_part


def _name(part: Router) -> NDArray[np.str_]:
    return np.array(f"{type(part).__qualname__} {part.hyperparameters()}")


def _contents(train: Dataset) -> list[NDArray[Any]]:
    """Everything in the training data that a fit may depend on, as the key of a cache."""
    texts = ["\0".join(train.prompts or ()), "\0".join(train.instance_ids.ids), train.llms.write_csv()]
    arrays = [*train.interactions.state().values(), train.tasks]
    if train.interactions.costs is not None:
        arrays.append(train.interactions.costs.data)
    if train.preferences is not None:
        arrays += train.preferences.arrays
    if train.embeddings is not None and train.encoder is not None:
        arrays += [train.embeddings, np.array(train.encoder.name)]
    return [*arrays, *(np.frombuffer(text.encode("utf8", "surrogatepass"), dtype=np.uint8) for text in texts)]


_predicted: Memo[tuple[NDArray[np.float32], NDArray[np.int64]]] = Memo(max_cells=1 << 24)
_fitted: Memo[Router] = Memo(max_cells=1 << 24)
