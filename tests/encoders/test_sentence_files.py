"""What of a model is read, and what is refused; no model is loaded here."""

import json
import sys
from pathlib import Path

import pytest

from recroute.data import Dataset
from recroute.encoders import SentenceEncoder, fit_encoder
from recroute.encoders.sentence_files import check_files, copy_files, find_model, hash_model
from recroute.errors import DataError, RecrouteError, RouterError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder that looks like a model, from outside."""
    folder = tmp_path / "model"
    (folder / "1_Pooling").mkdir(parents=True)
    modules = [
        {"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules), "utf8")
    for name in ("config.json", "tokenizer.json", "vocab.txt", "model.safetensors", "1_Pooling/config.json"):
        (folder / name).write_text(name, "utf8")
    (folder / "onnx").mkdir()
    for name in ("README.md", "code.py", "onnx/model.onnx", "pytorch_model.bin"):
        (folder / name).write_text(name, "utf8")
    return folder


def line(error: type[RecrouteError], call: object, *arguments: object, **named: object) -> str:
    """The one line that a call refuses with."""
    assert callable(call)
    with pytest.raises(error) as refused:
        call(*arguments, **named)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_settings_tokenizer_and_weights_are_hashed_and_nothing_else(model: Path) -> None:
    expected = ["1_Pooling/config.json", "config.json", "model.safetensors", "modules.json", "tokenizer.json"]
    assert list(hash_model(model)) == [*expected, "vocab.txt"]
    before = hash_model(model)
    (model / "README.md").write_text("other", "utf8")
    assert hash_model(model) == before
    (model / "1_Pooling" / "config.json").write_text("other", "utf8")
    assert hash_model(model) != before


def test_a_folder_without_a_model_is_refused(model: Path) -> None:
    (model / "modules.json").unlink()
    assert "modules.json is missing" in line(DataError, hash_model, model)
    (model / "modules.json").write_text("[{}]", "utf8")
    assert "cannot be read" in line(DataError, hash_model, model)


def test_pickled_weights_are_refused(model: Path) -> None:
    (model / "model.safetensors").unlink()
    assert "pytorch_model.bin is a pickle" in line(DataError, hash_model, model)
    (model / "pytorch_model.bin").unlink()
    assert "no weights" in line(DataError, hash_model, model)
    (model / "model.safetensors").write_text("there", "utf8")
    (model / "1_Pooling" / "pytorch_model.bin").write_text("a module of its own", "utf8")
    assert "1_Pooling/pytorch_model.bin is a pickle" in line(DataError, hash_model, model)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ({"path": "", "type": "custom_code.Transformer"}, "code of the model"),
        ({"path": "../other", "type": "sentence_transformers.models.Pooling"}, "outside the model's folder"),
        ({"path": "/etc", "type": "sentence_transformers.models.Pooling"}, "outside the model's folder"),
    ],
)
def test_a_model_that_brings_code_or_points_elsewhere_is_refused(model: Path, module: dict, reason: str) -> None:
    (model / "modules.json").write_text(json.dumps([module]), "utf8")
    assert reason in line(DataError, hash_model, model)


def test_every_change_of_a_file_is_noticed(model: Path) -> None:
    files = hash_model(model)
    check_files(model, files, alone=False)
    assert "README.md does not belong to the encoder" in line(RouterError, check_files, model, files, alone=True)
    (model / "vocab.txt").write_text("swapped", "utf8")
    assert "vocab.txt is missing, damaged" in line(RouterError, check_files, model, files, alone=False)
    (model / "vocab.txt").unlink()
    assert "vocab.txt is missing, damaged" in line(RouterError, check_files, model, files, alone=False)
    outside = {"../model/config.json": files["config.json"]}
    assert "missing, damaged or different" in line(RouterError, check_files, model, outside, alone=False)


def test_copies_are_what_was_hashed(model: Path, tmp_path: Path) -> None:
    files = hash_model(model)
    copy_files(model, files, tmp_path / "copy")
    check_files(tmp_path / "copy", files, alone=True)
    (model / "vocab.txt").write_text("swapped", "utf8")
    assert "has changed since" in line(RouterError, copy_files, model, files, tmp_path / "late")
    (model / "vocab.txt").unlink()
    assert "is missing" in line(RouterError, copy_files, model, files, tmp_path / "later")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "no folder" in line(DataError, find_model, str(tmp_path / "nowhere"))
    assert "no folder" in line(DataError, find_model, "")


def test_a_name_is_looked_up_in_the_cache_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="needs the extra: pip install 'recroute[text]'")
    snapshot = tmp_path / "models--me--small" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc", "utf8")
    (snapshot / "config.json").write_text("{}", "utf8")
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    real = hub.snapshot_download
    monkeypatch.setattr(hub, "snapshot_download", lambda *a, **named: real(*a, cache_dir=tmp_path, **named))
    assert find_model("me/small") == snapshot
    refused = line(DataError, find_model, "no-such-model")
    assert refused.endswith("get it with: hf download sentence-transformers/no-such-model")
    assert "recroute downloads nothing" in refused


def test_without_the_extra_one_line_says_what_to_install(
    planted: Dataset, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    assert line(RouterError, SentenceEncoder.open, str(model)).endswith("pip install 'recroute[text]'")
    assert line(RouterError, fit_encoder, planted, f"sentence:{model}").endswith("pip install 'recroute[text]'")


def test_an_unknown_encoder_is_answered_with_what_there_is(planted: Dataset) -> None:
    assert "sentence:MODEL" in line(RecrouteError, fit_encoder, planted, "sentences")
