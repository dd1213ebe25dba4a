"""Routers that are known by name without being installed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

import recroute as rr
from recroute.data import Dataset
from recroute.errors import RecrouteError
from recroute.routers.base import Prompts, Scores
from recroute.routers.best_single import BestSingle
from recroute.routers.names import ROUTERS


@dataclass(kw_only=True)
class Worst(BestSingle):
    """The train means upside down."""

    name: ClassVar[str] = "worst"

    def _score(self, prompts: Prompts, llm_index: NDArray[np.int64]) -> Scores:
        return np.asarray(1 - super()._score(prompts, llm_index))


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    ROUTERS.added.clear()


def test_a_registered_router_is_made_listed_and_loaded_by_name(planted: Dataset, tmp_path: Path) -> None:
    assert rr.register_router(Worst) is Worst
    assert rr.router_names()[-1] == "worst"
    router = rr.make_router("worst(seed=3)").fit(planted)
    assert isinstance(router, Worst)
    assert router.seed == 3
    router.save(tmp_path / "router")
    assert rr.load_router(tmp_path / "router").label == router.label


def test_the_next_version_of_a_class_takes_the_place_of_the_first() -> None:
    rr.register_router(Worst)
    later = rr.register_router(type("Worst", (Worst,), {}))
    assert type(rr.make_router("worst")) is later
    assert rr.router_names().count("worst") == 1


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (type("Twin", (Worst,), {"name": "svd"}), "Twin.name is 'svd', the name of another router"),
        (type("Bad", (Worst,), {"name": "my router"}), "Bad.name is 'my router'; give it a name such as"),
        (rr.Router, "Router.name is None"),
        (dict, "is not a router class; derive it from recroute.Router"),
    ],
)
def test_what_cannot_be_registered_is_refused(cls: type, message: str) -> None:
    with pytest.raises(RecrouteError, match=message):
        rr.register_router(cls)
    assert not ROUTERS.added


def test_a_router_that_is_not_registered_is_unknown() -> None:
    with pytest.raises(RecrouteError, match="unknown router 'worst'"):
        rr.make_router("worst")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'router = "svd"\n# \xff', r"is not valid TOML: line 2 is not UTF-8"),
        (b"router = ", "is not valid TOML"),
        (b'router = "svd"\nreg = ' + b"9" * 5000, "is not valid TOML"),
        (b"reg = " + b"[" * 5000, "is nested too deeply"),
        (b"router = 5", "does not name a router"),
        (b'router = "svd"\nreg = [1]', r"svd: reg=\[1\] is not float"),
        (b'router = "svd"\nreg = true', "svd: reg=True is not float"),
        (b'router = "svd"\nreg = nan', "svd: reg=nan is not float"),
        (b'router = "svd"\nreg = 1' + b"0" * 400, "svd: reg=.* is not float"),
        (b'router = "svd"\nn_factors = 2.0', "svd: n_factors=2.0 is not int"),
        (b'router = "svd"\nbridge = { a = 1 }', "svd: bridge={'a': 1} is not str"),
        (b'router = "svd"\nbridge = 07:32:00', "is not str"),
    ],
)
def test_a_saved_configuration_that_is_wrong_is_refused_in_one_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "best.toml"
    file.write_bytes(content)
    with pytest.raises(RecrouteError, match=message) as refusal:
        rr.make_router(str(file))
    assert "\n" not in str(refusal.value)


def test_routers_within_routers_without_an_end_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecrouteError, match="nests routers more than 20 levels deep"):
        rr.make_router("guarded(router=" * 30 + "knn" + ")" * 30)
    file = tmp_path / "best.toml"
    file.write_text(f'router = "guarded(router={file})"', "utf8")
    with pytest.raises(RecrouteError, match="names itself"):
        rr.make_router(str(file))
    with pytest.raises(RecrouteError, match="cannot be read"):
        rr.make_router(str(tmp_path / "other.toml"))


def test_numbers_of_numpy_are_settings() -> None:
    assert rr.make_router("svd", n_factors=np.int64(3), reg=np.float32(0.5)).label == "svd(reg=0.5,n_factors=3)"
