"""Gaussian process regression on several views, with Bayesian model averaging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recroute.util.numeric import Array

SIGNAL = np.geomspace(0.003, 100, 14)  # candidate ratios of signal variance to noise variance
MIN_EIGENVALUE = 1e-9  # share of the largest eigenvalue below which one counts as zero


@dataclass(frozen=True, eq=False)
class Kernel:
    """A mixture of views and its eigendecomposition.

    Parameters
    ----------
    weight : dict of str to float
        Share of each view in the prior variance.
    value : f64 (r,)
        Eigenvalues of the Gram matrix of the weighted features.
    basis : f64 (p, r)
        Eigenvectors.
    """

    weight: Mapping[str, float]
    value: Array
    basis: Array


def eigen_kernels(views: Mapping[str, Array], mixtures: Sequence[Mapping[str, float]]) -> list[Kernel]:
    """Decompose mixtures of views, once for any number of targets.

    Parameters
    ----------
    views : dict of str to f64 (n, p_v)
        Centred features of mean squared length 1.
    mixtures : list of dict
        Shares of the views; mixtures with a view that is missing are skipped.
    """
    return kernels_of(gram_of(views), {name: X.shape[1] for name, X in views.items()}, mixtures)


def gram_of(views: Mapping[str, Array]) -> Array:
    """Gram matrix f64 (p, p) of all views side by side."""
    features = np.hstack(list(views.values()))
    return np.asarray(features.T @ features)


def kernels_of(gram: Array, widths: Mapping[str, int], mixtures: Sequence[Mapping[str, float]]) -> list[Kernel]:
    """`eigen_kernels` from the Gram matrix f64 (p, p) of views with these widths, in this order."""
    starts = dict(zip(widths, np.cumsum([0, *widths.values()]), strict=False))
    kernels = []
    for mixture in mixtures:
        if set(mixture) <= set(widths):
            at = np.concatenate([starts[name] + np.arange(widths[name]) for name in mixture])
            scale = np.concatenate([np.full(widths[name], np.sqrt(share)) for name, share in mixture.items()])
            value, basis = np.linalg.eigh(gram[np.ix_(at, at)] * np.outer(scale, scale))
            kept = value > MIN_EIGENVALUE * value[-1]
            kernels.append(Kernel(mixture, value[kept], basis[:, kept]))
    return kernels


def fit_average(kernels: Sequence[Kernel], views: Mapping[str, Array], targets: Array) -> dict[str, Array]:
    """Gaussian process regression of each target, averaged over kernels by their marginal likelihoods.

    The models of a target y are y ~ N(0, noise * (I + signal * K)) for every kernel K and every ratio in `SIGNAL`, and
    pure noise, which has half of the prior probability. Predictions are averaged with weights proportional to prior
    times marginal likelihood, with the noise variance integrated out (Bayesian model averaging). So a target that the
    views cannot predict is shrunk to 0, however many features there are, and a target that one view predicts relies on
    that view.
    Source: MacKay, Bayesian interpolation, Neural Computation 1992; Hoeting et al., Bayesian model
    averaging, Statistical Science 1999.

    Parameters
    ----------
    kernels : list of Kernel
        Computed from the same views.
    views : dict of str to f64 (n, p_v)
    targets : f64 (n, k)
        Centred.

    Returns
    -------
    dict of str to f64 (p_v, k)
        Weights of each view; the prediction is the sum over views of features @ weights.
    """
    products = {name: X.T @ targets for name, X in views.items()}  # (p, n) x (n, k) -> (p, k), shared by all kernels
    return average(kernels, len(targets), (targets**2).sum(axis=0), products)


def average(kernels: Sequence[Kernel], n: float, total: Array, products: Mapping[str, Array]) -> dict[str, Array]:
    """`fit_average` from sums over n rows.

    Parameters
    ----------
    kernels : list of Kernel
    n : float
    total : f64 (k,)
        Sum of squares of each target.
    products : dict of str to f64 (p_v, k)
        Sums of features times targets.
    """
    # a priori, pure noise is as likely as all models with a signal together
    parts, log_likelihood = [], [np.full((1, len(total)), np.log(max(len(kernels) * len(SIGNAL), 1)))]
    for kernel in kernels:
        product = np.vstack([np.sqrt(share) * products[name] for name, share in kernel.weight.items()])
        projected = (kernel.basis.T @ product) / np.sqrt(kernel.value)[:, None]  # targets in the kernel's basis (r, k)
        strength = SIGNAL[:, None] * kernel.value  # (s, r)
        explained = (strength / (1 + strength)) @ projected**2  # (s, k)
        rest = 1 - explained / np.where(total > 0, total, 1)
        log_likelihood.append(-0.5 * n * np.log(rest.clip(1e-12)) - 0.5 * np.log1p(strength).sum(axis=1)[:, None])
        parts.append((kernel, projected, strength))
    share = np.exp(np.vstack(log_likelihood) - np.vstack(log_likelihood).max(axis=0))
    share /= share.sum(axis=0)
    weights = {name: np.zeros(product.shape) for name, product in products.items()}
    for i, (kernel, projected, strength) in enumerate(parts):
        of_kernel = share[1 + i * len(SIGNAL) : 1 + (i + 1) * len(SIGNAL)]  # (s, k); row 0 of `share` is pure noise
        shrunk = (strength / (1 + strength)).T @ of_kernel * projected / np.sqrt(kernel.value)[:, None]  # (r, k)
        start, coefficients = 0, kernel.basis @ shrunk  # (p, k)
        for name, part in kernel.weight.items():
            stop = start + len(products[name])
            weights[name] += np.sqrt(part) * coefficients[start:stop]
            start = stop
    return weights
