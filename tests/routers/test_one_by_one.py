import numpy as np

from recroute.routers.network import _Adam, _gradients
from recroute.routers.one_by_one import descend


def test_its_steps_are_those_of_adam() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 7)).astype(np.float32)
    X[:, 0] = 0
    scores = (rng.random((40, 300)) < 0.5).astype(np.float32)
    scores[rng.random(scores.shape) < 0.3] = np.nan
    scores[:, 5] = np.nan
    order = np.concatenate([rng.permutation(40) for _ in range(5)])  # the moments are scaled back thrice
    start = rng.normal(size=(7, 300)).astype(np.float32), rng.normal(size=300).astype(np.float32)
    weight, offset, expected = start[0].copy(), start[1].copy(), [start]
    descend(X, scores, weight, offset, 0.02, order)
    adam = _Adam(list(start), 0.02)
    for row in order:
        adam.step(_gradients(expected, X[[row]], scores[[row]]))
    np.testing.assert_allclose(weight, start[0], atol=2e-5)
    np.testing.assert_allclose(offset, start[1], atol=2e-5)
    assert np.abs(weight[1:, 0]).max() > 0.1
    rest = rng.normal(size=(7, 300)).astype(np.float32)
    untouched = rest.copy()
    descend(X, scores, rest, np.zeros(300, dtype=np.float32), 0.02, order)
    np.testing.assert_array_equal(rest[:, 5], untouched[:, 5])  # an LLM without a record
    np.testing.assert_array_equal(rest[0], untouched[0])  # a feature that is always 0
