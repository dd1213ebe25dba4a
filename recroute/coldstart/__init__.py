"""LLMs that nobody has evaluated yet: what is expected of them, and which prompts tell most about them."""

import sys
from types import ModuleType
from typing import Any

from recroute.coldstart.anchors import STRATEGIES, select_anchors
from recroute.coldstart.experiment import coldstart
from recroute.coldstart.holdout import HOLDOUTS, unseen_llms
from recroute.coldstart.onboard import Expectation, expect, next_anchors
from recroute.coldstart.result import ColdStart
from recroute.routers.memory.posterior import Posterior
from recroute.routers.memory.prior import LLMPrior

__all__ = [
    "HOLDOUTS",
    "STRATEGIES",
    "ColdStart",
    "Expectation",
    "LLMPrior",
    "Posterior",
    "coldstart",
    "expect",
    "next_anchors",
    "select_anchors",
    "unseen_llms",
]


class _Callable(ModuleType):
    """`recroute.coldstart` is this package and, by contract, the function of the same name."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        return coldstart(*args, **options)


sys.modules[__name__].__class__ = _Callable
