"""RouterEval's two layouts: `router_dataset` (pools and splits) and `leaderboard_*` (the whole matrix)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.content import Block, Content
from recroute.data.encoding import as_vectors
from recroute.data.sources._pickle import as_array, as_dict, clean_text, load_pickle
from recroute.data.sources._router_dataset import SUFFIX, benchmark_of, read_router_dataset
from recroute.data.sources.source import Source
from recroute.errors import DataError

BOARDS = ("old", "new", "mmlu_pro")
ROWS = 256  # instances in a block: 256 x 8,567 scores are 2 million


@dataclass(frozen=True, kw_only=True)
class RouterEval(Source):
    """RouterEval (arXiv 2503.10657).

    Parameters
    ----------
    embedding : str, optional
        Which of the published embeddings to take: "longformer", "RoBERTa", "RoBERTa_last" or "sentence_bert".
        Default: the only one there, or "sentence_bert" if there are several. For the leaderboards only.
    """

    layout: ClassVar[str] = "routereval"
    reads: ClassVar[str] = "folder with leaderboard_score/, a *_router_dataset.pkl, or a folder of those"
    card: ClassVar[dict[str, str]] = {
        "title": "RouterEval",
        "source": "RouterEval, arXiv 2503.10657, Hugging Face linggm/RouterEval",
        "licence": "see the source; the benchmarks have their own",
        "score": "correctness of the benchmark, graded in truthfulqa and ifeval",
    }

    embedding: str | None = None

    def read(self, path: Path) -> Content:
        boards = _board_files(path)
        pools = sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path] if path.name.endswith(SUFFIX) else []
        if boards:
            content = self._read_boards(boards)
            if pools:
                place = pools[0].parent
                content.notes.append(f"the whole matrix was imported; for RouterEval's own pools import {place}")
            return content
        if not pools:
            archives = sorted(path.rglob("*.zip")) if path.is_dir() else [path] if path.suffix == ".zip" else []
            if archives:  # as the hub has them
                raise DataError(
                    f"{archives[0]} is still packed; unpack it with python -m zipfile -e {archives[0]} "
                    f"{archives[0].parent}, then import {archives[0].parent}"
                )
            raise DataError(f"{path} holds neither leaderboard_score/*.pkl nor *{SUFFIX}; name RouterEval's folder")
        if self.embedding is not None:
            raise DataError(f"embedding {self.embedding!r}: files named *{SUFFIX} hold one embedding; leave it out")
        return read_router_dataset(pools)

    def _read_boards(self, files: dict[str, Path]) -> Content:
        boards = [_read_board(name, file) for name, file in files.items()]
        root = next(iter(files.values())).parent.parent
        llms = list(dict.fromkeys(llm for board in boards for llm in board.llms))
        position = {llm: i for i, llm in enumerate(llms)}
        tables, vectors, notes = [], [], []
        encoder = self._encoder(root)
        for board in boards:
            prompts = _by_task(root / "leaderboard_prompt" / f"leaderboard_{board.name}_prompt.pkl")
            file = root / "leaderboard_embed" / f"leaderboard_{board.name}_embed" / f"{encoder}_result.pkl"
            embedding = _by_task(file) if encoder else {}
            for task, scores in board.scores.items():
                tables.append(_instances(board, task, len(scores), prompts.get(task)))
                vectors.append(_vectors(file, task, len(scores), embedding.get(task)))
        if missing := sum(part is None for part in vectors):
            if missing < len(vectors):
                notes.append(f"{missing} of {len(vectors)} tasks have no {encoder} embedding: none was imported")
            vectors = []
        if vectors and len({part.shape[1] for part in vectors if part is not None}) > 1:
            raise DataError(f"{root / 'leaderboard_embed'}: the {encoder} embeddings differ in width; choose another")
        return Content(
            instances=pl.concat(tables),
            llms=pl.DataFrame({"llm_id": llms}),
            blocks=_blocks(boards, position),
            n_rows=sum(scores.size for board in boards for scores in board.scores.values()),
            distinct=True,
            embeddings=np.concatenate([v for v in vectors if v is not None]) if vectors else None,
            encoder=str(encoder),
            notes=notes,
        )

    def _encoder(self, root: Path) -> str | None:
        there = sorted(
            {file.name.removesuffix("_result.pkl") for file in root.glob("leaderboard_embed/*/*_result.pkl")}
        )
        if self.embedding is not None and self.embedding not in there:
            raise DataError(f"embedding {self.embedding!r} is not there; there: {', '.join(there) or 'none'}")
        return self.embedding or ("sentence_bert" if "sentence_bert" in there else there[0] if there else None)


@dataclass(frozen=True, eq=False)
class _Board:
    name: str
    llms: list[str]
    scores: dict[str, NDArray[Any]]  # (n_items, n_llms) by sub-benchmark


def _board_files(path: Path) -> dict[str, Path]:
    files = [path] if path.is_file() else [*path.glob("leaderboard_score/*.pkl"), *path.glob("leaderboard_*.pkl")]
    found = {}
    for file in files:
        name = file.stem.removeprefix("leaderboard_")
        if name in BOARDS and file.suffix == ".pkl":
            found[name] = file
    return {name: found[name] for name in BOARDS if name in found}


def _read_board(name: str, file: Path) -> _Board:
    content = as_dict(load_pickle(file), str(file))
    llms = [clean_text(llm) for llm in as_array(content.get("model"), f"'model' in {file}").ravel()]
    scores = {}
    for task, part in as_dict(content.get("data"), f"'data' in {file}").items():
        where = f"'correctness' of {task} in {file}"
        block = as_array(as_dict(part, f"{task} in {file}").get("correctness"), where)
        if block.ndim != 2 or block.shape[1] != len(llms) or block.dtype.kind not in "biuf":
            raise DataError(
                f"{where} is {block.dtype} {block.shape}, not numbers for {len(llms)} LLMs; get the file again"
            )
        scores[clean_text(task)] = block
    if not scores:
        raise DataError(f"'data' in {file} holds no sub-benchmark; get the file again")
    if len(set(llms)) != len(llms):
        raise DataError(f"'model' in {file} names an LLM twice; keep one column for each")
    return _Board(name, llms, scores)


def _by_task(file: Path) -> dict[Any, Any]:
    return as_dict(load_pickle(file), str(file)) if file.is_file() else {}


def _instances(board: _Board, task: str, n: int, prompts: Any) -> pl.DataFrame:
    texts: list[str | None] = [None] * n
    if prompts is not None:
        texts = [clean_text(text) for text in as_array(prompts, f"prompts of {task}").ravel()]
        if len(texts) != n:
            raise DataError(f"{task} has {n} instances and {len(texts)} prompts; get the files again")
    return pl.DataFrame(
        {"instance_id": [f"{task}.{i}" for i in range(n)], "prompt": texts},
        schema={"instance_id": pl.String, "prompt": pl.String},
    ).with_columns(pl.lit(task).alias("task"), pl.lit(benchmark_of(task)).alias("benchmark"))


def _vectors(file: Path, task: str, n: int, value: Any) -> NDArray[np.float32] | None:
    if value is None:
        return None
    found = as_array(value, f"{task} in {file}")
    if found.ndim != 2 or len(found) != n or found.dtype.kind not in "iuf":
        raise DataError(
            f"{task} in {file} is {found.dtype} {found.shape}, not a vector for {n} instances; get the file again"
        )
    return as_vectors(found, f"{task} in {file}")


def _blocks(boards: list[_Board], position: dict[str, int]) -> Iterator[Block]:
    first = 0
    for board in boards:
        columns = np.array([position[llm] for llm in board.llms], dtype=np.int32)
        for scores in board.scores.values():
            for start in range(0, len(scores), ROWS):
                part = scores[start : start + ROWS]
                rows = np.arange(first + start, first + start + len(part), dtype=np.int32)
                yield Block(np.repeat(rows, len(columns)), np.tile(columns, len(part)), part.ravel())
            first += len(scores)
