"""Factorisation with features of prompts and LLMs, which covers unseen ones of both (the library lightfm)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import expit

from recroute.data import Dataset, InteractionMatrix
from recroute.data.llm_table import LLMFeatures
from recroute.errors import RouterError
from recroute.routers.base import Prompts, Scores, TextRouter, fitted, setting
from recroute.routers.memory.grow import refuse_known, with_llms
from recroute.routers.memory.new_llms import check_table
from recroute.routers.residual import by_id, common_scale, residual_scores
from recroute.routers.three_states import to_outcomes, to_preferences
from recroute.util.numeric import AnyArray, Array, Index

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs

LOSSES = ("logistic", "warp", "bpr")


@dataclass(kw_only=True)
class LightFM(TextRouter):
    """Instances and LLMs are sums of feature embeddings; the prediction is their inner product plus biases.

    The features of an instance are a constant and the signed principal components of its prompt vector. Those of an LLM
    are its identity, its family, and the logarithms of its parameters and prices (`LLMFeatures`). So a new prompt needs
    no bridge, and an unseen LLM (`add_llms`) is the average identity plus the effect of its metadata.

    The logistic loss is fitted to observed cells only, with a graded score as a weighted success and failure, and
    predicts a probability. WARP and BPR rank LLMs above the instance's mean over those below it (`to_preferences`;
    unobserved cells are never opponents). With these losses the LLM means replace the biases, and the products are
    scaled to the scores by least squares. The fit runs on one thread, because lightfm's threads update shared
    embeddings without locks. Scoring uses NumPy only.
    Source: Kula, Metadata embeddings for user and item cold-start recommendations, CBRecSys 2015.
    """

    name: ClassVar[str] = "lightfm"
    kind: ClassVar[str] = "features"
    takes_unseen_llms: ClassVar[bool] = True
    optional_modules: ClassVar[Mapping[str, str]] = {"lightfm": "lightfm"}

    loss: str = setting("warp", choices=LOSSES, help="ranking loss (warp, bpr) or pointwise loss (logistic)")
    n_factors: int = setting(8, low=1, help="number of factors besides the biases")
    n_components: int = setting(32, low=1, help="principal components of the prompt vectors")
    learning_rate: float = setting(0.05, low=0, help="step size of AdaGrad")
    n_epochs: int = setting(5, low=1, help="passes over the records")

    center_: NDArray[np.float32] = fitted("width")  # mean prompt vector
    weight_: NDArray[np.float32] = fitted("width", "n_factors+1")  # map from prompt vector to factors and bias
    offset_: NDArray[np.float32] = fitted("n_factors+1")  # factors and bias of the mean prompt
    llm_factors_: NDArray[np.float32] = fitted("n_llms", "n_factors+1")
    unseen_: NDArray[np.float32] = fitted("n_factors+1")  # factors and bias of an LLM without metadata
    feature_: NDArray[np.float32] = fitted("n_families?+3", "n_factors+1")  # effects of an LLM's metadata
    families_: NDArray[np.str_] = fitted("n_families?", kind="text")
    number_center_: Array = fitted("3")
    number_spread_: Array = fitted("3", low=1e-12)

    def _fit(self, train: Dataset) -> None:
        assert train.embeddings is not None
        self.center_ = train.embeddings.mean(axis=0)
        X = (train.embeddings - self.center_).astype(np.float64)
        directions = principal_directions(X, self.n_components)
        features = LLMFeatures.fit(train.llms)
        self.families_, self.number_center_, self.number_spread_ = features.families, features.center, features.spread
        instance, llm = self._embed(train, X @ directions, features(train.llms))
        identity, feature = llm[: train.n_llms], llm[train.n_llms :]
        weight, offset = directions @ instance[1:], instance[0]  # the first feature is the constant
        seen, unseen = identity + features(train.llms) @ feature, identity.mean(axis=0)  # (m, k + 1), (k + 1,)
        if self.loss != "logistic":
            scale, shift = self._to_scores(train, X @ weight, seen)
            weight, offset, feature = weight * (np.arange(len(scale)) < self.n_factors), 0 * offset, feature * scale
            seen, unseen = seen * scale + shift, unseen * scale + shift
            seen[:, -1] = self.llm_mean_
        self.weight_, self.offset_ = weight.astype(np.float32), offset.astype(np.float32)
        self.llm_factors_, self.unseen_ = seen.astype(np.float32), unseen.astype(np.float32)
        self.feature_ = feature.astype(np.float32)

    def _embed(self, train: Dataset, text: Array, of_llm: NDArray[np.float32]) -> tuple[Array, Array]:
        """Fit lightfm to the features of instances and LLMs.

        Returns embeddings and biases of instance features f64 (1 + c, k + 1) and LLM features f64 (m + f + 3, k + 1).
        `text` f64 (n, c) and `of_llm` f32 (m, f + 3) are the features besides the constant and the LLM identity.
        """
        n, m = train.n_instances, train.n_llms
        order = by_id(train)
        of_llm, interactions = of_llm[order], train.interactions.take_llms(order)
        instance_features = sp.csr_matrix(np.column_stack([np.ones(n), text]).astype(np.float32))
        llm_features = sp.hstack([sp.identity(m, dtype=np.float32), sp.csr_matrix(of_llm)], format="csr")
        coded = (to_outcomes if self.loss == "logistic" else to_preferences)(interactions).tocoo()
        cells = (
            coded.row,
            coded.col % m,
        )  # outcomes have m success columns, then m failure columns; preferences have m columns
        value = np.where(coded.col < m, 1, -1).astype(np.float32) if self.loss == "logistic" else coded.data
        weight = sp.coo_matrix((coded.data, cells), shape=(n, m)) if self.loss == "logistic" else None
        model = _library()(
            no_components=self.n_factors, loss=self.loss, learning_rate=self.learning_rate, random_state=self.seed
        )
        model.fit(
            sp.coo_matrix((value, cells), shape=(n, m)),
            user_features=instance_features,
            item_features=llm_features,
            sample_weight=weight,
            epochs=self.n_epochs,
            num_threads=1,
        )
        instance = np.column_stack([model.user_embeddings, model.user_biases]).astype(np.float64)
        llm = np.column_stack([model.item_embeddings, model.item_biases]).astype(np.float64)
        llm[order] = llm[:m].copy()
        return instance, llm

    def _to_scores(self, train: Dataset, instance: Array, llm: Array) -> tuple[Array, Array]:
        """Scale and shift f64 (k + 1,) that map the LLM factors of a ranking loss to the scale of scores.

        Factors are centred and multiplied by one number, the least-squares coefficient of the observed residuals on the
        products with the centred instance factors f64 (n, k + 1). The bias is regressed on the LLM means.
        """
        _, _, residual = residual_scores(train)
        mean = llm.mean(axis=0)
        factors = llm[:, :-1] - mean[:-1]
        scale = np.full(len(mean), common_scale(residual, instance[:, :-1], factors))
        spread = ((llm[:, -1] - mean[-1]) ** 2).sum()
        scale[-1] = ((llm[:, -1] - mean[-1]) * self.llm_mean_).sum() / max(spread, 1e-12)
        shift = -mean * scale
        shift[-1] += self.llm_mean_.mean()
        return scale, shift

    def add_llms(self, interactions: InteractionMatrix | Dataset | None, llm_table: pl.DataFrame | None = None) -> Self:
        """As in `Router`; LLMs without records are placed by their metadata, which needs no training prompts."""
        if isinstance(interactions, Dataset) and llm_table is None:
            llm_table = interactions.llms
        matrix = interactions.interactions if isinstance(interactions, Dataset) else interactions
        if llm_table is None or (matrix is not None and matrix.n_observed):
            return super().add_llms(interactions, llm_table)
        self.llm_index()  # raises if not fitted
        table = check_table(llm_table)
        refuse_known(self, table["llm_id"].to_list())
        placed = self._place(table)
        at_mean = self._predict(self.offset_[None, :], placed)[0]  # prediction on the mean prompt
        n = 0 if self.background_ is None else self.background_.prompts.height
        unobserved = np.full((n, table.height), np.nan, dtype=np.float32)
        return with_llms(self, table["llm_id"].to_list(), unobserved, {"llm_factors_": placed, "llm_mean_": at_mean})

    def _llm_entries(self, new: NewLLMs) -> dict[str, AnyArray]:
        unanswered = new.posterior.n_answers == 0
        factors = np.where(unanswered[:, None], self._place(new.table), new.parameters(self.llm_factors_))
        return {"llm_factors_": factors}

    def _place(self, table: pl.DataFrame) -> Array:
        """Factors and biases f64 (j, k + 1) of unseen LLMs: the average identity plus the effect of their metadata."""
        features = LLMFeatures(self.families_, self.number_center_, self.number_spread_)(table)
        return self.unseen_ + features @ self.feature_  # (j, f + 3) x (f + 3, k + 1)

    def factors(self, prompts: Prompts) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Instance factors f32 (b, k) and LLM factors f32 (m, k), without the biases."""
        return self._embedded(prompts)[:, :-1], self.llm_factors_[:, :-1]

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        return self._predict(self._embedded(prompts), self.llm_factors_[llm_index])

    def _embedded(self, prompts: Prompts) -> NDArray[np.floating]:
        """Factors and biases f32 (b, k + 1) of the prompts."""
        return (self.vectors(prompts) - self.center_) @ self.weight_ + self.offset_  # (b, d) x (d, k + 1)

    def _predict(self, instance: NDArray[np.floating], llm: NDArray[np.floating]) -> Scores:
        """Predicted scores f32 (b, m) from factors and biases float (b, k + 1) and float (m, k + 1)."""
        product = instance[:, :-1] @ llm[:, :-1].T + instance[:, -1:] + llm[:, -1]  # (b, k) x (k, m)
        return (expit(product) if self.loss == "logistic" else product).astype(np.float32)


def principal_directions(X: Array, n_components: int) -> Array:
    """Principal directions f64 (d, c) of centred vectors X f64 (n, d).

    They are scaled so that the features `X @ directions` have a root mean square length of 1, which suits the step size
    of lightfm.
    """
    value, Q = np.linalg.eigh(X.T @ X)
    value, Q = value[::-1][:n_components], Q[:, ::-1][:, :n_components]
    Q = Q * np.sign(Q[np.abs(Q).argmax(axis=0), np.arange(Q.shape[1])])  # the sign is arbitrary: largest positive
    return Q * np.sqrt(len(X) / max(value.sum(), 1e-12))


def _library() -> Any:
    """The class `lightfm.LightFM`; RouterError if lightfm is not installed."""
    with warnings.catch_warnings():  # irrelevant here, because only one thread is used
        warnings.filterwarnings("ignore", message="LightFM was compiled without OpenMP")
        try:
            from lightfm import LightFM as Model
        except ImportError:
            raise RouterError("lightfm is not installed; pip install 'recroute[lightfm]'") from None
    return Model
