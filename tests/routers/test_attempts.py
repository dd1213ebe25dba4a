"""Second attempts: scores on the same prompt change the ranking, and sets are chosen by their best score."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recroute.cli.app import run
from recroute.data import Dataset, InteractionMatrix, Prompts
from recroute.data.feedback import Feedback
from recroute.errors import DataError, RouterError, UnknownNameError
from recroute.routers import Router, load_router, make_router
from recroute.routers.memory.attempts import belief_of
from recroute.routers.memory.joint import SURE, Belief, JointScores
from recroute.routers.memory.verifier import Verifier
from recroute.routers.sums.fit import fit_from_sums
from recroute.testing import twins_dataset


@pytest.fixture
def fitted() -> Router:
    return make_router("best_single").fit(twins_dataset())


def by_hand(rng: np.random.Generator, n: int = 7, m: int = 5) -> tuple[JointScores, np.ndarray]:
    """A joint distribution of full rank and its table (c, m) of expected scores."""
    table = rng.uniform(0.1, 0.9, size=(n, m)).astype(np.float32)
    mean = table.mean(axis=0)
    none = np.zeros((m, 0), np.float32), np.zeros((n, 0), np.float32)
    ones = np.ones(m, dtype=np.float32)
    return JointScores(mean, np.eye(m, dtype=np.float32), table - mean, mean, *none, ones), table


def even(joint: JointScores, b: int = 1) -> Belief:
    c, m = len(joint.loadings), len(joint.mean)
    return Belief(joint, np.zeros((b, m), dtype=np.float32), np.full((b, c), 1 / c, dtype=np.float32))


def test_a_failure_of_one_twin_speaks_against_the_other(fitted: Router) -> None:
    prompts = ["alpha beta", "gamma"]
    assert fitted.rank(prompts).names == [["twin-1"]] * 2
    assert fitted.rank(prompts, tried={"twin-1": 0.0}).names == [["rival"]] * 2
    assert fitted.rank(prompts, tried={"twin-1": 1.0}).names == [["twin-2"]] * 2
    each = fitted.rank(prompts, 3, tried=[{"twin-1": 0.0}, {}])
    assert each.names[0][0] == "rival"
    assert set(each.names[0]) == {"rival", "twin-2", "weak"}
    assert each.names[1] == ["twin-1", "twin-2", "rival"]


def thinned(data: Dataset, n_records: int) -> Dataset:
    """The data set with so many records left of each prompt."""
    scores = data.interactions.dense()
    asked = np.argsort(np.random.default_rng(1).random(scores.shape), axis=1)
    np.put_along_axis(scores, asked[:, n_records:], np.nan, axis=1)
    return replace(data, interactions=InteractionMatrix.from_dense(scores))


def test_two_records_of_each_prompt_tell_which_llms_fail_together() -> None:
    fitted = make_router("best_single").fit(thinned(twins_dataset(), 2))
    after_failure = fitted.rank(["alpha"], 3, tried={"twin-1": 0.0})
    assert after_failure.names[0][0] == "rival"
    assert after_failure.predicted_score[0, 0] > after_failure.predicted_score[0, 1] + 0.2
    after_success = fitted.rank(["alpha"], 3, tried={"twin-1": 1.0})
    assert after_success.names[0][0] == "twin-2"
    assert after_success.predicted_score[0, 0] > after_success.predicted_score[0, 1] + 0.2


def test_sums_tell_of_all_prompts_which_llms_fail_together(rng: np.random.Generator) -> None:
    n, m = 3000, 30
    of_first = np.arange(m) < m // 2
    chance = np.where(rng.random((n, 1)) < 0.5, np.where(of_first, 0.9, 0.1), np.where(of_first, 0.1, 0.9))
    scores = (rng.random((n, m)) < chance).astype(np.float32)
    prompts = pl.DataFrame(
        {"instance_id": [f"i{i}" for i in range(n)], "prompt": [f"alpha {i}" for i in range(n)], "task": ["t"] * n}
    )
    llms = pl.DataFrame({"llm_id": [f"llm-{j}" for j in range(m)]})
    data = thinned(Dataset("two kinds", InteractionMatrix.from_dense(scores), prompts, llms), 3)
    fitted = fit_from_sums(data, make_router("svd"), n_sample=60, keep_sums=True)

    def others_lead() -> float:
        """How much more is expected of the LLMs of the other kind than of the same, after a failure."""
        ranking = fitted.rank(["alpha"], m - 1, tried={"llm-0": 0.0})
        expected = dict(zip(ranking.names[0], ranking.predicted_score[0], strict=True))
        each = np.array([expected.get(llm, np.nan) for llm in fitted.llm_ids_])
        return float(np.nanmean(each[~of_first]) - np.nanmean(each[of_first]))

    from_sums = others_lead()
    fitted.kept_sums_, fitted.joint_ = None, None
    assert from_sums > others_lead() + 0.1


def test_a_set_is_not_the_top_of_the_ranking(fitted: Router) -> None:
    assert fitted.rank(["alpha"], 2).names == [["twin-1", "twin-2"]]
    chosen = fitted.choose_set(["alpha"], 2)
    assert chosen.names == [["twin-1", "rival"]]
    assert chosen.predicted_score[0, 1] > chosen.predicted_score[0, 0] + 0.2
    assert fitted.choose_set(["alpha"], 2, ["twin-2", "weak", "rival"]).names == [["twin-2", "rival"]]


def test_a_set_adds_to_what_was_tried(fitted: Router) -> None:
    after = fitted.choose_set(["alpha", "beta"], 2, tried=[{"twin-1": 0.0}, {"rival": 0.0}])
    assert after.names[0][0] == "rival"
    assert after.names[1][0] in ("twin-1", "twin-2")
    assert not {"twin-1"} & set(after.names[0])
    assert "rival" not in after.names[1]
    half = fitted.choose_set(["alpha"], 1, tried={"weak": 0.5}).predicted_score[0, 0]
    none = fitted.choose_set(["alpha"], 1, tried={"weak": 0.0}).predicted_score[0, 0]
    assert half > none
    assert half > 0.5
    with pytest.raises(RouterError, match="a set of 4 does not fit a pool of 3 LLMs"):
        fitted.choose_set(["alpha"], 4, tried={"weak": 0.0})


@pytest.mark.parametrize("name", ["best_single", "task_best", "knn", "hierarchy", "svd", "auto"])
def test_before_any_attempt_the_expected_scores_are_the_routers(name: str, planted: Dataset) -> None:
    router = make_router(name).fit(planted)
    prompts = Prompts.of(planted.take_instances(np.arange(5)))
    expected = belief_of(router, prompts).expected()
    np.testing.assert_allclose(expected, router.predicted_score(prompts), atol=2e-5)
    assert (router.rank(prompts, 2, tried={}).llm_index == router.rank(prompts, 2).llm_index).all()


@pytest.mark.parametrize("verifier", ["exact", "noisy:.9,.7"])
def test_verdicts_are_weighed_as_bayes_has_it(verifier: str, rng: np.random.Generator) -> None:
    joint, table = by_hand(rng)
    judge = Verifier.of(verifier)
    prior = rng.dirichlet(np.ones(len(table))).astype(np.float32)
    belief = replace(even(joint), weight=prior[None])
    for llm, verdict in ((2, 0.0), (4, 1.0), (0, 0.0)):
        belief = belief.observed(np.array([llm]), np.array([verdict], np.float32), judge)
        accepted = table[:, llm] * judge.accepts_right + (1 - table[:, llm]) * (1 - judge.rejects_wrong)
        prior = prior * (accepted if verdict else 1 - accepted)
        prior /= prior.sum()
        np.testing.assert_allclose(belief.weight[0], prior, rtol=1e-4)
        np.testing.assert_allclose(belief.expected()[0], prior @ table, rtol=1e-4)


def test_a_graded_score_moves_the_expectation_between_failure_and_success(rng: np.random.Generator) -> None:
    joint, _ = by_hand(rng)
    reached = [even(joint).observed(np.array([1]), np.array([s], np.float32)).expected()[0, 1] for s in (0, 0.5, 1)]
    assert reached[0] < reached[1] < reached[2]
    sharp = replace(joint, dispersion=np.full(5, 0.1, np.float32))
    moved = [even(each).observed(np.array([1]), np.array([0.9], np.float32)).weight.max() for each in (joint, sharp)]
    assert moved[1] > moved[0]  # the less an LLM's scores scatter, the more one of them tells


def test_what_was_not_tried_changes_nothing(rng: np.random.Generator) -> None:
    joint, _ = by_hand(rng)
    belief = even(joint, 2).observed(np.array([0, 0]), np.array([np.nan, 0.0], np.float32))
    assert (belief.weight[0] == even(joint).weight[0]).all()
    assert not np.allclose(belief.weight[1], even(joint).weight[0])


def test_a_greedy_set_takes_what_adds_most(rng: np.random.Generator) -> None:
    joint, table = by_hand(rng)

    def maximum(members: tuple[int, ...]) -> float:
        return float((1 - np.prod(1 - table[:, list(members)].clip(SURE, 1 - SURE), axis=1)).mean())

    columns, expected = even(joint).choose_set(3, np.arange(5))
    taken: tuple[int, ...] = ()
    for turn in range(3):
        taken += (max(set(range(5)) - set(taken), key=lambda j: maximum((*taken, j))),)
        assert columns[0, turn] == taken[-1]
        assert expected[0, turn] == pytest.approx(maximum(taken), abs=1e-5)
    best = max(maximum(members) for members in combinations(range(5), 3))
    assert expected[0, -1] >= (1 - 1 / np.e) * best


def test_a_price_keeps_an_llm_out_of_the_set(rng: np.random.Generator) -> None:
    joint, _ = by_hand(rng)
    first = even(joint).choose_set(1, np.arange(5))[0][0, 0]
    price = np.zeros((1, 5), np.float32)
    price[0, first] = 1
    assert first not in even(joint).choose_set(4, np.arange(5), price)[0]


def test_the_joint_distribution_is_saved_and_follows_the_llms(
    fitted: Router, tmp_path: Path, rng: np.random.Generator
) -> None:
    fitted.save(tmp_path / "before")
    assert load_router(tmp_path / "before").joint_ is None  # learned when it is first asked for
    asked: dict[str, Any] = {"instances": ["alpha"], "k": 2, "tried": {"twin-1": 0.0}}
    found = fitted.rank(**asked)
    fitted.save(tmp_path / "after")
    loaded = load_router(tmp_path / "after")
    assert loaded.joint_ is not None
    assert loaded.rank(**asked).names == found.names
    assert load_router(tmp_path / "before").rank(**asked).names == found.names
    smaller = loaded.remove_llms(["weak"])
    assert smaller.rank(**asked).names == [["rival", "twin-2"]]
    train = twins_dataset()
    like_rival = train.interactions.dense()[:, [2]]
    grown = loaded.add_llms(InteractionMatrix.from_dense(like_rival), pl.DataFrame({"llm_id": ["rival-2"]}))
    assert set(grown.rank(**asked).names[0]) == {"rival", "rival-2"}
    assert grown.joint.factors.shape[0] == 5


def test_an_llm_that_is_onboarded_is_ranked_by_what_others_scored(fitted: Router, tmp_path: Path) -> None:
    """By the verb: the joint distribution that was saved is extended, not lost and not learned again."""
    assert fitted.joint is not None
    fitted.save(tmp_path / "router")
    train = twins_dataset()
    results = {"instance_id": train.instance_ids.ids[:80], "score": train.interactions.dense()[:80, 0]}
    pl.DataFrame(results).write_csv(tmp_path / "results.csv")
    options = ["--llm", "twin-3", "--results", str(tmp_path / "results.csv"), "--out", str(tmp_path / "larger")]
    assert run(["onboard", str(tmp_path / "router"), *options, "--quiet"]) == 0
    larger = load_router(tmp_path / "larger")
    assert larger.joint_ is not None
    assert larger.rank(["alpha"], tried={"twin-1": 0.0}).names == [["rival"]]
    expected = {
        score: dict(zip(found.names[0], found.predicted_score[0], strict=True))
        for score in (0.0, 1.0)
        for found in [larger.rank(["alpha"], 4, tried={"twin-1": score})]
    }
    for twin in ("twin-2", "twin-3"):
        assert expected[0.0][twin] < 0.3
        assert expected[1.0][twin] > 0.6


@pytest.mark.parametrize("name", ["best_single", "hierarchy", "budgeted(router=best_single,trade_off=0)"])
def test_a_refresh_moves_what_is_expected_after_an_attempt(name: str, tmp_path: Path) -> None:
    train = twins_dataset()
    rows, columns = np.indices(train.interactions.shape).reshape(2, -1)
    scores = train.interactions.dense()[rows, columns]
    priced = InteractionMatrix.from_coordinates(rows, columns, scores, train.interactions.shape, np.ones(len(rows)))
    router = make_router(name).fit(replace(train, interactions=priced))
    assert router.joint is not None
    n = 300
    feedback = {
        "decision_id": [f"d{i}" for i in range(n)],
        "instance_id": [f"new{i}" for i in range(n)],
        "prompt": ["alpha beta"] * n,
        "llm_id": ["rival"] * n,
        "score": [0.0] * n,
    }
    refreshed = router.refresh(Feedback(pl.DataFrame(feedback)))
    refreshed.save(tmp_path / "refreshed")
    again = load_router(tmp_path / "refreshed")
    assert again.joint_ is not None  # not learned again
    for tried in ({"twin-1": 0.0}, {"weak": 0.0}):
        before, after = (
            dict(zip(found.names[0], found.predicted_score[0], strict=True))
            for found in (each.rank(["alpha beta"], 3, tried=tried) for each in (router, again))
        )
        assert after["rival"] < before["rival"] - 0.1


def test_a_router_of_few_prompts_says_so() -> None:
    router = make_router("best_single").fit(twins_dataset(n_instances=12))
    with pytest.raises(RouterError, match=r"12 training prompts.*at least 20"):
        router.rank(["a"], tried={"weak": 0})


BAD: list[tuple[Mapping[str, Any], type[Exception], str]] = [
    ({"tried": {"weak": 1.5}}, DataError, "tried score of 'weak' is 1.5; give a number from 0 to 1"),
    ({"tried": {"weak": "no"}}, DataError, "'no'; give a number"),
    ({"tried": {"weak": float("nan")}}, DataError, "nan; give a number"),
    ({"tried": {"unknown": 0}}, UnknownNameError, "unknown"),
    ({"tried": [{}, {}]}, DataError, "one for each of the 1 prompts"),
    ({"tried": 5}, DataError, "one mapping from LLM id to score"),
    ({"tried": {"weak": 0}, "k": 4}, RouterError, "k=4 LLMs are wanted, and 3"),
    ({"tried": {"weak": 0}, "verifier": "judge"}, DataError, "'judge' is neither exact nor noisy:TPR,TNR"),
    ({"tried": {"weak": 0}, "verifier": "noisy:2,1"}, DataError, "two rates from 0 to 1"),
    (
        {"tried": {"weak": 0}, "verifier": "noisy:.3,.6"},
        DataError,
        "its verdicts carry no information; correct the rates",
    ),
]


@pytest.mark.parametrize(("asked", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_what_cannot_be_an_attempt_is_refused(
    asked: Mapping[str, Any], error: type[Exception], message: str, fitted: Router
) -> None:
    with pytest.raises(error, match=message):
        fitted.rank(["alpha"], **asked)


def test_bounds_have_no_second_attempt() -> None:
    for name in ("random", "oracle"):
        with pytest.raises(RouterError, match="predicts no scores that an attempt could change"):
            make_router(name).fit(data := twins_dataset()).choose_set(data, 2)


def test_scores_of_0_and_1_scatter_as_bits_and_graded_ones_less(rng: np.random.Generator) -> None:
    chance = rng.uniform(0.2, 0.8, size=(400, 3))
    bits = (rng.random(chance.shape) < chance).astype(np.float32)
    graded = np.clip(chance + rng.normal(0, 0.05, chance.shape), 0, 1).astype(np.float32)
    expected = np.full_like(bits, 0.5)
    assert (JointScores.learn(bits, expected).dispersion == 1).all()
    assert (JointScores.learn(graded, expected).dispersion < 0.3).all()
