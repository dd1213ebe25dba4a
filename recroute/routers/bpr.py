"""Bayesian personalised ranking (the library implicit)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.routers.base import setting
from recroute.routers.factors import FactorRouter
from recroute.routers.residual import by_id, calibrate
from recroute.routers.three_states import to_preferences
from recroute.util.numeric import Array


@dataclass(kw_only=True)
class BPR(FactorRouter):
    """Factors trained to rank LLMs that scored above the instance's mean over those that scored below it.

    Only the sign of a score's difference to that mean counts (`to_preferences`). The products of the factors have an
    arbitrary scale; `calibrate` brings them to the scale of scores. The fit runs on one thread, because implicit's
    threads update shared factors without locks, in no fixed order.
    Source: Rendle et al., BPR: Bayesian personalized ranking from implicit feedback, UAI 2009.
    """

    name: ClassVar[str] = "bpr"

    n_factors: int = setting(8, low=1, help="number of factors besides the LLM's bias")
    learning_rate: float = setting(0.05, low=0, help="step size of gradient descent")
    factor_reg: float = setting(0.01, low=0, help="penalty on the factors")
    n_epochs: int = setting(50, low=1, help="passes over the preferred cells")

    def _factorise(self, train: Dataset) -> tuple[Array, Array, Array]:
        order = by_id(train)
        coded = to_preferences(train.interactions.take_llms(order))
        better = sp.csr_matrix(coded > 0)
        rng = np.random.default_rng(self.seed)
        U = self._start(rng, np.diff(better.indptr) > 0)
        V = self._start(rng, np.bincount(better.indices, minlength=train.n_llms) > 0)
        U[:, -1] = 1  # so the last factor of an LLM is its bias, as in implicit
        seed = int(rng.integers(2**31))
        if better.nnz:
            run_sgd(coded, U, V, self.n_epochs, self.learning_rate, self.factor_reg, seed)
        V[order] = V.copy()
        return calibrate(train, U.astype(np.float64), V.astype(np.float64))

    def _start(self, rng: np.random.Generator, preferred: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Small random factors f32 (n, k + 1), 0 in rows without a preferred cell, as implicit initialises them."""
        factors = (rng.random((len(preferred), self.n_factors + 1)) - 0.5) / self.n_factors
        factors[~preferred] = 0
        return factors.astype(np.float32)


def run_sgd(
    coded: sp.csr_matrix,
    U: NDArray[np.float32],
    V: NDArray[np.float32],
    n_epochs: int,
    learning_rate: float,
    reg: float,
    seed: int,
) -> None:
    """Run the gradient steps of implicit's BayesianPersonalizedRanking on U and V, in place.

    Each step draws a preferred cell and an opponent LLM (with a probability proportional to its preferred cells) and
    skips the pair if the opponent is in the instance's list. In implicit's own `fit` that list holds the preferred
    cells only, so an unobserved cell may be drawn as a failure. Here it holds all cells that `to_preferences` stores,
    so only observed cells with a worse score are drawn. On complete 0/1 data both are the same.

    Parameters
    ----------
    coded : scipy.sparse.csr_matrix (n, m)
        From `to_preferences`, with at least one preferred cell.
    U, V : f32 (n, k + 1), f32 (m, k + 1)
        Factors of instances and LLMs. The last column of U is constant 1, that of V is the LLMs' bias.
    """
    from implicit.cpu.bpr import RNGVector, bpr_update

    better = coded.data > 0
    instance = np.repeat(np.arange(len(U), dtype=np.int32), np.diff(coded.indptr))[better]
    n_better = len(instance)
    # implicit draws from the first part of this array and looks opponents up in the second, where `indptr` points
    cells = np.concatenate([coded.indices[better], coded.indices]).astype(np.int32)
    indptr = (coded.indptr + n_better).astype(np.int32)
    rng = RNGVector(1, n_better - 1, np.array([seed], dtype=np.dtype("long")))
    for _ in range(n_epochs):
        bpr_update(rng, instance, cells, indptr, U, V, learning_rate, reg, 1, True)
