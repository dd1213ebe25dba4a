"""What answers are expected to cost, of known LLMs and of unseen ones."""

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, InteractionMatrix, Precomputed
from recroute.routers.budgeted import Budgeted
from recroute.routers.costs import CostModel
from recroute.testing import planted_dataset


def with_costs(data: Dataset, costs: np.ndarray) -> Dataset:
    rows, columns = data.interactions.coordinates()
    scores = data.interactions.dense()
    shape = (data.n_instances, data.n_llms)
    matrix = InteractionMatrix.from_coordinates(
        rows, columns, scores[rows, columns], shape, np.asarray(costs, dtype=np.float32)[rows, columns]
    )
    return Dataset(data.name, matrix, data.instances, data.llms, data.embeddings, data.encoder, data.card)


def test_without_vectors_the_cost_is_the_llms_mean(planted: Dataset) -> None:
    costs = np.ones((planted.n_instances, planted.n_llms)) * np.arange(1, planted.n_llms + 1)
    costs[::2] *= 3
    model = CostModel.fit(with_costs(planted, costs))
    np.testing.assert_allclose(model.predict(np.empty((1, 0)))[0], 2 * np.arange(1, planted.n_llms + 1), rtol=1e-6)


def test_costs_that_follow_the_prompt_are_predicted_on_unseen_prompts(planted: Dataset) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(planted.n_instances, 3)).astype(np.float32)
    level = 10.0 ** -np.arange(planted.n_llms)
    truth = level * (12 + X @ rng.normal(size=(3, planted.n_llms)))
    data = with_costs(planted.with_embeddings(X, Precomputed("made")), truth * rng.uniform(0.9, 1.1, truth.shape))
    model = CostModel.fit(data.take_instances(np.arange(0, 240, 2)))
    np.testing.assert_allclose(model.predict(X[1::2]), truth[1::2], rtol=0.1)


def test_what_the_prompt_does_not_tell_stays_at_the_mean(planted: Dataset) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(planted.n_instances, 40)).astype(np.float32)
    data = with_costs(planted.with_embeddings(X, Precomputed("noise")), rng.lognormal(size=(240, planted.n_llms)))
    model = CostModel.fit(data)
    assert np.abs(model.predict(X) / model.level - 1).mean() < 0.1


def test_a_predicted_cost_is_never_negative(planted: Dataset) -> None:
    X = np.linspace(0, 1, planted.n_instances, dtype=np.float32)[:, None]
    data = with_costs(planted.with_embeddings(X, Precomputed("made")), np.tile(X, planted.n_llms))
    assert (CostModel.fit(data).predict(np.array([[-5.0]])) == 0).all()


def test_an_llm_without_a_known_cost_counts_as_the_dearest(planted: Dataset) -> None:
    costs = np.ones((planted.n_instances, planted.n_llms)) * np.arange(1, planted.n_llms + 1)
    costs[:, 0] = np.nan
    assert CostModel.fit(with_costs(planted, costs)).level[0] == planted.n_llms


@pytest.fixture(scope="module")
def priced() -> Budgeted:
    data = planted_dataset(n_llms=12, costs=True)
    per_token = [(1.0 + i // 3) / 2 for i in range(12)]  # costs are 0.001 * (price_in + price_out)
    llms = data.llms.with_columns(pl.Series("price_in", per_token), pl.Series("price_out", per_token))
    return Budgeted(router="knn", trade_off=1.0).fit(
        Dataset(data.name, data.interactions, data.instances, llms, card=data.card)
    )


def added_cost(router: Budgeted, table: pl.DataFrame, interactions: InteractionMatrix | None = None) -> float:
    grown = router.add_llms(interactions, table)
    return float(grown.predicted_cost(["translate the sentence number 5"], ["new"])[0, 0])


def test_an_unseen_llm_costs_what_its_price_says(priced: Budgeted) -> None:
    table = pl.DataFrame({"llm_id": ["new"], "price_in": [5.0], "price_out": [5.0]})
    assert added_cost(priced, table) == pytest.approx(0.01, rel=0.1)


def test_an_unseen_llm_of_which_nothing_is_known_costs_like_the_known_ones(priced: Budgeted) -> None:
    assert 0.001 < added_cost(priced, pl.DataFrame({"llm_id": ["new"]})) < 0.004


def test_answers_that_come_with_costs_outweigh_the_price(priced: Budgeted) -> None:
    n = len(priced.training_prompts)
    rows = np.arange(n)
    own = InteractionMatrix.from_coordinates(rows, np.zeros(n, int), np.ones(n), (n, 1), np.full(n, 0.05))
    table = pl.DataFrame({"llm_id": ["new"], "price_in": [5.0], "price_out": [5.0]})
    expected = (5 * 0.01 + n * 0.05) / (5 + n)
    assert added_cost(priced, table, own) == pytest.approx(expected, rel=0.1)
