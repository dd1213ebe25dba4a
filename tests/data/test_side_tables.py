from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, InteractionMatrix, read_dataset, write_dataset
from recroute.errors import DataError, RecrouteError
from recroute.routers import make_router
from recroute.testing import planted_dataset

ROW = {"instance_id": ["q1", "q2"], "llm_id": ["a", "b"], "score": [1.0, 0.0]}
LLMS = {"llm_id": ["a", "b"], "family": ["x", None], "n_params_b": [7.0, None], "price_in": [0, 2], "price_out": [1, 2]}
NAN, INF = float("nan"), float("inf")
BAD_NUMBERS = [
    ({"price_in": [1.0, -1.0]}, "price_in -1 for llm 'b'"),
    ({"price_in": [INF, 1.0]}, "price_in inf for llm 'a'"),
    ({"price_out": [1.0, NAN]}, "price_out nan for llm 'b'"),
    ({"price_out": [1, -7]}, "price_out -7 for llm 'b'"),
    ({"n_params_b": [-INF, 1.0]}, "n_params_b -inf for llm 'a'"),
    ({"n_params_b": ["seven", "one"]}, "n_params_b is String in .*, not a number"),
    ({"price_in": [True, False]}, "price_in is Boolean in .*, not a number"),
    ({"family": [1, 2]}, "family is Int64 in .*, not text"),
    ({"llm_id": ["a", None]}, "llm_id is missing in"),
]


def test_what_is_unknown_of_an_llm_is_null(tmp_path: Path) -> None:
    data = Dataset.from_records(ROW, llms=LLMS)
    write_dataset(data, tmp_path / "data")
    again = read_dataset(tmp_path / "data")
    assert again.llms["family"].to_list() == ["x", None]
    assert again.llms["n_params_b"].to_list() == [7.0, None]
    nothing = Dataset.from_records(ROW, llms={"llm_id": ["a", "b"], "family": [None, None], "price_in": [None, None]})
    assert nothing.llms["family"].to_list() == [None, None]


@pytest.mark.parametrize(("columns", "message"), BAD_NUMBERS)
def test_what_is_said_of_llms_is_checked_wherever_a_data_set_comes_from(
    columns: dict[str, list[object]], message: str, tmp_path: Path
) -> None:
    table = pl.DataFrame(LLMS | columns)
    good = Dataset.from_records(ROW, llms=LLMS)
    with pytest.raises(DataError, match=message):
        Dataset.from_records(ROW, llms=table)
    with pytest.raises(DataError, match=message):
        Dataset("made", good.interactions, good.instances, table)
    write_dataset(good, tmp_path / "data")
    table.write_parquet(tmp_path / "data" / "llms.parquet")
    with pytest.raises(DataError, match=message):
        read_dataset(tmp_path / "data")


def test_a_missing_number_of_pandas_is_unknown() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"llm_id": ["a", "b"], "price_in": [1.0, np.nan]})
    assert Dataset.from_records(ROW, llms=table).llms["price_in"].to_list() == [1.0, None]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"prompt": ["one", None]}, "prompt is missing in the .*instances"),
        ({"prompt": [1, 2]}, "prompt is Int64 in the .*instances"),
        ({"task": [None, "t"]}, "task is missing in the .*instances"),
        ({"benchmark": [1.5, 2.5]}, "benchmark 1.5 in .* is neither text nor a whole number"),
    ],
)
def test_texts_of_instances_are_texts(columns: dict[str, list[object]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Dataset.from_records(ROW, instances={"instance_id": ["q1", "q2"], **columns})


@pytest.mark.parametrize("frame", ["records.csv", b"records", 3, None, 2.5, object()])
def test_what_is_no_table_is_refused_in_one_line(frame: object) -> None:
    with pytest.raises(RecrouteError, match=r"not a table|cannot be read as a table|neither records"):
        Dataset.from_records(frame)
    if frame is not None:
        with pytest.raises(RecrouteError, match=r"not a table|cannot be read as a table"):
            Dataset.from_records(ROW, instances=frame, llms=frame)


def test_an_unseen_llm_is_checked_like_a_known_one() -> None:
    router = make_router("svd").fit(planted_dataset())
    with pytest.raises(DataError, match="price_in -1 for llm 'new'"):
        router.add_llms(None, pl.DataFrame({"llm_id": ["new"], "price_in": [-1.0]}))
    grown = router.add_llms(None, {"llm_id": ["new"]})  # type: ignore[arg-type]
    assert "new" in grown.llm_ids_


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        ([0.1, -1.0], "cost -1 for instance"),
        ([INF, 0.1], "cost inf for instance"),
        ([1e308, 0.1], r"cost 1e\+308 for"),
        ([NAN, 1], "nan"),
    ],
)
def test_costs_are_finite_and_not_negative(cost: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Dataset.from_records(pl.DataFrame(ROW | {"cost": cost}, strict=False))


@pytest.mark.parametrize("score", [1.7, -1.0])
def test_a_data_set_refuses_scores_out_of_range(score: float) -> None:
    good = Dataset.from_records(ROW)
    many = np.random.default_rng(0).random((2, 300), dtype=np.float32)  # too many different scores for a byte each
    many[1, 7] = score
    llms = pl.DataFrame({"llm_id": [str(i) for i in range(300)]})
    for block, table in (([[score, 0.0], [1.0, 0.0]], good.llms), (many, llms)):
        with pytest.raises(DataError, match=f"score {score:g} is outside"):
            Dataset("made", InteractionMatrix.from_dense(block), good.instances, table)


def test_a_matrix_refuses_costs_out_of_range() -> None:
    at = np.array([0]), np.array([0])
    for score, cost, message in [
        (NAN, 1.0, "score is not finite"),
        (INF, 1.0, "score is not finite"),
        (1.0, -2.0, "cost -2"),
        (1.0, INF, "cost inf"),
    ]:
        with pytest.raises(DataError, match=message):
            InteractionMatrix.from_coordinates(*at, [score], (1, 1), [cost])
    with pytest.raises(DataError, match="score is infinite"):
        InteractionMatrix.from_dense([[-INF, 1.0]])
    with pytest.raises(DataError, match=r"shape \(2,\)"):
        InteractionMatrix.from_dense([1.0, 0.0])
    unknown = InteractionMatrix.from_coordinates(*at, [1.0], (1, 1), [NAN])
    assert unknown.mean_costs() is None
