"""The protocol of scikit-learn: parameters, `predict`, and a scorer for cross-validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.data.prompts import Instances
from recroute.data.scored_prompts import as_dataset
from recroute.errors import DataError
from recroute.routers.core import Pool, RouterCore, Scores


@dataclass(kw_only=True, eq=False)
class Estimator(RouterCore):
    """Makes a router an estimator for `sklearn.base.clone`, `cross_val_score` and `GridSearchCV`.

    What is cross-validated is a data set, or prompts and a matrix of scores. The scorer is `mean_score`: `score`, which
    scikit-learn would take, predicts the score of every LLM.

    Examples
    --------
    >>> import recroute as rr
    >>> from sklearn.model_selection import GridSearchCV
    >>> data = rr.simulate(n_llms=5, n_instances=120, seed=0)
    >>> search = GridSearchCV(rr.make_router("knn"), {"n_neighbors": [5, 20]}, scoring=rr.mean_score, cv=3)
    >>> sorted(search.fit(data).best_params_)
    ['n_neighbors']
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Hyperparameters by name; `deep` makes no difference, because none of them is an estimator."""
        return self.hyperparameters()

    def set_params(self, **params: Any) -> Self:
        """Set hyperparameters, for the next fit, and return self; errors are those of `make_router`."""
        for name, value in self.from_settings({**self.hyperparameters(), **params}).hyperparameters().items():
            setattr(self, name, value)
        return self

    def predict(self, instances: Instances, llms: Pool | None = None) -> NDArray[np.str_]:
        """Id of the best LLM for each instance, str (b,). Parameters and errors are those of `score`."""
        return np.array([names[0] for names in self.rank(instances, 1, llms).names], dtype=np.str_)

    def predict_scores(self, instances: Instances, llms: Pool | None = None) -> Scores:
        """Predicted score of each LLM, f32 (b, m): `predicted_score` by its name in this protocol."""
        return self.predicted_score(instances, llms)

    def __sklearn_tags__(self) -> Any:
        from sklearn.base import BaseEstimator

        return BaseEstimator.__sklearn_tags__(self)


def mean_score(router: Estimator, instances: Instances, scores: Any = None) -> float:
    """Mean score of the LLMs that a router chooses: a `scoring` for scikit-learn.

    Parameters
    ----------
    router : Router
    instances : Dataset, list of str, or f32 (b, d)
        As in `Router.score`.
    scores : (b, m), optional
        Observed scores, as `Dataset.from_matrix` takes them, columns in the router's order. Default: the data set's.

    Returns
    -------
    float
        Each choice is the best LLM among those that were evaluated on the instance. An instance with no score does not
        count; NaN if none has one.

    Raises
    ------
    DataError
        If there are no scores, or not one row for each instance and one column for each LLM.
    """
    if scores is None and not isinstance(instances, Dataset):
        raise DataError("mean_score needs observed scores; give a data set, or prompts and their matrix of scores")
    ids = router.llm_ids_.ids
    data = as_dataset(instances, scores, None if scores is None else ids)
    observed = data.take_llms(data.llm_ids.to_index(ids)).interactions.dense()
    chosen = router.choose_judged(router.predict_scores(instances), observed).judged
    values = np.take_along_axis(observed, chosen[:, None], axis=1)
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")
