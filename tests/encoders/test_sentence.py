"""A sentence encoder by itself, in routers and in their folders, with a model made in the test."""

import json
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recroute.data import Dataset, Precomputed
from recroute.encoders import JointEncoder, SentenceEncoder, TfidfEncoder, encode_dataset, fit_encoder, sentence
from recroute.encoders.choose import agreement
from recroute.encoders.sentence import SentenceModel
from recroute.errors import RecrouteError
from recroute.evaluation.learning import learning_curve
from recroute.evaluation.run import evaluate
from recroute.experiment.prepare import prepare_split
from recroute.routers import load_router, make_router
from recroute.testing import planted_dataset
from recroute.tuning import tune

PROMPTS = [
    "multiply the integers number 3",
    "compile the program",
    "multiply",
    "",
    "translate " * 40,
    "\ud800 sentence",
]


@pytest.fixture(scope="module")
def kind(tiny_sentence_model: Path) -> str:
    return f"sentence:{tiny_sentence_model}"


@pytest.fixture(scope="module")
def encoder(tiny_sentence_model: Path) -> SentenceEncoder:
    return SentenceEncoder.open(str(tiny_sentence_model))


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The prompts that a model is asked for, one by one."""
    asked: list[str] = []
    vector = SentenceModel._vector
    monkeypatch.setattr(SentenceModel, "_vector", lambda self, text: (asked.append(text), vector(self, text))[1])
    return asked


def refused(folder: Path) -> str:
    with pytest.raises(RecrouteError) as error:
        load_router(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_prompt_gets_the_same_vector_alone_among_others_and_again(encoder: SentenceEncoder) -> None:
    together = encoder.encode(PROMPTS)
    assert (together.dtype, together.shape) == (np.float32, (6, 32))
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    encoder.encode([f"number {i}" for i in range(sentence.N_RECENT)])  # all of them are forgotten
    np.testing.assert_array_equal(np.vstack([encoder.encode([prompt]) for prompt in PROMPTS[::-1]])[::-1], together)
    np.testing.assert_array_equal(encoder.encode([PROMPTS[1], PROMPTS[0], PROMPTS[1]]), together[[1, 0, 1]])
    assert encoder.encode([]).shape == (0, 32)


def test_the_number_of_threads_changes_nothing_and_is_left_alone(encoder: SentenceEncoder) -> None:
    torch = pytest.importorskip("torch")
    before, found = torch.get_num_threads(), []
    for n_threads in (1, 2, 3):
        torch.set_num_threads(n_threads)
        encoder._model._recent.clear()
        found.append(encoder.encode(PROMPTS))
        assert torch.get_num_threads() == n_threads
    torch.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_it_remembers_the_latest_prompts_and_no_more(encoder: SentenceEncoder, encoded: list[str]) -> None:
    steps: list[tuple[int, int]] = []
    many = [f"program {i}" for i in range(2 * sentence.N_RECENT)]
    encoder.encode([*many, *many], lambda done, of: steps.append((done, of)))
    encoder.encode(many)  # as the next part of a router does
    assert encoded == many
    assert steps[-1] == (len(many), len(many))
    assert steps == sorted(set(steps))
    encoder.encode(["another"])
    assert len(encoder._model._recent) == sentence.N_RECENT


def test_equal_files_make_equal_names_and_share_a_model(
    encoder: SentenceEncoder, tiny_sentence_model: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_sentence_model, tmp_path / "tiny")
    (tmp_path / "tiny" / "README.md").write_text("other", "utf8")
    copy = SentenceEncoder.open(str(tmp_path / "tiny"))
    assert copy.name == encoder.name
    assert copy._model is encoder._model
    sentences = json.loads((tmp_path / "tiny" / "sentence_bert_config.json").read_text("utf8"))
    (tmp_path / "tiny" / "sentence_bert_config.json").write_text(json.dumps(sentences | {"max_seq_length": 5}), "utf8")
    assert SentenceEncoder.open(str(tmp_path / "tiny")).name != encoder.name


def test_a_copy_for_another_process_goes_without_the_model(encoder: SentenceEncoder) -> None:
    vectors = encoder.encode(PROMPTS)
    content = pickle.dumps(encoder)
    assert len(content) < 5000
    np.testing.assert_array_equal(pickle.loads(content).encode(PROMPTS), vectors)


def test_it_stands_in_the_place_of_the_vectors_that_came_with_the_data(planted: Dataset, kind: str) -> None:
    rng = np.random.default_rng(0)
    shipped = rng.normal(size=(planted.n_instances, 5)).astype(np.float32)
    train = prepare_split(planted.with_embeddings(shipped, Precomputed("theirs")), encoder=kind).train
    assert isinstance(train.encoder, JointEncoder)
    assert isinstance(train.encoder.parts[0], SentenceEncoder)
    assert train.encoder.widths[0] == 32
    assert isinstance(make_router("ridge", views="embedding").fit(train).encoder_, SentenceEncoder)
    assert isinstance(make_router("ridge", views="tfidf").fit(train).encoder_, TfidfEncoder)
    silent = Dataset("silent", planted.interactions, planted.instances.drop("prompt"), planted.llms)
    with pytest.raises(RecrouteError, match="silent has no prompts to encode"):
        encode_dataset(silent, kind)


def test_every_prompt_is_encoded_once_in_a_run(planted: Dataset, kind: str, encoded: list[str]) -> None:
    few = planted.take_instances(np.arange(60))
    prompts = sorted(few.prompts or [])
    for run in (
        lambda: evaluate(few, ["auto", "svd"], encoder=kind, seeds=(0, 1), n_resamples=10, headroom=False),
        lambda: learning_curve(
            few, ["svd"], encoder=kind, train_fractions=(0.5, 1), evaluate=evaluate, n_resamples=10, headroom=False
        ),
    ):
        encoded.clear()
        SentenceEncoder.open(kind.removeprefix("sentence:"))._model._recent.clear()
        encoded.clear()
        run()
        assert sorted(filter(None, encoded)) == prompts


def test_a_study_goes_on_with_the_same_encoder(planted: Dataset, kind: str, tmp_path: Path) -> None:
    few = planted.take_instances(np.arange(80))
    common = {"routers": ["svd"], "n_folds": 2, "pool_sizes": (3,), "groups": ("nested",), "encoder": kind}
    tune(few, tmp_path / "study", n_trials=1, **common)
    assert tune(few, tmp_path / "study", n_trials=2, **common).trials.height == 2
    assert (
        "sentence" in json.loads((tmp_path / "study" / "router" / "router.json").read_text("utf8"))["encoder"]["name"]
    )


@pytest.mark.parametrize(("name", "holds"), [("auto", True), ("svd", True), ("ridge(views=tfidf)", False)])
def test_the_folder_holds_the_model_once_where_the_router_reads_it(
    planted: Dataset, kind: str, tmp_path: Path, name: str, holds: bool
) -> None:
    train = prepare_split(planted, encoder=kind).train
    router = make_router(name).fit(train)
    router.save(tmp_path / "router")
    weights = list((tmp_path / "router").rglob("*.safetensors"))
    assert len(weights) == holds
    loaded = load_router(tmp_path / "router")
    np.testing.assert_array_equal(loaded.score(PROMPTS), router.score(PROMPTS))


def test_a_router_that_reads_no_text_is_saved_without_the_model(planted: Dataset, kind: str, tmp_path: Path) -> None:
    make_router("best_single").fit(prepare_split(planted, encoder=kind).train).save(tmp_path / "router")
    assert not (tmp_path / "router" / "encoder").exists()
    assert load_router(tmp_path / "router").rank(PROMPTS).llm_index.shape == (6, 1)


def test_a_router_grows_and_changes_its_place_with_its_encoder(
    kind: str, tiny_sentence_model: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    shutil.copytree(tiny_sentence_model, own)
    data = planted_dataset(costs=True)
    router = make_router("budgeted", router="auto").fit(prepare_split(data, encoder=f"sentence:{own}").train)
    router.save(tmp_path / "first")
    shutil.rmtree(own)  # the folder needs nothing outside of it
    with pytest.raises(RecrouteError, match="is missing, and the router cannot be saved without it"):
        router.save(tmp_path / "late")
    assert not (tmp_path / "late").exists()
    loaded = load_router(tmp_path / "first")
    loaded.remove_llms(["llm-5"]).save(tmp_path / "second")
    loaded.remove_llms(["llm-5"]).save(tmp_path / "first")  # its own place
    first, second = (load_router(tmp_path / name).score(PROMPTS) for name in ("first", "second"))
    np.testing.assert_array_equal(first, second)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "1_Pooling/config.json"])
@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_a_damaged_encoder_is_refused(planted: Dataset, kind: str, tmp_path: Path, name: str, damage: str) -> None:
    make_router("ridge").fit(prepare_split(planted, encoder=kind).train).save(tmp_path / "router")
    file = tmp_path / "router" / "encoder" / name
    content = file.read_bytes()
    file.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    if damage == "remove":
        file.unlink()
    assert f"{file} is missing, damaged or different" in refused(tmp_path / "router")


def test_what_was_put_beside_the_encoder_or_swapped_later_is_refused(
    planted: Dataset, kind: str, tmp_path: Path
) -> None:
    folder = tmp_path / "router"
    make_router("ridge").fit(prepare_split(planted, encoder=kind).train).save(folder)
    command = [sys.executable, "-c", f"""
from pathlib import Path
from recroute.routers import load_router
import sys
router = load_router({str(folder)!r})
assert "torch" not in sys.modules
file = Path({str(folder)!r}, "encoder", "vocab.txt")
file.write_text(file.read_text().replace("multiply", "multiplied"))
try:
    router.score(["multiply"])
except ValueError as error:
    print(error)
"""]  # fmt: skip
    assert "vocab.txt is missing, damaged" in subprocess.run(command, capture_output=True, text=True).stdout
    shutil.rmtree(folder)
    make_router("ridge").fit(prepare_split(planted, encoder=kind).train).save(folder)
    (folder / "encoder" / "adapter_config.json").write_text("{}", "utf8")
    assert "adapter_config.json does not belong to the encoder" in refused(folder)


def test_an_unreadable_model_is_one_line(tiny_sentence_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_sentence_model, tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(RecrouteError, match="cannot be read: ") as error:
        SentenceEncoder.open(str(tmp_path / "cut")).encode(["text"])
    assert "\n" not in str(error.value)


def test_vectors_that_came_with_the_data_are_compared(planted: Dataset, kind: str) -> None:
    found = encode_dataset(planted, kind)
    assert found.embeddings is not None
    assert encode_dataset(found, kind) is found
    assert fit_encoder(found, "precomputed") is found.encoder
    rounded = found.embeddings.astype(np.float16).astype(np.float32)
    rounded[:3] = -rounded[:3]
    line = agreement(planted.with_embeddings(rounded, Precomputed("tiny")), found)
    assert f"came with (tiny) equal those of {found.encoder.name} for 237 of 240 prompts" in line
    narrow = replace(planted, embeddings=rounded[:, :5], encoder=Precomputed("other"))
    assert "are 5 wide" in agreement(narrow, found)
