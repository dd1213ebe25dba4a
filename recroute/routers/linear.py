"""One logistic regression per LLM on the prompt vector: RouterEval's LinearR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.routers.base import Prompts, Scores, TextRouter, fitted, setting
from recroute.routers.network import Layers, fit_network, log_odds_shares, predict
from recroute.util.numeric import Index


@dataclass(kw_only=True)
class Linear(TextRouter):
    """Predicts `sigmoid(x . w[l] + b[l])` from the prompt vector x.

    RouterEval's "linear regression" is a linear layer with a sigmoid, trained on binary cross-entropy for 10 epochs
    with batches of one instance and a step size of 0.01; stopping this early is its only regularisation. RouterEval's
    script uses Adam from random weights and lets the step size fall along a cosine; this router uses Adam from zero
    with a constant step size. Only observed cells enter the loss (`fit_network`). Larger batches are faster and need a
    larger step size.
    Source: RouterEval, arXiv 2503.10657 (LinearR).
    """

    name: ClassVar[str] = "linear"
    kind: ClassVar[str] = "regression"

    learning_rate: float = setting(0.01, low=1e-6, high=1, help="step size of Adam")
    n_epochs: int = setting(10, low=1, help="passes over the training instances")
    batch_size: int = setting(1, low=1, help="instances per step")

    weight_: NDArray[np.float32] = fitted("width", "n_llms")
    offset_: NDArray[np.float32] = fitted("n_llms")

    def _fit(self, train: Dataset) -> None:
        ((self.weight_, self.offset_),) = self._train(train, hidden=())

    def _train(self, train: Dataset, hidden: Sequence[int]) -> Layers:
        """Fit a network with these numbers of hidden units, see `fit_network`."""
        seen = np.flatnonzero(train.interactions.instance_counts)  # instances with a record
        return fit_network(
            self.vectors(train)[seen],
            train.interactions.take_instances(seen).dense(),
            self.llm_mean_,
            hidden,
            learning_rate=self.learning_rate,
            n_epochs=self.n_epochs,
            batch_size=self.batch_size,
            seed=self.seed,
        )

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        layer = (self.weight_[:, llm_index], self.offset_[llm_index])
        return predict([layer], self.vectors(prompts))

    def distribution(self, predicted: Scores) -> NDArray[np.float64]:
        """Softmax of the log-odds, f64 (b, m), as RouterEval defines it for this router."""
        return log_odds_shares(predicted)
