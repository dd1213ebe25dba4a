import dataclasses
import io
import json
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from recroute.data import Dataset
from recroute.data.sources import simulate
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.published import published_table
from recroute.evaluation.run import scale
from recroute.experiment.reference import REFERENCE_SCORES


def as_benchmark(name: str, card: dict[str, bool] | None = None) -> Dataset:
    """Made-up scores under a benchmark's name."""
    data = simulate(n_llms=30, n_instances=200)
    return dataclasses.replace(
        data, instances=data.instances.with_columns(pl.lit(name).alias("benchmark")), card=card or {}
    )


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return scale(as_benchmark("gpqa"), ["svd"], pool_sizes=[3, 5], n_resamples=20)


def test_the_table_has_every_benchmark_and_the_routers_that_we_have_too() -> None:
    table = published_table()
    assert all(set(row) == {"router", "here", *REFERENCE_SCORES} for row in table)
    assert all(0.7 < float(row[name]) < 2.6 for row in table for name in REFERENCE_SCORES)
    mean = {row["router"]: sum(float(row[name]) for name in REFERENCE_SCORES) / 12 for row in table}
    assert mean["oracle"] == pytest.approx(1.549, abs=0.001)
    assert mean["random"] == pytest.approx(0.838, abs=0.001)
    assert {row["here"] for row in table} == {"oracle", "oracle_mix(p=0.5)", "knn", "random", ""}


def test_published_values_come_with_benchmark_groups_and_size(found: Evaluation, tmp_path: Path) -> None:
    found.write_json(tmp_path / "run.json")
    published = json.loads((tmp_path / "run.json").read_text("utf8"))["published"]
    assert published["benchmark"] == "gpqa"
    assert published["rows"][0] == {"router": "oracle", "here": "oracle", "value": 2.52}
    assert all(row["here"] is None or row["here"] in set(found.rows["router"]) for row in published["rows"])


def test_the_printed_table_holds_both(found: Evaluation) -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    found.show(console)
    text = console.export_text()
    ours = found.value("knn", "best_single_ratio", pool_size=5, group="mean")
    (line,) = (line for line in text.splitlines() if "PRknn" in line)
    assert " .91 " in line
    assert f" {ours:.3f}".replace(" 0.", " .") in line
    assert "not computed here" in text


@pytest.mark.parametrize(
    ("data", "settings"),
    [
        (as_benchmark("gpqa"), {"pool_sizes": [3, 10]}),
        (as_benchmark("gpqa"), {"pool_sizes": [5], "groups": ["all_strong", "all_weak"]}),
        (as_benchmark("gpqa"), {"pool_sizes": [5], "groups": ["nested", "all_strong", "all_weak", "strong_to_weak"]}),
        (as_benchmark("humaneval"), {"pool_sizes": [5]}),
        (as_benchmark("gpqa", {"simulated": True}), {"pool_sizes": [5]}),
        (simulate(n_llms=30, n_instances=200), {"pool_sizes": [5]}),
    ],
)
def test_nothing_is_published_for_other_sizes_groups_or_data(data: Dataset, settings: dict[str, list[int]]) -> None:
    assert scale(data, [], n_resamples=5, **settings).info["published"] is None
