"""Several views of a text side by side."""

from pathlib import Path

import numpy as np
import pytest

from recroute.data import Dataset, Precomputed
from recroute.encoders import JointEncoder, SurfaceEncoder, TfidfEncoder, fit_encoder, main_encoder, vectors_of
from recroute.errors import RecrouteError
from recroute.routers import load_router, make_router


@pytest.fixture
def carried(planted: Dataset) -> Dataset:
    """A data set that came with vectors."""
    vectors = np.random.default_rng(0).normal(size=(planted.n_instances, 5)).astype(np.float32)
    return planted.with_embeddings(vectors, Precomputed("theirs"))


def test_auto_puts_the_vectors_that_came_with_the_data_first(carried: Dataset) -> None:
    encoder = fit_encoder(carried)
    assert isinstance(encoder, JointEncoder)
    assert [type(part) for part in encoder.parts] == [Precomputed, TfidfEncoder, SurfaceEncoder]
    joined = vectors_of(carried, encoder)
    assert joined.shape[1] == sum(encoder.widths)
    np.testing.assert_array_equal(joined[:, :5], carried.embeddings)
    assert main_encoder(encoder) == Precomputed("theirs")


@pytest.mark.parametrize(("kind", "parts"), [("tfidf", [TfidfEncoder, SurfaceEncoder]), ("precomputed", None)])
def test_a_kind_that_is_named_does_without_the_rest(carried: Dataset, kind: str, parts: list[type] | None) -> None:
    encoder = fit_encoder(carried, kind)
    if parts is None:
        assert encoder == Precomputed("theirs")
    else:
        assert isinstance(encoder, JointEncoder)
        assert [type(part) for part in encoder.parts] == parts


def test_a_part_is_found_among_joined_vectors(carried: Dataset) -> None:
    encoder = fit_encoder(carried)
    assert isinstance(encoder, JointEncoder)
    prepared = carried.with_embeddings(vectors_of(carried, encoder), encoder)
    for part, width in zip(encoder.parts, encoder.widths, strict=True):
        found = vectors_of(prepared, part)
        assert found.shape[1] == width
        expected = carried.embeddings if part is encoder.parts[0] else part.encode(carried.prompts or [])
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_new_text_cannot_get_vectors_that_came_with_the_data(carried: Dataset) -> None:
    router = make_router("ridge").fit(carried)
    with pytest.raises(RecrouteError, match="new text cannot get one"):
        router.score(["multiply"])


@pytest.mark.parametrize("views", ["embedding", "tfidf", "all"])
def test_a_saved_router_reads_raw_text_by_its_own_views(planted: Dataset, tmp_path: Path, views: str) -> None:
    router = make_router("svd", views=views).fit(planted)
    router.save(tmp_path / "router")
    loaded = load_router(tmp_path / "router")
    prompts = ["multiply the integers 3 and 4", "compile the program"]
    np.testing.assert_array_equal(router.score(prompts), loaded.score(prompts))
    assert isinstance(loaded.encoder_, JointEncoder if views == "all" else TfidfEncoder)


def test_tfidf_is_read_beside_vectors_that_came_with_the_data(carried: Dataset) -> None:
    encoder = fit_encoder(carried)
    assert encoder is not None
    prepared = carried.with_embeddings(vectors_of(carried, encoder), encoder)
    router = make_router("ridge", views="tfidf").fit(prepared)
    assert isinstance(router.encoder_, TfidfEncoder)
    np.testing.assert_allclose(router.score(prepared), router.score(prepared.prompts), atol=1e-5)
    with pytest.raises(RecrouteError, match="only the vectors that the data set came with"):
        make_router("ridge", views="tfidf").fit(carried)


def test_an_unknown_view_is_refused() -> None:
    with pytest.raises(RecrouteError, match="unknown views 'everything' of svd"):
        make_router("svd", views="everything")


def test_surface_features_are_standardised_and_bounded(planted: Dataset) -> None:
    prompts = [f"Compute {i} + {i}?" if i % 2 else f"def f(x):\n  return x\n# {i}" for i in range(100)]
    encoder = SurfaceEncoder.fit(prompts)
    vectors = encoder.encode(prompts)
    assert (vectors**2).sum(axis=1).mean() == pytest.approx(1, abs=0.5)
    np.testing.assert_allclose(vectors.mean(axis=0), 0, atol=1e-5)
    strange = encoder.encode(["", "9" * 10_000, "\u2028" * 50])
    assert np.isfinite(strange).all()
    assert np.abs(strange).max() <= 3
    assert np.linalg.norm(vectors[0] - vectors[1]) > 5 * np.linalg.norm(vectors[0] - vectors[2])  # code from sums
