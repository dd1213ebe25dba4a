"""Real data where it is, and small data everywhere."""

import os
from pathlib import Path

import pytest

from recroute.data import Dataset
from recroute.testing import planted_dataset

REAL = Path(os.environ.get("RECROUTE_DATA", Path(__file__).parents[2] / "shared" / "data"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not REAL.is_dir():
        for item in items:
            if item.get_closest_marker("realdata"):
                item.add_marker(pytest.mark.skip(reason=f"no real data at {REAL}; set RECROUTE_DATA"))


@pytest.fixture(scope="session")
def real() -> Path:
    return REAL


@pytest.fixture(scope="session")
def planted() -> Dataset:
    return planted_dataset()
