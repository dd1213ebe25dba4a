"""Settings of `cascade`, and the pools that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recroute.attempts.answers import Answers, verdict_rates
from recroute.attempts.target import Target
from recroute.data import Dataset
from recroute.errors import DataError
from recroute.experiment.bootstrap import N_RESAMPLES
from recroute.experiment.protocol import COST, JUDGE, Protocol
from recroute.pools import GROUPS, Pool, common_sizes, make_pools, whole_pool
from recroute.routers.memory.verifier import Verifier
from recroute.splits import Split, split_dataset
from recroute.util.settings import setting

VERDICT = "verdict"


@dataclass(frozen=True, kw_only=True)
class CascadeSettings(Protocol):
    """Settings of `cascade`."""

    attempts: Sequence[int] = setting((1, 2, 3, 5), low=1, help="Maximum numbers of LLMs to try on a prompt.")
    verifier: str = setting(
        "exact",
        help="Who accepts an answer: exact (its score, as a unit test gives it), noisy:TPR,TNR (a judge that accepts "
        "right and rejects wrong answers at these rates) or verdict (the column verdict of the records: 1 or 0).",
        panel=JUDGE,
    )
    accept: float = setting(
        1.0, low=0, high=1, help="With exact: the lowest score at which an answer is accepted.", panel=JUDGE
    )
    budget: float | None = setting(
        None,
        low=0,
        help="Mean cost of 1,000 prompts that routers' policies stay within: USD, or the unit of the costs.",
        panel=COST,
    )
    quality: float | None = setting(
        None,
        low=0,
        help="Share of the best single LLM's quality that routers' policies reach at the lowest cost: 1.",
        panel=COST,
    )
    pool_sizes: Sequence[int] | None = setting(
        None, low=2, help="Pool sizes, such as 10,100. Default: one pool of all LLMs."
    )
    groups: Sequence[str] = setting(("nested",), choices=GROUPS, help=f"How pools are drawn: {', '.join(GROUPS)}.")
    n_resamples: int = setting(N_RESAMPLES, low=1, help="Number of bootstrap resamples for the intervals.", option="")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.attempts or len(set(self.attempts)) < len(self.attempts):
            raise DataError(f"attempts {tuple(self.attempts)}: give different whole numbers, each at least 1")
        if (self.pool_sizes is not None and not self.pool_sizes) or not self.groups:
            raise DataError("cascade needs at least one pool size and one group")
        if self.budget is not None and self.quality is not None:
            raise DataError("budget and quality are given; give only one of them")
        if self.verifier != VERDICT:
            Verifier.of(self.verifier)  # DataError for one that cannot be read

    def judge(self, train: Dataset) -> Verifier:
        """The verifier; the error rates of verdicts are those on training instances."""
        return verdict_rates(train) if self.verifier == VERDICT else Verifier.of(self.verifier)

    @property
    def target(self) -> Target | None:
        """What costs are weighed for, if anything."""
        return None if self.budget is None and self.quality is None else Target(self.budget, self.quality)

    def answers(self, data: Dataset, judge: Verifier, seed: int) -> Answers:
        """The answers to these instances as the verifier judges them."""
        if self.verifier == VERDICT:
            return Answers.recorded(data, judge)
        return Answers.of(data, judge, self.accept, seed)

    def pools(self, dataset: Dataset) -> tuple[Callable[[Split], list[Pool]], list[str]]:
        """Function from a split to its pools, and notes for the reader."""
        if self.pool_sizes is None:
            whole = whole_pool(dataset)
            return lambda parts: [whole], []
        bases = (split_dataset(dataset, kind=self.split, seed=seed).train for seed in self.seeds)
        sizes, notes = common_sizes(bases, self.groups, self.pool_sizes)
        return lambda parts: make_pools(parts.train, self.groups, sizes, parts.seed), notes
