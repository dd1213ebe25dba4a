"""What counts as the cost of an answer."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.data import read_dataset
from recroute.errors import DataError

RECORDS = {
    "instance_id": ["a", "a", "b", "b"],
    "llm_id": ["x", "y", "x", "y"],
    "score": [1.0, 0.0, 0.5, 1.0],
    "usd": [0.1, 0.2, 0.3, None],
    "latency_s": [10.0, 20.0, 30.0, 40.0],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pl.DataFrame(RECORDS).write_parquet(tmp_path / "records.parquet")
    instances = {"instance_id": ["a", "b"], "prompt": ["12345678", "1234567890123456"]}
    pl.DataFrame(instances).write_parquet(tmp_path / "instances.parquet")
    llms = {"llm_id": ["x", "y"], "price_in": [1.0, None], "price_out": [2.0, None]}
    pl.DataFrame(llms).write_parquet(tmp_path / "llms.parquet")
    return tmp_path


def costs(path: Path, cost: str | None) -> np.ndarray | None:
    return read_dataset(path, cost=cost).interactions.dense_costs()


def test_without_a_column_cost_there_are_none(folder: Path) -> None:
    assert costs(folder, None) is None


def test_a_column_that_a_person_names_is_the_cost(folder: Path) -> None:
    np.testing.assert_allclose(costs(folder, "latency_s"), [[10, 20], [30, 40]])
    assert read_dataset(folder, cost="latency_s").card["cost_unit"] == "latency_s"


def test_several_columns_are_added_by_weight_and_one_unknown_makes_the_sum_unknown(folder: Path) -> None:
    found = costs(folder, "usd=1, latency_s=0.01")
    np.testing.assert_allclose(found, [[0.1 + 0.1, 0.2 + 0.2], [0.3 + 0.3, np.nan]], rtol=1e-6)
    assert read_dataset(folder, cost="usd=1,latency_s=0.01").card["cost_unit"] == "usd + 0.01 latency_s"


def test_a_records_file_takes_columns_too(tmp_path: Path) -> None:
    pl.DataFrame(RECORDS).write_csv(tmp_path / "records.csv")
    np.testing.assert_allclose(costs(tmp_path / "records.csv", "latency_s"), [[10, 20], [30, 40]])


def test_prices_count_four_characters_a_token_and_256_tokens_an_answer(folder: Path) -> None:
    found = costs(folder, "prices")
    np.testing.assert_allclose(found[:, 0], [(2 * 1 + 256 * 2) / 1e6, (4 * 1 + 256 * 2) / 1e6], rtol=1e-6)
    assert np.isnan(found[:, 1]).all()  # no price
    assert "256 tokens per answer" in read_dataset(folder, cost="prices").card["cost_note"]


def test_prices_take_the_tokens_that_the_records_count(folder: Path) -> None:
    counted = pl.DataFrame(RECORDS | {"tokens_in": [5, 5, 7, 7], "tokens_out": [100, 1, None, 1]})
    counted.write_parquet(folder / "records.parquet")
    found = costs(folder, "prices")
    assert found[0, 0] == pytest.approx((5 * 1 + 100 * 2) / 1e6)
    assert np.isnan(found[1, 0])
    assert "cost_note" not in read_dataset(folder, cost="prices").card


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        ("speed", "column 'speed' is missing"),
        ("usd=-1", "with a weight above 0"),
        ("usd=much", "with a weight above 0"),
        ("usd=1,", "with a weight above 0"),
        ("llm_id", "is not a number"),
    ],
)
def test_a_cost_that_is_none_is_refused(folder: Path, cost: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_dataset(folder, cost=cost)


def test_prices_that_are_not_there_are_refused(folder: Path) -> None:
    (folder / "llms.parquet").unlink()
    with pytest.raises(DataError, match="need price_in and price_out"):
        read_dataset(folder, cost="prices")


def test_prices_without_texts_or_counts_are_refused(folder: Path) -> None:
    (folder / "instances.parquet").unlink()
    with pytest.raises(DataError, match="need a column tokens_in"):
        read_dataset(folder, cost="prices")
