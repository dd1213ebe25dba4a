import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from recroute.errors import DataError
from recroute.util.mapped import MappedRows, take_rows
from recroute.util.npz import NpzError, read_npz

VALUES = np.arange(60, dtype=np.float32).reshape(12, 5) / 8 - 2
ONE = 1  # byte, from which on a matrix is mapped


@pytest.fixture(params=["f2", "f4"])
def file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "vectors.npz"
    np.savez(path, odd=np.array(["abc"]), rows=VALUES.astype(request.param))
    return path


def mapped(file: Path) -> MappedRows:
    found = read_npz(file, ONE)["rows"]
    assert isinstance(found, MappedRows)
    return found


def test_it_reads_like_an_array_of_single_precision(file: Path) -> None:
    found = mapped(file)
    assert (found.shape, len(found), found.size, found.ndim, found.dtype) == ((12, 5), 12, 60, 2, np.float32)
    flags = np.arange(12) % 3 == 0
    for index in (3, -1, slice(2, 9, 3), np.array([5, 0, 5]), flags, (slice(None), 2), (4, 1)):
        np.testing.assert_array_equal(found[index], VALUES[index])
        assert np.asarray(found[index]).dtype == np.float32
    np.testing.assert_array_equal(np.asarray(found), VALUES)
    np.testing.assert_array_equal(list(found), list(VALUES))
    np.testing.assert_array_equal(found.mean(axis=0), VALUES.mean(axis=0))
    np.testing.assert_array_equal(2 - found, 2 - VALUES)
    np.testing.assert_array_equal(found @ VALUES.T, VALUES @ VALUES.T)
    np.testing.assert_array_equal(VALUES.T @ found, VALUES.T @ VALUES)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found)), VALUES)


def test_rows_are_taken_without_being_read(file: Path) -> None:
    found = mapped(file)
    for first in (slice(1, 11, 2), np.array([7, 2, 9, 11, 0]), np.arange(12) > 6):
        for second in (slice(1, 4), np.array([3, 0]), np.array([True, False, True, False, True])):
            taken = found.rows(first).rows(second)
            np.testing.assert_array_equal(np.asarray(taken), VALUES[first][second])
    assert isinstance(take_rows(found, np.array([1])), MappedRows)
    np.testing.assert_array_equal(take_rows(VALUES, np.array([1])), VALUES[1:2])
    with pytest.raises(IndexError, match="12 is not the position of one of 12 rows"):
        found.rows(np.array([12]))


def test_a_file_that_is_replaced_or_removed_keeps_its_rows(file: Path) -> None:
    found = mapped(file)
    np.savez(file.with_name("new.npz"), rows=VALUES + 1)
    os.replace(file.with_name("new.npz"), file)
    np.testing.assert_array_equal(np.asarray(found), VALUES)
    file.unlink()
    np.testing.assert_array_equal(found[:3], VALUES[:3])


def test_a_file_that_is_overwritten_in_place_is_an_error(file: Path) -> None:
    found = mapped(file)
    content = file.read_bytes()
    with file.open("r+b") as opened:
        opened.write(content[:200])
    os.utime(file, ns=(1, 1))
    with pytest.raises(
        DataError, match=r"vectors.npz was overwritten while its vectors were in use; read the data set"
    ):
        found[:2]
    file.write_bytes(b"")
    with pytest.raises(DataError, match="was overwritten"):
        np.asarray(found)


def test_damage_is_found_when_the_file_is_opened(file: Path) -> None:
    content = bytearray(file.read_bytes())
    at = content.index(VALUES.astype(np.load(file)["rows"].dtype).tobytes())
    content[at + 30] ^= 1
    file.write_bytes(content)
    with pytest.raises(NpzError, match="Bad CRC-32"):
        read_npz(file, ONE)
    file.write_bytes(content[:-40])
    with pytest.raises(NpzError, match="not a zip file"):
        read_npz(file, ONE)


def test_what_is_compressed_or_no_matrix_is_read(tmp_path: Path) -> None:
    kinds = {"doubles": np.eye(3), "line": np.ones(9, np.float32), "columns": np.asfortranarray(VALUES)}
    np.savez(tmp_path / "kinds.npz", **kinds)
    np.savez_compressed(tmp_path / "small.npz", rows=VALUES)
    for name, found in {**read_npz(tmp_path / "kinds.npz", ONE), **read_npz(tmp_path / "small.npz", ONE)}.items():
        assert isinstance(found, np.ndarray), name
        np.testing.assert_array_equal(found, kinds.get(name, VALUES))


def test_the_largest_magnitude_is_known(tmp_path: Path) -> None:
    for values, largest in (([[1, -3]], 3), ([[np.inf, 1]], np.inf), ([[-np.nan, 1]], np.nan), ([[-0.0, 0]], 0)):
        for kind in (np.float16, np.float32):
            np.savez(tmp_path / "a.npz", rows=np.array(values, kind))
            np.testing.assert_equal(mapped(tmp_path / "a.npz").largest, largest)
