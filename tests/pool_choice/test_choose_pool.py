"""Which LLMs are chosen, from training prompts only, and what is said of them."""

import numpy as np
import polars as pl
import pytest

import recroute as rr
from recroute.data import Dataset, InteractionMatrix, llm_means
from recroute.errors import DataError, RecrouteError, UnknownNameError
from recroute.pool_choice import completed_scores
from recroute.pool_choice.candidates import candidates
from recroute.pool_choice.judge import Judged, average
from recroute.testing import planted_dataset

ROUTER = "task_best"


@pytest.fixture(scope="module")
def planted() -> Dataset:
    return planted_dataset(n_instances=300, n_llms=9)


@pytest.fixture(scope="module")
def found(planted: Dataset) -> rr.PoolChoice:
    return rr.choose_pool(planted, 4, router=ROUTER, seeds=(0, 1))


def with_costs(data: Dataset, cost_of: list[float]) -> Dataset:
    rows, columns = data.interactions.coordinates()
    scores = data.interactions.dense()[rows, columns]
    matrix = InteractionMatrix.from_coordinates(
        rows, columns, scores, (data.n_instances, data.n_llms), np.array(cost_of)[columns]
    )
    return Dataset(data.name, matrix, data.instances, data.llms)


def kinds(llms: list[str]) -> set[int]:
    """LLM l solves kind l % 3."""
    return {int(llm.removeprefix("llm-")) % 3 for llm in llms}


def test_three_specialists_do_what_all_nine_do(found: rr.PoolChoice) -> None:
    for objective in ("routed", "oracle"):
        three = found.pools.filter(objective=objective, pool_size=3)["llm_id"].to_list()
        assert kinds(three) == {0, 1, 2}
    share = found.pooled("share_of_all", group="chosen_routed")
    assert share["pool_size"].to_list() == [1, 2, 3, 4]
    assert share["value"][2] > 0.95 > share["value"][0]
    assert found.enough(0.95) == 3
    assert len(found.llms) == 4


def test_every_group_is_there_with_intervals_and_paired_differences(found: rr.PoolChoice) -> None:
    at_three = found.pooled("mean_score", pool_size=3)
    assert set(at_three["group"]) == {"chosen_routed", "chosen_oracle", "all_strong", "random"}
    assert found.pooled("mean_score", group="all")["pool_size"].to_list() == [9]
    assert (at_three["ci_low"] <= at_three["value"]).all()
    assert (at_three["value"] <= at_three["ci_high"]).all()
    value = dict(at_three.select("group", "value").iter_rows())
    gap = found.pooled("mean_score", group="chosen_routed", baseline="random", pool_size=3)
    assert gap["value"][0] == pytest.approx(value["chosen_routed"] - value["random"])
    assert gap["ci_low"][0] > 0
    assert set(found.rows["seed"].to_list()) == {None, 0, 1}


def test_a_notebook_shows_the_verdict_and_the_figure(found: rr.PoolChoice) -> None:
    shown = found._repr_html_()
    assert "4 chosen for routing" in shown
    assert "<svg" in shown
    assert len(found.plot().figure.axes) == 2


def test_tasks_go_to_their_specialist(found: rr.PoolChoice) -> None:
    assert found.tasks.group_by("task").agg(pl.col("share").sum())["share"].to_list() == pytest.approx([1, 1, 1])
    for k, task in enumerate(("multiply", "translate", "compile")):
        rows = found.tasks.filter(task=task)
        of_kind = [share for llm, share in rows.select("llm_id", "share").iter_rows() if kinds([llm]) == {k}]
        assert sum(of_kind) > 0.9


def test_what_no_router_can_predict_is_for_the_oracle_only() -> None:
    """llm-6 is right where all others fail and half of the rest, by luck: worth much to the oracle, nothing routed."""
    base = planted_dataset(n_instances=300, n_llms=6, noise=0.3)
    dense = base.interactions.dense()
    lucky = (dense[:, :3].max(axis=1) == 0) | (np.random.default_rng(0).random(300) < 0.5)
    data = Dataset(
        "lucky",
        InteractionMatrix.from_dense(np.column_stack([dense, lucky])),
        base.instances,
        pl.DataFrame({"llm_id": [f"llm-{i}" for i in range(7)]}),
    )
    found = rr.choose_pool(data, 3, router=ROUTER)
    pools = {name: rows["llm_id"].to_list() for (name,), rows in found.pools.filter(pool_size=3).group_by("objective")}
    assert "llm-6" in pools["oracle"]
    assert kinds(pools["routed"]) == {0, 1, 2}
    assert "llm-6" not in pools["routed"]
    assert found.llms == pools["routed"]


def test_a_withdrawn_specialist_is_replaced_by_one_of_its_kind(planted: Dataset) -> None:
    three = rr.choose_pool(planted, 3, router=ROUTER)
    assert three.replacements["llm_id"].to_list() == three.llms
    for llm, other, score in three.replacements.select("llm_id", "replacement", "mean_score").iter_rows():
        assert other not in three.llms
        assert kinds([llm]) == kinds([other])
        assert score > 0.75


def test_nobody_is_left_to_replace_anybody(planted: Dataset) -> None:
    two = planted.take_llms(np.arange(2))
    assert rr.choose_pool(two, 2, router=ROUTER).replacements.is_empty()


def test_same_seed_same_result(planted: Dataset, found: rr.PoolChoice) -> None:
    again = rr.choose_pool(planted, 4, router=ROUTER, seeds=(0, 1))
    assert again.to_dict() == found.to_dict()


def test_kept_llms_are_in_every_pool(planted: Dataset) -> None:
    found = rr.choose_pool(planted, 3, router=ROUTER, keep=["llm-8", "llm-5"])
    assert found.llms[:2] == ["llm-8", "llm-5"]
    assert sorted(found.pools["pool_size"].unique().to_list()) == [2, 3]
    for (_, _), pool in found.pools.group_by("objective", "pool_size"):
        assert {"llm-8", "llm-5"} <= set(pool["llm_id"])


def test_a_budget_leaves_dear_llms_out_of_everything(planted: Dataset) -> None:
    data = with_costs(planted, [0.001, 0.002, 0.003, 0.009, 0.009, 0.009, 0.004, 0.009, 0.009])
    found = rr.choose_pool(data, 3, router=ROUTER, budget=4)
    assert set(found.pools["llm_id"]) <= {"llm-0", "llm-1", "llm-2", "llm-6"}
    assert found.pooled("mean_score", group="all")["pool_size"].to_list() == [9]  # the measure, whatever it costs
    assert any("left out 5 LLMs without" in note for note in found.notes)
    cost = found.pooled("mean_cost", group="chosen_routed")
    assert (cost["value"] <= 0.004 + 1e-9).all()
    with pytest.raises(DataError, match=r"'llm-3' is to be kept and costs 9 USD .* budget 4"):
        rr.choose_pool(data, 3, router=ROUTER, keep=["llm-3"], budget=4)
    with pytest.raises(DataError, match=r"cheapest costs 1"):
        rr.choose_pool(data, 3, router=ROUTER, budget=0.5)
    with pytest.raises(DataError, match=r"size 5 is more than the 4 LLMs of planted within the budget 4"):
        rr.choose_pool(data, 5, router=ROUTER, budget=4)


def test_what_cannot_be_chosen_is_refused(planted: Dataset) -> None:
    with pytest.raises(DataError, match="planted has no costs; add a column cost"):
        rr.choose_pool(planted, 3, router=ROUTER, budget=1)
    with pytest.raises(UnknownNameError, match="unknown llm 'llm-99'"):
        rr.choose_pool(planted, 3, router=ROUTER, keep=["llm-99"])
    with pytest.raises(DataError, match="names an LLM twice"):
        rr.choose_pool(planted, 3, router=ROUTER, keep=["llm-1", "llm-1"])
    with pytest.raises(DataError, match="size 1 is less than the 2 LLMs to keep"):
        rr.choose_pool(planted, 1, router=ROUTER, keep=["llm-1", "llm-2"])
    with pytest.raises(DataError, match="size 10 is more than the 9 LLMs"):
        rr.choose_pool(planted, 10, router=ROUTER)
    with pytest.raises(UnknownNameError, match="did you mean 'routed'"):
        rr.choose_pool(planted, 3, router=ROUTER, objective="route")
    with pytest.raises(RecrouteError, match="seed"):
        rr.choose_pool(planted, 3, router=ROUTER, seeds=())


def test_an_unobserved_cell_is_neither_a_failure_nor_a_success() -> None:
    dense = planted_dataset(n_instances=90, n_llms=4, noise=0.2, missing=0.3).interactions.dense()
    dense[:, 3] = np.nan
    dense[:2, 3] = 1.0  # two lucky answers
    base = planted_dataset(n_instances=90, n_llms=4)
    data = Dataset("gaps", InteractionMatrix.from_dense(dense), base.instances, base.llms)
    filled = completed_scores(data)
    known = ~np.isnan(dense)
    np.testing.assert_array_equal(filled[known], dense[known])
    assert filled.dtype == np.float32
    assert 0 < filled[~known].min() <= filled[~known].max() < 1
    assert filled[:, 3].mean() == pytest.approx(llm_means(data)[3], abs=0.02)
    assert filled[:, 3].mean() < 0.6
    assert completed_scores(base).dtype == np.uint8


def test_choices_that_nobody_evaluated_are_judged_by_the_next_and_told() -> None:
    found = rr.choose_pool(planted_dataset(n_instances=300, n_llms=6, missing=0.3), 3, router=ROUTER)
    unobserved = found.pooled("unobserved_choice", group="chosen_routed", pool_size=3)["value"][0]
    assert 0.1 < unobserved < 0.5
    # three specialists: nine in ten where the right one was run, one in ten where only others were
    expected = (0.7 * 0.9 + 0.3 * (1 - 0.3**2) * 0.1) / (1 - 0.3**3)
    reached = found.pooled("mean_score", group="chosen_routed", pool_size=3)["value"][0]
    assert reached == pytest.approx(expected, abs=0.15)
    assert any("were not evaluated" in note and "chosen_routed" in note for note in found.notes)
    assert any("with no score for any LLM of a pool" in note and "best_single up to" in note for note in found.notes)


def test_an_llm_without_a_record_on_train_is_never_chosen(planted: Dataset) -> None:
    dense = planted.interactions.dense()
    dense[:, 0] = np.nan
    data = Dataset("gaps", InteractionMatrix.from_dense(dense), planted.instances, planted.llms)
    allowed, kept = candidates(data, 3, ["llm-4"], None)
    assert 0 not in allowed
    assert allowed[kept].tolist() == [4]
    with pytest.raises(DataError, match="no record on train"):
        candidates(data, 3, ["llm-0"], None)


def test_instances_count_for_the_pools_that_were_evaluated_there() -> None:
    nan = np.nan
    one = Judged(*(np.array(values) for values in ([1.0, nan], [1.0, nan], [0.0, 1.0], [nan, nan])))
    two = Judged(*(np.array(values) for values in ([0.0, 0.5], [1.0, 0.5], [0.0, 0.0], [2.0, nan])))
    both = average([one, two])
    np.testing.assert_array_equal(both.chosen, [0.5, 0.5])
    np.testing.assert_array_equal(both.unobserved, [0.0, 0.5])
    np.testing.assert_array_equal(both.cost, [2.0, nan])


def test_an_interrupt_keeps_the_seeds_that_were_finished(planted: Dataset) -> None:
    def stop(done: int, of: int) -> None:
        if done > of // 2:
            raise KeyboardInterrupt

    found = rr.choose_pool(planted, 2, router=ROUTER, seeds=(0, 1), progress=stop)
    assert not found.info["complete"]
    assert found.info["seeds"] == [0]
