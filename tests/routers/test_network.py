"""The network behind `linear` and `mlp`: its gradient, its start and its unobserved cells."""

from itertools import pairwise

import numpy as np
import pytest

from recroute.routers.network import (
    Layers,
    _Adam,
    _gradients,
    adam_batch_of_one,
    fit_network,
    log_odds_shares,
    predict,
)

NAN = np.float32("nan")
SCORES = np.array([[1.0, 0.0, NAN], [0.25, NAN, NAN], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=np.float32)


def _loss(layers: Layers, X: np.ndarray) -> float:
    p = predict(layers, X)
    cross_entropy = -(SCORES * np.log(p) + (1 - SCORES) * np.log(1 - p))
    return float(np.nansum(cross_entropy) / SCORES.size)


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_gradients_are_the_slopes_of_the_loss_over_the_observed_cells(hidden: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 2))
    sizes = [2, *hidden, 3]
    layers = [(rng.normal(size=(a, b)), rng.normal(size=b)) for a, b in pairwise(sizes)]
    found = _gradients(layers, X, SCORES)
    for array, gradient in zip([a for layer in layers for a in layer], found, strict=True):
        for place in np.ndindex(array.shape):
            value, h = array[place], 1e-5
            array[place] = value + h
            above = _loss(layers, X)
            array[place] = value - h
            below = _loss(layers, X)
            array[place] = value
            np.testing.assert_allclose(gradient[place], (above - below) / (2 * h), atol=1e-6)


def test_without_hidden_layers_it_becomes_logistic_regression() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3)).astype(np.float32)
    y = (rng.random(300) < 1 / (1 + np.exp(-(X @ [1.0, -2.0, 0.5] + 0.3)))).astype(np.float32)
    layers = fit_network(
        X, y[:, None], y.mean(keepdims=True), (), learning_rate=0.05, n_epochs=400, batch_size=300, seed=0
    )
    exact = LogisticRegression(C=np.inf, tol=1e-8).fit(X, y)
    np.testing.assert_allclose(layers[0][0].ravel(), exact.coef_.ravel(), atol=0.01)
    np.testing.assert_allclose(layers[0][1], exact.intercept_, atol=0.01)


def test_an_output_without_a_record_stays_at_its_mean() -> None:
    scores = np.array([[1, NAN], [0, NAN], [1, NAN]], dtype=np.float32)
    means = np.array([0.6, 0.8])
    X = np.eye(3, dtype=np.float32)
    for hidden in ((), (4,)):
        layers = fit_network(X, scores, means, hidden, learning_rate=0.1, n_epochs=5, batch_size=2, seed=0)
        np.testing.assert_allclose(predict(layers, X)[:, 1], 0.8, rtol=1e-6)


def test_shares_are_the_softmax_of_the_log_odds() -> None:
    logits = np.array([[0.0, 1.0, -2.0]])
    softmax = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(log_odds_shares((1 / (1 + np.exp(-logits))).astype(np.float32)), softmax, rtol=1e-5)


def test_steps_of_one_instance_are_those_of_adam() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 7)).astype(np.float32)
    X[:, 0] = 0
    scores = (rng.random((40, 300)) < 0.5).astype(np.float32)
    scores[rng.random(scores.shape) < 0.3] = np.nan
    scores[:, 5] = np.nan
    order = np.concatenate([rng.permutation(40) for _ in range(5)])  # the moments are scaled back thrice
    start = rng.normal(size=(7, 300)).astype(np.float32), rng.normal(size=300).astype(np.float32)
    weight, offset, expected = start[0].copy(), start[1].copy(), [start]
    adam_batch_of_one(X, scores, weight, offset, 0.02, order)
    adam = _Adam(list(start), 0.02)
    for row in order:
        adam.step(_gradients(expected, X[[row]], scores[[row]]))
    np.testing.assert_allclose(weight, start[0], atol=2e-5)
    np.testing.assert_allclose(offset, start[1], atol=2e-5)
    assert np.abs(weight[1:, 0]).max() > 0.1
    rest = rng.normal(size=(7, 300)).astype(np.float32)
    untouched = rest.copy()
    adam_batch_of_one(X, scores, rest, np.zeros(300, dtype=np.float32), 0.02, order)
    np.testing.assert_array_equal(rest[:, 5], untouched[:, 5])  # an LLM without a record
    np.testing.assert_array_equal(rest[0], untouched[0])  # a feature that is always 0
