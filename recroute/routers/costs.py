"""What each LLM's answer to a prompt is expected to cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.bridges import fit_ridge
from recroute.data import Dataset
from recroute.errors import RouterError
from recroute.util.numeric import Array, ratio
from recroute.util.state import array

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs

PRIOR_ANSWERS = 5.0  # answers of an unseen LLM that weigh as much as what is expected of it
UNIT = "USD"


@dataclass(frozen=True, eq=False)
class CostModel:
    """`level[l] * (offset[l] + x @ weight[:,l])`, not below 0: ridge regression of cost relative to the LLM's mean.

    The penalty is chosen by leave-one-out, so what the prompt's vector does not tell is left at the LLM's mean cost;
    without vectors that is all there is. Relative costs put dear and cheap LLMs on one scale. Regression of the
    logarithm predicts held-out costs no better, and its means are off.

    Parameters
    ----------
    level : f64 (m,)
        Mean cost of each LLM, in the unit of the data; of an LLM without a known cost that of the dearest.
    weight : f64 (d, m)
    offset : f64 (m,)
    price : f64 (m,)
        `price_in + price_out` of the LLM table, NaN where unknown: what an unseen LLM may be placed by.
    """

    level: Array = array("n_llms", low=0)
    weight: Array = array("width?", "n_llms")
    offset: Array = array("n_llms")
    price: Array = array("n_llms", allow=("nan", "inf"))

    @classmethod
    def fit(cls, train: Dataset) -> CostModel:
        """From the known costs of the training instances; RouterError if there are none."""
        costs, level = train.interactions.dense_costs(), train.interactions.mean_costs()
        if costs is None or level is None:
            raise RouterError(no_costs(train))
        known = ~np.isnan(costs)
        level = np.where(np.isnan(level), np.nanmax(level), level)
        relative = np.divide(costs, level, out=np.ones(costs.shape), where=known & (level > 0))
        relative[~known] = 0
        rows = known.any(axis=1)
        of_row = relative.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        relative = np.where(known, relative, of_row[:, None])[rows]  # the prompt's mean stands in for what is missing
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
        """Costs f32 (b, m) for vectors float (b, d), of the LLMs at these positions."""
        relative = X @ self.weight[:, llm_index] + self.offset[llm_index]  # (b, d) x (d, m)
        return (relative.clip(min=0) * self.level[llm_index]).astype(np.float32)

    def grown(self, new: NewLLMs) -> CostModel:
        """With unseen LLMs behind the known ones.

        How their costs vary with the prompt is that of the known LLMs in the mean. Their mean cost is that of their
        own answers, if they come with costs, and what is expected of them, which weighs as much as five answers: by
        their prices, if known LLMs have some too, else by the known LLMs' costs and what their scores have in common.
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
    """The data set's vectors f32 (n, d); of width 0 where it has none."""
    return np.empty((data.n_instances, 0), dtype=np.float32) if data.embeddings is None else data.embeddings


def cost_unit(data: Dataset) -> str:
    """What the costs of a data set are in."""
    return str(data.card.get("cost_unit", UNIT))


def no_costs(data: Dataset) -> str:
    """What to say of a data set without costs."""
    priced = not np.isnan(_prices(data.llms)).all()
    mend = (
        "its LLM table has prices: take them with --cost prices"
        if priced
        else "add a column cost, or name one with --cost COLUMN"
    )
    return f"{data.name} has no costs; {mend}"


def _prices(llms: Any) -> Array:
    if not {"price_in", "price_out"} <= set(llms.columns):
        return np.full(llms.height, np.nan)
    price_in, price_out = (llms[name].cast(float).to_numpy() for name in ("price_in", "price_out"))
    return np.asarray(price_in + price_out, dtype=np.float64)
