"""A router's folder of a stranger: it loads and works, or one line says why not.

RECROUTE_FUZZ=20000 tries so many folders.
"""

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from data_folders.make_routers import feedback, queries
from fuzz.router_folders import change_folder, fresh
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from recroute.coldstart.onboard import choices, expect, next_anchors, withdraw
from recroute.errors import RecrouteError
from recroute.routers import Router, load_router
from recroute.routers.budgeted import Budgeted
from recroute.routers.refresh.change import refresh_with_change

LONG = "RECROUTE_FUZZ" in os.environ
TRIES = settings(
    max_examples=int(os.environ.get("RECROUTE_FUZZ", "60")),
    deadline=None,
    derandomize=not LONG,
    database=None,
    suppress_health_check=list(HealthCheck),
)
PROMPTS = ["multiply the integers number 3", "", "a \ud800 half", "translate"]
ONE = pl.DataFrame({"llm_id": ["one-more"], "family": ["a"], "price_in": [0.5]})


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    yield path
    shutil.rmtree(path)


def uses(router: Router, place: Path) -> list[Callable[[], Any]]:
    """All that a person does with a router."""
    data = queries(False)
    found: list[Callable[[], Any]] = [
        lambda: router.rank(PROMPTS, 1),
        lambda: router.rank(data, 1),
        lambda: router.rank(PROMPTS, 1, tried={router.llm_ids_.ids[0]: 0.0}),
        lambda: router.choose_set(data, 2),
        lambda: router.score_std(PROMPTS[:2]),
        lambda: router.explain(PROMPTS[:2], 1),
        lambda: refresh_with_change(router, feedback())[0].save(place / "refreshed"),
        lambda: router.add_llms(None, ONE).save(place / "grown"),
        lambda: (next_anchors(router, 2, ONE), expect(router, None, ONE), choices(router)),
        lambda: withdraw(router, router.llm_ids_.ids[-1])[0].save(place / "smaller"),
        lambda: router.save(place / "same"),
    ]
    if isinstance(router, Budgeted):
        found.append(lambda: (router.with_target(trade_off=0.5).rank(PROMPTS), router.expected()))
    return found


@TRIES
@given(data=st.data())
def test_a_folder_works_or_is_refused_in_one_line(place: Path, old_routers: Path, data: st.DataObject) -> None:
    names = sorted(path.name for path in old_routers.iterdir() if path.is_dir())
    folder = fresh(old_routers / data.draw(st.sampled_from(names)), place / "router")
    if data.draw(st.booleans()):
        as_of_today(folder)
    data.draw(change_folder(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        router = refused(lambda: load_router(folder))
        event("refused" if router is None else "loaded")
        for use in [] if router is None else uses(router, place):
            refused(use)


def as_of_today(folder: Path) -> None:
    """Saved again, without a prior for unseen LLMs."""
    router = load_router(folder)
    if router.background_ is not None:
        router.background_.known_prior = None
    router.save(folder)


def refused(use: Callable[[], Any]) -> Any:
    """What it gives; None where it is refused as it should be."""
    try:
        return use()
    except RecrouteError as error:
        message = str(error)
    assert message
    assert "\n" not in message
    return None
