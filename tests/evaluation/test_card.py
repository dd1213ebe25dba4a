"""The card of a router, and the evaluation behind it."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset
from recroute.data.sources import simulate
from recroute.errors import RouterError, UnknownNameError
from recroute.evaluation.card import router_card
from recroute.evaluation.fitted import evaluate_fitted
from recroute.evaluation.run import evaluate
from recroute.experiment.prepare import prepare_split
from recroute.routers import load_router, make_router
from recroute.routers.storage import CARD, changed_card
from recroute.splits import Split


@pytest.fixture(scope="module")
def parts() -> Split:
    return prepare_split(simulate(n_instances=200, n_llms=8, seed=3), seed=4)


def table(card: str) -> dict[str, list[str]]:
    """Cells of the card's table of metrics, by the name in the first column."""
    rows = [line.strip("| ").split(" | ") for line in card.split("## Quality on test")[1].splitlines() if "|" in line]
    return {name: cells for name, *cells in rows}


@pytest.mark.parametrize("name", ["svd", "knn", "best_single"])
def test_a_fitted_router_is_judged_as_evaluate_judges_it(name: str) -> None:
    data = simulate(n_instances=200, n_llms=8, seed=3)
    parts = prepare_split(data, seed=4)
    found = evaluate_fitted(make_router(name, seed=4).fit(parts.train), parts)
    same = evaluate(data, [name], seeds=[4])
    key = ["router", "metric"]
    assert found.rows.sort(key).equals(same.rows.sort(key))
    assert found.comparisons.sort(key).equals(same.comparisons.sort(key))
    choices = evaluate_fitted(make_router(name, seed=4).fit(parts.train), parts, predictions=False)
    assert "brier" not in choices.rows["metric"]
    assert choices.rows.sort(key).equals(found.rows.join(choices.rows, on=key, how="semi").sort(key))
    for fact in ("n_instances", "n_records", "density", "n_train", "n_valid", "n_test", "split", "encoder"):
        assert found.info["dataset"][fact] == same.info["dataset"][fact]


def test_the_router_is_not_fitted_again(parts: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    router = make_router("svd", seed=4).fit(parts.train)
    monkeypatch.setattr(type(router), "_fit", lambda self, train: pytest.fail("fitted again"))
    evaluate_fitted(router, parts)


def test_the_card_has_the_measured_figures_with_intervals(parts: Split) -> None:
    router = make_router("svd", n_factors=3, seed=4).fit(parts.train)
    card = router_card(router, parts)
    rows = table(card)
    assert {"oracle", "random", "best_single", "task_best", "knn"} < set(rows)
    row = evaluate_fitted(router, parts).rows.row(
        by_predicate=(pl.col("router") == router.label) & (pl.col("metric") == "mean_score"), named=True
    )
    figure = f"{row['value']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}]"
    assert rows[f"**this router**, {router.label}"][0] == figure
    assert f"n = {row['n_instances']} test instances" in card
    assert "seed 4" in card
    assert "`n_factors=3`" in card


def test_the_card_says_loudly_that_data_are_simulated(parts: Split) -> None:
    router = make_router("best_single").fit(parts.train)
    card = router_card(router, parts)
    assert card.index("**SIMULATED DATA") < card.index("## Data")
    assert "(SIMULATED)" in card
    real = Split(*(dataclasses.replace(d, card={}) for d in parts.parts().values()), name="random", seed=4)
    card = router_card(router, real)
    assert "SIMULATED" not in card
    assert "| licence | not stated |" in card


def test_the_card_names_data_licence_and_gaps(planted: Dataset) -> None:
    scores = planted.interactions.dense()
    scores[np.arange(0, 240, 2), 5] = np.nan
    rows, columns = np.nonzero(~np.isnan(scores))
    records = pl.DataFrame(
        {
            "instance_id": [planted.instance_ids.ids[i] for i in rows],
            "llm_id": [planted.llm_ids.ids[j] for j in columns],
            "score": scores[rows, columns],
        }
    )
    known = {"title": "a | b", "source": "a place", "licence": "CC BY 4.0", "score": "0/1"}
    data = Dataset.from_records(records, name="gaps", instances=planted.instances, llms=planted.llms, card=known)
    parts = prepare_split(data)
    card = router_card(make_router("svd").fit(parts.train), parts)
    for said in (
        "| title | a \\| b |",
        "| licence | CC BY 4.0 |",
        "1,320 scores, 91.7% of the cells",
        "8.3% of the cells",
    ):
        assert said in card
    assert "translate (80)" in card


def test_without_a_score_on_test_the_card_says_so(parts: Split) -> None:
    router = make_router("svd").fit(parts.train)
    nothing = dataclasses.replace(parts, test=parts.test.take_instances(np.zeros(0, dtype=np.int64)))
    assert "Not measured: no LLM was evaluated on a test instance." in router_card(router, nothing)
    with pytest.raises(RouterError, match="use a split with evaluated test instances"):
        evaluate_fitted(router, nothing)


def test_test_is_not_read_where_it_may_not_be(parts: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recroute.evaluation.card.measured", lambda *parts: pytest.fail("test instances were read"))
    card = router_card(make_router("svd").fit(parts.train), parts, judge=False, notes=["the best of 3 trials"])
    assert "Not measured: the router was not evaluated on test instances." in card
    assert "- the best of 3 trials" in card
    assert "Test instances were used only after" not in card


def test_costs_stand_in_the_card(parts: Split) -> None:
    train, valid, test = (_with_costs(data) for data in parts.parts().values())
    parts = dataclasses.replace(parts, train=train, valid=valid, test=test)
    card = router_card(make_router("budgeted", router="svd", budget=3.0).fit(train), parts)
    assert re.search(r"Expected on prompts like the training prompts: [\d.]+ USD per 1,000", card)
    assert "mean cost" in card
    assert "`budget=3.0`" in card


def _with_costs(data: Dataset) -> Dataset:
    matrix = data.interactions
    costs = matrix.scores.copy()
    costs.data = 0.001 * (1 + matrix.scores.indices.astype(np.float32))
    return dataclasses.replace(data, interactions=type(matrix).from_csr(matrix.scores, costs))


def test_preferences_alone_are_judged_by_agreement() -> None:
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 5, size=(400, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    battles = pl.DataFrame(
        {
            "instance_id": [f"i{i}" for i in range(len(pairs))],
            "llm_a": [f"llm-{a}" for a in pairs[:, 0]],
            "llm_b": [f"llm-{b}" for b in pairs[:, 1]],
            "outcome": (pairs[:, 0] > pairs[:, 1]).astype(float),
        }
    )
    parts = prepare_split(Dataset.from_records(None, name="battles", preferences=battles))
    card = router_card(make_router("best_single").fit(parts.train), parts)
    assert "| router | agreement |" in card
    assert f"| preferences | {len(pairs)} |" in card
    assert "fit the router again" in card


def test_an_llm_that_the_split_does_not_have_is_refused(parts: Split) -> None:
    router = make_router("svd").fit(parts.train)
    fewer = Split(*(d.take_llms(np.arange(7)) for d in parts.parts().values()), name="random", seed=4)
    with pytest.raises(UnknownNameError):
        router_card(router, fewer)
    with pytest.raises(RouterError, match="not fitted"):
        router_card(make_router("svd"), parts)


def test_a_router_with_fewer_llms_is_judged_on_those(parts: Split) -> None:
    router = make_router("svd", seed=4).fit(parts.train)
    left = router.remove_llms([router.llm_ids_.ids[0]])
    assert evaluate_fitted(left, parts).rows["pool_size"].unique().to_list() == [7]


def test_the_use_of_a_router_depends_on_what_it_reads(parts: Split, planted: Dataset) -> None:
    assert "recroute route ." in router_card(make_router("svd").fit(parts.train), parts)
    own = prepare_split(_with_vectors(planted), encoder="precomputed")
    card = router_card(make_router("svd").fit(own.train), own)
    assert "--encoder tfidf" in card
    assert "recroute route ." not in card
    assert "not its prompt: pass a data set to `rank`" in router_card(make_router("task_best").fit(parts.train), parts)
    assert "fit the router again" in router_card(make_router("mlp").fit(parts.train), parts)


def _with_vectors(data: Dataset) -> Dataset:
    from recroute.data import Precomputed

    vectors = np.random.default_rng(0).normal(size=(data.n_instances, 4)).astype(np.float32)
    return data.with_embeddings(vectors, Precomputed("somewhere"))


def test_a_card_is_saved_and_never_looked_at_again(parts: Split, tmp_path: Path) -> None:
    router = make_router("svd").fit(parts.train)
    router.save(tmp_path / "r", card="of mine")
    assert (tmp_path / "r" / CARD).read_text("utf8") == "of mine"
    (tmp_path / "r" / CARD).write_bytes(b"\xff edited by somebody")
    assert load_router(tmp_path / "r").label == router.label
    router.save(tmp_path / "r")
    assert not (tmp_path / "r" / CARD).exists()


def test_a_changed_router_carries_the_old_card_under_what_changed(tmp_path: Path) -> None:
    assert changed_card(tmp_path, "LLM x was taken in") is None
    (tmp_path / CARD).write_text("# Router card: svd\n", encoding="utf8")
    once = changed_card(tmp_path, "LLM x was taken in")
    assert once is not None
    (tmp_path / CARD).write_text(once, encoding="utf8")
    twice = changed_card(tmp_path, "LLM y was taken out")
    assert twice is not None
    assert twice.index("LLM y") < twice.index("LLM x") < twice.index("# Router card: svd")
    assert twice.count("measured before that") == 2
