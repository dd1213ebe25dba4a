"""Any run that the harness can log comes back score by score."""

import hashlib
import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from recroute.data import read_dataset
from recroute.data.sources import import_dataset

FILTERS = (("none",), ("strict-match", "flexible-extract"), ("get-answer",))
EIGHTHS = st.integers(0, 8).map(lambda k: k / 8)


@dataclass(frozen=True)
class Task:
    """What all LLMs share: its documents, its filters, the last of which is taken, and its metric."""

    name: str
    n_docs: int
    filters: tuple[str, ...]
    metric: str
    higher: bool


@dataclass(frozen=True)
class Log:
    """How one LLM's run of a task is written."""

    scores: dict[tuple[int, str], float]
    order: list[int]
    n_ranks: int
    named: bool
    hashed: bool


@st.composite
def tasks(draw: st.DrawFn) -> list[Task]:
    def one(name: str) -> Task:
        metric, higher = draw(st.sampled_from([("acc", True), ("error", False), ("exact_match", True)]))
        return Task(name, draw(st.integers(1, 5)), draw(st.sampled_from(FILTERS)), metric, higher)

    return [one(name) for name in draw(st.sampled_from([["sums"], ["sums", "long_words"]]))]


@st.composite
def logs_of(draw: st.DrawFn, task: Task) -> Log:
    docs = draw(st.lists(st.integers(0, task.n_docs - 1), min_size=1, unique=True))
    named = draw(st.booleans())
    values = EIGHTHS | st.just(math.nan) if named else EIGHTHS  # early versions published no mean of NaN
    scores = {(doc, name): draw(values) for name in task.filters for doc in docs}
    return Log(scores, docs, draw(st.integers(1, 3)), named, draw(st.booleans()))


@st.composite
def outputs(draw: st.DrawFn) -> tuple[list[Task], dict[str, list[Log]], bool, bool]:
    there = draw(tasks())
    n_llms = draw(st.integers(1, 3))
    revisions = draw(st.booleans())
    names = [f"lab/tiny@step{j}" if revisions and n_llms > 1 else f"lab/m{j}" for j in range(n_llms)]
    return there, {name: [draw(logs_of(task)) for task in there] for name in names}, revisions, draw(st.booleans())


def document(task: Task, doc_id: int) -> dict[str, Any]:
    return {"passage": f"Passage {doc_id} of {task.name}.", "question": "What follows?", "answer": "B"}


def rows(task: Task, log: Log) -> list[dict[str, Any]]:
    """Rank after rank, in each filter after filter."""
    found = []
    for rank in range(log.n_ranks):
        for name in task.filters:
            for doc_id in log.order[rank :: log.n_ranks]:
                doc = document(task, doc_id)
                row = {"doc_id": doc_id, "doc": doc, task.metric: log.scores[doc_id, name]}
                row["arguments"] = {"gen_args_0": {"arg_0": f"{doc['passage']} {doc['question']}", "arg_1": "x"}}
                if log.named:
                    row |= {"filter": name, "metrics": [task.metric]}
                if log.hashed:
                    row["doc_hash"] = hashlib.sha256(json.dumps(doc, indent=2).encode()).hexdigest()
                found.append(row)
    return found


def write(root: Path, there: list[Task], runs: dict[str, list[Log]], flat: bool) -> None:
    for j, (llm, logs) in enumerate(runs.items()):
        name, _, revision = llm.partition("@")
        folder = root if flat else root / f"run{j}" / name.replace("/", "__")
        folder.mkdir(parents=True, exist_ok=True)
        date = f"2025-01-{j + 1:02d}T00-00-00.000001"
        results: dict[str, Any] = {"results": {}, "higher_is_better": {}, "model_name": name}
        results["config"] = {"model_args": f"pretrained={name}" + (f",revision={revision}" if revision else "")}
        for task, log in zip(there, logs, strict=True):
            lines = "".join(json.dumps(row) + "\n" for row in rows(task, log))
            (folder / f"samples_{task.name}_{date}.jsonl").write_text(lines, "utf8")
            means = {f: sum(log.scores[doc, f] for doc in log.order) / len(log.order) for f in task.filters}
            results["results"][task.name] = {f"{task.metric},{f}": mean for f, mean in means.items()}
            results["higher_is_better"][task.name] = {task.metric: task.higher}
        (folder / f"results_{date}.json").write_text(json.dumps(results), "utf8")


def expected(there: list[Task], runs: dict[str, list[Log]]) -> dict[tuple[str, str], float]:
    return {
        (llm, f"Passage {doc} of {task.name}. What follows?"): score if task.higher else 1 - score
        for llm, logs in runs.items()
        for task, log in zip(there, logs, strict=True)
        for (doc, name), score in log.scores.items()
        if name == task.filters[-1] and not math.isnan(score)
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("random")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(outputs())
def test_a_random_output_folder_comes_back(place: Path, output: tuple[Any, ...]) -> None:
    there, runs, _, flat = output
    wanted = expected(there, runs)
    assume(wanted)
    shutil.rmtree(place / "out", ignore_errors=True)
    write(place / "out", there, runs, flat)
    notes = import_dataset("lm-eval", place / "out", place / "data").notes
    data = read_dataset(place / "data")
    assert data.prompts is not None
    i, j = data.interactions.coordinates()
    found = {
        (data.llm_ids.ids[column], data.prompts[row]): float(score)
        for row, column, score in zip(i, j, data.interactions.scores.data, strict=True)
    }
    assert found == wanted
    n_rows = sum(len(log.order) for logs in runs.values() for log in logs)
    n_nan = sum(int(note.split()[0].replace(",", "")) for note in notes if "NaN: left unobserved" in note)
    assert n_rows == len(wanted) + n_nan
    assert set(data.llm_ids.ids) == set(runs)
