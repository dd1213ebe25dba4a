"""`ColdStartSettings`: settings of `coldstart`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recroute.coldstart.anchors import STRATEGIES
from recroute.coldstart.holdout import HOLDOUTS
from recroute.errors import DataError, either
from recroute.experiment.protocol import DATA, Protocol
from recroute.splits import HOLDOUTS as COLD_INSTANCES
from recroute.util.settings import setting

ANCHORS = (0, 1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True, kw_only=True)
class ColdStartSettings(Protocol):
    """Settings of `coldstart`."""

    seeds: Sequence[int] = setting(range(5), help="Each seed draws its own split and unseen LLMs.", panel=DATA)
    anchors: Sequence[int] = setting(ANCHORS, low=0, help="Numbers of anchors: prompts run on an unseen LLM.")
    strategies: Sequence[str] = setting(
        ("random", "batch", "active"),
        choices=STRATEGIES,
        option="--strategy",
        help=f"How to choose anchors: any of {', '.join(STRATEGIES)}.",
    )
    holdout: str | None = setting(
        None,
        help="LLMs to hold out as unseen: family (whole families; default if families are known) or random.",
    )
    pool_size: int = setting(10, low=2, help="Number of LLMs in a pool.")

    def __post_init__(self) -> None:
        if self.holdout in COLD_INSTANCES:
            evaluate = either(f"recroute evaluate --holdout {self.holdout}", f"evaluate(..., holdout={self.holdout!r})")
            raise DataError(
                f"holdout {self.holdout!r} holds out prompts, not LLMs; run {evaluate}, or hold out "
                f"{' or '.join(HOLDOUTS)}"
            )
        super().__post_init__()
        if not self.anchors or len(set(self.anchors)) < len(self.anchors):
            raise DataError(f"anchors {self.anchors}: give distinct whole numbers, each at least 0")
        if not self.strategies:
            raise DataError("no strategy is given; give at least one, such as 'active'")
