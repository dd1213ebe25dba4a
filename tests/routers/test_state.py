"""What follows from the declaration of a fitted field: saving, checks at load, LLMs that come and go."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.errors import RecrouteError
from recroute.routers import Router, load_router, make_router
from recroute.routers.base import fitted
from recroute.routers.names import ROUTERS
from recroute.util.arrays import ArrayError, ArrayRule
from recroute.util.state import array, arrays_of, made, restore, rules_of, several

NEW = pl.DataFrame({"llm_id": ["one", "two"]})


@dataclass(frozen=True, eq=False)
class Inner:
    slope: NDArray[np.float64] = array("2", "n_llms")
    centre: NDArray[np.float64] = array("2")
    scale: float = array(low=0)


@dataclass(frozen=True, eq=False)
class Outer:
    inner: Inner = several(Inner)
    name: NDArray[np.str_] = array("n", kind="text")


@dataclass(kw_only=True)
class Declared(Router):
    """Has a field of every kind."""

    name: ClassVar[str] = "declared"
    kind: ClassVar[str] = "test"
    takes_unseen_llms: ClassVar[bool] = True

    table_: NDArray[np.float64] = fitted("2", "n_llms", "3")
    inner_: Inner = fitted(of=Inner)
    some_: dict[str, NDArray[Any]] = fitted(
        of={"a": ArrayRule(shape=("2",)), "b": ArrayRule(shape=("2",), needed=False)}, prefix="some/"
    )
    later_: NDArray[np.float64] = fitted("n_llms", older=lambda router: router.llm_mean_ + 1)
    order_: NDArray[np.int64] = fitted("n_llms", kind="int", follows=lambda router: np.argsort(router.later_))
    helper_: NDArray[np.float64] = fitted("1", for_unseen=True)
    note_: str = fitted(saved=False)

    def _fit(self, train: Dataset) -> None:
        m = train.n_llms
        self.table_ = np.arange(6.0 * m).reshape(2, m, 3)
        self.inner_ = Inner(np.arange(2.0 * m).reshape(2, m), np.ones(2), 3.0)
        self.some_ = {"a": np.zeros(2)}
        self.later_ = self.llm_mean_ + 1
        self.order_, self.helper_, self.note_ = np.argsort(self.later_), np.zeros(1), "not saved"

    def _score(self, instances: Any, llm_index: Any) -> Any:
        return np.tile(self.llm_mean_[llm_index].astype(np.float32), (instances.n_instances, 1))


@pytest.fixture
def router(planted: Dataset, monkeypatch: pytest.MonkeyPatch) -> Declared:
    monkeypatch.setitem(ROUTERS.added, "declared", Declared)  # for this test only
    return Declared().fit(planted)


def test_a_folder_has_every_declared_array_and_gives_it_back(router: Declared, tmp_path: Path) -> None:
    router.save(tmp_path / "router")
    with np.load(tmp_path / "router" / "arrays.npz") as content:
        names = {"llm_mean_", "table_", "inner.slope", "inner.centre", "inner.scale", "some/a", "later_", "order_"}
        assert set(content) == names | {"helper_"}
    loaded = load_router(tmp_path / "router")
    assert isinstance(loaded, Declared)
    np.testing.assert_array_equal(loaded.table_, router.table_)
    np.testing.assert_array_equal(loaded.inner_.slope, router.inner_.slope)
    assert loaded.inner_.scale == 3.0
    assert list(loaded.some_) == ["a"]
    assert not hasattr(loaded, "note_")


def test_what_older_folders_lack_follows_from_the_rest(router: Declared, tmp_path: Path) -> None:
    del router.later_, router.helper_
    router.save(tmp_path / "router")
    loaded = load_router(tmp_path / "router")
    np.testing.assert_array_equal(vars(loaded)["later_"], router.llm_mean_ + 1)
    with pytest.raises(RecrouteError, match="saved without helper_, which adding LLMs needs"):
        loaded.add_llms(None, NEW)


def test_an_llm_dimension_grows_and_shrinks(router: Declared) -> None:
    m = len(router.llm_ids_)
    grown = router.add_llms(None, NEW)
    assert grown.table_.shape == (2, m + 2, 3)
    np.testing.assert_array_equal(grown.table_[:, :m], router.table_)
    assert grown.inner_.slope.shape == (2, m + 2)
    assert grown.inner_.centre is router.inner_.centre
    np.testing.assert_array_equal(grown.order_, np.argsort(grown.later_))
    back = grown.remove_llms([router.llm_ids_.ids[0], "one", "two"])
    np.testing.assert_array_equal(back.table_, router.table_[:, 1:])
    np.testing.assert_array_equal(back.inner_.slope, router.inner_.slope[:, 1:])
    np.testing.assert_array_equal(back.order_, np.argsort(back.later_))
    assert router.table_.shape == (2, m, 3)


def test_entries_that_the_router_names_are_taken(router: Declared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Declared, "_llm_entries", lambda self, new: {"table_": np.full((2, 2, 3), 7.0)})
    assert (router.add_llms(None, NEW).table_[:, -2:] == 7).all()


def test_an_array_that_does_not_say_whether_it_is_of_the_llms_takes_none(planted: Dataset) -> None:
    @dataclass(kw_only=True)
    class Silent(Declared):
        name: ClassVar[str] = "silent"
        more_: NDArray[np.float64] = fitted()

        def _fit(self, train: Dataset) -> None:
            super()._fit(train)
            self.more_ = np.zeros(train.n_llms)

    with pytest.raises(RecrouteError, match=r"silent does not declare whether more_ .* fitted\(\"n_llms\""):
        Silent().fit(planted).add_llms(None, NEW)


def test_an_array_that_is_not_what_was_declared_is_not_saved(router: Declared, tmp_path: Path) -> None:
    router.inner_ = Inner(router.inner_.slope[:, :-1], np.ones(2), 3.0)
    with pytest.raises(RecrouteError, match=r"array inner.slope is float64 .* not .*n_llms = 6"):
        router.save(tmp_path / "router")
    assert not (tmp_path / "router").exists()


def test_a_dataclass_in_a_dataclass() -> None:
    outer = Outer(Inner(np.ones((2, 3)), np.zeros(2), 0.5), np.array(["x"]))
    arrays = arrays_of(outer)
    assert set(arrays) == set(rules_of(Outer)) == {"inner.slope", "inner.centre", "inner.scale", "name"}
    again = made(Outer, arrays)
    assert (again.inner.scale, again.name.tolist()) == (0.5, ["x"])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda arrays: arrays.pop("part0.llm_mean_"), "array part0.llm_mean_ is missing"),
        (lambda arrays: arrays.update({"part7.llm_mean_": np.zeros(6)}), "part7.llm_mean_ does not belong there"),
        (lambda arrays: arrays.update({"part1.more": np.zeros(6)}), "part1.more does not belong there"),
    ],
)
def test_arrays_of_the_routers_inside(planted: Dataset, change: Any, match: str) -> None:
    router = make_router("auto", router="best_single + ridge").fit(planted)
    arrays = dict(arrays_of(router))
    change(arrays)
    blank = make_router("auto", router="best_single + ridge")
    blank.llm_ids_, blank.encoder_ = router.llm_ids_, router.encoder_
    with pytest.raises(ArrayError, match=match):
        restore(blank, arrays, {})
