from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import recroute as rr
from recroute.data import Dataset, Precomputed, embeddings, read_dataset, write_dataset
from recroute.errors import DataError
from recroute.routers.sums.fit import fit_from_sums
from recroute.testing import planted_dataset
from recroute.util.mapped import MappedRows


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.setattr(embeddings, "MAPPED_FROM", 1)
    planted = planted_dataset(n_instances=300, n_llms=5, noise=0.2)
    vectors = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float16).astype(np.float32)
    return planted.with_embeddings(vectors, Precomputed("planted"))


@pytest.mark.parametrize("float16", [False, True])
def test_mapped_vectors_are_the_written_ones(data: Dataset, tmp_path: Path, float16: bool) -> None:
    write_dataset(data, tmp_path / "a", float16=float16)
    found = read_dataset(tmp_path / "a")
    assert isinstance(found.embeddings, MappedRows)
    assert found.embeddings.stored == (np.float16 if float16 else np.float32)
    np.testing.assert_array_equal(np.asarray(found.embeddings), data.embeddings)
    some = np.array([7, 3, 250])
    np.testing.assert_array_equal(found.take_instances(some).embeddings[:], data.take_instances(some).embeddings)
    write_dataset(found.take_instances(np.arange(100)), tmp_path / "b")
    again = read_dataset(tmp_path / "b").embeddings
    assert isinstance(again, MappedRows)
    assert again.stored == found.embeddings.stored


def test_routers_do_not_see_the_difference(data: Dataset, tmp_path: Path) -> None:
    write_dataset(data, tmp_path / "a", float16=True)
    found = read_dataset(tmp_path / "a")
    for name in ("knn", "ridge", "hierarchy", "item_knn"):
        one, other = (rr.make_router(name).fit(each).score(data.embeddings) for each in (data, found))
        np.testing.assert_array_equal(one, other)
    router = rr.make_router("svd(n_factors=2)").fit(found)
    router.save(tmp_path / "router")
    loaded = rr.load_router(tmp_path / "router")
    np.testing.assert_array_equal(loaded.score(found), router.score(found.embeddings))
    one, other = (fit_from_sums(each, rr.make_router("ease")).score(data) for each in (data, found))
    np.testing.assert_array_equal(one, other)


def test_a_mapped_data_set_outlives_its_folder(data: Dataset, tmp_path: Path) -> None:
    write_dataset(data, tmp_path / "a")
    found = read_dataset(tmp_path / "a")
    write_dataset(data.with_embeddings(data.embeddings + 1, Precomputed("other")), tmp_path / "a")
    np.testing.assert_array_equal(np.asarray(found.embeddings), data.embeddings)


def test_vectors_in_another_order_are_mapped_too(data: Dataset, tmp_path: Path) -> None:
    write_dataset(data, tmp_path / "a")
    ids = np.array(data.instance_ids.ids)
    np.savez(tmp_path / "a" / "embeddings.npz", instance_id=ids[::-1], embedding=data.embeddings[::-1])
    found = read_dataset(tmp_path / "a").embeddings
    assert isinstance(found, MappedRows)
    np.testing.assert_array_equal(np.asarray(found), data.embeddings)


def test_a_value_that_is_no_number_names_its_instance(data: Dataset, tmp_path: Path) -> None:
    write_dataset(data, tmp_path / "a")
    values = data.embeddings.astype(np.float16)
    values[4, 2] = np.inf
    np.savez(tmp_path / "a" / "embeddings.npz", instance_id=np.array(data.instance_ids.ids), embedding=values)
    with pytest.raises(DataError, match=f"instance '{data.instance_ids.ids[4]}' has a value that is not finite"):
        read_dataset(tmp_path / "a")


def test_float16_refuses_what_it_cannot_hold(data: Dataset, tmp_path: Path) -> None:
    values = data.embeddings.copy()
    values[9, 1] = -70_000
    large = replace(data, embeddings=values)
    with pytest.raises(DataError, match=f"{data.instance_ids.ids[9]}' has a value beyond 65,504.*write float32"):
        write_dataset(large, tmp_path / "a", float16=True)
    assert not (tmp_path / "a").exists()
    write_dataset(large, tmp_path / "a")
    assert np.asarray(read_dataset(tmp_path / "a").embeddings).min() == -70_000
