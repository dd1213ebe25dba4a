"""The reference LLM that predicted costs are compared with."""

import numpy as np
import pytest

from recroute.errors import RouterError, UnknownNameError
from recroute.routers import Router, make_router
from recroute.routers.reference import predict_reference
from recroute.testing import planted_dataset

PROMPTS = ["multiply the integers number 7", "compile the program number 7"]


@pytest.fixture(scope="module")
def budgeted() -> Router:
    return make_router("budgeted", router="svd", budget=2.0).fit(planted_dataset(costs=True))


def test_the_reference_is_predicted_like_any_llm(budgeted: Router) -> None:
    found = predict_reference(budgeted, PROMPTS, "llm-3")
    assert found is not None
    cost = budgeted.predicted_cost(PROMPTS)
    assert cost is not None
    np.testing.assert_array_equal(found.predicted_cost, cost[:, 3])
    np.testing.assert_allclose(found.predicted_score, budgeted.predicted_score(PROMPTS)[:, 3], atol=1e-6)
    first = found.to_dicts()[0]
    assert first == {"llm_id": "llm-3", "predicted_score": found.predicted_score[0], "predicted_cost": cost[0, 3]}


def test_the_default_is_the_best_llm_on_train(budgeted: Router) -> None:
    found = predict_reference(budgeted, PROMPTS)
    assert found is not None
    assert found.llm_id == budgeted.llm_ids_.ids[int(np.argmax(budgeted.llm_mean_))]


def test_a_reference_needs_costs_and_a_known_llm(budgeted: Router) -> None:
    plain = make_router("svd", n_factors=2).fit(planted_dataset())
    assert predict_reference(plain, PROMPTS) is None
    with pytest.raises(RouterError, match="predicts no costs to compare with llm-3; fit it with budget"):
        predict_reference(plain, PROMPTS, "llm-3")
    with pytest.raises(UnknownNameError, match="nobody"):
        predict_reference(budgeted, PROMPTS, "nobody")
