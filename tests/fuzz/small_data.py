"""Data sets that are tiny or degenerate in a known way, as the files of a dataset folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st

WORDS = ("multiply", "translate", "compile", "name", "explain", "")
TASKS = ("math", "language", "code")
SPLITS = ("train", "train", "valid", "test")
SPLIT = [SPLITS[i % 4] for i in range(24)]
LLM_COLUMNS = {"family": ["a", "b", None], "n_params_b": [7.0, None], "price_in": [0.0, 1.0], "price_out": [2.0]}


@dataclass(frozen=True)
class Tables:
    """What a dataset folder holds; a table that is None is not written.

    Parameters
    ----------
    scores : f32 (n, m)
        NaN where unobserved.
    costs : f32 (n, m), optional
    instances, llms, preferences, pools : dict of columns
        Without ids, which are those of the scores.
    embeddings : f (n, d), optional
    """

    scores: Any
    costs: Any = None
    instances: dict[str, list[Any]] | None = None
    llms: dict[str, list[Any]] | None = None
    embeddings: Any = None
    card: dict[str, Any] = field(default_factory=dict)
    instance_name: str = "q{}"
    llm_name: str = "llm-{}"

    @property
    def instance_ids(self) -> list[str]:
        return [self.instance_name.format(i) for i in range(len(self.scores))]

    @property
    def llm_ids(self) -> list[str]:
        return [self.llm_name.format(j) for j in range(self.scores.shape[1])]

    def records(self) -> pl.DataFrame:
        rows, columns = np.nonzero(~np.isnan(self.scores))
        table = {
            "instance_id": [self.instance_ids[i] for i in rows],
            "llm_id": [self.llm_ids[j] for j in columns],
            "score": self.scores[rows, columns],
        }
        if self.costs is not None:
            table["cost"] = self.costs[rows, columns]
        schema = {"instance_id": pl.String, "llm_id": pl.String, "score": pl.Float32, "cost": pl.Float32}
        return pl.DataFrame(table, schema={name: schema[name] for name in table}, nan_to_null=True)

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        self.records().write_parquet(folder / "records.parquet")
        if self.instances is not None:
            table = pl.DataFrame({"instance_id": self.instance_ids, **self.instances})
            table.write_parquet(folder / "instances.parquet")
        if self.llms is not None:
            pl.DataFrame({"llm_id": self.llm_ids, **self.llms}).write_parquet(folder / "llms.parquet")
        if self.embeddings is not None:
            ids = np.array(self.instance_ids, dtype=np.str_)
            np.savez(folder / "embeddings.npz", instance_id=ids, embedding=self.embeddings, encoder=np.array("own"))
        if self.card:
            (folder / "card.json").write_text(json.dumps(self.card), "utf8")
        return folder


def sound(n: int = 24, m: int = 3) -> Tables:
    """Nothing is wrong with it: each LLM is best in a task of its own, texts say which."""
    rng = np.random.default_rng(0)
    kind = np.arange(n) % len(TASKS)
    scores = (kind[:, None] == np.arange(m) % len(TASKS)).astype(np.float32)
    scores = np.where(rng.random(scores.shape) < 0.15, 1 - scores, scores)
    instances = {
        "prompt": [f"{WORDS[k]} the thing number {i}" for i, k in enumerate(kind)],
        "task": [TASKS[k] for k in kind],
    }
    llms = {"family": [f"family-{j % 2}" for j in range(m)], "n_params_b": [1.0 + j for j in range(m)]}
    llms |= {"price_in": [0.1 + j for j in range(m)], "price_out": [0.2 + j for j in range(m)]}
    costs = (0.001 * (1 + np.arange(m)) * rng.uniform(0.8, 1.2, scores.shape)).astype(np.float32)
    vectors = (np.eye(len(TASKS))[kind] + rng.normal(0, 0.1, (n, len(TASKS)))).astype(np.float32)
    return Tables(scores, costs, instances, llms, vectors)


def _scores(change: Callable[[Any], Any], n: int = 24, m: int = 3, split: bool = False) -> Tables:
    data = sound(n, m)
    scores = data.scores.copy()
    change(scores)
    instances = {**(data.instances or {}), "split": SPLIT} if split else data.instances
    return replace(data, scores=scores, instances=instances)


def _unobserved(*parts: int, llms: Any = slice(None)) -> Callable[[Any], None]:
    """Takes the scores of some of the four parts of `SPLIT`."""

    def change(scores: Any) -> None:
        for part in parts:
            scores[part::4, llms] = np.nan

    return change


def _vectors(of: Callable[[Any], Any]) -> Tables:
    data = sound()
    return replace(data, embeddings=of(data.embeddings))


def _graded(scores: Any) -> None:
    scores[:] = np.linspace(0, 1, scores.size).reshape(scores.shape)


def _alike(scores: Any) -> None:
    scores[:] = scores[:, :1]


def _set(*where: Any, value: float = np.nan) -> Callable[[Any], None]:
    def change(scores: Any) -> None:
        scores[where] = value

    return change


def _instances(**columns: list[Any] | None) -> Tables:
    data = sound()
    kept = {**(data.instances or {}), **columns}
    return replace(data, instances={name: values for name, values in kept.items() if values is not None})


def _costs(change: Callable[[Any], Any]) -> Tables:
    data = sound()
    return replace(data, costs=change(data.costs.copy()))


def _some_costs_missing(costs: Any) -> Any:
    costs[::2] = np.nan
    return costs


def _holes(shape: tuple[int, ...], share: float) -> Any:
    return np.random.default_rng(1).random(shape) < share


def _only(scores: Any) -> None:
    first = scores[0, 0]
    scores[:] = np.nan
    scores[0, 0] = first


KINDS: dict[str, Callable[[], Tables]] = {
    "sound": sound,
    "1 record": lambda: replace(sound(1, 1), instances=None, llms=None, embeddings=None, costs=None),
    "1 record in a full table": lambda: _scores(_only),
    "1 instance": lambda: sound(1, 3),
    "1 LLM": lambda: sound(24, 1),
    "1 LLM, 2 instances": lambda: sound(2, 1),
    "2 instances": lambda: sound(2, 3),
    "3 instances": lambda: sound(3, 3),
    "5 instances": lambda: sound(5, 2),
    "7 instances": lambda: sound(7, 4),
    "21 records": lambda: sound(7, 3),
    "more LLMs than instances": lambda: sound(4, 40),
    "one LLM has records": lambda: _scores(_set(slice(None), slice(1, None)), m=6),
    "one LLM has none": lambda: _scores(_set(slice(None), 1)),
    "one LLM has one": lambda: _scores(_set(slice(1, None), 1)),
    "one instance has none": lambda: _scores(_set(3)),
    "one task has none": lambda: _scores(_set(slice(0, None, 3))),
    "one record for each instance": lambda: _scores(_set(np.arange(24), (np.arange(24) + 1) % 3), m=2 + 1),
    "8 LLMs": lambda: sound(24, 8),
    "8 LLMs, 3 instances": lambda: sound(3, 8),
    "8 LLMs, 5 instances": lambda: sound(5, 8),
    "8 LLMs alike": lambda: _scores(_alike, m=8),
    "8 LLMs, all equal": lambda: _scores(_set(slice(None), value=0.5), m=8),
    "8 LLMs, 3 have records": lambda: _scores(_set(slice(None), slice(3, None)), m=8),
    "8 LLMs, sparse": lambda: _scores(lambda s: np.copyto(s, np.nan, where=_holes(s.shape, 0.8)), m=8),
    "8 LLMs, one family": lambda: replace(sound(24, 8), llms={"family": ["f"] * 8}),
    "8 LLMs, one task": lambda: replace(sound(24, 8), instances={"prompt": [f"p {i}" for i in range(24)]}),
    "all equal": lambda: _scores(_set(slice(None), value=0.5)),
    "all 0": lambda: _scores(_set(slice(None), value=0.0)),
    "all 1": lambda: _scores(_set(slice(None), value=1.0)),
    "LLMs alike": lambda: _scores(_alike),
    "scores of a kind": lambda: _scores(_graded),
    "one task": lambda: _instances(task=["math"] * 24),
    "a task each": lambda: _instances(task=[f"t{i}" for i in range(24)]),
    "no task": lambda: _instances(task=None),
    "tasks null": lambda: _instances(task=[None if i % 5 == 0 else TASKS[i % 3] for i in range(24)]),
    "tasks empty": lambda: _instances(task=["" if i % 5 == 0 else TASKS[i % 3] for i in range(24)]),
    "no prompts": lambda: _instances(prompt=None),
    "no prompts, no vectors": lambda: replace(_instances(prompt=None), embeddings=None),
    "no vectors": lambda: replace(sound(), embeddings=None),
    "prompts empty": lambda: replace(_instances(prompt=[""] * 24), embeddings=None),
    "prompts alike": lambda: replace(_instances(prompt=["the same"] * 24), embeddings=None),
    "prompts of signs": lambda: replace(_instances(prompt=["?!", "."] * 12), embeddings=None),
    "prompts null": lambda: _instances(prompt=[None if i % 3 else "hi there" for i in range(24)]),
    "prompts long": lambda: replace(_instances(prompt=["word " * 2000, "", "a"] * 8), embeddings=None),
    "benchmarks": lambda: _instances(benchmark=["a", "b"] * 12),
    "own split": lambda: _instances(split=SPLIT),
    "no test": lambda: _instances(split=["train", "valid"] * 12),
    "no train": lambda: _instances(split=["test"] * 24),
    "no valid": lambda: _instances(split=["train", "test"] * 12),
    "split null": lambda: _instances(split=[None, "train", "test"] * 8),
    "split unknown": lambda: _instances(split=["dev", "train", "test"] * 8),
    "nothing observed in test": lambda: _scores(_unobserved(3), split=True),
    "nothing observed in train": lambda: _scores(_unobserved(0, 1), split=True),
    "one LLM not in test": lambda: _scores(_unobserved(3, llms=1), split=True),
    "one LLM in test only": lambda: _scores(_unobserved(0, 1, 2, llms=1), split=True),
    "vectors all 0": lambda: _vectors(np.zeros_like),
    "vectors alike": lambda: _vectors(np.ones_like),
    "vectors 1 wide": lambda: _vectors(lambda x: x[:, :1]),
    "vectors wide": lambda: _vectors(lambda x: np.tile(x, (1, 100))),
    "vectors huge": lambda: _vectors(lambda x: np.sign(x) * np.float32(9e14)),
    "vectors tiny": lambda: _vectors(lambda x: x * np.float32(1e-38)),
    "vectors f16": lambda: _vectors(lambda x: x.astype(np.float16)),
    "no costs": lambda: replace(sound(), costs=None),
    "costs 0": lambda: _costs(np.zeros_like),
    "costs equal": lambda: _costs(np.ones_like),
    "costs missing": lambda: _costs(_some_costs_missing),
    "costs all missing": lambda: _costs(lambda c: np.full_like(c, np.nan)),
    "costs huge": lambda: _costs(lambda c: np.full_like(c, 9e14)),
    "costs tiny": lambda: _costs(lambda c: np.full_like(c, 1e-45)),
    "costs negative": lambda: _costs(lambda c: -c),
    "prices 0": lambda: replace(sound(), llms={"price_in": [0.0] * 3, "price_out": [0.0] * 3}),
    "prices null": lambda: replace(sound(), llms={"price_in": [None] * 3, "price_out": [None, 1.0, 1.0]}),
    "families null": lambda: replace(sound(), llms={"family": [None, "a", None]}),
    "names with brackets": lambda: replace(
        _instances(task=["[/b] :dog: $", "[bold]", "<b>"] * 8), instance_name="[/i]{}", llm_name="[/b] :dog: ${}"
    ),
    "names long": lambda: replace(sound(), instance_name="q" * 3000 + "{}", llm_name="l" * 3000 + "{}"),
    "sizes alike": lambda: replace(sound(), llms={"n_params_b": [7.0] * 3}),
}  # fmt: skip


@st.composite
def drawn(draw: st.DrawFn) -> Tables:
    """Up to 12 instances and 5 LLMs with any of these weaknesses at once."""
    n, m = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    values = np.float32(draw(st.sampled_from([[0, 1], [0.5], [0], [1], [0, 0.25, 1], list(np.linspace(0, 1, 11))])))
    scores = rng.choice(values, (n, m))
    scores[rng.random((n, m)) < draw(st.sampled_from([0, 0, 0.3, 0.8]))] = np.nan
    if np.isnan(scores).all():
        scores[0, 0] = values[0]
    costs = draw(st.sampled_from([None, [0.0], [1.0], [0.1, 2.0], [0.1, np.nan], [0, 1e-30, 9e14]]))
    instances: dict[str, list[Any]] | None = {}
    for name, of in {"prompt": WORDS, "task": TASKS, "benchmark": TASKS[:2], "split": SPLITS[1:]}.items():
        if draw(st.booleans()):
            used = of[: draw(st.integers(1, len(of)))]
            instances[name] = [used[k] for k in rng.integers(0, len(used), n)]
    llms: dict[str, list[Any]] | None = {}
    for name, of in {
        "family": ["a", "b", None],
        "n_params_b": [7.0, None],
        "price_in": [0.0, 1.0],
        "price_out": [2.0],
    }.items():
        if draw(st.booleans()):
            llms[name] = [of[k] for k in rng.integers(0, len(of), m)]
    width = draw(st.sampled_from([None, 1, 2, 40]))
    vectors = None
    if width is not None:
        vectors = (rng.normal(size=(n, width)) * draw(st.sampled_from([0, 1e-30, 1, 1e14]))).astype(np.float32)
    return Tables(
        scores,
        None if costs is None else rng.choice(np.float32(costs), (n, m)),
        draw(st.sampled_from([None, instances])),
        draw(st.sampled_from([None, llms])),
        vectors,
    )
