"""Opt-in: `pytest tests/benchmarks/test_import.py -s`. The importers at RouterEval's full size, 200M records.

Prints figures; the machine decides them, so nothing timed is asserted. Needs some 5 GB of disk under the temporary
folder, freed again, and ten minutes.
"""

import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

N_LLMS = 8_567
SIZES = {  # sub-benchmark: instances; 23,345 in all
    "harness_arc_challenge_25": 1_172,
    "harness_gsm8k_5": 1_319,
    "harness_hellaswag_10": 10_042,
    "harness_hendrycksTest_law_5": 4_364,
    "harness_hendrycksTest_psychology_5": 4_364,
    "harness_truthfulqa_mc_0": 817,
    "harness_winogrande_5": 1_267,
}
BLOCK = 256
IMPORT = """
import sys
from recroute.cli import main
try:
    main()
finally:  # VmHWM is of this process alone; ru_maxrss would count what its parent held when it started it
    print([line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1])
"""


class Made:
    """A planted matrix, generated block by block, and the two files it stands in."""

    def __init__(self, folder: Path, n_llms: int) -> None:
        self.folder, self.n_llms = folder, n_llms
        self.llms = [f"org-{j % 97}/llm-{j:05d}" for j in range(n_llms)]
        self.n_records = n_llms * sum(SIZES.values())
        self.table = folder / "records.parquet"
        self.leaderboard = folder / "routereval"

    def blocks(self, task: str) -> Iterator[NDArray[np.bool_]]:
        """Ability, four skills and difficulty decide; the same numbers whenever they are asked for."""
        rng = np.random.default_rng(sorted(SIZES).index(task))
        ability, skill = rng.normal(size=self.n_llms), rng.normal(size=(4, self.n_llms)).astype(np.float32)
        for start in range(0, SIZES[task], BLOCK):
            n = min(BLOCK, SIZES[task] - start)
            logit = rng.normal(size=(n, 4)).astype(np.float32) @ skill + ability.astype(np.float32)
            logit -= 1.5 * rng.normal(size=(n, 1)).astype(np.float32)
            yield rng.random(logit.shape, dtype=np.float32) < 1 / (1 + np.exp(-logit))

    def write_table(self) -> None:
        ids = pa.array([f"{task}.{i}" for task, n in SIZES.items() for i in range(n)])
        llms, first, writer = pa.array(self.llms), 0, None
        for task in SIZES:
            for block in self.blocks(task):
                rows = np.repeat(np.arange(first, first + len(block), dtype=np.int32), self.n_llms)
                columns = np.tile(np.arange(self.n_llms, dtype=np.int32), len(block))
                parts = {
                    "instance_id": pa.DictionaryArray.from_arrays(rows, ids),
                    "llm_id": pa.DictionaryArray.from_arrays(columns, llms),
                    "score": pa.array(block.ravel().astype(np.float32)),
                }
                table = pa.table(parts)
                writer = writer or pq.ParquetWriter(self.table, table.schema, compression="zstd")
                writer.write_table(table)
                first += len(block)
        assert writer is not None
        writer.close()

    def write_leaderboard(self) -> None:
        """As published: float64, 1.6 GB."""
        data = {task: {"correctness": np.concatenate(list(self.blocks(task))).astype(np.float64)} for task in SIZES}
        file = self.leaderboard / "leaderboard_score" / "leaderboard_old.pkl"
        file.parent.mkdir(parents=True)
        with file.open("wb") as target:
            pickle.dump({"model": self.llms, "data": data}, target, protocol=4)


@pytest.fixture(scope="module", params=[pytest.param(10, id="tenth"), pytest.param(1, id="full")])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    found = Made(tmp_path_factory.mktemp("import"), N_LLMS // request.param)
    yield found
    shutil.rmtree(found.folder)


def run_import(made: Made, layout: str, source: Path) -> None:
    start = time.perf_counter()
    arguments = ["data", "import", layout, str(source), str(made.folder / "imported"), "--quiet"]
    done = subprocess.run([sys.executable, "-c", IMPORT, *arguments], stdout=subprocess.PIPE, check=True, text=True)
    seconds = time.perf_counter() - start
    peak = int(done.stdout.split()[-1]) / 1e6
    assert pq.read_metadata(made.folder / "imported" / "records.parquet").num_rows == made.n_records
    shutil.rmtree(made.folder / "imported")
    per_million = seconds / made.n_records * 1e6
    print(f"\n{layout}, {made.n_records:,} records: {seconds:.1f} s, {per_million:.2f} s per 1M, peak {peak:.2f} GB")


def test_table(made: Made) -> None:
    """Beside it, polars copying the same file without looking at it."""
    made.write_table()
    run_import(made, "table", made.table)
    start = time.perf_counter()
    pl.scan_parquet(made.table).sink_parquet(made.folder / "copy.parquet")
    print(f"polars scan and sink of the same file: {time.perf_counter() - start:.1f} s")
    made.table.unlink()


def test_routereval(made: Made) -> None:
    made.write_leaderboard()
    run_import(made, "routereval", made.leaderboard)
