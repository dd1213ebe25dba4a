"""What an evaluation of several attempts is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recroute.data import Dataset
from recroute.errors import DataError
from recroute.experiment.bootstrap import N_RESAMPLES
from recroute.experiment.protocol import JUDGE, Protocol
from recroute.pools import Pool, make_pools
from recroute.pools.make import GROUPS, largest_pool
from recroute.routers.memory.joint import Verifier
from recroute.splits import Split
from recroute.util.settings import setting

WHOLE = "all"  # the group of the pool of all LLMs


@dataclass(frozen=True, kw_only=True)
class CascadeSettings(Protocol):
    """What `cascade` is asked for."""

    attempts: Sequence[int] = setting((1, 2, 3, 5), low=1, help="Numbers of LLMs that are tried on a prompt.")
    verifier: str = setting(
        "exact",
        help="Who accepts an answer: exact (its score, as a unit test gives it) or noisy:TPR,TNR (a judge that accepts "
        "right and rejects wrong answers at these rates).",
        panel=JUDGE,
    )
    accept: float = setting(
        1.0, low=0, high=1, help="With exact, the score from which on an answer is accepted.", panel=JUDGE
    )
    pool_sizes: Sequence[int] | None = setting(
        None, low=2, help="Pools of these sizes, such as 10,100. Default: all LLMs."
    )
    groups: Sequence[str] = setting(("nested",), choices=GROUPS, help=f"How pools are drawn: {', '.join(GROUPS)}.")
    n_resamples: int = setting(N_RESAMPLES, low=1, help="Bootstrap resamples behind the intervals.", option="")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.attempts or len(set(self.attempts)) < len(self.attempts):
            raise DataError(f"attempts {tuple(self.attempts)}: give different whole numbers, each at least 1")
        _ = self.judge  # DataError for one that cannot be read

    @cached_property
    def judge(self) -> Verifier:
        """The verifier."""
        return Verifier.of(self.verifier)

    def pools(self, dataset: Dataset) -> tuple[Callable[[Split], list[Pool]], list[str]]:
        """The pools of each split, and what a reader has to know of them."""
        if self.pool_sizes is None:
            whole = Pool(WHOLE, dataset.n_llms, np.arange(dataset.n_llms))
            return lambda parts: [whole], []
        limit, notes = largest_pool(dataset, self.groups), []
        if (largest := max(self.pool_sizes)) > limit:
            notes.append(
                f"pool size {largest} is more than the {limit} LLMs every group can take: {limit} stands for it"
            )
        sizes = sorted({min(size, limit) for size in self.pool_sizes})
        return lambda parts: make_pools(parts.train, self.groups, sizes, parts.seed), notes
