import numpy as np
import pytest

from recroute.data import Dataset, Precomputed
from recroute.data.content import Content, write_content
from recroute.data.encoding import as_vectors
from recroute.errors import DataError

ROW = {"instance_id": ["q1", "q2"], "llm_id": ["a", "a"], "score": [1.0, 0.0]}
VECTORS = np.array([[0.5, 2.0], [1.0, 3.0]])


@pytest.fixture
def data() -> Dataset:
    return Dataset.from_records(ROW)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.longdouble, np.int64, np.uint8, ">f4"])
def test_floats_and_integers_become_32_bit_floats(data: Dataset, kind: type) -> None:
    given = (2 * VECTORS).astype(kind)
    found = data.with_embeddings(given, Precomputed("theirs")).embeddings
    assert found is not None
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.float32(2 * VECTORS))


def test_lists_are_vectors_too() -> None:
    np.testing.assert_array_equal(as_vectors(VECTORS.tolist(), "vectors"), np.float32(VECTORS))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (VECTORS + 1j, "complex128, not real numbers"),
        (VECTORS.astype(object), "object, not real numbers"),
        (VECTORS.astype(str), "not real numbers"),
        (VECTORS > 1, "bool, not real numbers"),
        (VECTORS.astype("datetime64[s]"), "not real numbers"),
        (VECTORS.astype("timedelta64[s]"), "not real numbers"),
        (np.array([1.0, 2.0]), r"the shape \(2,\)"),
        (np.zeros((2, 0)), r"the shape \(2, 0\)"),
        (np.zeros((2, 2, 2)), r"the shape \(2, 2, 2\)"),
        (np.float64(3), r"the shape \(\)"),
        ([[1.0, 2.0], [3.0]], "differ in length"),
        ("vectors", "not real numbers"),
        (np.zeros((3, 2)), "3 embeddings for 2 instances"),
        (np.array([[0, 1], [0, np.nan]]), "instance 'q2' has a value that is not finite.*nan"),
        (np.array([[0, -np.inf], [0, 0]]), "instance 'q1' has a value that is not finite.*-inf"),
        (np.array([[0, 1], [1e300, 0]]), r"instance 'q2' has a value that is too large for 32 bits.*1e\+300"),
        (np.array([[0, np.inf]] * 2, dtype=np.float16), "instance 'q1' has a value that is not finite.*inf"),
    ],
)
def test_anything_else_is_refused_in_one_line(data: Dataset, given: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        data.with_embeddings(given, Precomputed("theirs"))  # type: ignore[arg-type]


def test_an_import_refuses_what_could_not_be_read_again(data: Dataset, tmp_path: object) -> None:
    content = Content(data.instances, data.llms, (), 0, embeddings=np.array([[0, 1], [1e300, 0]]))
    with pytest.raises(DataError, match="instance 'q2' has a value that is too large"):
        write_content(content, tmp_path / "out")  # type: ignore[operator]


def test_a_signalling_nan_is_no_warning(data: Dataset) -> None:
    odd = np.full((2, 2), 0x7FF4_0000_0000_0000, dtype=np.uint64).view(np.float64)
    with pytest.raises(DataError, match=r"instance 'q1' has a value that is not finite.*nan"):
        data.with_embeddings(odd, Precomputed("theirs"))  # type: ignore[arg-type]
