import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, Precomputed, read_dataset, write_dataset
from recroute.errors import DataError, RecrouteError
from recroute.util.folders import new_folder


def with_vectors(data: Dataset) -> Dataset:
    vectors = np.random.default_rng(0).normal(size=(data.n_instances, 4)).astype(np.float32)
    return data.with_embeddings(vectors, Precomputed("some-encoder"))


def test_a_round_trip_changes_nothing(planted: Dataset, tmp_path: Path) -> None:
    data = with_vectors(planted)
    write_dataset(data, tmp_path / "folder")
    again = read_dataset(tmp_path / "folder")
    np.testing.assert_array_equal(again.interactions.dense(), data.interactions.dense())
    assert again.instances.equals(data.instances)
    assert again.llms.equals(data.llms)
    np.testing.assert_array_equal(again.embeddings, data.embeddings)
    assert again.encoder == data.encoder


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_a_records_file_alone_is_enough(suffix: str, tmp_path: Path) -> None:
    table = pl.DataFrame({"instance_id": ["007", "008"], "llm_id": ["a", "a"], "score": [1.0, 0.0]})
    path = tmp_path / f"records{suffix}"
    {".parquet": table.write_parquet, ".csv": table.write_csv, ".jsonl": table.write_ndjson}[suffix](path)
    data = read_dataset(path)
    assert data.instance_ids.ids == ("007", "008")
    np.testing.assert_array_equal(data.interactions.dense(), [[1.0], [0.0]])


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
@pytest.mark.parametrize("content", [b"", b"PAR1 cut short", b"\xff\xfe\x00\x01 no text", b'{"instance_id": '])
def test_damaged_files_are_refused_in_one_line(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"records{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError) as refused:
        read_dataset(path)
    assert "\n" not in str(refused.value)


def test_a_truncated_parquet_is_refused(planted: Dataset, tmp_path: Path) -> None:
    write_dataset(planted, tmp_path / "folder")
    path = tmp_path / "folder" / "records.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="cannot be read as parquet"):
        read_dataset(tmp_path / "folder")


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs one"):
        read_dataset(tmp_path)
    with pytest.raises(DataError, match="no data set at"):
        read_dataset(tmp_path / "nowhere")


def test_a_missing_vector_is_named(planted: Dataset, tmp_path: Path) -> None:
    write_dataset(with_vectors(planted), tmp_path / "folder")
    np.savez(tmp_path / "folder" / "embeddings.npz", instance_id=np.array(["i0000"]), embedding=np.ones((1, 4)))
    with pytest.raises(DataError, match="no vector for instance 'i0001'"):
        read_dataset(tmp_path / "folder")


def test_an_error_leaves_the_old_folder(planted: Dataset, tmp_path: Path) -> None:
    write_dataset(planted, tmp_path / "folder")

    def interrupted() -> None:
        with new_folder(tmp_path / "folder", marker="records.parquet") as new:
            (new / "records.parquet").write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert read_dataset(tmp_path / "folder").n_instances == planted.n_instances
    assert os.listdir(tmp_path) == ["folder"]


def test_a_crash_between_the_renames_is_recovered(planted: Dataset, tmp_path: Path) -> None:
    write_dataset(planted, tmp_path / "folder")
    (tmp_path / "folder").rename(tmp_path / ".folder.previous")
    assert read_dataset(tmp_path / "folder").n_instances == planted.n_instances


def test_a_foreign_folder_is_not_replaced(planted: Dataset, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years", "utf8")
    with pytest.raises(RecrouteError, match="was not written by recroute"):
        write_dataset(planted, tmp_path)
    assert (tmp_path / "thesis.txt").read_text("utf8") == "three years"
