"""The map of LLMs: distances are differences of predictions, ends are what the truth put there."""

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recroute as rr
from recroute.data import Dataset, InteractionMatrix
from recroute.errors import RouterError, UnknownNameError
from recroute.routers.llm_map import principal_axes


def specialists(n: int = 240, m: int = 12) -> Dataset:
    """Two tasks; each half of the LLMs is right nine times in ten on its own one, three times in ten on the other."""
    rng = np.random.default_rng(1)
    task = np.arange(n) % 2
    chance = np.where(task[:, None] == (np.arange(m) >= m // 2)[None, :], 0.9, 0.3)
    instances = pl.DataFrame(
        {
            "instance_id": [str(i) for i in range(n)],
            "prompt": [f"{'add the numbers' if t == 0 else 'cite the statute'} {i}" for i, t in enumerate(task)],
            "task": np.where(task == 0, "arithmetic", "law"),
        }
    )
    llms = pl.DataFrame({"llm_id": [f"llm-{j}" for j in range(m)], "family": ["a", "b"] * (m // 2)})
    scores = (rng.random((n, m)) < chance).astype(np.float32)
    return Dataset("specialists", InteractionMatrix.from_dense(scores), instances, llms)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return specialists()


@pytest.fixture(scope="module")
def found(data: Dataset) -> rr.LLMMap:
    return rr.llm_map(rr.make_router("svd", n_factors=3).fit(data), data)


def test_distances_are_differences_of_predictions_without_their_means(rng: np.random.Generator) -> None:
    U, V = rng.normal(size=(50, 3)) + 2, rng.normal(size=(7, 3))
    position, share, instance = principal_axes(U, V)
    products = U @ V.T
    products = products - products.mean(axis=0)
    for a in range(7):
        for b in range(a):
            rms = np.sqrt(((products[:, a] - products[:, b]) ** 2).mean())
            assert np.linalg.norm(position[a] - position[b]) == pytest.approx(rms)
    np.testing.assert_allclose(instance @ position.T, products - products.mean(axis=1, keepdims=True), atol=1e-10)
    np.testing.assert_allclose(instance.T @ instance / 50, np.eye(3), atol=1e-10)
    np.testing.assert_allclose(share, (position**2).sum(axis=0) / (position**2).sum())
    assert (np.diff(share) < 0).all()


def test_however_the_factors_are_turned_the_map_is_the_same(rng: np.random.Generator) -> None:
    U, V, turn = rng.normal(size=(40, 3)), rng.normal(size=(9, 3)), rng.normal(size=(3, 3))
    for one, other in zip(principal_axes(U, V), principal_axes(U @ turn, V @ np.linalg.inv(turn).T), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-8)


def test_factors_that_are_nothing_are_left_out(rng: np.random.Generator) -> None:
    U = np.column_stack([rng.normal(size=30), np.ones(30), np.zeros(30)])
    position, share, _ = principal_axes(U, rng.normal(size=(5, 3)))
    assert position.shape == (5, 1)
    assert share == pytest.approx([1])


@pytest.mark.parametrize("name", ["svd", "als", "bpr", "lmf", "embedllm", "irt", "lightfm"])
def test_the_first_factor_tells_specialists_apart(name: str, data: Dataset) -> None:
    if name == "lightfm":
        pytest.importorskip("lightfm")
    found = rr.llm_map(rr.make_router(name, n_factors=3).fit(data), data)
    side = found.position[:, 0] > 0
    assert side[:6].all() != side[6:].all()
    assert len(set(side[:6])) == len(set(side[6:])) == 1
    good = "arithmetic" if side[0] else "law"
    assert found.ends(1).filter(factor=1, kind="task", end="+")["name"].to_list() == [good]
    assert found.task_share[0] > 0.5
    assert found.share[0] > 0.5


def test_ends_name_prompts_and_llms_on_their_side_only(found: rr.LLMMap) -> None:
    ends = found.ends(20).filter(factor=1)
    assert ends.filter(kind="LLM").height == 12
    assert ends.filter(pl.col("end") == "+", pl.col("value") <= 0).is_empty()
    top = ends.filter(kind="prompt", end="+")["name"].to_list()
    (task,) = ends.filter(kind="task", end="+")["name"]
    assert all(("numbers" in text) == (task == "arithmetic") for text in top)


def test_tasks_stand_at_the_mean_of_their_prompts(found: rr.LLMMap) -> None:
    table = found.tasks()
    assert table.columns == ["task", "n_instances", "factor_1", "factor_2", "factor_3"]
    law = found.instance_position[(found.instances["task"] == "law").to_numpy()]
    assert table.filter(task="law").row(0)[1:] == pytest.approx((120, *law.mean(axis=0)))


def test_the_nearest_llms_are_those_of_the_same_kind(found: rr.LLMMap) -> None:
    near = found.nearest("llm-0", n=5)
    assert set(near["llm_id"]) == {f"llm-{j}" for j in range(1, 6)}
    assert near["distance"].is_sorted()
    assert near.columns == ["llm_id", "distance", "mean_score", "family"]
    with pytest.raises(UnknownNameError, match="llm-0"):
        found.nearest("lm-0")


def test_families_come_from_the_data_set_and_may_be_unknown(data: Dataset) -> None:
    router = rr.make_router("svd").fit(data)
    assert rr.llm_map(router).families is None
    assert rr.llm_map(router, data.take_llms(np.arange(2))).families == ["a", "b"] + [""] * 10
    no_column = dataclasses.replace(data, llms=data.llms.select("llm_id"))
    assert rr.llm_map(router, no_column).families is None


def test_a_saved_router_has_the_same_map(tmp_path: Path, data: Dataset) -> None:
    router = rr.make_router("als").fit(data)
    router.save(tmp_path / "router")
    np.testing.assert_allclose(rr.llm_map(rr.load_router(tmp_path / "router")).position, rr.llm_map(router).position)


def test_what_has_no_map_is_said(data: Dataset) -> None:
    with pytest.raises(RouterError, match="not fitted"):
        rr.llm_map(rr.make_router("svd"))
    with pytest.raises(RouterError, match="knn has no LLM factors"):
        rr.llm_map(rr.make_router("knn").fit(data))
    with pytest.raises(RouterError, match="pass a data set"):
        rr.llm_map(rr.make_router("embedllm").fit(data))
    with pytest.raises(RouterError, match="nothing to map"):
        rr.llm_map(rr.make_router("irt", reg=1.0).fit(data), data)


def test_simulated_data_are_marked() -> None:
    data = rr.simulate(n_llms=10, n_instances=100)
    found = rr.llm_map(rr.make_router("svd").fit(data), data)
    assert "SIMULATED DATA" in found._repr_html_()
    assert found.plot().get_title(loc="left").startswith("SIMULATED DATA")
    assert repr(found).startswith("LLMMap(svd: 10 LLMs, 4 factors of ")
