"""Makes an archive of small router folders, and what each of them predicts, with the recroute that is installed.

python make_routers.py ARCHIVE.tar.xz
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recroute.data import Dataset, InteractionMatrix, Precomputed
from recroute.data.feedback import Feedback
from recroute.routers import Router, make_router
from recroute.testing import drawn_preferences, planted_dataset

N_INSTANCES, N_LLMS, WIDTH = 30, 6, 5
NAMES = {
    "auto": "auto",
    "als_kernel": "als(n_factors=3,bridge=kernel)",
    "best_single": "best_single",
    "bpr_neighbors": "bpr(n_factors=3,bridge=neighbors)",
    "bradley_terry": "bradley_terry",
    "budgeted": "budgeted(router=knn,quality=0.9)",
    "calibrated": "calibrated",
    "cluster": "cluster",
    "ease": "ease",
    "embedllm": "embedllm",
    "guarded": "guarded",
    "hierarchy": "hierarchy",
    "irt": "irt",
    "item_knn": "item_knn",
    "kmeans": "kmeans",
    "knn": "knn",
    "lightfm": "lightfm(n_factors=3)",
    "linear": "linear",
    "lmf_mlp": "lmf(n_factors=3,bridge=mlp)",
    "mlp": "mlp(n_hidden=8)",
    "oracle_mix": "oracle_mix(p=0.25)",
    "random": "random",
    "ridge": "ridge",
    "svd": "svd(n_factors=3)",
    "svd_all": "svd(n_factors=3,views=all,index=hnsw)",
    "task_best": "task_best",
}


def training_data() -> Dataset:
    llms = pl.DataFrame(
        {
            "llm_id": [f"llm-{i}" for i in range(N_LLMS)],
            "family": ["a", "a", "b", "b", None, "c"],
            "n_params_b": [1.0, 7.0, None, 13.0, 70.0, 3.0],
            "price_in": [0.1, 0.2, None, 0.3, 1.0, 0.1],
            "price_out": [0.2, 0.4, None, 0.6, 2.0, 0.2],
        }
    )
    return replace(planted_dataset(n_instances=N_INSTANCES, n_llms=N_LLMS, missing=0.1, costs=True), llms=llms)


def vectors(n: int, seed: int) -> Any:
    return np.random.default_rng(seed).standard_normal((n, WIDTH)).astype(np.float32)


def feedback() -> Feedback:
    n = 40
    records = {
        "instance_id": [f"q{i}" for i in range(n)],
        "llm_id": [f"llm-{i % 3}" for i in range(n)],
        "score": [float(i % 2) for i in range(n)],
        "prompt": [f"translate the sentence number {i}" for i in range(n)],
        "decision_id": [f"d{i}" for i in range(n)],
    }
    preferences = {
        "instance_id": ["p0", "p1"],
        "llm_a": ["llm-0", "llm-1"],
        "llm_b": ["llm-3", "llm-0"],
        "outcome": [1.0, 0.5],
        "prompt": ["compile the program", "multiply"],
        "decision_id": ["x0", "x1"],
    }
    return Feedback(pl.DataFrame(records), pl.DataFrame(preferences))


def routers() -> dict[str, Router]:
    data = training_data()
    found = {name: make_router(label).fit(data) for name, label in NAMES.items()}
    given = data.with_embeddings(vectors(N_INSTANCES, 3), Precomputed("stub"))
    found["precomputed"] = make_router("ridge").fit(given)
    found["joint"] = make_router("auto").fit(given)
    block = np.full((N_INSTANCES, 2), np.nan)
    block[:10, 0] = data.interactions.dense()[:10, 0]
    scores, table = InteractionMatrix.from_dense(block), pl.DataFrame({"llm_id": ["new-a", "new-b"]})
    found["grown"], found["grown_knn"] = (found[name].add_llms(scores, table) for name in ("auto", "knn"))
    for name in ("auto", "best_single", "budgeted"):
        found[f"refreshed_{name}"] = found[name].refresh(feedback())
    found["preferences"] = make_router("auto").fit(drawn_preferences(data, 5 * N_INSTANCES))
    found["sparse"] = make_router("knn").fit(planted_dataset(n_instances=N_INSTANCES, n_llms=N_LLMS, missing=0.92))
    return found


def queries(given: bool) -> Dataset:
    """Six prompts, with the vectors that came with the data where a router reads no text."""
    data = planted_dataset(n_instances=6, n_llms=N_LLMS, seed=9)
    return data.with_embeddings(vectors(6, 4), Precomputed("stub")) if given else data


def predictions(router: Router, name: str) -> dict[str, Any]:
    data = queries(name in ("precomputed", "joint"))
    found = {"llms": list(router.llm_ids_), "score": router.score(data).astype(float).round(6).tolist()}
    if name != "preferences":  # without scores nothing tells how sure it is
        found["std"] = router.score_std(data).astype(float).round(6).tolist()
    return found


def main(archive: str) -> None:
    expected = {}
    with tarfile.open(archive, "w:xz", preset=9) as tar, tempfile.TemporaryDirectory() as temporary:
        for name, router in routers().items():
            router.save(Path(temporary) / name, card="# A card" if name == "auto" else None)
            for file in sorted((Path(temporary) / name).iterdir()):
                _add(tar, f"{name}/{file.name}", file.read_bytes())
            if name != "oracle_mix":  # reads the scores of what it ranks
                expected[name] = predictions(router, name)
        _add(tar, "expected.json", json.dumps(expected).encode())


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    main(sys.argv[1])
