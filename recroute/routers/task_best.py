"""The LLM with the best training mean on the prompt's task: a control that knows the task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, task_means
from recroute.errors import RouterError
from recroute.routers.base import Prompts, Router, fitted
from recroute.util.numeric import AnyArray, Index

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs


@dataclass(kw_only=True)
class TaskBest(Router):
    """Predicts each LLM's training mean on the instance's task (`task_means`).

    Other routers see the text, this control sees the task label; a router that scores lower has not learned to
    distinguish the tasks. A task without training instances falls back to the LLMs' overall means.
    """

    name: ClassVar[str] = "task_best"
    kind: ClassVar[str] = "control"
    needs: ClassVar[str] = "task"
    takes_unseen_llms: ClassVar[bool] = True

    task_names_: NDArray[np.str_] = fitted("n_tasks", kind="text", distinct=True)
    task_mean_: NDArray[np.float32] = fitted("n_tasks", "n_llms")

    def _fit(self, train: Dataset) -> None:
        names, means, _ = task_means(train)
        self.task_names_ = names
        self.task_mean_ = means.astype(np.float32)

    def _llm_entries(self, new: NewLLMs) -> dict[str, AnyArray]:
        place = np.searchsorted(new.prior.task_names, self.task_names_)  # the prior has every task with a record
        return {"task_mean_": new.posterior.task_mean[:, place].T}

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        if prompts.tasks is None:
            raise RouterError(f"{self.name} reads the task of each instance: give a data set, not bare prompts")
        position = np.searchsorted(self.task_names_, prompts.tasks).clip(max=len(self.task_names_) - 1)
        known = self.task_names_[position] == prompts.tasks
        means = np.vstack([self.task_mean_, self.llm_mean_])[:, llm_index]
        return means[np.where(known, position, len(self.task_names_))]
