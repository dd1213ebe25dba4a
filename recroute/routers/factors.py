"""`FactorRouter`, the base class of factorisation routers: LLM factors, and a bridge from text to instance factors."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.bridges import BRIDGES, Bridge, fit_bridge
from recroute.bridges.bridge import bridge_class
from recroute.bridges.ridge import RidgeBridge, fit_weighted_ridge
from recroute.data import Dataset
from recroute.retrieval import LLMIndex
from recroute.retrieval.llm_index import KINDS
from recroute.routers.base import Prompts, Ranking, TextRouter, fitted, setting
from recroute.routers.residual import projections
from recroute.routers.variational import has_few_records
from recroute.util.numeric import AnyArray, Array, Index
from recroute.util.threads import one_thread

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs


# From 1,000 LLMs on FAISS was measured faster than a matrix product and a sort. Its selector visits every LLM, so a
# pool that is a small share of them is ranked without it; k must be a small share of the pool, too.
MIN_INDEXED = 1000
MIN_POOL_SHARE = MAX_K_SHARE = 0.1


@dataclass(kw_only=True)
class FactorRouter(TextRouter):
    """Predicts `bias[l] + f(x) . v[l]` from LLM biases, LLM factors v and instance factors f(x) of the prompt vector x.

    A subclass factorises the interactions in `_factorise`. The bridge f is fitted to the instance factors of the
    training prompts. Factors are rotated so that the LLM factors are orthonormal: an error of the bridge then has the
    same size in the scores.

    Instance factors learned from few records are shrunk towards their mean, and a regression on them finds little. With
    `bridges_scores` the ridge bridge is then fitted to the scores themselves, through the LLM factors (`projections`).

    `rank` searches large pools with FAISS: an LLM is the vector [bias, v] and an instance the query [1, f(x)], so the
    predicted score is one inner product. With `index` "flat" or "exact" the ranking is that of the scores; "hnsw" and
    "ivf" are for 100,000 LLMs and more and may miss some, see `LLMIndex`.
    """

    kind: ClassVar[str] = "factors"
    takes_unseen_llms: ClassVar[bool] = True
    bridges_scores: ClassVar[bool] = False

    bridge: str = setting("ridge", choices=BRIDGES, help="regression from prompt vector to instance factors")
    reg: float | None = setting(None, low=0, help="penalty of the bridge; none: chosen by leave-one-out")
    index: str = setting("flat", choices=KINDS, help="index to search large pools; hnsw and ivf are approximate")

    bias_: Array = fitted("n_llms")
    llm_factors_: Array = fitted("n_llms", "n_factors")
    instance_factors_: NDArray[np.float32] = fitted("n_prompts", "n_factors", for_unseen=True)
    bridge_: Bridge = fitted(of=lambda router: bridge_class(router.bridge))

    @property
    def llm_factors(self) -> Array:
        """LLM factors v, f64 (m, k), a row for each LLM in the order of `llm_ids_`; RouterError if not fitted."""
        self.llm_index()
        return self.llm_factors_

    @abstractmethod
    def _factorise(self, train: Dataset) -> tuple[Array, Array, Array]:
        """Biases f64 (m,), instance factors f64 (n, k) and LLM factors f64 (m, k) of data without empty instances."""

    def _fit(self, train: Dataset) -> None:
        train = train.evaluated()
        self._place(train, *self._factorise(train))

    def fit_factors(self, train: Dataset, instance_factors: Array, llm_factors: Array) -> Self:
        """Like `fit`, with factors computed elsewhere: fits the bridge and keeps the training data.

        Parameters
        ----------
        train : Dataset
            May be a sample of the instances that were factorised.
        instance_factors : f64 (n, k)
        llm_factors : f64 (m, k)

        Raises
        ------
        RouterError
            As `fit`.
        """
        train = self._begin(train)
        seen = np.flatnonzero(train.interactions.instance_counts)
        with threadpool_limits(limits=1, user_api="blas"):
            self._place(train.take_instances(seen), np.zeros(train.n_llms), instance_factors[seen], llm_factors)
        return self

    def _place(self, train: Dataset, bias: Array, instance_factors: Array, llm_factors: Array) -> None:
        """Rotate the factors and fit the bridge, on data without empty instances."""
        Q, R = np.linalg.qr(llm_factors)  # U V' = (U R') Q' for V = Q R
        assert train.embeddings is not None
        self.bias_ = bias
        self.llm_factors_ = Q
        instance_factors = instance_factors @ R.T
        self.instance_factors_ = instance_factors.astype(np.float32)
        if self.bridges_scores and self.bridge == "ridge" and has_few_records(train.interactions):
            targets, counts = projections(train.interactions, bias, Q)
            self.bridge_ = RidgeBridge(*fit_weighted_ridge(train.embeddings, targets, counts, self.reg))
        else:
            self.bridge_ = fit_bridge(self.bridge, train.embeddings, instance_factors, reg=self.reg, seed=self.seed)

    def factors(self, prompts: Prompts) -> tuple[Array, Array]:
        """Instance factors f64 (b, k), predicted by the bridge, and LLM factors f64 (m, k)."""
        return self.bridge_(self.vectors(prompts)), self.llm_factors_

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        factors = self.bridge_(self.vectors(prompts))
        predicted = self.bias_[llm_index] + factors @ self.llm_factors_[llm_index].T  # (b, k) x (k, m)
        return predicted

    def _rank(self, prompts: Prompts, k: int, llm_index: Index) -> Ranking:
        large = len(llm_index) >= max(MIN_INDEXED, MIN_POOL_SHARE * len(self.bias_))
        linear = type(self)._score is FactorRouter._score  # a subclass may predict more than an inner product
        if self.index == "exact" or not (large and linear and k <= MAX_K_SHARE * len(llm_index) and prompts.n):
            return super()._rank(prompts, k, llm_index)
        vectors = self.vectors(prompts)
        with one_thread(len(vectors), 0):
            pool = None if self._is_full_pool(llm_index) else llm_index
            best, predicted = self._index().search(self.bridge_(vectors), k, pool)
        return Ranking(best.astype(np.int32), self._finite(predicted), self.llm_ids_)

    def _llm_entries(self, new: NewLLMs) -> dict[str, AnyArray]:
        """Bias and factors fitted to the expected scores as if observed: their mean, then least squares."""
        columns = new.posterior.columns.astype(np.float64)
        bias = columns.mean(axis=0) if self.bias_.any() else np.zeros(columns.shape[1])  # als has no biases
        U = self.instance_factors_.astype(np.float64)
        gram = U.T @ U
        gram += 1e-6 * max(np.trace(gram), 1e-12) * np.eye(len(gram))
        with threadpool_limits(1):
            factors = np.linalg.solve(gram, U.T @ (columns - bias)).T
        return {"bias_": bias, "llm_factors_": factors}

    def _index(self) -> LLMIndex:
        """Search index of the LLMs, built from the fitted arrays at first use.

        After LLMs were added, the previous index is extended instead of rebuilt.
        """
        of = (self.bias_, self.llm_factors_, self.llm_mean_)
        known, index = vars(self).get("_llm_index", (of, None))
        if index is None or any(mine is not its for mine, its in zip(of, known, strict=True)):
            m = 0 if index is None else len(index)
            if m and all(np.array_equal(mine[:m], its) for mine, its in zip(of, known, strict=True)):
                index = index.extended(self.bias_[m:], self.llm_factors_[m:], self.llm_mean_[m:])
            else:
                index = LLMIndex(self.bias_, self.llm_factors_, self.llm_mean_, self.index, self.seed)
            self._llm_index = of, index
        return index
