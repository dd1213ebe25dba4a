"""Factors found elsewhere; what needs Spark itself is in tests/benchmarks/test_spark.py."""

import sys

import numpy as np
import pytest

import recroute as rr
from recroute.data import Dataset
from recroute.errors import DataError, RouterError
from recroute.routers.als import ALS
from recroute.testing import planted_dataset


def with_an_instance_without_record(data: Dataset) -> Dataset:
    block = data.interactions.dense()
    block[7] = np.nan
    return Dataset("gap", rr.InteractionMatrix.from_dense(block), data.instances, data.llms)


def test_factors_found_elsewhere_make_the_same_router() -> None:
    data = with_an_instance_without_record(planted_dataset(missing=0.3))
    seen = np.flatnonzero(np.diff(data.interactions.scores.indptr))
    fitted, given = ALS(n_factors=3).fit(data), ALS(n_factors=3)
    _, instance_factors, llm_factors = fitted._factorise(data.take_instances(seen))
    all_factors = np.full((data.n_instances, 3), np.nan)  # of an instance without a record nothing is read
    all_factors[seen] = instance_factors
    assert given.fit_factors(data, all_factors, llm_factors) is given
    np.testing.assert_array_equal(given.score(data), fitted.score(data))
    assert given.training_prompts.equals(fitted.training_prompts)


def test_factors_without_a_single_record_are_refused() -> None:
    data = planted_dataset(n_instances=3)
    empty = Dataset("empty", rr.InteractionMatrix.from_dense(np.full((3, 6), np.nan)), data.instances, data.llms)
    with pytest.raises(RouterError, match="no records"):
        ALS().fit_factors(empty, np.zeros((3, 2)), np.zeros((6, 2)))


def test_without_pyspark_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pyspark", "pyspark.errors", "pyspark.sql"):
        monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(DataError, match=r"pip install 'recroute\[spark\]'"):
        rr.fit_als_on_spark("anywhere")
