"""Evidence in a router's folder, the error of its predictions, and explanations made of both."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, InteractionMatrix
from recroute.data.sources.simulated import simulate, simulate_chances
from recroute.errors import RecrouteError
from recroute.routers import Router, load_router, make_router
from recroute.routers.memory.evidence import Evidence
from recroute.routers.memory.explain import Explanation, explain
from recroute.routers.memory.score_error import evidence_of
from recroute.splits import split_dataset
from recroute.testing import drawn_preferences, planted_dataset

PROMPTS = ["multiply the integers number 999", "translate the sentence number 999"]
FAR_AWAY = "quinoa <b>[bold]"


@pytest.fixture(scope="module")
def data() -> Dataset:
    return planted_dataset(missing=0.2)


@pytest.fixture(scope="module")
def fitted(data: Dataset) -> dict[str, Router]:
    return {name: make_router(name).fit(data) for name in ("svd", "knn", "auto", "best_single", "guarded")}


def same(found: Evidence, expected: Evidence) -> bool:
    np.testing.assert_array_equal(found.scores.dense(), expected.scores.dense())
    assert (found.vectors is None) == (expected.vectors is None)
    if found.vectors is not None:
        np.testing.assert_array_equal(found.vectors, expected.vectors)
    return True


@pytest.mark.parametrize("name", ["svd", "knn", "auto", "best_single", "guarded"])
def test_a_loaded_router_explains_alike(name: str, fitted: dict[str, Router], tmp_path: Path) -> None:
    router = fitted[name]
    router.save(tmp_path / "router")
    loaded = load_router(tmp_path / "router")
    assert same(evidence_of(loaded), evidence_of(router))
    assert [e.to_dict() for e in loaded.explain(PROMPTS, 2)] == [e.to_dict() for e in router.explain(PROMPTS, 2)]
    np.testing.assert_array_equal(loaded.score_std(PROMPTS), router.score_std(PROMPTS))


def test_evidence_is_the_training_scores_exactly(data: Dataset, fitted: dict[str, Router]) -> None:
    np.testing.assert_array_equal(evidence_of(fitted["auto"]).scores.dense(), data.interactions.dense())


@pytest.mark.parametrize("name", ["knn", "auto(router=hierarchy + knn(views=all))"])
def test_a_router_that_holds_the_arrays_itself_writes_them_once(name: str, data: Dataset, tmp_path: Path) -> None:
    make_router(name).fit(data).save(tmp_path / "router")
    places = json.loads((tmp_path / "router" / "router.json").read_text("utf8"))["evidence"]
    assert places["codes"].startswith("arrays.npz:")
    assert places["vectors"].startswith("arrays.npz:")
    assert not (tmp_path / "router" / "evidence-vectors.npy").exists()


@pytest.mark.parametrize("file", ["evidence-codes.npy", "evidence-vectors.npy"])
@pytest.mark.parametrize("damage", ["cut", "flip", "remove"])
def test_damaged_evidence_is_noticed_at_the_latest_when_needed(
    file: str, damage: str, fitted: dict[str, Router], tmp_path: Path
) -> None:
    fitted["svd"].save(tmp_path / "router")
    path = tmp_path / "router" / file
    content = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(content[:-7] if damage == "cut" else content[:-7] + bytes([content[-7] ^ 1]) + content[-6:])
    with pytest.raises(RecrouteError, match=file):
        load_router(tmp_path / "router").explain(PROMPTS)


def test_routing_needs_no_evidence(fitted: dict[str, Router], tmp_path: Path) -> None:
    fitted["svd"].save(tmp_path / "router")
    path = tmp_path / "router" / "evidence-codes.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\7")
    loaded = load_router(tmp_path / "router")
    np.testing.assert_array_equal(loaded.score(PROMPTS), fitted["svd"].score(PROMPTS))


def test_evidence_outlives_its_folder(data: Dataset, fitted: dict[str, Router], tmp_path: Path) -> None:
    fitted["svd"].save(tmp_path / "router")
    loaded = load_router(tmp_path / "router")
    make_router("svd").fit(data.take_instances(np.arange(60))).save(tmp_path / "router")
    assert same(evidence_of(loaded), evidence_of(fitted["svd"]))


def test_an_older_folder_loads_and_says_what_it_lacks(fitted: dict[str, Router], tmp_path: Path) -> None:
    assert fitted["svd"].prior  # older versions always saved it
    fitted["svd"].save(tmp_path / "router")
    path = tmp_path / "router" / "router.json"
    description = json.loads(path.read_text("utf8"))
    for place in description.pop("evidence").values():
        (tmp_path / "router" / place).unlink()
        del description["sha256"][place]
    path.write_text(json.dumps(description), "utf8")
    loaded = load_router(tmp_path / "router")
    grown = loaded.add_llms(None, pl.DataFrame({"llm_id": ["new"]}))
    for router in (loaded, grown):
        with pytest.raises(RecrouteError, match="keeps no scores of its training prompts"):
            router.explain(PROMPTS)


def test_without_scores_there_is_nothing_to_explain(data: Dataset) -> None:
    router = make_router("auto").fit(drawn_preferences(data, 600))
    for call in (router.explain, router.score_std):
        with pytest.raises(RecrouteError, match="preferences alone"):
            call(PROMPTS)


@pytest.mark.parametrize("name", ["svd", "knn", "auto"])
def test_evidence_follows_the_llms(name: str, data: Dataset, tmp_path: Path) -> None:
    router = make_router(name).fit(data)
    few = np.full((data.n_instances, 1), np.nan, dtype=np.float32)
    few[:3, 0] = 0, 0.5, 1
    table = pl.DataFrame({"llm_id": ["new"]})
    changed = router.add_llms(InteractionMatrix.from_dense(few), table).remove_llms(["llm-1"])
    expected = np.hstack([data.interactions.dense()[:, [0, 2, 3, 4, 5]], few])
    changed.save(tmp_path / "router")
    for found in (changed, load_router(tmp_path / "router")):
        np.testing.assert_array_equal(evidence_of(found).scores.dense(), expected)
        std = found.score_std(PROMPTS, ["llm-0", "new"], reducible=True)
        assert (std[:, 1] > std[:, 0]).all()
    assert evidence_of(router).scores.n_llms == 6


def test_parts_keep_no_evidence_of_their_own(fitted: dict[str, Router]) -> None:
    assert all(part.background_ is None for name in ("auto", "guarded") for part in fitted[name].parts_)  # type: ignore[attr-defined]


def test_neighbors_are_the_nearest_known_prompts_with_their_scores(data: Dataset, fitted: dict[str, Router]) -> None:
    router, scores = fitted["svd"], data.interactions.dense()
    found = explain(router, PROMPTS, k=3, n_neighbors=4)
    vectors = evidence_of(router).vectors
    assert vectors is not None
    cosine = router.vectors(PROMPTS) @ vectors.T  # type: ignore[attr-defined]
    for i, each in enumerate(found):
        rows = [data.instance_ids.ids.index(near["instance_id"]) for near in each.neighbors]
        np.testing.assert_allclose(
            [near["similarity"] for near in each.neighbors], np.sort(cosine[i])[:-5:-1], atol=1e-4
        )
        for row, near in zip(rows, each.neighbors, strict=True):
            assert near["prompt"] == (data.prompts or [])[row]
            assert near["task"] == data.tasks[row]
            for llm_id, score in near["scores"].items():
                np.testing.assert_equal(np.nan if score is None else score, float(scores[row, int(llm_id[4:])]))
        assert list(each.neighbors[0]["scores"]) == router.rank(PROMPTS, 3).names[i]
    unobserved = [near["scores"].values() for near in explain(router, PROMPTS, k=6, n_neighbors=99)[0].neighbors]
    assert any(score is None for values in unobserved for score in values)


@pytest.mark.parametrize("name", ["svd", "auto"])
def test_the_task_is_predicted(name: str, fitted: dict[str, Router]) -> None:
    tasks = [each.task for each in fitted[name].explain(PROMPTS)]
    assert [task["name"] for task in tasks if task] == ["multiply", "translate"]
    assert all(0.5 < task["probability"] <= 1 for task in tasks if task)


def test_without_text_or_tasks_the_rest_is_left_out(data: Dataset, fitted: dict[str, Router]) -> None:
    (found,) = fitted["best_single"].explain(PROMPTS[:1])
    assert (found.task, found.neighbors) == (None, [])
    assert found.llms[0]["ci_low"] < found.llms[0]["predicted_score"] < found.llms[0]["ci_high"]
    one_task = replace(data, instances=data.instances.with_columns(pl.lit("all").alias("task")).drop("prompt"))
    vectors = fitted["svd"].vectors(data)  # type: ignore[attr-defined]
    encoder = fitted["svd"].encoder_
    assert encoder is not None
    router = make_router("svd").fit(one_task.with_embeddings(vectors, encoder))
    (found,) = router.explain(PROMPTS[:1])
    assert found.task is None
    assert found.neighbors[0]["prompt"] is None
    by_task = make_router("task_best").fit(data).explain(data.take_instances(np.arange(2)))
    assert len(by_task) == 2
    assert by_task[0].neighbors == []


def test_an_explanation_is_ready_for_json_and_html(fitted: dict[str, Router]) -> None:
    (found,) = fitted["svd"].explain([FAR_AWAY], k=2)
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()
    assert set(found.to_dict()) == {"llms", "task", "neighbors"}
    bad = Explanation([{"llm_id": "<i>", "predicted_score": 0.5, "ci_low": 0.4, "ci_high": 0.6}], None, [])
    assert "<i>" not in bad._repr_html_()
    assert "&lt;i&gt;" in bad._repr_html_()


def test_a_pool_is_explained_as_it_is_ranked(fitted: dict[str, Router]) -> None:
    (found,) = fitted["auto"].explain(PROMPTS[:1], k=2, llms=["llm-1", "llm-4", "llm-2"])
    ranking = fitted["auto"].rank(PROMPTS[:1], 2, ["llm-1", "llm-4", "llm-2"])
    assert [llm["llm_id"] for llm in found.llms] == ranking.names[0]
    np.testing.assert_allclose([llm["predicted_score"] for llm in found.llms], ranking.predicted_score[0], atol=1e-6)


def test_budgeted_explains_the_predicted_score_and_not_what_it_costs() -> None:
    router = make_router("budgeted", router="svd").fit(planted_dataset(costs=True))
    (found,) = router.explain(PROMPTS[:1])
    inside = router.parts_[0].score(PROMPTS[:1], [found.llms[0]["llm_id"]])  # type: ignore[attr-defined]
    np.testing.assert_allclose(found.llms[0]["predicted_score"], inside[0, 0], atol=1e-6)


@pytest.mark.parametrize("name", ["svd", "knn", "auto"])
def test_far_prompts_are_less_certain(name: str, fitted: dict[str, Router]) -> None:
    router = fitted[name]
    vectors = router.vectors(PROMPTS)  # type: ignore[attr-defined]
    away = np.random.default_rng(0).normal(size=vectors.shape).astype(np.float32)
    shares = [((1 - t) * vectors + t * away / np.linalg.norm(away, axis=1, keepdims=True)) for t in (0, 0.5, 1)]
    near, between, far = (router.score_std(each.astype(np.float32), reducible=True).mean() for each in shares)
    assert 0 < near < between < far < 0.71


@pytest.mark.parametrize("name", ["best_single", "svd", "knn", "auto"])
def test_intervals_cover_the_planted_chances(name: str) -> None:
    """Nine in ten, give or take what 80 prompts and a router that is far off leave."""
    data, chance = simulate_chances(n_llms=40, n_instances=800, seed=4)
    split = split_dataset(data)
    router = make_router(name).fit(split.train)
    truth = chance[data.instance_ids.to_index(list(split.test.instance_ids))]
    off = np.abs(router.score(split.test).clip(0, 1) - truth)
    std = router.score_std(split.test)
    assert 0.85 <= (off <= 1.645 * std).mean() <= 0.97
    assert 0.7 < (off**2).mean() / (std**2).mean() < 1.4


def test_intervals_cover_the_chances_behind_graded_scores() -> None:
    data, chance = simulate_chances(n_llms=20, n_instances=800, seed=4)
    mean_of_five = np.random.default_rng(0).binomial(5, chance) / 5
    split = split_dataset(replace(data, interactions=InteractionMatrix.from_dense(mean_of_five)))
    router = make_router("svd").fit(split.train)
    truth = chance[data.instance_ids.to_index(list(split.test.instance_ids))]
    covered = np.abs(router.score(split.test).clip(0, 1) - truth) <= 1.645 * router.score_std(split.test)
    assert 0.85 <= covered.mean() <= 0.97


def test_the_same_each_time_and_one_by_one(data: Dataset, fitted: dict[str, Router]) -> None:
    again = make_router("auto").fit(data).score_std(data)
    np.testing.assert_array_equal(again, fitted["auto"].score_std(data))
    single = np.vstack([fitted["auto"].score_std(data.take_instances(np.array([i]))) for i in range(5)])
    np.testing.assert_allclose(single, again[:5], atol=1e-5)


def test_more_llms_behind_a_matrix() -> None:
    nan = float("nan")
    left = np.array([[0, 1, nan], [1, nan, 0.5]], dtype=np.float32)
    for right in ([[0.25], [nan]], [[nan], [0.0]], [[nan], [nan]]):
        both = InteractionMatrix.from_dense(left).with_llms(InteractionMatrix.from_dense(right))
        np.testing.assert_array_equal(both.dense(), np.hstack([left, np.array(right, dtype=np.float32)]))
        assert "codes" in both.state()  # still a byte a cell, although the new LLMs were hardly run
    many = np.random.default_rng(0).random((40, 20)).astype(np.float32)  # more different scores than a byte has codes
    many[0, 0] = 0
    both = InteractionMatrix.from_dense(many[:, :4]).with_llms(InteractionMatrix.from_dense(many[:, 4:]))
    np.testing.assert_array_equal(both.dense(), many)
    assert both.n_observed == many.size


def test_simulate_is_what_its_chances_come_with() -> None:
    data, chance = simulate_chances(n_llms=10, n_instances=100, seed=2)
    np.testing.assert_array_equal(
        data.interactions.dense(), simulate(n_llms=10, n_instances=100, seed=2).interactions.dense()
    )
    assert abs(chance.mean() - data.interactions.dense().mean()) < 0.05
