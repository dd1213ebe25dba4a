"""Regression averaged over models: against a dense computation, and on data whose answer is known."""

import numpy as np
import pytest

from recroute.bridges.model_average import SIGNAL, eigen_kernels, fit_average

MIXTURES = ({"a": 1.0}, {"b": 1.0}, {"a": 0.3, "b": 0.7})


def views(rng: np.random.Generator, n: int = 60) -> dict[str, np.ndarray]:
    found = {"a": rng.normal(size=(n, 4)), "b": rng.normal(size=(n, 7))}
    for name, X in found.items():
        centred = X - X.mean(axis=0)
        found[name] = centred / np.sqrt((centred**2).sum(axis=1).mean())
    return found


def predict(weights: dict[str, np.ndarray], features: dict[str, np.ndarray]) -> np.ndarray:
    return sum(features[name] @ weights[name] for name in weights)


def test_it_is_the_average_of_dense_gaussian_process_regressions() -> None:
    rng = np.random.default_rng(0)
    train, y = views(rng), rng.normal(size=60)
    y -= y.mean()
    log_likelihood, predictions = [np.log(len(MIXTURES) * len(SIGNAL)) - 30 * np.log(y @ y)], [np.zeros(60)]
    for mixture in MIXTURES:
        K = sum(share * train[name] @ train[name].T for name, share in mixture.items())
        for signal in SIGNAL:
            C = np.eye(60) + signal * K
            solved = np.linalg.solve(C, y)
            log_likelihood.append(-30 * np.log(y @ solved) - 0.5 * np.linalg.slogdet(C)[1])
            predictions.append(signal * K @ solved)
    share = np.exp(np.array(log_likelihood) - max(log_likelihood))
    expected = share / share.sum() @ np.array(predictions)
    weights = fit_average(eigen_kernels(train, MIXTURES), train, y[:, None])
    np.testing.assert_allclose(predict(weights, train)[:, 0], expected, atol=1e-8)


def test_noise_is_predicted_as_nothing_and_a_signal_as_it_is() -> None:
    rng = np.random.default_rng(1)
    train = views(rng, n=400)
    signal = train["b"] @ rng.normal(size=7)
    targets = np.column_stack([signal + 0.1 * rng.normal(size=400) * signal.std(), rng.normal(size=400)])
    weights = fit_average(eigen_kernels(train, MIXTURES), train, targets - targets.mean(axis=0))
    predicted = predict(weights, train)
    assert np.corrcoef(predicted[:, 0], signal)[0, 1] > 0.99
    assert predicted[:, 1].std() < 0.1
    assert np.abs(weights["a"][:, 0]).max() < 0.1 * np.abs(weights["b"][:, 0]).max()  # the view that tells nothing


def test_a_mixture_of_a_view_that_is_not_there_is_left_out() -> None:
    train = views(np.random.default_rng(2))
    assert len(eigen_kernels({"a": train["a"]}, MIXTURES)) == 1


@pytest.mark.parametrize("n", [1, 2, 3])
def test_hardly_any_rows_and_constant_targets_are_no_hurdle(n: int) -> None:
    X = {"a": np.zeros((n, 2)) if n == 1 else np.linspace(-1, 1, 2 * n).reshape(n, 2)}
    weights = fit_average(eigen_kernels(X, MIXTURES), X, np.zeros((n, 1)))
    assert np.isfinite(weights["a"]).all()
