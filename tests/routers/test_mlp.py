import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, InteractionMatrix, Precomputed
from recroute.errors import RouterError
from recroute.routers import make_router


@pytest.fixture
def crossed() -> Dataset:
    """LLM a solves prompts whose two signs agree, LLM b the others: no linear router can tell."""
    X = np.random.default_rng(0).choice([-1.0, 1.0], size=(200, 2)).astype(np.float32)
    agree = X[:, 0] == X[:, 1]
    instances = pl.DataFrame({"instance_id": [f"i{i}" for i in range(200)], "task": ["all"] * 200})
    matrix = InteractionMatrix.from_dense(np.column_stack([agree, ~agree]).astype(np.float32))
    llms = pl.DataFrame({"llm_id": ["a", "b"]})
    return Dataset("crossed", matrix, instances, llms, embeddings=X, encoder=Precomputed("signs"))


def test_the_hidden_layer_finds_what_a_linear_router_cannot(crossed: Dataset) -> None:
    assert crossed.embeddings is not None
    right = np.where(crossed.embeddings.prod(axis=1) > 0, 0, 1)
    mlp = make_router("mlp", learning_rate=0.01).fit(crossed)
    assert (mlp.rank(crossed).llm_index[:, 0] == right).all()
    linear = make_router("linear").fit(crossed)
    assert (linear.rank(crossed).llm_index[:, 0] == right).mean() < 0.8


def test_routereval_s_own_setting_is_near_the_default(planted: Dataset) -> None:
    default = make_router("mlp", n_epochs=30).fit(planted).score(planted)
    theirs = make_router("mlp", n_epochs=30, batch_size=1, learning_rate=0.0001).fit(planted).score(planted)
    np.testing.assert_allclose(default, theirs, atol=0.1)


def test_another_seed_is_another_start(planted: Dataset) -> None:
    first, second = (make_router("mlp", n_epochs=5, seed=seed).fit(planted).score(planted) for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_a_batch_of_none_is_refused() -> None:
    with pytest.raises(RouterError, match="batch_size=0 must be at least 1"):
        make_router("mlp", batch_size=0)
