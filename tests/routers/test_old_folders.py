"""Router folders that an earlier commit wrote load, and predict what they predicted then."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from data_folders.make_routers import NAMES, feedback, queries

from recroute.errors import RecrouteError
from recroute.routers import Router, load_router

MADE = ("precomputed", "joint", "grown", "grown_knn", "preferences", "sparse")
REFRESHED = tuple(f"refreshed_{name}" for name in ("auto", "best_single", "budgeted"))
ALL = (*NAMES, *MADE, *REFRESHED)
ONE = {"llm_id": ["one-more"]}


@pytest.fixture(scope="session")
def expected(old_routers: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((old_routers / "expected.json").read_text("utf8"))
    return found


def same_predictions(router: Router, name: str, then: dict[str, Any]) -> None:
    data = queries(name in ("precomputed", "joint"))
    assert list(router.llm_ids_) == then["llms"]
    score = np.array(then["score"])
    np.testing.assert_allclose(router.score(data), score, atol=1e-4)
    second, best = np.sort(score, axis=1)[:, -2:].T
    clear = best - second > 1e-3
    assert (router.rank(data).llm_index[:, 0] == score.argmax(axis=1))[clear].all()
    if "std" in then:
        np.testing.assert_allclose(router.score_std(data), then["std"], atol=1e-4)


def test_every_folder_is_known(old_routers: Path) -> None:
    assert {path.name for path in old_routers.iterdir() if path.is_dir()} == set(ALL)


@pytest.mark.parametrize("name", [name for name in ALL if name != "oracle_mix"])
def test_it_predicts_what_it_did_and_saved_again_too(
    old_routers: Path, expected: dict[str, Any], tmp_path: Path, name: str
) -> None:
    router = load_router(old_routers / name)
    same_predictions(router, name, expected[name])
    router.save(tmp_path / "again")
    same_predictions(load_router(tmp_path / "again"), name, expected[name])


@pytest.mark.parametrize("name", ALL)
def test_it_takes_an_unseen_llm_and_feedback_or_says_why_not(old_routers: Path, tmp_path: Path, name: str) -> None:
    router = load_router(old_routers / name)
    changes = (lambda: router.add_llms(None, pl.DataFrame(ONE)), lambda: router.refresh(feedback()))
    for i, change in enumerate(changes):
        try:
            changed: Any = change()
        except RecrouteError as refused:
            changed = refused
        if isinstance(changed, RecrouteError):
            assert len(str(changed).splitlines()) == 1
            continue
        changed.save(tmp_path / str(i))
        assert load_router(tmp_path / str(i)) is not None
