"""Predictions on the scale of the scores."""

import numpy as np
import pytest

from recroute.data import Dataset, Precomputed
from recroute.routers import make_router


@pytest.mark.parametrize("router", ["bpr", "lmf", "knn(n_neighbors=20)"])
def test_calibrated_predictions_are_on_the_scale_of_the_scores(planted: Dataset, router: str) -> None:
    rows = np.arange(planted.n_instances)
    train, held = planted.take_instances(rows[::2]), planted.take_instances(rows[1::2])
    scores = held.interactions.dense()
    plain = make_router(router).fit(train).score(held)
    calibrated = make_router("calibrated", router=router).fit(train).score(held)
    assert ((calibrated - scores) ** 2).mean() < ((plain - scores) ** 2).mean() + 0.005
    assert calibrated.mean() == pytest.approx(scores.mean(), abs=0.03)
    high = calibrated > np.median(calibrated)
    for half in (high, ~high):  # what is predicted is what is seen, among low and among high predictions
        assert calibrated[half].mean() == pytest.approx(scores[half].mean(), abs=0.06)


def test_what_does_not_hold_on_unseen_prompts_leaves_the_means(planted: Dataset) -> None:
    rng = np.random.default_rng(0)
    noise = planted.with_embeddings(rng.normal(size=(planted.n_instances, 8)).astype(np.float32), Precomputed("noise"))
    router = make_router("calibrated", router="knn(n_neighbors=5)", views="embedding").fit(noise)
    _, _, of_router = router.coefficient_
    assert abs(of_router) < 0.1
