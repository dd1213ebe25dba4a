"""What a router scores: the same door for all of them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest

import recroute as rr
from recroute.data import Dataset
from recroute.experiment.prepare import prepare_split
from recroute.routers import Router

READ_TEXT = ("svd", "knn", "cluster", "auto", "best_single", "svd(index=flat)")
METHODS = ("rank", "score", "predicted_score", "score_std", "explain")


@pytest.fixture(scope="module")
def routers(planted: Dataset) -> dict[str, Router]:
    train = prepare_split(planted).train
    return {name: rr.make_router(name).fit(train) for name in READ_TEXT}


def size(found: Any) -> int:
    return len(found.llm_index) if isinstance(found, rr.Ranking) else len(found)


@pytest.mark.parametrize("name", READ_TEXT)
@pytest.mark.parametrize("method", METHODS)
def test_one_prompt_is_a_list_of_one_and_any_collection_is_a_list(
    name: str, method: str, routers: dict[str, Router], planted: Dataset
) -> None:
    call, prompts = getattr(routers[name], method), planted.prompts[:3]  # type: ignore[index]
    assert size(call("What is?")) == 1
    for given in (prompts, tuple(prompts), iter(prompts), np.array(prompts), pl.Series(prompts)):
        assert size(call(given)) == 3
    assert size(call([])) == 0
    assert size(call(planted.take_instances(np.arange(0)))) == 0
    assert size(call(["\ud800", "", "\0"])) == 3  # no text, but nobody's fault


@pytest.mark.parametrize("name", READ_TEXT)
@pytest.mark.parametrize("method", METHODS)
def test_what_is_no_prompt_is_refused_in_one_line(name: str, method: str, routers: dict[str, Router]) -> None:
    call = getattr(routers[name], method)
    for wrong in (None, 3, 2.5, b"What?", {"a": 1}, {"a"}, ["a", None], [1], [["a"]], pl.DataFrame({"a": ["b"]}), str):
        with pytest.raises(rr.RecrouteError, match=r"prompts (is|has) .*; give a list of texts"):
            call(wrong)


def bad_vectors(width: int) -> Iterator[tuple[Any, str]]:
    good = np.zeros((2, width))
    yield good + np.nan, "not finite"
    yield good + 1j, "not real numbers"
    yield good > 0, "not real numbers"
    yield good + 1e300, "too large"
    yield good.astype("datetime64[s]"), "not real numbers"
    yield good[None], "shape"
    yield good[:, :0], "shape"


@pytest.mark.parametrize("name", READ_TEXT)
@pytest.mark.parametrize("method", METHODS)
def test_vectors_are_real_and_of_the_right_width(name: str, method: str, routers: dict[str, Router]) -> None:
    router = routers[name]
    call, width = getattr(router, method), int(getattr(router, "width_", [4])[0])
    assert size(call(np.zeros(width))) == 1
    assert size(call(np.zeros((2, width), dtype=int))) == 2
    assert size(call(np.zeros((0, width)))) == 0
    for wrong, message in bad_vectors(width):
        with pytest.raises(rr.RecrouteError, match=message):
            call(wrong)
    if hasattr(router, "width_"):
        with pytest.raises(rr.RecrouteError, match=f"are {width + 1} wide.* {width} wide"):
            call(np.zeros((2, width + 1)))


def test_the_width_of_vectors_is_kept_in_the_folder(routers: dict[str, Router], tmp_path: Any) -> None:
    for name in ("svd", "auto"):
        routers[name].save(tmp_path / name)
        with pytest.raises(rr.RecrouteError, match="are 3 wide"):
            rr.load_router(tmp_path / name).rank(np.zeros((1, 3)))


@pytest.mark.parametrize("name", READ_TEXT)
@pytest.mark.parametrize("method", ["rank", "score", "explain", "score_std"])
def test_llms_are_ids_or_positions(name: str, method: str, routers: dict[str, Router]) -> None:
    router = routers[name]
    call, ids = getattr(router, method), ["llm-1", "llm-4"]
    assert router.score("What?", "llm-1").shape == (1, 1)
    for given in (ids, tuple(ids), iter(ids), np.array(ids), pl.Series(ids), [1, 4], np.array([1, 4]), range(1, 3)):
        assert size(call(["What?"], llms=given)) == 1
    wrong: Any
    for wrong in (
        "llm-1,llm-4",
        1,
        {"llm-1"},
        {"llm-1": 1},
        [None],
        [True],
        [0.5],
        [["llm-1"]],
        [-1],
        [6],
        ["llm-1", 1],
    ):
        with pytest.raises(rr.RecrouteError):
            call(["What?"], llms=wrong)


@pytest.mark.parametrize("k", [0, -1, 7, 1.0, "1", None, [1], True, float("nan"), 10**30])
def test_k_is_a_whole_number_within_the_pool(k: Any, routers: dict[str, Router]) -> None:
    for router in routers.values():
        for method in (router.rank, router.explain):
            with pytest.raises(rr.RecrouteError, match=r"k is|k="):
                method(["What?"], k)


def test_n_neighbors_is_a_whole_number(routers: dict[str, Router]) -> None:
    for wrong in (-1, 2.5, "3", None):
        with pytest.raises(rr.RecrouteError, match="n_neighbors"):
            routers["svd"].explain("What?", n_neighbors=wrong)  # type: ignore[arg-type]
