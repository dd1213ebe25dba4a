"""Ids keep their order and are found again, whatever they are made of."""

import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, IdMap, InteractionMatrix, read_dataset, write_dataset
from recroute.data.encoding import Precomputed
from recroute.errors import DataError, UnknownNameError

TEXTS = ("z", "ä", "日本", "", "a b", "\N{GRINNING FACE}")


@pytest.mark.parametrize("given", [TEXTS, list(TEXTS), pl.Series(TEXTS), np.array(TEXTS)])
def test_ids_of_any_letters_keep_their_order(given: object) -> None:
    ids = IdMap(given, "llm")  # type: ignore[arg-type]
    assert ids.ids == tuple(ids) == TEXTS
    assert [ids.position(value) for value in TEXTS] == ids.to_index(TEXTS).tolist() == list(range(len(TEXTS)))
    assert "日本" in ids
    assert "本" not in ids
    assert ids == IdMap(TEXTS, "llm") == pickle.loads(pickle.dumps(ids))
    assert hash(ids) == hash(IdMap(TEXTS, "llm"))
    assert ids.take(np.array([2, 0])).ids == ("日本", "z")


def test_ids_differ_by_kind_and_by_order() -> None:
    assert IdMap(("a", "b"), "llm") != IdMap(("b", "a"), "llm")
    assert IdMap(("a", "b"), "llm") != IdMap(("a", "b"), "instance")


def test_no_ids() -> None:
    ids = IdMap((), "llm")
    assert len(ids) == 0
    assert ids == IdMap(pl.Series([], dtype=pl.String), "llm")
    assert repr(ids) == "IdMap(0 llm ids: )"
    with pytest.raises(UnknownNameError):
        ids.to_index(["a"])


def test_places_are_null_for_unknown_ids() -> None:
    assert IdMap(("b", "ä")).places(pl.Series(["ä", "c", "b", "ä"])).to_list() == [1, None, 0, 1]


@pytest.mark.parametrize("column", [True, False])
def test_the_first_id_that_occurs_twice_is_named(column: bool) -> None:
    ids = ("x", "a", "b", "b", "a")
    with pytest.raises(DataError, match=r"^llm_id 'a' occurs twice; keep one row for each id$"):
        IdMap(pl.Series(ids) if column else ids, "llm")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((1, 2), "llm_id 1 is int, not text"),
        (pl.Series([1, 2]), "llm_id 1 is int, not text"),
        (pl.Series(["a", None]), "llm_id None is NoneType, not text"),
        ("abc", "llm ids are 'abc'; give a tuple of texts"),
        (("a", "\ud800"), r"llm_id '\\ud800' holds half a character"),
    ],
)
def test_what_is_no_text_is_refused(given: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        IdMap(given, "llm")  # type: ignore[arg-type]


def test_a_folder_keeps_ids_and_finds_vectors_in_another_order(tmp_path: Path) -> None:
    names = ["z", "ä", "7", "日本"]
    matrix = InteractionMatrix.from_coordinates(np.arange(4), np.array([0, 1, 0, 1]), np.ones(4, np.float32), (4, 2))
    instances = pl.DataFrame({"instance_id": names, "task": ["t"] * 4})
    vectors = np.arange(8, dtype=np.float32).reshape(4, 2)
    llms = pl.DataFrame({"llm_id": ["ö", "1"]})
    write_dataset(Dataset("ids", matrix, instances, llms, vectors, Precomputed("p")), tmp_path / "a")
    found = read_dataset(tmp_path / "a")
    assert found.instance_ids.ids == tuple(names)
    assert found.llm_ids.ids == ("ö", "1")
    np.testing.assert_array_equal(found.embeddings, vectors)
    halves = vectors[::-1].astype(np.float16)
    np.savez(tmp_path / "a" / "embeddings.npz", instance_id=np.array(names[::-1]), embedding=halves)
    np.testing.assert_array_equal(read_dataset(tmp_path / "a").embeddings, vectors)
    assert read_dataset(tmp_path / "a").interactions.coordinates()[1].tolist() == [0, 1, 0, 1]


def test_vectors_with_integer_ids(tmp_path: Path) -> None:
    table = {"instance_id": ["1", "2"], "llm_id": ["a", "a"], "score": [1.0, 0.0]}
    pl.DataFrame(table).write_parquet(tmp_path / "records.parquet")
    np.savez(tmp_path / "embeddings.npz", instance_id=np.array([2, 1]), embedding=np.array([[2.0], [1.0]]))
    found = read_dataset(tmp_path).embeddings
    assert found is not None
    assert found.ravel().tolist() == [1.0, 2.0]
