"""A small search that several files look at."""

from typing import Any

import pytest

from recroute.data import Dataset
from recroute.testing import planted_dataset
from recroute.tuning import read_space
from recroute.tuning.settings import TuneSettings
from recroute.tuning.space import Space
from recroute.tuning.validation import Validation


@pytest.fixture(scope="session")
def small() -> dict[str, Any]:
    """Options of `tune` that make it fast."""
    return {"routers": ["knn", "ridge"], "pool_sizes": [3], "groups": ["nested"], "n_folds": 3}


@pytest.fixture(scope="session")
def noisy() -> Dataset:
    return planted_dataset(n_instances=150, noise=0.25)


@pytest.fixture(scope="session")
def validation(planted: Dataset) -> Validation:
    data = planted.take_instances(range(90))
    return Validation.of(data, TuneSettings(pool_sizes=[3], groups=["nested"], n_folds=3))


@pytest.fixture(scope="session")
def space(planted: Dataset) -> Space:
    return read_space(["knn", "ridge"], dataset=planted)
