"""RouterEval's `*_router_dataset.pkl`: one benchmark, its pools and its split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.content import Block, Content
from recroute.data.encoding import as_vectors
from recroute.data.sources._pickle import as_array, as_dict, clean_text, load_pickle
from recroute.errors import DataError

SUFFIX = "_router_dataset.pkl"
PARTS = {"train": "train", "val": "valid", "test": "test"}

BENCHMARKS = (  # how RouterEval's 12 benchmarks are called in its leaderboards
    ("harness_arc_challenge", "arc"),
    ("harness_gsm8k", "gsm8k"),
    ("harness_hellaswag", "hellaswag"),
    ("harness_hendrycksTest", "mmlu"),
    ("harness_truthfulqa", "truthfulqa"),
    ("harness_winogrande", "winogrande"),
    ("bbh", "bbh"),
    ("gpqa", "gpqa"),
    ("ifeval", "ifeval"),
    ("math", "math"),
    ("musr", "musr"),
    ("mmlu_pro", "mmlu_pro"),
)


def benchmark_of(task: str) -> str:
    """RouterEval's benchmark of a sub-benchmark.

    >>> benchmark_of("harness_hendrycksTest_virology_5")
    'mmlu'
    """
    return next((benchmark for prefix, benchmark in BENCHMARKS if task.startswith(prefix)), task)


@dataclass(frozen=True, eq=False)
class _Benchmark:
    """One file: instances train, valid, test in a row, and the pools' scores joined into one matrix."""

    name: str
    instances: pl.DataFrame
    llms: list[str]
    scores: NDArray[np.float32]  # (n, m), NaN where no pool has the cell
    pools: pl.DataFrame
    embeddings: NDArray[np.float32] | None
    has_labels: bool


def read_router_dataset(files: list[Path]) -> Content:
    """The benchmarks of these files in one data set, with RouterEval's splits and pools."""
    parts = [_read(file) for file in files]
    llms = list(dict.fromkeys(llm for part in parts for llm in part.llms))
    position = {llm: i for i, llm in enumerate(llms)}
    vectors = [part.embeddings for part in parts]
    widths = {None if v is None else v.shape[1] for v in vectors}
    notes = [
        f"{file.name}: train_label was left out, the graded train_score stands"
        for file, p in zip(files, parts, strict=True)
        if p.has_labels
    ]
    if len(widths) > 1:
        notes.append("the embeddings differ in width between the benchmarks: none was imported")
    return Content(
        instances=pl.concat([part.instances for part in parts]),
        llms=pl.DataFrame({"llm_id": llms}),
        blocks=_blocks(parts, position),
        n_rows=sum(part.scores.size for part in parts),
        distinct=True,
        embeddings=np.concatenate(vectors) if len(widths) == 1 and None not in widths else None,  # type: ignore[arg-type]
        encoder="routereval",
        pools=pl.concat([part.pools for part in parts]),
        notes=notes,
    )


def _blocks(parts: list[_Benchmark], position: dict[str, int]) -> Iterator[Block]:
    first = 0
    for part in parts:
        columns = np.array([position[llm] for llm in part.llms], dtype=np.int32)
        for row, scores in enumerate(part.scores):
            yield Block(np.full(len(columns), first + row, dtype=np.int32), columns, scores)
        first += len(part.scores)


def _read(file: Path) -> _Benchmark:
    content = as_dict(load_pickle(file), str(file))
    stem = file.name.removesuffix(SUFFIX)
    index = {part: _positions(content, part, file) for part in PARTS}
    sizes = {part: len(found) for part, found in index.items()}
    instances = pl.DataFrame(
        {
            "instance_id": [f"{stem}.{i}" for part in PARTS for i in index[part]],
            "split": [name for part, name in PARTS.items() for _ in range(sizes[part])],
        }
    ).with_columns(pl.lit(stem).alias("task"), pl.lit(benchmark_of(stem)).alias("benchmark"))
    if "prompt" in content:
        prompts = [
            clean_text(t) for part in PARTS for t in _part(content, "prompt", f"{part}_prompt", file, sizes[part])
        ]
        instances = instances.with_columns(pl.Series("prompt", prompts, dtype=pl.String))
    else:
        instances = instances.with_columns(pl.lit(None, dtype=pl.String).alias("prompt"))
    vectors = None
    if "embedding" in content:
        found = [_part(content, "embedding", f"{part}_embed", file, sizes[part]) for part in PARTS]
        if any(v.ndim != 2 or v.dtype.kind not in "iuf" for v in found) or len({v.shape[1] for v in found}) > 1:
            raise DataError(f"'embedding' in {file} is no three blocks of vectors; get the file again")
        vectors = as_vectors(np.concatenate(found), f"'embedding' in {file}")
    pools = list(_pools(content, sizes, file))
    llms = list(dict.fromkeys(llm for pool in pools for llm in pool.llms))
    return _Benchmark(
        benchmark_of(stem),
        instances,
        llms,
        _join(pools, llms, sum(sizes.values()), file),
        _table(pools, stem),
        vectors,
        any(p.has_labels for p in pools),
    )


@dataclass(frozen=True, eq=False)
class _Pool:
    group: str
    size: int
    llms: list[str]
    scores: NDArray[np.float32]  # (n, size)
    has_labels: bool


def _pools(content: dict[Any, Any], sizes: dict[str, int], file: Path) -> Iterator[_Pool]:
    found = False
    for level in ("easy", "hard"):
        for size, groups in as_dict(content.get(level, {}), f"{level!r} in {file}").items():
            for group, pool in as_dict(groups, f"{level} {size} in {file}").items():
                where = f"{level} {size} {group} in {file}"
                pool = as_dict(pool, where)
                llms = [clean_text(llm) for llm in as_array(pool.get("model"), f"'model' of {where}").ravel()]
                data = as_dict(pool.get("data"), f"'data' of {where}")
                blocks = [as_array(data.get(f"{part}_score"), f"'{part}_score' of {where}") for part in PARTS]
                for part, block in zip(PARTS, blocks, strict=True):
                    if block.shape != (sizes[part], len(llms)) or block.dtype.kind not in "biuf":
                        raise DataError(
                            f"'{part}_score' of {where} is {block.dtype} {block.shape}, not numbers of shape "
                            f"{(sizes[part], len(llms))}; get the file again"
                        )
                if len(set(llms)) != len(llms):
                    raise DataError(f"'model' of {where} names an LLM twice; get the file again")
                found = True
                with np.errstate(over="ignore"):  # what is too large is refused as a score
                    scores = np.concatenate(blocks).astype(np.float32)
                yield _Pool(clean_text(group), len(llms), llms, scores, "train_label" in data)
    if not found:
        raise DataError(f"{file} holds no pool under 'easy' or 'hard'; is it a router_dataset?")


def _join(pools: list[_Pool], llms: list[str], n: int, file: Path) -> NDArray[np.float32]:
    """All pools in one matrix f32 (n, m). An LLM has one score for an instance, in whichever pool it stands."""
    position = {llm: i for i, llm in enumerate(llms)}
    joined = np.full((n, len(llms)), np.nan, dtype=np.float32)
    for pool in pools:
        columns = [position[llm] for llm in pool.llms]
        known = joined[:, columns]
        clash = ~np.isnan(known) & ~np.isnan(pool.scores) & (known != pool.scores)
        if clash.any():
            row, column = (int(i) for i in np.argwhere(clash)[0])
            raise DataError(
                f"{file}: LLM {pool.llms[column]!r} scores {known[row, column]:g} and {pool.scores[row, column]:g} on "
                f"row {row} in two pools; get the file again"
            )
        joined[:, columns] = np.where(np.isnan(pool.scores), known, pool.scores)
    return joined


def _table(pools: list[_Pool], stem: str) -> pl.DataFrame:
    rows = [(benchmark_of(stem), pool.group, pool.size, llm) for pool in pools for llm in pool.llms]
    return pl.DataFrame(rows, schema=["benchmark", "group", "pool_size", "llm_id"], orient="row")


def _positions(content: dict[Any, Any], part: str, file: Path) -> list[int]:
    name = f"{part}_indices"
    try:
        return [int(i) for i in _part(content, "split_index", name, file).ravel()]
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name!r} in {file} are not whole numbers; get the file again") from None


def _part(content: dict[Any, Any], key: str, part: str, file: Path, n: int | None = None) -> NDArray[Any]:
    found = as_array(as_dict(content.get(key), f"{key!r} in {file}").get(part), f"{part!r} of {key!r} in {file}")
    if found.ndim == 0 or (n is not None and len(found) != n):
        raise DataError(
            f"{part!r} of {key!r} in {file} has {len(found) if found.ndim else 0} rows, not {n}; get the file again"
        )
    return found
