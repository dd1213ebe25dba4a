"""Cold start of LLMs: what to expect of an unseen LLM, and which prompts to run on it first."""

import sys
from types import ModuleType
from typing import Any

from recroute.coldstart.anchors import STRATEGIES, select_anchors
from recroute.coldstart.experiment import coldstart
from recroute.coldstart.holdout import HOLDOUTS, unseen_llms
from recroute.coldstart.onboard import Expectation, expect, next_anchors
from recroute.coldstart.result import ColdStart
from recroute.coldstart.tasks_result import TaskColdStart
from recroute.routers.memory.posterior import Posterior
from recroute.routers.memory.prior import LLMPrior

__all__ = [
    "HOLDOUTS",
    "STRATEGIES",
    "ColdStart",
    "Expectation",
    "LLMPrior",
    "Posterior",
    "TaskColdStart",
    "coldstart",
    "expect",
    "next_anchors",
    "select_anchors",
    "unseen_llms",
]


class _Callable(ModuleType):
    """Makes the package callable, because `recroute.coldstart` is both this package and a public function."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        return coldstart(*args, **options)


sys.modules[__name__].__class__ = _Callable
