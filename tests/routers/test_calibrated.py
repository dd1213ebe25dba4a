"""Predictions on the scale of the scores."""

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, InteractionMatrix, Precomputed
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


def test_weak_llms_that_were_given_easy_prompts_only_do_not_turn_the_order_around() -> None:
    rng = np.random.default_rng(0)
    easy = np.arange(120) < 90
    chance = np.where(easy[:, None], [0.9, 0.85, 0.8, 0.75], [0.3, 0.25, 0.2, 0.15])
    scores = (rng.random((120, 4)) < chance).astype(np.float32)
    scores[:, 2:][~easy], scores[:60, :2] = np.nan, np.nan  # the weak ones on easy prompts, the strong on the others
    table = {"instance_id": [str(i) for i in range(120)], "task": np.where(easy, "easy", "hard")}
    data = Dataset(
        name="by task",
        interactions=InteractionMatrix.from_dense(scores),
        instances=pl.DataFrame(table),
        llms=pl.DataFrame({"llm_id": list("abcd")}),
    )
    vectors = rng.normal(size=(120, 4)).astype(np.float32)
    router = make_router("calibrated").fit(data.with_embeddings(vectors, Precomputed("noise")))
    assert (router.coefficient_[1:] >= 0).all()
    assert np.argmax(router.score(vectors[:1])) in (0, 1)
