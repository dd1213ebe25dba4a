"""Opt-in: `pytest tests/benchmarks/test_billion.py -s`. Fitting from sums over a billion simulated records.

Production logs: parts of 20M records, 5M prompts with vectors 64 wide and four records each of 300 LLMs. A part is
written as Parquet files, read by `Parts`, added up and deleted, while another process writes the next, so 4 GB of disk
suffice. Prints the seconds of each stage, the peak memory, the bytes that merge, and how well the fitted router chooses
for new prompts as the records grow. `RECROUTE_PARTS` sets the number of parts (default: 50, a billion records),
`RECROUTE_ROUTERS` the routers.
"""

import multiprocessing
import os
import resource
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import recroute as rr
from recroute.data import Dataset
from recroute.data.parts import Parts
from recroute.routers import Router
from recroute.routers.sums.fit import add_up, set_from_sums
from recroute.routers.sums.moments import KeptSums
from recroute.util.state import arrays_of

N_PARTS = int(os.environ.get("RECROUTE_PARTS", "50"))
N, M, K, WIDTH, SKILLS = 5_000_000, 300, 4, 64, 4
ROUTERS = tuple(os.environ.get("RECROUTE_ROUTERS", "best_single svd").split())
SHOWN = (1, 5, 50)


class World:
    """LLMs with an ability and skills, and vectors that tell the skills that a prompt needs."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        self.skill = rng.normal(0, 0.7, (M, SKILLS)).astype(np.float32)
        self.ability = rng.normal(0, 0.8, M).astype(np.float32)
        self.axes = rng.normal(size=(SKILLS, WIDTH)).astype(np.float32)

    def prompts(self, n: int, seed: int) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
        rng = np.random.default_rng([7, seed])
        need = rng.standard_normal((n, SKILLS), dtype=np.float32)
        vectors = need @ self.axes
        vectors += rng.standard_normal((n, WIDTH), dtype=np.float32)
        return rng, need, vectors

    def write(self, folder: Path, part: int, n: int = N) -> None:
        rng, need, vectors = self.prompts(n, part)
        llm = (rng.integers(0, M, (n, 1)) + np.arange(K) * (M // K) + rng.integers(0, M // K, (n, K))) % M
        logit = self.ability[llm] + rng.standard_normal((n, 1), dtype=np.float32)
        for j in range(K):
            logit[:, j] += (need * self.skill[llm[:, j]]).sum(axis=1)
        solved = rng.random((n, K), dtype=np.float32) < 1 / (1 + np.exp(-logit))
        ids = pl.select(pl.format("p{}-q{}", pl.lit(part), pl.int_range(n))).to_series()
        names = pl.Series([f"llm-{j}" for j in range(M)])
        unique = np.ones((n, K), dtype=bool)
        for j in range(1, K):
            unique[:, j] = (llm[:, j, None] != llm[:, :j]).all(axis=1)
        row, column = np.nonzero(unique)
        records = pl.DataFrame(
            {
                "instance_id": ids.gather(row),
                "llm_id": names.gather(llm[row, column]),
                "score": pl.Series(solved[row, column]).cast(pl.Float32),
            }
        )
        records.write_parquet(folder / "records.parquet", compression="lz4")
        instances = pl.DataFrame({"instance_id": ids, "embedding": pl.Series(vectors)})
        instances.write_parquet(folder / "instances.parquet", compression="lz4")
        pl.DataFrame({"llm_id": names}).write_parquet(folder / "llms.parquet")


def write_part(folder: str, part: int) -> None:
    Path(folder).mkdir(parents=True)
    World().write(Path(folder), part)


@pytest.fixture
def world() -> World:
    return World()


def expected_score(world: World, router: Router) -> float:
    """Mean chance of success of the LLMs chosen for 20,000 new prompts, their own difficulty left out."""
    _, need, vectors = world.prompts(20_000, 10**6)
    chance = 1 / (1 + np.exp(-(world.ability + need @ world.skill.T)))
    return float(chance[np.arange(len(chance)), router.rank(vectors).llm_index[:, 0]].mean())


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def test_a_billion_records(world: World, tmp_path: Path) -> None:
    spent = {"wait": 0.0, "read": 0.0}
    made = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))

    def ordered(part: int) -> Any:
        """A part that the other process writes while this one adds up."""
        return made.submit(write_part, str(tmp_path / str(part) / "logs"), part) if part < N_PARTS else None

    def blocks() -> Iterator[Dataset]:
        waiting = ordered(0)
        for part in range(N_PARTS):
            start = time.perf_counter()
            waiting.result()
            waiting = ordered(part + 1)
            spent["wait"] += time.perf_counter() - start
            start = time.perf_counter()
            with Parts.read(tmp_path / str(part) / "logs").blocks() as found:
                for block in found:
                    spent["read"] += time.perf_counter() - start
                    yield block
            shutil.rmtree(tmp_path / str(part))

    folder = tmp_path / "sample" / "logs"  # vectors are known by the folder's name
    folder.mkdir(parents=True)
    world.write(folder, 0)
    sample = Parts.read(folder, n_sample=20_000).sample("train")
    n_bytes = sum(file.stat().st_size for file in folder.iterdir())
    routers, sums = {}, {}
    for name in ROUTERS:
        routers[name] = rr.make_router(name).fit(sample)
    print(f"\nfitted on the sample: peak {peak():.2f} GB; a part is {n_bytes / 1e9:.2f} GB of Parquet")
    penalties = {name: np.array([router.penalty_on(sample)]) for name, router in routers.items()}
    adding = dict.fromkeys(ROUTERS, 0.0)
    n_records = 0
    print("records", *ROUTERS, "(score)", sep=" | ")
    print(0, *(f"{expected_score(world, routers[name]):.4f}" for name in ROUTERS), sep=" | ")
    begun = time.perf_counter()
    for part, block in enumerate(blocks()):
        n_records += block.interactions.n_observed
        for name, router in routers.items():
            start = time.perf_counter()
            found = add_up(router, [block])
            sums[name] = sums[name] + found if name in sums else found
            adding[name] += time.perf_counter() - start
        if part + 1 in SHOWN or part + 1 == N_PARTS:
            for name, router in routers.items():
                start = time.perf_counter()
                set_from_sums(router, KeptSums(sums[name], penalties[name]), keep=False)
                solved = time.perf_counter() - start
                if part + 1 == N_PARTS:
                    size = sum(array.nbytes for array in arrays_of(sums[name]).values())
                    print(f"{name}: adding up {adding[name]:.0f} s, solving {solved:.2f} s, sums {size / 1e6:.1f} MB")
            print(f"{n_records:,}", *(f"{expected_score(world, routers[name]):.4f}" for name in ROUTERS), sep=" | ")
    total = time.perf_counter() - begun
    print(
        f"{N_PARTS} parts in {total:.0f} s: waited for data {spent['wait']:.0f} s, read {spent['read']:.0f} s; "
        f"peak {peak():.2f} GB"
    )
    made.shutdown()
    assert sums["svd"].n == N_PARTS * N
