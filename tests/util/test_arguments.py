"""What counts as a list, and one line for what does not: of every public function that takes one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest

import recroute as rr
from recroute.data import Dataset
from recroute.testing import planted_dataset
from recroute.util.arguments import as_index, as_list, as_seeds, as_texts, as_whole_number, as_whole_numbers, checked

NAMES = ["a", "b"]


@pytest.mark.parametrize(
    "given",
    [
        NAMES,
        tuple(NAMES),
        iter(NAMES),
        (name for name in NAMES),
        np.array(NAMES),
        np.array(NAMES, dtype=object),
        pl.Series(NAMES),
        dict.fromkeys(NAMES).keys(),
    ],
    ids=lambda given: type(given).__name__,
)
def test_any_ordered_collection_of_texts_is_a_list(given: object) -> None:
    assert as_texts(given, "names") == NAMES


def test_a_lone_text_is_a_list_of_one() -> None:
    assert as_texts("ab", "names") == ["ab"]
    assert as_texts(np.array("ab"), "names") == ["ab"]
    assert as_texts(np.str_("ab"), "names") == ["ab"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "names is None; give a list of texts"),
        (3, r"names is 3 \(int\)"),
        (b"ab", r"names is b'ab' \(bytes\)"),
        ({"a": 1}, "names is a dict"),
        ({"a", "b"}, "names is a set"),
        (pl.DataFrame({"a": NAMES}), "names is a DataFrame"),
        (["a", None], "names has None at position 1"),
        (["a", 1.5], r"names has 1.5 \(float\) at position 1"),
        ([["a"]], "names has a list at position 0"),
        (np.array([1, 2]), r"names has 1 \(int\) at position 0"),
        (["x" * 99, b"y" * 99], r"names has b'yyyy.*\.\.\. \(bytes\) at position 1"),
    ],
)
def test_what_is_no_list_of_texts_is_refused_in_one_line(given: object, message: str) -> None:
    with pytest.raises(rr.RecrouteError, match=message) as refused:
        as_texts(given, "names")
    assert len(str(refused.value)) < 200


def test_a_lone_number_is_refused_where_a_list_is_expected() -> None:
    assert as_whole_numbers(range(3), "sizes") == as_whole_numbers(np.arange(3), "sizes") == [0, 1, 2]
    for given in (3, np.int64(3), np.array(3), 2.5, [1.5], ["1"], [True], "123"):
        with pytest.raises(rr.RecrouteError, match=r"sizes (is|has) "):
            as_whole_numbers(given, "sizes")
    with pytest.raises(rr.RecrouteError, match="sizes=-1 must be at least 0"):
        as_whole_numbers([-1], "sizes", low=0)
    with pytest.raises(rr.RecrouteError, match="sizes=9 must be at most 8"):
        as_whole_number(9, "sizes", high=8)


def test_seeds_are_different_and_at_least_one() -> None:
    assert as_seeds(seed for seed in (3, 1)) == [3, 1]
    for given in ([], [1, 1], [-1], [2**31], 3):
        with pytest.raises(rr.RecrouteError, match="seeds"):
            as_seeds(given)


def test_positions_are_whole_numbers_or_a_truth_value_for_each() -> None:
    for given in ([2, 0], (2, 0), iter([2, 0]), np.array([2, 0], dtype=np.int8), [-1, -3]):
        assert as_index(given, 3, "LLMs").tolist() == [2, 0]
    assert as_index([True, False, True], 3, "LLMs").tolist() == [0, 2]
    assert as_index([], 3, "LLMs").tolist() == []
    for wrong in ([3], [-4], [0.5], 1, None, "01", ["0"], [[0]], [True]):
        with pytest.raises(rr.RecrouteError, match="positions of LLMs"):
            as_index(wrong, 3, "LLMs")


def test_lists_of_classes_take_a_lone_one() -> None:
    router = rr.make_router("svd")
    assert as_list(router, "routers", (str, rr.Router), "routers") == [router]


@checked
def measured(
    data: Dataset, path: str | Path, seed: int = 0, *, share: float | None = None, many: list[int] = ()
) -> int:  # type: ignore[assignment]
    """Measure."""
    return seed


def test_arguments_of_another_class_are_refused_in_one_line(planted: Dataset) -> None:
    assert measured.__doc__ == "Measure."
    assert measured(planted, "p", np.int64(3), share=1, many=[1]) == 3
    assert measured(planted, Path("p"), share=np.float32(0.5)) == 0
    for wrong in (
        lambda: measured("folder", "p"),  # type: ignore[arg-type]
        lambda: measured(planted, 3),  # type: ignore[arg-type]
        lambda: measured(planted, "p", "3"),  # type: ignore[arg-type]
        lambda: measured(planted, "p", True),
        lambda: measured(planted, "p", -1),
        lambda: measured(planted, "p", share="0.5"),  # type: ignore[arg-type]
    ):
        with pytest.raises(rr.RecrouteError, match=r"(is .*; give |seed=-1)"):
            wrong()
    with pytest.raises(rr.RecrouteError, match=r"data is 'folder' .str.; give Dataset"):
        measured("folder", "p")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def data() -> Dataset:
    return planted_dataset(costs=True)


@pytest.fixture(scope="module")
def logs(data: Dataset) -> rr.Logs:
    return rr.simulate_logs(data, rr.make_router("best_single").fit(data), epsilon=0.5)


Call = Callable[[Dataset, Any], Any]
QUICK: dict[str, Any] = {"n_resamples": 5, "headroom": False}
TEXTS: dict[str, tuple[str, Call]] = {
    "evaluate": ("svd", lambda d, v: rr.evaluate(d, v, **QUICK)),
    "scale": ("svd", lambda d, v: rr.scale(d, v, pool_sizes=[3], groups=["nested"], **QUICK)),
    "scale, groups": ("nested", lambda d, v: rr.scale(d, [], pool_sizes=[3], groups=v, **QUICK)),
    "frontier": ("svd", lambda d, v: rr.frontier(d, v, n_resamples=5)),
    "learning_curve": ("svd", lambda d, v: rr.learning_curve(d, v, train_fractions=[1], evaluate=rr.evaluate, **QUICK)),
    "coldstart": ("svd", lambda d, v: rr.coldstart(d, v, n_seeds=1, anchors=[4], strategies=["random"], pool_size=2)),
    "cascade": ("svd", lambda d, v: rr.cascade(d, v, attempts=[2], n_resamples=5)),
    "coldstart, strategies": ("random", lambda d, v: rr.coldstart(d, n_seeds=1, anchors=[4], strategies=v)),
    "choose_pool, keep": ("llm-1", lambda d, v: rr.choose_pool(d, 2, router="best_single", keep=v)),
    "make_pools": ("nested", lambda d, v: rr.make_pools(d, v, [2], 0)),
    "tune": ("svd", lambda d, v: rr.tune(d, "unused", routers=v, timeout=-1)),
    "tune, metrics": ("lift", lambda d, v: rr.tune(d, "unused", metrics=v, timeout=-1)),
    "tune, groups": ("nested", lambda d, v: rr.tune(d, "unused", groups=v, timeout=-1)),
}
NUMBERS: dict[str, Call] = {
    "evaluate": lambda d, v: rr.evaluate(d, ["svd"], seeds=v, **QUICK),
    "scale": lambda d, v: rr.scale(d, ["svd"], seeds=v, **QUICK),
    "scale, pool_sizes": lambda d, v: rr.scale(d, ["svd"], pool_sizes=v, **QUICK),
    "frontier": lambda d, v: rr.frontier(d, ["svd"], seeds=v),
    "learning_curve": lambda d, v: rr.learning_curve(d, ["svd"], train_fractions=v),
    "cascade, attempts": lambda d, v: rr.cascade(d, ["svd"], attempts=v),
    "coldstart, anchors": lambda d, v: rr.coldstart(d, anchors=v),
    "choose_pool": lambda d, v: rr.choose_pool(d, seeds=v),
    "make_pools": lambda d, v: rr.make_pools(d, ["nested"], v, 0),
    "tune, pool_sizes": lambda d, v: rr.tune(d, "unused", pool_sizes=v),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_bare_name_is_a_list_of_one_in_every_experiment(name: str, data: Dataset) -> None:
    good, call = TEXTS[name]
    if name.startswith("tune"):
        with pytest.raises(rr.RecrouteError, match="timeout=-1"):  # nothing is wrong with the name
            call(data, good)
    else:
        call(data, good)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(
    "wrong",
    [None, 3, 2.5, b"svd", {"svd": 1}, {"svd"}, [None], ["svd", 1], object()],
    ids=lambda given: type(given).__name__,
)
def test_what_is_no_list_of_names_is_refused_in_one_line(name: str, wrong: object, data: Dataset) -> None:
    with pytest.raises(rr.RecrouteError, match=r"(give a list of|unknown )"):
        TEXTS[name][1](data, wrong)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "wrong", [3, 2.5, "3", b"3", {3: 1}, {3}, [None], ["3"], [True], object()], ids=lambda given: type(given).__name__
)
def test_what_is_no_list_of_numbers_is_refused_in_one_line(name: str, wrong: object, data: Dataset) -> None:
    with pytest.raises(rr.RecrouteError, match="give a list of"):
        NUMBERS[name](data, wrong)


def test_off_policy_takes_a_bare_router(logs: rr.Logs) -> None:
    for lone in ("best_single", rr.make_router("best_single")):
        found = rr.off_policy(logs, lone, n_folds=2, reward_model="best_single")
        assert "best_single" in found.rows["router"].to_list()
    with pytest.raises(rr.RecrouteError, match="routers is 3"):
        rr.off_policy(logs, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["folder", None, 3, pl.DataFrame({"a": [1]})], ids=lambda given: type(given).__name__)
def test_what_is_no_data_set_is_refused_in_one_line(wrong: Any, tmp_path: Path) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: rr.evaluate(wrong, ["svd"]),
        lambda: rr.scale(wrong, ["svd"]),
        lambda: rr.frontier(wrong, ["svd"]),
        lambda: rr.learning_curve(wrong, ["svd"]),
        lambda: rr.coldstart(wrong),
        lambda: rr.choose_pool(wrong),
        lambda: rr.tune(wrong, tmp_path / "study"),
        lambda: rr.prepare_split(wrong),
        lambda: rr.split_dataset(wrong),
        lambda: rr.make_router("svd").fit(wrong),
        lambda: rr.write_dataset(wrong, tmp_path / "data"),
        lambda: rr.diagnose(wrong),
        lambda: rr.llm_means(wrong),
        lambda: rr.make_pools(wrong, ["nested"], [2], 0),
        lambda: rr.LLMPrior.learn(wrong),
    ]
    for call in calls:
        with pytest.raises(rr.RecrouteError, match="give Dataset"):
            call()
    assert not list(tmp_path.iterdir())


def test_a_hyperparameter_of_the_wrong_kind_is_refused_when_the_router_is_made() -> None:
    SVD = type(rr.make_router("svd"))
    for wrong in ("3", 2.5, None, [3], True):
        with pytest.raises(rr.RecrouteError, match=r"svd: n_factors is .*; give a whole number"):
            SVD(n_factors=wrong)  # type: ignore[call-arg]

    @dataclass(kw_only=True)
    class Mine(rr.Router):
        name: ClassVar[str] = "mine"
        kind: ClassVar[str] = "test"
        share: float = 0.5

        def _fit(self, train: Dataset) -> None: ...

        def _score(self, prompts: Any, llm_index: Any) -> Any: ...

    assert Mine(share=1).share == 1
    with pytest.raises(rr.RecrouteError, match=r"mine: share is 'x' \(str\); give a number"):
        Mine(share="x")  # type: ignore[arg-type]
