"""What all factorisation routers share: LLM vectors, and a bridge from text to instance factors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.bridges import BRIDGES, Bridge, fit_bridge
from recroute.bridges.bridge import bridge_class
from recroute.data import Dataset
from recroute.routers.base import Instances, Scores, TextRouter, fitted, setting

Array = NDArray[np.float64]


@dataclass(kw_only=True)
class FactorRouter(TextRouter):
    """Predicts `bias[l] + f(x) . v[l]`: LLM biases and factors v, instance factors f(x) from the prompt vector x.

    A subclass factorises the interactions in `_factorise`; f is the bridge, fitted to the instance factors of the
    training prompts. Factors are rotated so that the LLM factors are orthonormal: a unit of error in an instance
    factor is then a unit of error in the scores, which is what the bridge has to keep small.
    """

    kind: ClassVar[str] = "factors"

    bridge: str = setting("ridge", choices=BRIDGES, help="from prompt vector to instance factors")
    reg: float | None = setting(None, low=0, help="penalty of the bridge; none: chosen by leave-one-out")

    bias_: Array = fitted()
    llm_factors_: Array = fitted()
    bridge_: Bridge = fitted(array=False)

    @abstractmethod
    def _factorise(self, train: Dataset) -> tuple[Array, Array, Array]:
        """Biases f64 (m,), instance factors f64 (n, k) and LLM factors f64 (m, k); every instance has a record."""

    def _fit(self, train: Dataset) -> None:
        seen = np.flatnonzero(np.diff(train.interactions.scores.indptr))  # instances with a record
        train = train.take_instances(seen)
        bias, instance_factors, llm_factors = self._factorise(train)
        Q, R = np.linalg.qr(llm_factors)  # U V' = (U R') Q' for V = Q R
        assert train.embeddings is not None
        self.bias_ = bias
        self.llm_factors_ = Q
        self.bridge_ = fit_bridge(self.bridge, train.embeddings, instance_factors @ R.T, reg=self.reg, seed=self.seed)

    def _score(self, instances: Instances, llm_index: NDArray[np.int64]) -> Scores:
        factors = self.bridge_(self.vectors(instances))
        predicted = self.bias_[llm_index] + factors @ self.llm_factors_[llm_index].T  # (b, k) x (k, m)
        return predicted.astype(np.float32)

    def state(self) -> dict[str, NDArray[Any]]:
        arrays = {f"bridge.{name}": array for name, array in vars(self.bridge_).items()}
        return super().state() | arrays

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        super().restore(arrays)
        cls = bridge_class(self.bridge)
        self.bridge_ = cls(**{f.name: arrays[f"bridge.{f.name}"] for f in fields(cls)})
