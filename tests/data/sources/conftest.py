"""What an import makes of a source, and logs of lm-evaluation-harness, written in small."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recroute.data import Dataset, read_dataset
from recroute.data.sources import import_dataset

DATE = "2025-03-01T10-00-00.000001"


class Imports:
    """A source, and what an import makes of it."""

    def __init__(self, layout: str, root: Path) -> None:
        self.layout, self.root = layout, root
        self.root.mkdir(parents=True)
        self.notes: tuple[str, ...] = ()
        self.data: Dataset

    def imported(self, path: Path | None = None, **settings: Any) -> Dataset:
        done = import_dataset(self.layout, path or self.root, self.root.parent / "imported", **settings)
        self.notes = done.notes
        self.data = read_dataset(done.path)
        return self.data

    def scores(self, path: Path | None = None, **settings: Any) -> dict[str, list[float]]:
        """Scores of each LLM after an import, in the order of the instances; NaN is unobserved."""
        data = self.imported(path, **settings)
        dense = data.interactions.dense().astype(float).round(6)
        return {llm: dense[:, column].tolist() for column, llm in enumerate(data.llm_ids.ids)}

    def means(self, path: Path | None = None, **settings: Any) -> dict[str, float]:
        return {llm: round(float(np.nanmean(of)), 6) for llm, of in self.scores(path, **settings).items()}

    def prompts(self) -> list[str]:
        """Of the last import."""
        assert self.data.prompts is not None
        return list(self.data.prompts)


class Logs(Imports):
    """An output folder of the harness, and what an import makes of it."""

    date = DATE

    def __init__(self, root: Path) -> None:
        super().__init__("lm-eval", root / "out")

    def row(self, doc_id: int, score: Any, metric: str = "acc", **more: Any) -> dict[str, Any]:
        """A row as the harness logs it; what is None in `more` is left out."""
        doc = more.get("doc") or {"question": f"What is {doc_id} plus {7 * doc_id}?"}
        row = {
            "doc_id": doc_id,
            "doc": doc,
            "target": "x",
            "arguments": {"gen_args_0": {"arg_0": f"Q: {' '.join(map(str, doc.values()))}", "arg_1": {"until": []}}},
            "resps": [["a"]],
            "filtered_resps": ["a"],
            "filter": "none",
            "metrics": [metric],
            "doc_hash": hashlib.sha256(json.dumps(doc, indent=2).encode()).hexdigest(),
            "prompt_hash": "p",
            "target_hash": "t",
            metric: score,
        }
        return {key: value for key, value in (row | more).items() if value is not None}

    def rows(self, scores: Sequence[Any], metric: str = "acc", **more: Any) -> list[dict[str, Any]]:
        return [self.row(doc_id, score, metric, **more) for doc_id, score in enumerate(scores)]

    def write(
        self,
        folder: str,
        rows: Sequence[Mapping[str, Any]],
        task: str = "sums",
        date: str = DATE,
        results: Mapping[str, Any] | None = None,
    ) -> Path:
        """A file of samples, and the results file of its date."""
        place = self.root / folder
        place.mkdir(parents=True, exist_ok=True)
        if results is not None:
            (place / f"results_{date}.json").write_text(json.dumps(results), "utf8")
        file = place / f"samples_{task}_{date}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf8")
        return file


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path)


@pytest.fixture
def importing() -> type[Imports]:
    return Imports
