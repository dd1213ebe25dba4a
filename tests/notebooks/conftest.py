"""Runs a notebook in a kernel of its own that leaves nothing behind and uses one core.

Each notebook has a test file of its own, because `--dist loadfile` sends a file to one worker.
"""

import os
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """Run a notebook by name, on real data if RECROUTE_DATA names a folder; gives the number of its pictures."""
    for name in ONE_THREAD:
        monkeypatch.setenv(name, "1")
    # The kernel is this interpreter with this package, whatever kernels and settings the user has.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "TMPDIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    if "RECROUTE_DATA" in os.environ:
        monkeypatch.setenv("RECROUTE_DATA", str(Path(os.environ["RECROUTE_DATA"]).resolve()))

    def run(name: str) -> int:
        notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
        work = tmp_path / "work"
        work.mkdir()
        where = {"metadata": {"path": str(work)}}
        NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
        assert not list(work.iterdir()), "a notebook writes to a temporary folder only"
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        return sum("image/png" in output.get("data", {}) for output in outputs)

    return run
