"""evaluate and scale, against plain NumPy."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recroute.evaluation.run as harness
import recroute.experiment.controls as controls
from recroute.data import Dataset, InteractionMatrix, llm_means, read_dataset
from recroute.data.sources import simulate
from recroute.errors import RecrouteError
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.run import evaluate, scale
from recroute.experiment.prepare import prepare_split
from recroute.experiment.rows import COLUMNS
from recroute.pools import largest_pool, make_pools
from recroute.routers import make_router

FAST = {"n_resamples": 50}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return simulate(n_llms=40, n_instances=400)


@pytest.fixture(scope="module")
def grown(data: Dataset) -> Evaluation:
    return scale(data, ["svd"], pool_sizes=[3, 10], seeds=[0, 1], **FAST)


def check_bounds(data: Dataset, found: Evaluation, group: str, size: int, seed: int) -> None:
    """Oracle, random, best single and r_o(p) of one pool, computed from the scores alone."""
    parts = prepare_split(data, seed=seed)
    (pool,) = make_pools(parts.train, [group], [size], seed)
    table = parts.test.interactions.dense()[:, pool.llm_index]
    table = table[~np.isnan(table).all(axis=1)]
    highest, mean = [], []
    for row in table:
        seen = [float(score) for score in row if not np.isnan(score)]
        highest.append(max(seen))
        mean.append(sum(seen) / len(seen))
    rows = found.rows.filter(seed=seed, group=group, pool_size=pool.size, metric="mean_score")
    value = dict(rows.select("router", "value").iter_rows())
    assert value["oracle"] == pytest.approx(np.mean(highest), abs=1e-9)
    assert value["random"] == pytest.approx(np.mean(mean), abs=1e-9)
    for p in (0.25, 0.5, 0.75):
        straight = p * value["oracle"] + (1 - p) * value["random"]
        assert value[f"oracle_mix(p={p:g})"] == pytest.approx(straight, abs=1e-9)
    assert rows["n_instances"][0] == len(table)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("group", ["all_strong", "all_weak", "strong_to_weak"])
def test_bounds_agree_with_plain_numpy(data: Dataset, grown: Evaluation, group: str, seed: int) -> None:
    check_bounds(data, grown, group, 10, seed)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["openllm1", "zeroeval"])
def test_bounds_agree_with_plain_numpy_on_real_data(name: str, real: Path) -> None:
    data = read_dataset(real / name)
    found = scale(data, ["best_single"], pool_sizes=[10], seeds=[0, 1], **FAST)
    for group in ("all_strong", "strong_to_weak"):
        check_bounds(data, found, group, 10, seed=1)


def test_routers_are_fitted_on_train_and_scored_on_test(data: Dataset) -> None:
    found = evaluate(data, ["svd"], **FAST)
    parts = prepare_split(data, seed=0)
    choice = make_router("svd").fit(parts.train).rank(parts.test).llm_index[:, 0]
    scores = parts.test.interactions.dense()
    mu = scores[np.arange(len(scores)), choice].mean()
    assert found.value("svd", "mean_score") == pytest.approx(mu, abs=1e-7)
    assert found.value("svd", "best_single_ratio") == pytest.approx(mu / scores.mean(axis=0).max(), abs=1e-6)
    best_on_train = parts.train.interactions.dense().mean(axis=0).argmax()
    assert found.value("svd", "lift") == pytest.approx(mu - scores[:, best_on_train].mean(), abs=1e-6)
    assert found.value("best_single", "lift") == 0


def test_the_group_mean_is_the_mean_of_the_groups(grown: Evaluation) -> None:
    groups = ("all_strong", "all_weak", "strong_to_weak")
    values = [grown.value("svd", "mean_score", pool_size=10, group=group) for group in groups]
    assert grown.value("svd", "mean_score", pool_size=10, group="mean") == pytest.approx(np.mean(values))


def test_the_slope_is_that_of_mu_on_log2_of_the_size(grown: Evaluation) -> None:
    small, large = (grown.value("svd", "mean_score", pool_size=size, group="all_weak") for size in (3, 10))
    assert grown.value("svd", "slope", group="all_weak") == pytest.approx((large - small) / (np.log2(10) - np.log2(3)))


def test_pooled_values_are_means_over_seeds_and_lie_in_their_intervals(grown: Evaluation) -> None:
    pooled = grown.rows.filter(pl.col("seed").is_null())
    assert (pooled["ci_low"] <= pooled["ci_high"] + 1e-12).all()
    inside = pooled.filter(metric="mean_score").select(pl.col("value").is_between("ci_low", "ci_high")).to_series()
    assert inside.mean() > 0.95
    rows = grown.rows.filter(router="svd", group="all_weak", pool_size=3, metric="regret")
    assert rows.filter(pl.col("seed").is_null())["value"][0] == pytest.approx(rows.drop_nulls("seed")["value"].mean())


def test_baselines_are_in_every_table(grown: Evaluation) -> None:
    wanted = {"oracle", "random", "best_single", "task_best", "knn", "oracle_mix(p=0.5)", "svd"}
    assert wanted <= set(grown.rows["router"])


def test_same_seed_same_rows(data: Dataset, grown: Evaluation) -> None:
    again = scale(data, ["svd"], pool_sizes=[3, 10], seeds=[0, 1], **FAST)
    assert again.rows.equals(grown.rows)


def test_the_json_has_the_agreed_keys(grown: Evaluation, tmp_path: Path) -> None:
    grown.write_json(tmp_path / "run.json", command=["recroute", "scale"])
    result = json.loads((tmp_path / "run.json").read_text("utf8"))
    assert {"recroute", "command", "dataset", "seed", "rows"} <= set(result)
    keys = {"router", "group", "pool_size", "seed", "metric", "value", "ci_low", "ci_high", "n_instances"}
    compared = [row for row in result["rows"] if "baseline" in row]
    assert all(set(row) == keys for row in result["rows"] if "baseline" not in row)
    assert compared
    assert all(set(row) == keys | {"baseline", "p_value", "p_holm"} for row in compared)
    assert result["dataset"]["simulated"] is True


def test_text_routers_are_left_out_with_a_note_where_there_is_no_text(data: Dataset) -> None:
    bare = dataclasses.replace(data, instances=data.instances.drop("prompt"))
    found = evaluate(bare, ["svd", "als"], headroom=False, **FAST)
    assert set(found.rows["router"]) == {"oracle", "random", "best_single", "task_best"}
    assert found.notes == ["left out, because simulated has neither prompts nor embeddings: svd, als, knn"]


def test_sizes_beyond_the_pool_become_the_whole_pool(data: Dataset) -> None:
    found = scale(data, [], pool_sizes=[3, 500], groups=["nested"], **FAST)
    assert set(found.rows["pool_size"].drop_nulls()) == {3, 40}
    assert "pool size 500" in found.notes[0]


def test_every_seed_and_group_has_the_same_pool_sizes() -> None:
    data = simulate(n_llms=30, n_instances=80)  # few instances: which means lie in RouterEval's limits varies
    scores = data.interactions.dense()
    scores[:, :6] = np.random.default_rng(0).random((80, 6)) < 0.9
    near = dataclasses.replace(data, interactions=type(data.interactions).from_dense(scores))
    parts = [prepare_split(near, seed=seed).train for seed in range(4)]
    assert len({largest_pool(train, ["all_strong"]) for train in parts}) > 1
    found = scale(near, [], pool_sizes=[3, 1000], groups=["all_strong", "nested"], seeds=range(4), **FAST)
    sizes = {group: set(rows["pool_size"].drop_nulls()) for (group,), rows in found.rows.group_by("group")}
    assert sizes["all_strong"] == sizes["nested"] == sizes["mean"]
    assert len(sizes["mean"]) == 2


def test_an_interrupt_keeps_what_is_finished(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    real_outcomes, calls = harness.pool_outcomes, []

    def interrupted(*args: object) -> object:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real_outcomes(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(harness, "pool_outcomes", interrupted)
    found = scale(data, [], pool_sizes=[3, 10], groups=["nested"], **FAST)
    assert set(found.rows["pool_size"].drop_nulls()) == {3}
    assert found.info["complete"] is False


def test_a_reference_is_a_number_a_benchmark_or_an_llm(data: Dataset) -> None:
    mu = evaluate(data, [], **FAST).value("best_single", "mean_score")
    for reference, score in (("0.5", 0.5), ("arc", 0.852)):
        found = evaluate(data, [], reference=reference, **FAST)
        assert found.value("best_single", "reference_ratio") == pytest.approx(mu / score)
    llm = data.llm_ids.ids[3]
    own = prepare_split(data).test.interactions.dense()[:, 3].mean()
    found = evaluate(data, [], reference=llm, **FAST)
    assert found.value("best_single", "reference_ratio") == pytest.approx(mu / own)
    with pytest.raises(RecrouteError, match="did you mean 'arc'"):
        evaluate(data, [], reference="arcc", **FAST)


def test_unobserved_choices_are_reported_and_judged_by_the_next_llm() -> None:
    data = simulate(n_llms=12, n_instances=200)
    scores = data.interactions.dense()
    best = int(scores.mean(axis=0).argmax())
    scores[::5, best] = np.nan
    holes = dataclasses.replace(data, interactions=type(data.interactions).from_dense(scores))
    found = evaluate(holes, [], **FAST)
    parts = prepare_split(holes)
    order = np.argsort(-llm_means(parts.train))
    assert order[0] == best
    test = parts.test.interactions.dense()
    assert found.value("best_single", "unobserved_choice") == pytest.approx(np.isnan(test[:, best]).mean())
    judged = np.where(np.isnan(test[:, best]), test[:, order[1]], test[:, best])
    assert found.value("best_single", "mean_score") == pytest.approx(judged.mean(), abs=1e-7)
    assert any("were not evaluated" in note for note in found.notes)


def test_entropy_of_a_router_that_chooses_by_chance_is_that_of_its_distribution(data: Dataset) -> None:
    scores = prepare_split(data).test.interactions.dense().astype(float)
    shares = np.where(scores.sum(axis=1, keepdims=True) > 0, scores, 1)
    shares = 0.25 * shares / shares.sum(axis=1, keepdims=True) + 0.75 / data.n_llms
    expected = -(shares * np.log2(shares)).sum(axis=1).mean()
    found = evaluate(data, [make_router("oracle_mix", p=0.25)], **FAST)
    assert found.value("oracle_mix(p=0.25)", "selection_entropy") == pytest.approx(expected, abs=1e-6)
    assert found.value("random", "selection_entropy") == pytest.approx(np.log2(data.n_llms))


def test_the_smallest_pool_that_passes() -> None:
    head = {"router": "r", "group": "nested", "seed": None, "n_instances": 9}
    curve = [(3, -0.1, -0.2), (10, 0.1, -0.1), (100, 0.2, 0.1), (1000, 0.3, 0.2)]
    rows = [
        head | {"pool_size": m, "metric": "lift", "value": value, "ci_low": low, "ci_high": 1.0}
        for m, value, low in curve
    ]
    rows.append(head | {"pool_size": 3, "metric": "best_single_ratio", "value": 0.9, "ci_low": 0.8, "ci_high": 1.0})
    found = Evaluation(pl.DataFrame(rows, schema=COLUMNS), {}).passes()
    assert found.filter(against="best single of train").row(0)[3:] == (10, 0.1, -0.1, 100)
    assert found.filter(against="best single on test").row(0)[3:] == (None, None, None, None)


def test_each_task_is_held_out_in_turn(data: Dataset) -> None:
    found = evaluate(data, ["svd"], holdout="task", **FAST)
    tasks = sorted(set(data.tasks))
    assert found.rows["group"].unique(maintain_order=True).to_list() == [*(f"task {task}" for task in tasks), "mean"]
    each = [found.value("svd", "mean_score", group=f"task {task}") for task in tasks]
    assert found.value("svd", "mean_score", group="mean") == pytest.approx(np.mean(each))
    assert found.info["dataset"]["n_test"] == data.n_instances
    for task in tasks:  # a task that train does not have says nothing to the control that knows tasks
        values = [found.value(router, "mean_score", group=f"task {task}") for router in ("task_best", "best_single")]
        assert values[0] == values[1]


def test_pools_grow_on_held_out_tasks(data: Dataset) -> None:
    done: list[tuple[int, int]] = []
    found = scale(
        data,
        [],
        pool_sizes=[3, 5],
        groups=["nested"],
        holdout="task",
        progress=lambda *state: done.append(state),
        **FAST,
    )
    n_tasks = len(set(data.tasks))
    assert len(found.rows.filter(router="oracle", metric="mean_score", pool_size=3)) == n_tasks + 1
    assert done[-1] == (2 * n_tasks, 2 * n_tasks)
    with pytest.raises(RecrouteError, match="split='random' exclude each other"):
        evaluate(data, [], holdout="task", split="random", **FAST)


def test_shuffled_scores_keep_each_llms_scores_and_costs_and_the_pools(data: Dataset) -> None:
    parts, control = prepare_split(data), prepare_split(data, shuffle="scores")
    before, after = (split.train.interactions.dense() for split in (parts, control))
    np.testing.assert_array_equal(before.sum(axis=0), after.sum(axis=0))
    assert (before != after).any(axis=0).all()
    assert "training scores are those of other prompts" in control.note
    chosen = [scale(data, [], pool_sizes=[5], shuffle=shuffle, **FAST) for shuffle in (None, "scores")]
    oracle = [found.rows.filter(router="oracle", metric="mean_score")["value"].to_list() for found in chosen]
    assert oracle[0] == oracle[1]


def test_costs_give_rows_where_there_are_any(data: Dataset) -> None:
    costs = data.interactions.scores.copy()
    costs.data = np.random.default_rng(0).random(len(costs.data)).astype(np.float32)
    costly = dataclasses.replace(data, interactions=InteractionMatrix.from_csr(data.interactions.scores, costs))
    found = evaluate(costly, ["svd"], **FAST)
    money = {"mean_cost", "aiq", "cost_at_quality@95"}
    assert money <= set(found.rows.filter(router="svd")["metric"])
    assert not money & set(found.rows.filter(router="random")["metric"])
    parts = prepare_split(costly)
    choice = make_router("svd").fit(parts.train).rank(parts.test).llm_index[:, 0]
    spent = parts.test.interactions.costs.toarray()[np.arange(len(choice)), choice]
    assert found.value("svd", "mean_cost") == pytest.approx(spent.mean(), abs=1e-6)
    assert not money & set(evaluate(data, ["svd"], **FAST).rows["metric"])


def test_the_headroom_is_told_where_it_is_cheap_or_wanted(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "CHEAP_CELLS", 10)
    assert evaluate(data, [], **FAST).info["headroom"] is None
    found = evaluate(data, [], headroom=True, **FAST)
    assert {row["kind"] for row in found.info["headroom"]["pools"]} == {"oracle", "task"}
    assert any("by luck" in note for note in found.notes)
