"""Regression on several views at once, averaged over models by their marginal likelihoods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recroute.util.numeric import Array

SIGNAL = np.geomspace(0.003, 100, 14)  # prior variance of the signal in units of the noise's
SMALL = 1e-9  # eigenvalues below this share of the largest are nought


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
        Its eigenvectors.
    """

    weight: Mapping[str, float]
    value: Array
    basis: Array


def eigen_kernels(views: Mapping[str, Array], mixtures: Sequence[Mapping[str, float]]) -> list[Kernel]:
    """The mixtures of the views that are there, ready for any number of targets.

    Parameters
    ----------
    views : dict of str to f64 (n, p_v)
        Centred features of mean squared length 1.
    mixtures : list of dict
        Shares of the views; a mixture that names a view that is not there is left out.
    """
    found = []
    for mixture in mixtures:
        if set(mixture) <= set(views):
            features = np.hstack([np.sqrt(share) * views[name] for name, share in mixture.items()])
            value, basis = np.linalg.eigh(features.T @ features)
            kept = value > SMALL * value[-1]
            found.append(Kernel(mixture, value[kept], basis[:, kept]))
    return found


def fit_average(kernels: Sequence[Kernel], views: Mapping[str, Array], targets: Array) -> dict[str, Array]:
    """Weights of a Gaussian process regression of each target, averaged over kernels by their marginal likelihoods.

    Every target y is given the models y ~ N(0, noise * (I + signal * K)) for every kernel K and every ratio in
    `SIGNAL`, and the model of pure noise, which has half of the prior probability. Their marginal likelihoods, with
    the noise integrated out, times the priors are the weights of an average of their predictions (Bayesian model
    averaging). So a target that the views do not tell is shrunk to
    0 however many features there are, and one that a single view tells is left to that view.
    Source: MacKay, Bayesian interpolation, Neural Computation 1992; Hoeting et al., Bayesian model
    averaging, Statistical Science 1999.

    Parameters
    ----------
    kernels : list of Kernel
        From the same views.
    views : dict of str to f64 (n, p_v)
    targets : f64 (n, k)
        Centred.

    Returns
    -------
    dict of str to f64 (p_v, k): prediction = sum over views of features @ weights
    """
    n, total = len(targets), (targets**2).sum(axis=0)
    products = {name: X.T @ targets for name, X in views.items()}  # (p, n) x (n, k) -> (p, k), once for all kernels
    # before the data are seen, pure noise is as likely as all models of a signal together
    parts, log_likelihood = [], [np.full((1, targets.shape[1]), np.log(max(len(kernels) * len(SIGNAL), 1)))]
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
    weights = {name: np.zeros((X.shape[1], targets.shape[1])) for name, X in views.items()}
    for i, (kernel, projected, strength) in enumerate(parts):
        of_kernel = share[1 + i * len(SIGNAL) : 1 + (i + 1) * len(SIGNAL)]  # (s, k); row 0 is the model of pure noise
        shrunk = (strength / (1 + strength)).T @ of_kernel * projected / np.sqrt(kernel.value)[:, None]  # (r, k)
        start, coefficients = 0, kernel.basis @ shrunk  # (p, k)
        for name, part in kernel.weight.items():
            stop = start + views[name].shape[1]
            weights[name] += np.sqrt(part) * coefficients[start:stop]
            start = stop
    return weights
