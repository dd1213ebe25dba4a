"""`ColdStartSettings`: settings of `coldstart`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recroute.coldstart.anchors import STRATEGIES
from recroute.coldstart.holdout import HOLDOUTS
from recroute.errors import DataError
from recroute.experiment.protocol import DATA, Protocol
from recroute.splits import HOLDOUTS as TASKS
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
        choices=(*HOLDOUTS, *TASKS),
        help="LLMs to hold out as unseen: family (whole families; default if families are known) or random. Or task or "
        "benchmark: each in turn is new to routers, and anchors are its prompts that all LLMs were run on.",
    )
    pool_size: int = setting(10, low=2, help="Number of LLMs in a pool.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.anchors or len(set(self.anchors)) < len(self.anchors):
            raise DataError(f"anchors {self.anchors}: give distinct whole numbers, each at least 0")
        if not self.strategies:
            raise DataError("no strategy is given; give at least one, such as 'active'")
