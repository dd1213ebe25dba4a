"""A transformer fine-tuned to predict which LLMs answer a prompt: RouterEval's MLC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.encoders.sentence import quiet
from recroute.errors import RouterError
from recroute.routers.base import Prompts, Router, setting
from recroute.routers.network import log_odds
from recroute.util.numeric import Index

WEIGHT_DECAY, CLIP = 0.01, 1.0


@dataclass(kw_only=True)
class MLC(Router):
    """Predicts every LLM's probability of success by a multi-label classifier on the prompt text.

    The encoder in `encoder_path` (RouterEval: roberta-base) gets a head with one output per LLM, and the whole model is
    trained on the binary cross-entropy of the observed cells, with RouterEval's settings: AdamW with weight decay 0.01,
    gradients clipped at 1, and a learning rate that rises linearly for `n_warmup` steps and then falls linearly to 0.
    The head's last layer starts at zero, so the fit does not depend on the order of the LLMs. Nothing is downloaded. A
    GPU is used if there is one. The same seed gives the same router on one machine, but not across machines, because
    PyTorch's sums depend on the number of threads and the device. Needs the extra `text`.
    Source: RouterEval, arXiv 2503.10657 (MLC).
    """

    name: ClassVar[str] = "mlc"
    kind: ClassVar[str] = "fine-tuned"
    needs: ClassVar[str] = "prompts"
    optional_modules: ClassVar[Mapping[str, str]] = {"torch": "text", "transformers": "text"}

    encoder_path: str | None = setting(None, help="local folder of a Hugging Face encoder")
    n_epochs: int = setting(10, low=1, help="passes over the training prompts")
    learning_rate: float = setting(5e-5, low=1e-8, high=1, help="peak learning rate of AdamW")
    batch_size: int = setting(10, low=1, help="prompts per step")
    max_length: int = setting(512, low=4, help="maximum number of tokens read of a prompt")
    n_warmup: int = setting(500, low=0, help="warm-up steps until the peak learning rate")

    def _fit(self, train: Dataset) -> None:
        torch, transformers = _libraries()
        seen = np.flatnonzero(train.interactions.instance_counts)  # instances with a record
        texts = _texts(Prompts.of(train.take_instances(seen)))
        scores = train.interactions.take_instances(seen).dense()
        with torch.random.fork_rng(), quiet():
            torch.manual_seed(self.seed)
            self._load(self._encoder_folder(), num_labels=train.n_llms)
            head = [layer for layer in self._model.modules() if isinstance(layer, torch.nn.Linear)][-1]
            torch.nn.init.zeros_(head.weight)
            torch.nn.init.zeros_(head.bias)
            without_record = np.isnan(scores).all(axis=0)
            start = np.where(without_record, log_odds(self.llm_mean_), 0)  # these biases get no gradient
            head.bias.data += torch.from_numpy(start).to(head.bias)
            self._train(torch, transformers, texts, scores)

    def _train(self, torch: Any, transformers: Any, prompts: list[str], scores: NDArray[np.float32]) -> None:
        model = self._model.to("cuda" if torch.cuda.is_available() else "cpu").train()
        matrices = [p for p in model.parameters() if p.ndim > 1]
        others = [p for p in model.parameters() if p.ndim <= 1]  # biases and layer norms are not decayed
        groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
        optimiser = torch.optim.AdamW(groups, lr=self.learning_rate)
        n_steps = self.n_epochs * -(-len(prompts) // self.batch_size)
        schedule = transformers.get_linear_schedule_with_warmup(optimiser, self.n_warmup, n_steps)
        rng = np.random.default_rng(self.seed)
        for _ in range(self.n_epochs):
            order = rng.permutation(len(prompts))
            for first in range(0, len(prompts), self.batch_size):
                batch = order[first : first + self.batch_size]
                logits = self._logits([prompts[i] for i in batch])  # (b, m)
                target = torch.from_numpy(scores[batch]).to(logits.device)
                observed = (~target.isnan()).float()
                loss = torch.nn.functional.binary_cross_entropy_with_logits(
                    logits, target.nan_to_num(), weight=observed, reduction="mean"
                )
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
                optimiser.step()
                schedule.step()
        model.eval()

    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        torch, _ = _libraries()
        texts = _texts(prompts)
        predicted = np.empty((prompts.n, len(llm_index)), dtype=np.float32)
        with torch.inference_mode():
            for first in range(0, prompts.n, self.batch_size):
                rows = slice(first, first + self.batch_size)
                predicted[rows] = torch.sigmoid(self._logits(texts[rows])).cpu().numpy()[:, llm_index]
        return predicted

    def _logits(self, prompts: list[str]) -> Any:
        """Log-odds of success, torch.Tensor (b, m)."""
        limit = min(self.max_length, self._tokenizer.model_max_length)
        tokens = self._tokenizer(prompts, padding=True, truncation=True, max_length=limit, return_tensors="pt")
        return self._model(**tokens.to(self._model.device)).logits

    def _encoder_folder(self) -> Path:
        if self.encoder_path is None:
            raise RouterError("mlc needs an encoder to fine-tune; set encoder_path to a Hugging Face folder on disk")
        return Path(self.encoder_path)

    def _load(self, folder: Path, **options: Any) -> None:
        """Load the model and the tokenizer from this folder, without network access."""
        _, transformers = _libraries()
        if not (folder / "config.json").is_file():
            raise RouterError(f"no Hugging Face encoder at {folder} (config.json is missing); save one there first")
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model = transformers.AutoModelForSequenceClassification.from_pretrained(
                folder, local_files_only=True, **options
            ).eval()
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise RouterError(f"the encoder at {folder} cannot be read: {reason}; save it again") from None

    def write_files(self, folder: Path) -> None:
        """Write the weights (safetensors), their configuration and the tokenizer."""
        with quiet():
            self._model.save_pretrained(folder)
            self._tokenizer.save_pretrained(folder)

    def read_files(self, folder: Path) -> None:
        """Read what `write_files` wrote."""
        _libraries()
        with quiet():
            self._load(folder, use_safetensors=True)


def _texts(prompts: Prompts) -> list[str]:
    if prompts.texts is None:
        raise RouterError(
            f"mlc reads prompts, and {prompts.name} has none; add a prompt column to instances.parquet, or give texts"
        )
    return list(prompts.texts)


def _libraries() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError:
        raise RouterError(
            "mlc fine-tunes a transformer and needs PyTorch and transformers: pip install 'recroute[text]'"
        ) from None
    return torch, transformers
