"""Nobody gains by choosing what nobody evaluated: in every experiment, and on every metric of quality."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest

import recroute as rr
from recroute.coldstart import coldstart
from recroute.data import Dataset, InteractionMatrix, llm_means
from recroute.data.means import standardised_scores
from recroute.data.sources import simulate
from recroute.evaluation.fitted import evaluate_fitted
from recroute.evaluation.frontier import frontier
from recroute.evaluation.learning import learning_curve
from recroute.evaluation.run import evaluate, scale
from recroute.experiment.outcomes import fitted_outcomes, pool_outcomes
from recroute.experiment.prepare import prepare_split
from recroute.metrics import METRICS, Outcome
from recroute.pool_choice.judge import judge
from recroute.routers import Router, make_router
from recroute.routers.base import fitted
from recroute.routers.best_single import BestSingle
from recroute.splits import Split
from recroute.tuning.settings import TuneSettings
from recroute.tuning.validation import Validation

NAN = np.nan
FAST: dict[str, Any] = {"n_resamples": 50, "headroom": False}
OF_FIRST_CHOICES = {"unobserved_choice", "choice_entropy", "coverage", "gini", "selection_entropy"}


@dataclass(kw_only=True)
class Gambler(BestSingle):
    """The best single LLM's ranking, but LLMs that nobody ran on the prompt stand above all that somebody did."""

    name: ClassVar[str] = "gambler"

    def _score(self, prompts: Any, llm_index: np.ndarray) -> np.ndarray:
        plain = super()._score(prompts, llm_index)
        observed = prompts.observed([self.llm_ids_.ids[i] for i in llm_index])
        return plain if observed is None else np.where(np.isnan(observed), 2 + plain, plain)


@dataclass(kw_only=True)
class Given(Router):
    """Predicts a table, row by row."""

    name: ClassVar[str] = "given"
    kind: ClassVar[str] = "test"
    table_: np.ndarray = fitted()

    @classmethod
    def predicting(cls, table: Any, train: Dataset) -> "Given":
        found = cls().fit(train)
        found.table_ = np.asarray(table, dtype=np.float32)
        return found

    def _fit(self, train: Dataset) -> None:
        pass

    def _score(self, prompts: Any, llm_index: np.ndarray) -> np.ndarray:
        return self.table_[:, llm_index]


def by_task(data: Dataset, share: float, seed: int = 0) -> Dataset:
    """Whole tasks of LLMs hidden, the hard tasks of weak LLMs first; every task keeps two LLMs. With costs."""
    scores, rng = data.interactions.dense(), np.random.default_rng(seed)
    names = np.unique(data.tasks)
    hardness = {name: 1 - scores[data.tasks == name].mean() for name in names}
    order = sorted(
        ((name, llm) for name in names for llm in range(2, data.n_llms)),
        key=lambda at: hardness[at[0]] - scores[:, at[1]].mean() + rng.normal(scale=0.3),
        reverse=True,
    )
    for name, llm in order[: round(share * len(names) * data.n_llms)]:
        scores[data.tasks == name, llm] = NAN
    rows, columns = np.nonzero(~np.isnan(scores))
    cost = (1 + columns % 4) * rng.uniform(0.8, 1.2, len(rows)) / 1000
    matrix = InteractionMatrix.from_coordinates(rows, columns, scores[rows, columns], scores.shape, cost)
    return replace(data, interactions=matrix)


@pytest.fixture(scope="module")
def gaps() -> Dataset:
    return by_task(simulate(n_llms=12, n_instances=240, seed=1), 0.3)


@pytest.fixture(scope="module")
def parts(gaps: Dataset) -> Split:
    return prepare_split(gaps)


def gambling(found: Any, metric: str = "mean_score") -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of one metric of the gambler and of the best single LLM."""
    rows = found.rows.filter(metric=metric).drop("router")
    return tuple(rows.filter(found.rows.filter(metric=metric)["router"] == name) for name in ("gambler", "best_single"))


def assert_nothing_gained(found: Any) -> None:
    one, other = gambling(found)
    assert one.height
    assert one.equals(other, null_equal=True)


# -- what a choice is worth


def of_rows(rows: list[list[float]], predicted: list[list[float]], tasks: list[str] | None = None) -> Outcome:
    """The outcome of given predictions, the best LLM on train being the first; scores as they are on test."""
    instances = pl.DataFrame({"instance_id": [str(i) for i in range(len(rows))], "task": tasks or ["a"] * len(rows)})
    llms = pl.DataFrame({"llm_id": [f"llm-{i}" for i in range(len(rows[0]))]})
    test = Dataset("hand", InteractionMatrix.from_dense(rows), instances, llms)
    first_best = np.linspace(1, 0, len(rows[0]))
    train = replace(test, interactions=InteractionMatrix.from_dense(np.tile(first_best, (len(rows), 1))))
    router = Given.predicting(predicted, train)
    (found,) = fitted_outcomes([router], train, test, np.full(len(rows), NAN)).values()
    return found


def test_a_tiny_matrix_by_hand() -> None:
    found = of_rows(
        [[1.0, 0.0, NAN], [NAN, 0.5, 0.0], [0.0, 1.0, NAN], [NAN, NAN, 1.0]],
        [[0.1, 0.2, 0.9], [0.9, 0.1, 0.2], [0.1, 0.9, 0.2], [0.9, 0.8, 0.1]],
    )
    value = {name: float(metric(found, None)[0]) for name, metric in METRICS.items()}
    assert found.choice.tolist() == [2, 0, 1, 0]  # what the router takes
    assert found.judged_by.tolist() == [1, 2, 1, 2]
    assert value["mean_score"] == (0 + 0 + 1 + 1) / 4
    assert value["unobserved_choice"] == 3 / 4
    assert value["oracle"] == (1 + 0.5 + 1 + 1) / 4
    assert value["random"] == (0.5 + 0.25 + 0.5 + 1) / 4
    assert value["regret"] == 3.5 / 4 - 2 / 4
    assert value["any_best"] == 2 / 4
    # best on train: llm-0, then llm-1, then llm-2; on the instances 1, .5, 0, 1
    assert value["lift"] == 2 / 4 - (1 + 0.5 + 0 + 1) / 4
    assert value["choice_entropy"] == pytest.approx(1.5)  # of what is taken: 2, 0, 1, 0


def test_the_best_single_llm_on_test_is_judged_on_every_instance() -> None:
    # llm-2 was run on the easy task only, where all do well; on all tasks llm-0 is the best, where it was run
    easy, hard = [[1.0, 1.0, 1.0]] * 4, [[1.0, 0.0, NAN]] * 3 + [[NAN, 1.0, NAN]]
    found = of_rows([*easy, *hard], [[1.0, 0.0, 0.0]] * 8, ["easy"] * 4 + ["hard"] * 4)
    assert found.best_single.tolist() == [1.0] * 8  # llm-0, and llm-1 where llm-0 was not run
    assert float(METRICS["best_single_ratio"](found, None)[0]) == 1.0


def test_a_reference_and_the_router_are_judged_on_the_same_instances() -> None:
    found = Outcome.of([[1, 0], [0, 1]], choice=[0, 0], reference=[0.5, NAN])
    assert float(METRICS["reference_ratio"](found, None)[0]) == 2.0


@pytest.mark.parametrize("seed", range(5))
def test_what_is_predicted_of_unobserved_cells_moves_no_metric_of_quality(gaps: Dataset, seed: int) -> None:
    parts, rng = prepare_split(gaps, seed=seed), np.random.default_rng(seed)
    hidden = np.isnan(parts.test.interactions.dense())
    table = rng.random(hidden.shape).astype(np.float32)
    other = table.copy()
    other[hidden] = rng.permutation(table[hidden]) + 0.5
    reference = np.full(len(table), NAN)
    found = [
        fitted_outcomes([Given.predicting(each, parts.train)], parts.train, parts.test, reference)["given"]
        for each in (table, other)
    ]
    changed = set()
    for name, metric in METRICS.items():
        one, two = (metric(outcome, None) for outcome in found)
        if not np.array_equal(one, two, equal_nan=True):
            changed.add(name)
    assert changed <= OF_FIRST_CHOICES
    assert "unobserved_choice" in changed


def test_on_complete_data_every_choice_is_judged_by_itself() -> None:
    parts = prepare_split(simulate(n_llms=12, n_instances=240))
    routers = [make_router(name) for name in ("svd", "knn", "task_best", "best_single", "oracle")]
    outcomes = pool_outcomes(routers, parts, np.arange(12), np.full(parts.test.n_instances, NAN))
    scores = parts.test.interactions.dense()
    for outcome in outcomes.values():
        assert outcome.judged_by.tolist() == outcome.choice.tolist()
        np.testing.assert_array_equal(outcome.chosen, scores[np.arange(len(scores)), outcome.choice])
        assert not outcome.unobserved.any()
        assert len(set(outcome.best_single - scores[:, llm_means(parts.test).argmax()])) == 1


# -- every experiment


def test_97_llms_with_28_percent_missing_by_task() -> None:
    data = by_task(simulate(n_llms=97, n_instances=400, seed=2), 0.28)
    assert data.interactions.density == pytest.approx(0.72, abs=0.02)
    found = evaluate(data, [Gambler(), "svd"], seeds=(0, 1), **FAST)
    assert_nothing_gained(found)
    assert found.value("gambler", "unobserved_choice") > 0.9
    assert found.value("gambler", "lift") == 0
    assert not any("gambler beats" in line for line in found.sentences())
    (note,) = [note for note in found.notes if "were not evaluated" in note]
    assert "judged by the next evaluated LLM" in note
    assert "gambler up to" in note


def test_scale_and_its_comparisons(gaps: Dataset) -> None:
    options = {"pool_sizes": [3, 6], "groups": ["nested", "all_strong"], "seeds": (0, 1)}
    found = scale(gaps, [Gambler()], **options, **FAST)
    assert_nothing_gained(found)
    slopes = gambling(found, "slope")
    assert slopes[0].height
    assert slopes[0].equals(slopes[1], null_equal=True)
    pairs = found.comparisons.filter(router="gambler", baseline="best_single")
    assert pairs.height
    assert (pairs["value"] == 0).all()
    assert (pairs["p_holm"] == 1).all()


def test_held_out_tasks_and_learning_curves(gaps: Dataset) -> None:
    assert_nothing_gained(evaluate(gaps, [Gambler()], holdout="task", **FAST))
    assert_nothing_gained(learning_curve(gaps, [Gambler()], train_fractions=[0.3, 1], evaluate=evaluate, **FAST))


def test_frontier(gaps: Dataset) -> None:
    found = frontier(gaps, [Gambler()], seeds=(0, 1), n_resamples=50)
    for metric in ("mean_score", "mean_cost", "aiq", "cost_at_quality@95", "cost_at_quality@100"):
        one, other = gambling(found, metric)
        assert one.height
        assert one.equals(other, null_equal=True)


def test_single_llms_of_a_frontier_are_compared_on_all_tasks(parts: Split, gaps: Dataset) -> None:
    filled = standardised_scores(parts.test)
    np.testing.assert_allclose(filled.mean(axis=0), llm_means(parts.test), atol=1e-6)
    seen = ~np.isnan(parts.test.interactions.dense())
    np.testing.assert_array_equal(filled[seen], parts.test.interactions.dense()[seen])
    found = frontier(gaps, ["best_single"], n_resamples=20)
    means = dict(zip(gaps.llm_ids, llm_means(parts.test), strict=True))
    rows = found.rows.filter(group="llm", metric="mean_score")
    assert {row["router"]: pytest.approx(row["value"], abs=1e-6) for row in rows.to_dicts()} == means
    assert found.best_single == max(means, key=lambda name: means[name])


def test_pools(parts: Split, gaps: Dataset) -> None:
    parts = replace(parts, test=parts.test.evaluated())
    for pool in ([0, 4, 7], range(12), [5]):
        one, other = (judge(router, parts, list(pool)) for router in (Gambler(), BestSingle()))
        np.testing.assert_array_equal(one.chosen, other.chosen)
        np.testing.assert_array_equal(one.cost, other.cost)
        np.testing.assert_array_equal(np.isnan(one.chosen), np.isnan(one.best))
        np.testing.assert_array_equal(np.isnan(one.unobserved), np.isnan(one.best))
    one, other = (rr.choose_pool(gaps, 3, router=router).rows for router in (Gambler(), BestSingle()))
    kept = pl.col("group").is_in(["all", "all_strong", "random"]) & pl.col("baseline").is_null()
    kept &= pl.col("metric") != "unobserved_choice"
    assert one.filter(kept).drop("router").equals(other.filter(kept).drop("router"), null_equal=True)


def test_routing_among_unseen_llms(gaps: Dataset) -> None:
    found = coldstart(gaps, [Gambler()], anchors=(0, 8), strategies=("random",), n_seeds=2, pool_size=4)
    one, other = (
        found.rows.filter(pl.col("metric").is_in(["mean_score", "share_of_full"]), router=name).drop("router")
        for name in ("gambler", "best_single")
    )
    assert one.height
    assert one.equals(other, null_equal=True)


def test_trials_of_a_search(parts: Split) -> None:
    metrics = ("mean_score", "lift", "best_single_ratio", "any_best", "mean_cost", "effective_p")
    settings = TuneSettings(metrics=metrics[:1], pool_sizes=[3, 12], groups=["nested"], n_folds=3)
    found = replace(Validation.of(parts.train, settings), metrics=metrics)
    for fold in range(3):
        assert found.values(Gambler(), fold) == found.values(BestSingle(), fold)


def test_the_card_of_a_fitted_router(parts: Split) -> None:
    router = Gambler().fit(parts.train)
    assert_nothing_gained(evaluate_fitted(router, parts, n_resamples=50, predictions=False))


# -- what is told


def test_the_choices_table_says_what_was_taken_and_what_it_is_judged_by(gaps: Dataset) -> None:
    found = evaluate(gaps, [Gambler()], **FAST).choices
    assert found is not None
    table = found.with_columns(pl.col("router", "instance_id", "llm_id", "judged_by").cast(pl.String))
    scores, known = gaps.interactions.dense(), {}
    for row in table.filter(router="gambler").to_dicts():
        at = gaps.instance_ids.to_index([row["instance_id"]])[0]
        taken, by = (gaps.llm_ids.to_index([row[name]])[0] for name in ("llm_id", "judged_by"))
        assert scores[at, by] == pytest.approx(row["score"])
        known[at] = np.isnan(scores[at, taken])
    assert any(known.values())
    by_chance = table.filter(router="random")
    assert by_chance["judged_by"].null_count() == by_chance.height


def test_instances_that_nobody_in_the_pool_was_run_on_are_left_out_for_all_and_said_once(gaps: Dataset) -> None:
    scores = gaps.interactions.dense()
    test = prepare_split(gaps).test.instance_ids.ids[:3]
    scores[gaps.instance_ids.to_index(list(test))] = NAN
    data = replace(gaps, interactions=InteractionMatrix.from_dense(scores))
    found = evaluate(data, ["knn"], **FAST)
    n = prepare_split(gaps).test.n_instances
    assert set(found.rows["n_instances"]) == {n - 3}
    assert [note for note in found.notes if "left out for all routers" in note] == [
        f"up to 3 of {n} test instances have no score for any LLM of a pool and are left out for all routers"
    ]


def test_budgets_and_guards_are_solved_on_judged_choices() -> None:
    from recroute.routers.advantages import Advantages
    from recroute.routers.budgeted import Budgeted
    from recroute.routers.guarded import Guarded

    data = by_task(simulate(n_llms=12, n_instances=240, seed=1), 0.3)
    curve = Budgeted(router="best_single", trade_off=0.0).fit(data).curve_
    assert curve.quality[0] == pytest.approx(curve.best_single, abs=0.01)

    # LLM 2 is ahead where it was run, on the first half; LLM 1, next in the ranking of the other half, is far behind
    ahead = np.tile(np.array([0.0, 0.5, 1.0], dtype=np.float32), (40, 1))
    real = np.tile(np.array([0.0, -0.9, 0.4], dtype=np.float32), (40, 1))
    real[20:, 2] = NAN
    guard = Guarded()
    guard.error_ = np.full(3, 0.01)
    advantages = Advantages(InteractionMatrix.from_dense(real))
    advantages.add(np.arange(40), ahead, np.zeros(40, dtype=np.int64))
    assert guard._choose_z(advantages) == np.inf


def test_doctor_does_not_take_an_llm_of_easy_tasks_for_the_best(gaps: Dataset) -> None:
    from recroute.data.doctor.headroom import _gains, _Part

    seen = np.ones((10, 2), dtype=bool)
    unseen = seen.copy()
    unseen[:, 1] = False
    wins = [np.array([8.0, 9.0]), np.array([4.0, 0.0])]  # LLM 1: .9 of the easy task alone, where LLM 0 has .8
    oracle, task = _gains(1.0, wins, [_Part(seen), _Part(unseen)])
    assert oracle == pytest.approx(1 - (0.9 + 0.4) / 2)  # in the hard task it is taken for the average LLM, .4
    assert task == pytest.approx(0)
