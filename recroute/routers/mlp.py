"""A network with one hidden layer on the prompt vector: RouterEval's MLPR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.routers.base import Prompts, fitted, setting
from recroute.routers.linear import Linear
from recroute.routers.network import predict
from recroute.util.numeric import Index


@dataclass(kw_only=True)
class MLP(Linear):
    """Predicts each LLM's probability of success by a network with one hidden layer shared by all LLMs.

    The loss is the binary cross-entropy of the observed cells (`fit_network`). RouterEval trains for 100 epochs with
    batches of one instance and a step size of 0.0001; `--set batch_size=1 --set learning_rate=0.0001` reproduces this.
    The default uses batches of 16 and a step size larger by the square root of 16. This is more than ten times faster
    and changes predicted scores about as much as another seed does. The optimiser is that of `linear`. One network is
    fitted to all LLMs of the training data; RouterEval fits one per pool.
    Source: RouterEval, arXiv 2503.10657 (MLPR).
    """

    name: ClassVar[str] = "mlp"

    n_hidden: int = setting(256, low=1, help="units of the hidden layer")
    learning_rate: float = setting(0.0004, low=1e-6, high=1, help="step size of Adam")
    n_epochs: int = setting(100, low=1, help="passes over the training instances")
    batch_size: int = setting(16, low=1, help="instances per step")

    hidden_weight_: NDArray[np.float32] = fitted("width", "n_hidden")
    hidden_offset_: NDArray[np.float32] = fitted("n_hidden")
    weight_: NDArray[np.float32] = fitted("n_hidden", "n_llms")

    def _fit(self, train: Dataset) -> None:
        layers = self._train(train, hidden=(self.n_hidden,))
        (self.hidden_weight_, self.hidden_offset_), (self.weight_, self.offset_) = layers

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        layers = [
            (self.hidden_weight_, self.hidden_offset_),
            (self.weight_[:, llm_index], self.offset_[llm_index]),
        ]
        return predict(layers, self.vectors(prompts))
