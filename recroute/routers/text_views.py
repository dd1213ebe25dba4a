"""Feature views of a prompt for `hierarchy`: predicted task, prompt vector, and kernel similarity to known prompts."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.util.numeric import Array
from recroute.util.state import array

N_LANDMARKS = 300
INVERSE_PENALTY = 10.0  # of the task classifier; on unit vectors any value from 3 to 30 gives the same results


@dataclass(frozen=True, eq=False)
class TextViews:
    """Maps prompt vectors to views, each centred and with mean squared length 1 on the training prompts.

    Parameters
    ----------
    centre : f64 (d,)
        Mean training vector.
    scale : f64 (4,)
        Scales of the vector and of the views "text", "near" and "task".
    task_weight, task_offset : f64 (d, t), f64 (t,)
        Logistic regression of the task; t is 0 if there is only one task.
    task_centre : f64 (t,)
        Share of each task in the training data.
    landmarks : f64 (r, d)
        Training vectors that the kernel is evaluated at.
    near_map, near_centre : f64 (r, q), f64 (q,)
        Map from kernel values to features (Nystroem), and the mean of these features.
    """

    centre: Array = array("width")
    scale: Array = array("4", low=1e-12)
    task_weight: Array = array("width", "n_tasks?")
    task_offset: Array = array("n_tasks?")
    task_centre: Array = array("n_tasks?")
    landmarks: Array = array("n_landmarks", "width")
    near_map: Array = array("n_landmarks", "n_near")
    near_centre: Array = array("n_near")

    def task_shares(self, X: NDArray[np.floating]) -> Array:
        """Probability of each task, f64 (b, t)."""
        logit = (X - self.centre) @ self.task_weight + self.task_offset
        share = np.exp(logit - logit.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(share / share.sum(axis=1, keepdims=True).clip(min=1e-300))

    def __call__(self, X: NDArray[np.floating], task: Array | None = None) -> dict[str, Array]:
        """Features (b, ...) of vectors float (b, d), by view; tasks are predicted unless given one-hot, f64 (b, t)."""
        centred = np.asarray(X, dtype=np.float64) - self.centre
        kernel = _gauss(centred / self.scale[0], self.landmarks)
        views = {
            "text": centred / self.scale[1],
            "near": (kernel @ self.near_map - self.near_centre) / self.scale[2],
        }
        if len(self.task_offset):
            shares = self.task_shares(X) if task is None else task
            views["task"] = (shares - self.task_centre) / self.scale[3]
        return views


def fit_text_views(X: NDArray[np.floating], tasks: NDArray[np.str_], seed: int) -> tuple[TextViews, Array]:
    """Fit the views to training vectors float (n, d) with tasks str (n,); also returns one-hot tasks f64 (n, t)."""
    centre = X.mean(axis=0, dtype=np.float64)
    centred = X - centre
    length = max(_length(centred), 1e-12)
    names, code = np.unique(tasks, return_inverse=True)
    one_hot = np.eye(len(names))[code] if len(names) > 1 else np.zeros((len(X), 0))
    weight, offset = _fit_tasks(centred, code, len(names))
    chosen = np.sort(np.random.default_rng([seed, 5]).permutation(len(X))[:N_LANDMARKS])
    landmarks = centred[chosen] / length
    value, vectors = np.linalg.eigh(_gauss(landmarks, landmarks))
    kept = value > 1e-8 * value[-1]
    near_map = vectors[:, kept] / np.sqrt(
        value[kept]
    )  # Nystroem: inner products of the features approximate the kernel
    near = _gauss(centred / length, landmarks) @ near_map
    scale = [length, length, _length(near - near.mean(axis=0)), _length(one_hot - one_hot.mean(axis=0))]
    views = TextViews(
        centre=centre,
        scale=np.maximum(scale, 1e-12),
        task_weight=weight,
        task_offset=offset,
        task_centre=one_hot.mean(axis=0),
        landmarks=landmarks,
        near_map=near_map,
        near_centre=near.mean(axis=0),
    )
    return views, one_hot


def _fit_tasks(centred: Array, code: NDArray[np.int64], n_tasks: int) -> tuple[Array, Array]:
    if n_tasks < 2:
        return np.zeros((centred.shape[1], 0)), np.zeros(0)
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():  # with few prompts per task scikit-learn suspects a regression target
        warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
        model = LogisticRegression(C=INVERSE_PENALTY, tol=1e-3, max_iter=1000).fit(centred, code)
    if n_tasks == 2:  # scikit-learn then stores the log odds of the second class only
        return np.column_stack([np.zeros(len(model.coef_.T)), model.coef_[0]]), np.array([0.0, model.intercept_[0]])
    return model.coef_.T.copy(), model.intercept_.copy()


def _length(features: Array) -> float:
    return float(np.sqrt((features**2).sum(axis=1).mean())) if features.size else 1.0


def _gauss(X: Array, landmarks: Array) -> Array:
    """Gaussian kernel of width 1, f64 (b, r), of vectors with mean squared length 1."""
    squared = (X**2).sum(axis=1)[:, None] + (landmarks**2).sum(axis=1) - 2 * X @ landmarks.T
    return np.asarray(np.exp(-squared.clip(min=0) / 2))
