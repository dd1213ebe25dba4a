"""The map of LLMs as a picture and as a table."""

import re

import numpy as np
import polars as pl
import pytest

import recroute as rr
from recroute.data import IdMap
from recroute.errors import RecrouteError
from recroute.routers.llm_map import MAX_LABELS
from recroute.routers.llm_map_picture import MAX_FAMILIES


def map_of(names: list[str], families: list[str] | None, n: int = 40) -> rr.LLMMap:
    """A map of random points, two tasks at the ends of the first factor."""
    rng = np.random.default_rng(0)
    at = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    instances = pl.DataFrame({"instance_id": map(str, range(n)), "task": np.where(at > 0, "mathematics", "law")})
    return rr.LLMMap(
        "svd",
        IdMap(tuple(names), kind="llm"),
        rng.normal(size=(len(names), 2)) * [2, 1],
        np.array([0.8, 0.2]),
        np.column_stack([at, rng.permutation(at)]),
        instances,
        rng.random(len(names)),
        families,
    )


def names_on(ax: object) -> list[str]:
    return [text.get_text() for text in ax.texts]  # type: ignore[attr-defined]


def test_the_six_largest_families_have_colours_and_a_legend() -> None:
    families = [f"family {i % 9}" for i in range(90)] + ["large"] * 20
    ax = map_of([f"llm-{i}" for i in range(110)], families).plot()
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown[0] == "large"
    assert len(shown) == MAX_FAMILIES + 1
    assert shown[-1] == "other families"
    assert sum(len(line.get_xdata()) for line in ax.lines[2:]) == 110


def test_without_families_the_mean_score_is_the_colour() -> None:
    ax = map_of(["a", "b", "c"], None).plot()
    assert ax.get_legend() is None
    assert [other.get_ylabel() for other in ax.figure.axes if other is not ax] == ["mean score on training prompts"]


def test_axes_say_how_much_they_tell_and_which_tasks_are_at_their_ends() -> None:
    ax = map_of(["a", "b", "c"], None).plot()
    assert ax.get_xlabel().startswith("factor 1: 80% of the LLMs' differences")
    assert re.search(r"← law +\(tasks explain 100% of it\) +mathematics →", ax.get_xlabel())


def test_names_do_not_overlap_and_stay_inside() -> None:
    ax = map_of([f"a-rather-long-name-of-an-llm-{i}" for i in range(60)], None).plot()
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert 4 <= len(boxes) <= MAX_LABELS
    assert not any(boxes[i].overlaps(boxes[j]) for i in range(len(boxes)) for j in range(i))
    frame = ax.get_window_extent()
    assert all(frame.x0 - 1 <= box.x0 and box.x1 <= frame.x1 + 1 for box in boxes)


def test_the_llm_furthest_out_is_named() -> None:
    found = map_of([f"llm-{i}" for i in range(30)], None)
    furthest = found.llm_ids.ids[np.abs(found.position[:, 0]).argmax()]
    assert furthest in names_on(found.plot(n_labels=2))
    assert names_on(found.plot(n_labels=0)) == []


def test_a_dollar_sign_is_no_formula() -> None:
    found = map_of(["a$b$c", "x", "y"], ["$f$", "$f$", "g"])
    assert found.plot()._repr_png_().startswith(b"\x89PNG")
    assert r"a\$b\$c" in names_on(found.plot())


def test_what_cannot_be_drawn_is_said() -> None:
    found = map_of(["a", "b", "c"], None)
    with pytest.raises(RecrouteError, match="axes 1 and 3 do not fit"):
        found.plot(axes=(1, 3))
    with pytest.raises(RecrouteError, match="families of these LLMs are unknown"):
        found.plot(colour="family")
    with pytest.raises(RecrouteError, match="mean_score"):
        found.plot(colour="means")


def test_a_notebook_shows_the_ends_of_each_factor() -> None:
    shown = map_of(["<b>", "x", "y"], None)._repr_html_()
    assert "3 LLMs, compared on 40 prompts" in shown
    assert "&lt;b&gt;" in shown
    assert "tasks at the + end" in shown
    row = next(line for line in shown.splitlines() if ">1</td>" in line)
    assert re.search(r"80%.*100%.*law.*mathematics", row)
