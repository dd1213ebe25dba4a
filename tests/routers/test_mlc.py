import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recroute.data import Dataset, InteractionMatrix, Precomputed
from recroute.errors import RecrouteError, RouterError
from recroute.evaluation.run import evaluate
from recroute.routers import Router, load_router, make_router
from recroute.testing import planted_dataset


def _router(encoder: Path, **changed: Any) -> Router:
    quick = {"n_epochs": 6, "learning_rate": 0.005, "batch_size": 16, "n_warmup": 10}
    return make_router("mlc", encoder_path=encoder, **quick | changed)


def test_without_the_extra_one_line_says_what_to_install(
    planted: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(RouterError, match=r"pip install 'recroute\[text\]'$"):
        _router(tmp_path).fit(planted)


def test_without_an_encoder_one_line_says_what_to_set(planted: Dataset, tiny_encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(RouterError, match="set encoder_path to a Hugging Face folder"):
        make_router("mlc").fit(planted)
    with pytest.raises(RouterError, match=r"no Hugging Face encoder at .*nowhere \(config.json is missing\)"):
        _router(tmp_path / "nowhere").fit(planted)
    shutil.copy(tiny_encoder / "config.json", tmp_path)
    with pytest.raises(RouterError, match="cannot be read") as refused:
        _router(tmp_path).fit(planted)
    assert "\n" not in str(refused.value)


def test_it_needs_prompts(planted: Dataset, tiny_encoder: Path) -> None:
    silent = Dataset("silent", planted.interactions, planted.instances.drop("prompt"), planted.llms)
    with pytest.raises(RouterError, match="silent has none; add a prompt column"):
        _router(tiny_encoder).fit(silent)
    with pytest.raises(RouterError, match="an array of vectors has none"):
        _router(tiny_encoder, n_epochs=1).fit(planted).score(np.ones((2, 3), dtype=np.float32))


def test_it_routes_raw_prompts(planted: Dataset, tiny_encoder: Path) -> None:
    router = _router(tiny_encoder).fit(planted)
    assert planted.prompts is not None
    np.testing.assert_allclose(router.score(planted.prompts[:5]), router.score(planted)[:5], atol=1e-5)


def test_an_unobserved_cell_is_no_failure_and_an_llm_without_a_record_keeps_its_mean(tiny_encoder: Path) -> None:
    data = planted_dataset(noise=0.0)
    cells = data.interactions.dense()
    cells[np.arange(len(cells)) % 4 > 0, 0] = np.nan
    cells[:, 5] = np.nan
    gaps = Dataset("gaps", InteractionMatrix.from_dense(cells), data.instances, data.llms)
    router = _router(tiny_encoder, n_epochs=12).fit(gaps)
    predicted = router.score(gaps)
    solved = data.interactions.dense()[:, 0] == 1
    assert predicted[solved, 0].mean() > 0.5  # three quarters of these cells as failures would hold it at a quarter
    assert predicted[~solved, 0].mean() < 0.3
    np.testing.assert_allclose(predicted[:, 5], router.llm_mean_[5], atol=1e-6)


def test_its_files_are_in_the_folder_with_their_hashes(planted: Dataset, tiny_encoder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "router"
    _router(tiny_encoder, n_epochs=1).fit(planted).save(folder)
    hashed = json.loads((folder / "router.json").read_text("utf8"))["sha256"]
    assert set(hashed) == {file.name for file in folder.iterdir()} - {"router.json"}
    assert {"arrays.npz", "model.safetensors", "config.json", "tokenizer.json"} <= set(hashed)
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 255]))
    with pytest.raises(RecrouteError, match=r"model.safetensors is missing or damaged"):
        load_router(folder)


def test_the_random_state_of_others_is_left_alone(planted: Dataset, tiny_encoder: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    _router(tiny_encoder, n_epochs=1).fit(planted)
    assert torch.equal(torch.rand(3), expected)


def test_an_evaluation_runs_it_on_prompts_although_there_are_embeddings(planted: Dataset, tiny_encoder: Path) -> None:
    data = planted.with_embeddings(np.ones((planted.n_instances, 2), dtype=np.float32), Precomputed("ones"))
    router = _router(tiny_encoder)
    found = evaluate(data, [router, "random"], n_resamples=10)
    assert found.value(router.label, "mean_score") > found.value("random", "mean_score") + 0.2


def test_an_evaluation_leaves_it_out_where_there_are_no_prompts(planted: Dataset, tmp_path: Path) -> None:
    silent = Dataset("silent", planted.interactions, planted.instances.drop("prompt"), planted.llms)
    data = silent.with_embeddings(np.ones((planted.n_instances, 2), dtype=np.float32), Precomputed("ones"))
    found = evaluate(data, ["best_single", "knn", _router(tmp_path)], n_resamples=10)
    (note,) = [note for note in found.notes if "mlc" in note]
    assert note.startswith("left out, because silent has no prompts: mlc(")
