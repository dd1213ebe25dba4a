"""pyarrow is not in the default install: nothing of everyday use imports it."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa

from recroute.data import write_dataset
from recroute.testing import planted_dataset

SCRIPT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
import recroute as rr
from recroute.cli.app import run
data = rr.read_dataset(sys.argv[1])
data.to_polars().write_csv("scores.csv")
assert rr.read_dataset("scores.csv").shape == data.shape
assert rr.read_dataset("scores.csv.zst").shape == data.shape
assert run(["data", "import", "table", "scores.csv", "imported", "--quiet"]) == 0
assert rr.read_dataset("imported").interactions.n_observed == data.interactions.n_observed
data.to_polars().write_ipc("scores.arrow")
assert rr.read_dataset("scores.arrow").shape == data.shape
router = rr.make_router("svd").fit(data)
router.save("router")
print(rr.load_router("router").rank(["translate this"]).names[0][0])
"""


def test_reading_importing_fitting_and_routing(tmp_path: Path) -> None:
    data = planted_dataset(n_instances=120, n_llms=5, missing=0.2)
    write_dataset(data, tmp_path / "data")
    packed = pa.compress(data.to_polars().write_csv().encode(), codec="zstd", asbytes=True)
    (tmp_path / "scores.csv.zst").write_bytes(packed)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "data"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("llm-")
