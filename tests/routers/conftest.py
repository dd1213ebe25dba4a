"""An encoder small enough to be made in the test."""

from pathlib import Path

import pytest

from recroute.testing.planted import WORDS


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a randomly initialised BERT of one layer that knows the words of the planted prompts."""
    torch = pytest.importorskip("torch", reason="needs the extra: pip install 'recroute[text]'")
    transformers = pytest.importorskip("transformers", reason="needs the extra: pip install 'recroute[text]'")
    folder = tmp_path_factory.mktemp("tiny_encoder")
    words = sorted({word for phrase in WORDS for word in phrase.split()} | {"number"})
    digits = [*"0123456789", *(f"##{digit}" for digit in range(10))]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *digits]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
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
