"""500 prompts are ranked in service as they were in training: from vectors of the data, and from raw text."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from recroute.data.sources import simulate
from recroute.experiment.prepare import prepare_split
from recroute.routers import make_router

N, K = 500, 5
ROUTERS = ("svd", "knn", "hierarchy", "auto")
# A process that knows nothing but the folders, one prompt at a time or all at once.
SERVICE = """
import json, sys
import numpy as np
from recroute.routers import load_router
folder, way, *names = sys.argv[1:]
prompts = json.load(open(f"{folder}/prompts.json"))
batches = [prompts] if way == "at once" else [[prompt] for prompt in prompts]
routers = {name: load_router(f"{folder}/{name}") for name in names}
ranked = {name: [] for name in names}
for batch in batches:
    for name, router in routers.items():
        ranked[name].append(router.rank(batch, 5).llm_index)
np.savez(f"{folder}/{way}.npz", **{name: np.vstack(parts) for name, parts in ranked.items()})
"""


def served(folder: Path, way: str, n_threads: int) -> dict[str, np.ndarray]:
    """LLMs int (500, 5) by router, as a new process with so many threads ranks them."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(n_threads))
    command = [sys.executable, "-c", SERVICE, str(folder), way, *ROUTERS]
    subprocess.run(command, env={**os.environ, **threads}, check=True)
    with np.load(folder / f"{way}.npz") as content:
        return dict(content)


def check(kind: str, folder: Path) -> None:
    """Fit on some of 500 prompts, rank all by the vectors of the data, and have new processes rank the raw texts."""
    parts = prepare_split(simulate(n_llms=12, n_instances=N), encoder=kind)
    (folder / "prompts.json").write_text(
        json.dumps([p for part in parts.parts().values() for p in part.prompts or []]),
        "utf8",
    )
    expected = {}
    for name in ROUTERS:
        router = make_router(name).fit(parts.train)
        router.save(folder / name)
        expected[name] = np.vstack([router.rank(part, K).llm_index for part in parts.parts().values()])
        assert expected[name].shape == (N, K)
        assert len(np.unique(expected[name][:, 0])) > 1  # text matters
    for way, n_threads in (("one by one", 1), ("at once", 2)):
        found = served(folder, way, n_threads)
        for name in ROUTERS:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=f"{name}, {way}")


def test_tfidf(tmp_path: Path) -> None:
    check("tfidf", tmp_path)


def test_minilm(minilm: Path, tmp_path: Path) -> None:
    check(f"sentence:{minilm}", tmp_path)
    assert len(list(tmp_path.rglob("*.safetensors"))) == len(ROUTERS)
