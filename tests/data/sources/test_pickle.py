"""Pickles are read, never run."""

import base64
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recroute.data.sources._pickle import as_array, as_frame, load_pickle
from recroute.errors import DataError

# pandas.DataFrame({"s": ["a", None], "x": [1.0, 0.5], "n": [3, 4]}) as pandas 2.0 with NumPy 1.26 writes it
PANDAS_2 = (
    "gASVOwMAAAAAAACMEXBhbmRhcy5jb3JlLmZyYW1llIwJRGF0YUZyYW1llJOUKYGUfZQojARfbWdylIwecGFuZGFzLmNvcmUuaW50ZXJuYWxzLm"
    "1hbmFnZXJzlIwMQmxvY2tNYW5hZ2VylJOUjBZwYW5kYXMuX2xpYnMuaW50ZXJuYWxzlIwPX3VucGlja2xlX2Jsb2NrlJOUjBVudW1weS5jb3Jl"
    "Lm11bHRpYXJyYXmUjAxfcmVjb25zdHJ1Y3SUk5SMBW51bXB5lIwHbmRhcnJheZSTlEsAhZRDAWKUh5RSlChLAUsBSwKGlGgPjAVkdHlwZZSTlI"
    "wCTziUiYiHlFKUKEsDjAF8lE5OTkr/////Sv////9LP3SUYoldlCiMAWGUTmV0lGKMCGJ1aWx0aW5zlIwFc2xpY2WUk5RLAEsBSwGHlFKUSwKH"
    "lFKUaAtoDmgRSwCFlGgTh5RSlChLAUsBSwKGlGgYjAJmOJSJiIeUUpQoSwOMATyUTk5OSv////9K/////0sAdJRiiUMQAAAAAAAA8D8AAAAAAA"
    "DgP5R0lGJoI0sBSwJLAYeUUpRLAoeUUpRoC2gOaBFLAIWUaBOHlFKUKEsBSwFLAoaUaBiMAmk4lImIh5RSlChLA2gvTk5OSv////9K/////0sA"
    "dJRiiUMQAwAAAAAAAAAEAAAAAAAAAJR0lGJoI0sCSwNLAYeUUpRLAoeUUpSHlF2UKIwYcGFuZGFzLmNvcmUuaW5kZXhlcy5iYXNllIwKX25ld1"
    "9JbmRleJSTlGhHjAVJbmRleJSTlH2UKIwEZGF0YZRoDmgRSwCFlGgTh5RSlChLAUsDhZRoG4ldlCiMAXOUjAF4lIwBbpRldJRijARuYW1llE51"
    "hpRSlGhJjBlwYW5kYXMuY29yZS5pbmRleGVzLnJhbmdllIwKUmFuZ2VJbmRleJSTlH2UKGhXTowFc3RhcnSUSwCMBHN0b3CUSwKMBHN0ZXCUSw"
    "F1hpRSlGWGlFKUjARfdHlwlIwJZGF0YWZyYW1llIwJX21ldGFkYXRhlF2UjAVhdHRyc5R9lIwGX2ZsYWdzlH2UjBdhbGxvd3NfZHVwbGljYXRl"
    "X2xhYmVsc5SIc3ViLg=="
)


class Attack:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> Any:
        return self.call, self.arguments


@pytest.mark.parametrize(
    ("call", "arguments", "name"),
    [
        (os.system, ("touch owned",), "system"),
        (eval, ("open('owned', 'w')",), "eval"),
        (open, ("owned", "w"), "open"),
        (getattr, ("", "join"), "getattr"),
        (np.load, ("x.npy",), "load"),
        (np.memmap, ("owned", "float64", "w+", 0, (4,)), "memmap"),
    ],
)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_crafted_pickle_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Any, arguments: Any, name: str, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "x.pkl"
    file.write_bytes(pickle.dumps({"harmless": np.ones(3), "model": Attack(call, *arguments)}, protocol=protocol))
    with pytest.raises(DataError, match=rf"it asks to import \w+(\.\w+)*\.{name}, .*nothing of it was run"):
        load_pickle(file)
    assert [path.name for path in tmp_path.iterdir()] == ["x.pkl"]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float64).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        np.arange(3, dtype=">i4"),
        np.array([True, False]),
        np.array(["ä", "bb"]),
        np.array(["ä", None, 1.5], dtype=object),
        np.zeros((0, 3)),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_come_back_as_they_were(tmp_path: Path, array: Any, protocol: int) -> None:
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"a": array}, protocol=protocol))
    found = as_array(load_pickle(tmp_path / "x.pkl")["a"], "a")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


def test_pandas_frame_is_read_without_pandas(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"s": pd.Series(["a", None], dtype=object), "x": [1.0, 0.5], "n": [3, 4]})
    frame.columns = pd.Index(["s", "x", "n"], dtype=object)
    for protocol in range(2, 6):
        (tmp_path / "x.pkl").write_bytes(pickle.dumps(frame, protocol=protocol))
        found = as_frame(load_pickle(tmp_path / "x.pkl"), "frame")
        assert found.to_dict(as_series=False) == {"s": ["a", None], "x": [1.0, 0.5], "n": [3.0, 4.0]}


def test_frame_of_an_older_pandas(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(base64.b64decode(PANDAS_2))
    found = as_frame(load_pickle(tmp_path / "x.pkl"), "frame")
    assert found.to_dict(as_series=False) == {"s": ["a", None], "x": [1.0, 0.5], "n": [3.0, 4.0]}


def test_frame_with_arrow_strings_is_refused_with_a_mend(tmp_path: Path) -> None:
    import pandas as pd

    (tmp_path / "x.pkl").write_bytes(pickle.dumps(pd.DataFrame({"s": pd.array(["a"], dtype="string[pyarrow]")})))
    with pytest.raises(DataError, match=r"it asks to import pandas.*write the frame as CSV with to_csv"):
        load_pickle(tmp_path / "x.pkl")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x04r\xff\xff\xff\x7f.",  # a memo index that would have the C unpickler allocate 32 GB
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x0f.",
        b"\x80\x05\x96\x00\x00\x00\x00\x08\x00\x00\x00.",  # a bytearray of 32 GB
    ],
)
def test_damaged_pickle_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be read as a pickle: .*; get the file again"):
        load_pickle(tmp_path / "x.pkl")
