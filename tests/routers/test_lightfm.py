import dataclasses
import sys

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, InteractionMatrix
from recroute.data.llm_table import LLMFeatures
from recroute.errors import RecrouteError
from recroute.routers import make_router, router_names
from recroute.routers.lightfm import principal_directions
from recroute.testing import planted_dataset

LOSSES = ["warp", "bpr", "logistic"]


@pytest.fixture(scope="module")
def families() -> Dataset:
    """Planted data whose LLMs come in families: each family solves one kind of prompt."""
    data = planted_dataset(n_instances=300, n_llms=12, noise=0.05)
    family = [f"family-{i % 3}" for i in range(12)]
    return dataclasses.replace(data, llms=data.llms.with_columns(family=pl.Series(family)))


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_finds_the_right_llm(loss: str, families: Dataset) -> None:
    router = make_router("lightfm", loss=loss, n_epochs=10).fit(families)
    choice = router.rank(families).llm_index[:, 0]
    assert families.interactions.dense()[np.arange(300), choice].mean() > 0.85


@pytest.mark.parametrize(("loss", "tolerance"), [("warp", 1e-4), ("bpr", 1e-4), ("logistic", 0.03)])
def test_predictions_are_on_the_scale_of_scores(loss: str, tolerance: float, families: Dataset) -> None:
    """Each LLM's mean is the mean of its scores, and one point more predicted is one point more observed.

    For the ranking losses both are solved for; the logistic loss comes close to them.
    """
    observed = families.interactions.dense()
    predicted = make_router("lightfm", loss=loss, n_epochs=30).fit(families).score(families)
    np.testing.assert_allclose(predicted.mean(axis=0), observed.mean(axis=0), atol=tolerance)
    above_mean = predicted - predicted.mean(axis=0)
    slope = (above_mean * (observed - observed.mean(axis=0))).sum() / (above_mean**2).sum()
    assert slope == pytest.approx(1, abs=tolerance)


def test_predictions_of_the_logistic_loss_are_probabilities(families: Dataset) -> None:
    predicted = make_router("lightfm", loss="logistic", n_epochs=30).fit(families).score(families)
    assert predicted.min() >= 0
    assert predicted.max() <= 1


@pytest.mark.parametrize("loss", LOSSES)
def test_an_unseen_llm_scores_as_its_family_does(loss: str, families: Dataset) -> None:
    router = make_router("lightfm", loss=loss, n_epochs=30).fit(families)
    table = pl.DataFrame({"llm_id": ["new-1", "new-0"], "family": ["family-1", "family-0"]})
    grown = router.add_llms(None, table)
    predicted = grown.score(families, llms=["new-1", "new-0"])
    translate = families.tasks == "translate"  # what LLMs of family 1 solve
    assert predicted[translate, 0].mean() > predicted[translate, 1].mean() + 0.1
    assert predicted[~translate, 0].mean() < predicted[translate, 0].mean() - 0.1
    assert len(grown.llm_mean_) == 14
    assert len(router.llm_ids_) == 12


@pytest.mark.parametrize("loss", LOSSES)
def test_an_unseen_llm_survives_saving(loss: str, families: Dataset, tmp_path: object) -> None:
    table = pl.DataFrame({"llm_id": ["new"], "family": ["family-1"]})
    grown = make_router("lightfm", loss=loss).fit(families).add_llms(None, table)
    grown.save(f"{tmp_path}/router")
    loaded = type(grown).load(f"{tmp_path}/router")
    np.testing.assert_array_equal(loaded.score(families), grown.score(families))
    np.testing.assert_array_equal(
        loaded.add_llms(None, table.with_columns(llm_id=pl.lit("newer"))).score(families, llms=["newer"]),
        grown.score(families, llms=["new"]),
    )


def test_known_ids_and_rows_that_do_not_fit_are_refused(families: Dataset) -> None:
    router = make_router("lightfm", n_epochs=1).fit(families)
    with pytest.raises(RecrouteError, match="are 1 x 1; give a row for each of the 300 training prompts"):
        router.add_llms(InteractionMatrix.from_dense([[1.0]]), pl.DataFrame({"llm_id": ["new"]}))
    with pytest.raises(RecrouteError, match="the router already has llm 'llm-3'"):
        router.add_llms(None, pl.DataFrame({"llm_id": ["llm-3"]}))
    with pytest.raises(RecrouteError, match="not fitted"):
        make_router("lightfm").add_llms(None, pl.DataFrame({"llm_id": ["new"]}))


def test_records_tell_more_than_metadata(families: Dataset) -> None:
    router = make_router("lightfm").fit(families)
    scores = np.column_stack([families.interactions.dense()[:, 1], np.full(300, np.nan)])  # solves what family 1 does
    table = pl.DataFrame({"llm_id": ["tried", "not tried"], "family": ["family-0", "family-0"]})
    predicted = router.add_llms(InteractionMatrix.from_dense(scores), table).score(
        families, llms=["tried", "not tried"]
    )
    alone = router.add_llms(None, table).score(families, llms=["not tried"])
    translate = families.tasks == "translate"  # what LLMs of family 1 solve
    assert predicted[translate, 0].mean() > predicted[translate, 1].mean() + 0.3
    np.testing.assert_allclose(predicted[:, [1]], alone, atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_unobserved_is_not_taken_for_a_failure(loss: str) -> None:
    data = planted_dataset(n_instances=600, noise=0.0)
    block = data.interactions.dense()
    block[::2, 4] = np.nan  # half of the records of LLM 4 are missing; its twin LLM 1 has all
    data = dataclasses.replace(data, interactions=InteractionMatrix.from_dense(block))
    predicted = make_router("lightfm", loss=loss, n_epochs=30).fit(data).score(data)
    translate = data.tasks == "translate"
    assert predicted[translate, 4].mean() > predicted[translate][:, [0, 2, 3, 5]].mean() + 0.3


def test_graded_scores_are_predicted_as_they_are() -> None:
    data = planted_dataset(n_instances=600, noise=0.0)
    data = dataclasses.replace(data, interactions=InteractionMatrix.from_dense(0.3 + 0.4 * data.interactions.dense()))
    predicted = make_router("lightfm", loss="logistic", n_epochs=50).fit(data).score(data)
    np.testing.assert_allclose(predicted, data.interactions.dense(), atol=0.1)


@pytest.mark.parametrize("loss", LOSSES)
def test_instances_without_contrast_do_no_harm(loss: str) -> None:
    data = planted_dataset(n_instances=120)
    block = data.interactions.dense()
    block[:60] = 1
    data = dataclasses.replace(data, interactions=InteractionMatrix.from_dense(block))
    assert np.isfinite(make_router("lightfm", loss=loss).fit(data).score(data)).all()


def test_without_lightfm_only_the_fit_is_refused(monkeypatch: pytest.MonkeyPatch, planted: Dataset) -> None:
    monkeypatch.setitem(sys.modules, "lightfm", None)  # import raises ImportError
    assert "lightfm" in router_names()
    with pytest.raises(RecrouteError, match=r"pip install 'recroute\[lightfm\]'"):
        make_router("lightfm").fit(planted)


def test_a_fitted_router_scores_without_lightfm(monkeypatch: pytest.MonkeyPatch, planted: Dataset) -> None:
    router = make_router("lightfm", n_epochs=1).fit(planted)
    monkeypatch.setitem(sys.modules, "lightfm", None)
    assert router.score(planted).shape == (planted.n_instances, planted.n_llms)


def test_principal_components_are_uncorrelated_and_of_mean_square_one() -> None:
    X = np.random.default_rng(0).normal(size=(100, 6)) * np.arange(1, 7)
    X -= X.mean(axis=0)
    features = X @ principal_directions(X, 3)
    covariance = features.T @ features / 100
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0, atol=1e-10)
    assert np.trace(covariance) == pytest.approx(1)


def test_features_of_llms_are_one_hot_families_and_standardised_logarithms() -> None:
    table = pl.DataFrame({"llm_id": ["a", "b", "c"], "family": ["x", "y", None], "n_params_b": [1.0, 100.0, None]})
    found = LLMFeatures.fit(table)(table)
    np.testing.assert_allclose(found, [[1, 0, -1, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]], atol=1e-6)


def test_an_unknown_family_and_missing_columns_are_zero() -> None:
    features = LLMFeatures.fit(pl.DataFrame({"llm_id": ["a"], "family": ["x"], "price_in": [0.0]}))
    np.testing.assert_array_equal(features(pl.DataFrame({"llm_id": ["b"], "family": ["z"]})), np.zeros((1, 4)))
    np.testing.assert_array_equal(features(pl.DataFrame({"llm_id": ["b"]})), np.zeros((1, 4)))
