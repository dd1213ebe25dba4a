"""Prediction of what each LLM's answer to a prompt costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.bridges import fit_ridge
from recroute.data import Dataset
from recroute.errors import RouterError, argument
from recroute.util.numeric import Array, ratio
from recroute.util.state import array

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs

PRIOR_ANSWERS = 5.0  # weight of an unseen LLM's expected cost, in answers
UNIT = "USD"


@dataclass(frozen=True, eq=False)
class CostModel:
    """Predicts `max(0, level[l] * (offset[l] + x @ weight[:,l]))`: ridge regression of cost relative to the LLM's mean.

    The penalty is chosen by leave-one-out, so an uninformative prompt vector leaves the LLM's mean cost, which is also
    the prediction without vectors. Relative costs put expensive and cheap LLMs on one scale. Regression of the
    logarithm predicts held-out costs no better, and its means are biased.

    Parameters
    ----------
    level : f64 (m,)
        Mean cost of each LLM, in the cost unit of the data; an LLM without known costs gets the highest mean.
    weight : f64 (d, m)
    offset : f64 (m,)
    price : f64 (m,)
        `price_in + price_out` of the LLM table, NaN where unknown; used to predict the cost of unseen LLMs.
    """

    level: Array = array("n_llms", low=0)
    weight: Array = array("width?", "n_llms")
    offset: Array = array("n_llms")
    price: Array = array("n_llms", allow=("nan", "inf"))

    @classmethod
    def fit(cls, train: Dataset) -> CostModel:
        """Fit to the known costs of the training instances; RouterError if there are none."""
        costs, level = train.interactions.dense_costs(), train.interactions.mean_costs()
        if costs is None or level is None:
            raise RouterError(no_costs(train))
        known = ~np.isnan(costs)
        level = np.where(np.isnan(level), np.nanmax(level), level)
        relative = np.divide(costs, level, out=np.ones(costs.shape), where=known & (level > 0))
        relative[~known] = 0
        rows = known.any(axis=1)
        of_row = relative.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        relative = np.where(known, relative, of_row[:, None])[rows]  # missing cells get the prompt's mean
        X = vectors(train)[rows]
        with threadpool_limits(limits=1, user_api="blas"):
            if X.shape[1]:
                weight, offset = fit_ridge(X, relative)
            else:
                weight, offset = np.empty((0, train.n_llms)), relative.mean(axis=0)
        return cls(level, weight, offset, _prices(train.llms))

    def predict(
        self, X: NDArray[np.floating], llm_index: NDArray[np.integer] | slice = slice(None)
    ) -> NDArray[np.float32]:
        """Predicted costs f32 (b, m) for prompt vectors float (b, d) and the LLMs at `llm_index`."""
        relative = X @ self.weight[:, llm_index] + self.offset[llm_index]  # (b, d) x (d, m)
        return (relative.clip(min=0) * self.level[llm_index]).astype(np.float32)

    def grown(self, new: NewLLMs) -> CostModel:
        """Model with unseen LLMs appended to the known ones.

        Their costs vary with the prompt like those of the average known LLM. Their mean cost is the mean of their own
        answers' costs, if known, shrunk towards an expected cost with the weight of five answers. The expected cost
        comes from their prices if known LLMs have prices too, and otherwise from the costs of LLMs with similar scores.
        """
        n = len(new.llm_ids)
        floor = max(float(self.level.max()) * 1e-6, 1e-12)
        log_level = np.log(self.level.clip(min=floor))
        expected = np.exp(new.parameters(log_level[:, None])[:, 0])
        per_price = ratio(self.level, self.price)
        price = _prices(new.table)
        if not np.isnan(per_price[new.known]).all():
            expected = np.where(np.isnan(price), expected, price * np.nanmedian(per_price[new.known]))
        if new.costs is not None:
            count = (~np.isnan(new.costs)).sum(axis=0)
            expected = (PRIOR_ANSWERS * expected + np.nansum(new.costs, axis=0, dtype=np.float64)) / (
                PRIOR_ANSWERS + count
            )
        shape = self.weight[:, new.known].mean(axis=1, keepdims=True)
        return CostModel(
            np.append(self.level, expected),
            np.hstack([self.weight, np.tile(shape, (1, n))]),
            np.append(self.offset, np.full(n, self.offset[new.known].mean())),
            np.append(self.price, price),
        )


def vectors(data: Dataset) -> NDArray[np.float32]:
    """Prompt vectors f32 (n, d) of a data set; of width 0 if it has none."""
    return np.empty((data.n_instances, 0), dtype=np.float32) if data.embeddings is None else np.asarray(data.embeddings)


def cost_unit(data: Dataset) -> str:
    """Unit of the costs of a data set, by default USD."""
    return str(data.card.get("cost_unit", UNIT))


def no_costs(data: Dataset) -> str:
    """Error message for a data set without costs."""
    priced = not np.isnan(_prices(data.llms)).all()
    fix = (
        f"its LLM table has prices: use them with {argument('cost', 'prices')}"
        if priced
        else f"add a column cost, or name one with {argument('cost', 'COLUMN')}"
    )
    return f"{data.name} has no costs; {fix}"


def _prices(llms: Any) -> Array:
    if not {"price_in", "price_out"} <= set(llms.columns):
        return np.full(llms.height, np.nan)
    price_in, price_out = (llms[name].cast(float).to_numpy() for name in ("price_in", "price_out"))
    return np.asarray(price_in + price_out, dtype=np.float64)
