"""Opt-in: `pytest tests/benchmarks/test_routereval.py -s`. Against RouterEval's own way, end to end.

One `tmp_perf.npz` of its layout, 11,215 training instances x 1,000 LLMs, vectors 768 wide, and 1,402 each to validate
and to test. Each router is a process of its own on one thread, from the file to the mean test score; RouterEval's are
written here anew from its paper and its published scripts: the five nearest by scikit-learn and a loop, a linear layer
under PyTorch's Adam on batches of one with its cosine schedule (skipped without PyTorch), a Gaussian mixture of three
and each cluster's best LLM. Theirs and ours take turns, three times; medians are printed. The machine decides the
figures, so nothing timed is asserted.
"""

import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

SIZES = {"train": 11_215, "val": 1_402, "test": 1_402}
N_LLMS, WIDTH, N_KINDS = 1_000, 768, 12
N_TURNS = 3

START = """
import sys, numpy as np
file = np.load(sys.argv[1])
"""
END = """
scores = file["test_score"]
print(scores[np.arange(len(scores)), choice].mean())
print([line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1])
"""
THEIRS = {
    "knn": """
from sklearn.neighbors import NearestNeighbors
nearest = NearestNeighbors(n_neighbors=5, metric="cosine").fit(file["train_embed"])
Y, expected = file["train_score"], []
for row in nearest.kneighbors(file["test_embed"], return_distance=False):
    expected.append(Y[row].mean(axis=0))
choice = np.argmax(expected, axis=1)
""",
    "linear": """
import torch
torch.set_num_threads(1)
torch.manual_seed(0)
n_epochs, pairs = int(sys.argv[2]), [torch.from_numpy(file[name]).float() for name in ("train_embed", "train_score")]
model = torch.nn.Linear(pairs[0].shape[1], pairs[1].shape[1])
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_epochs * len(pairs[0]))
loss = torch.nn.BCEWithLogitsLoss()
for epoch in range(n_epochs):
    for x, y in torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*pairs), shuffle=True, batch_size=1):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
        schedule.step()
with torch.no_grad():
    choice = model(torch.from_numpy(file["test_embed"])).argmax(dim=1).numpy()
""",
    "cluster": """
from sklearn.mixture import GaussianMixture
X, Y = file["train_embed"], file["train_score"]
mixture = GaussianMixture(3, random_state=0)
member = mixture.fit_predict(X)
best = np.array([Y[member == c].mean(axis=0).argmax() for c in range(3)])
choice = best[mixture.predict(file["test_embed"])]
""",
}
OURS = """
import polars as pl
import recroute as rr
from recroute.data import Precomputed
def part(name):
    scores = file[f"{name}_score"]
    ids = [f"{name}.{i}" for i in range(len(scores))]
    instances = pl.DataFrame({"instance_id": ids, "task": ["mmlu"] * len(ids)})
    llms = pl.DataFrame({"llm_id": [f"llm-{j:04d}" for j in range(scores.shape[1])]})
    matrix = rr.InteractionMatrix.from_dense(scores)
    return rr.Dataset(name, matrix, instances, llms).with_embeddings(file[f"{name}_embed"], Precomputed("routereval"))
router = rr.make_router(ROUTER).fit(part("train"))
choice = router.rank(part("test")).llm_index[:, 0]
"""
COMMAND = """
import sys
from recroute.cli import main
try:
    main()
finally:
    print([line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1])
"""


class Spent(NamedTuple):
    """Wall-clock and processor seconds, peak memory in GB, and what was printed."""

    seconds: float
    processor: float
    peak: float
    lines: list[str]

    def __str__(self) -> str:
        return f"{self.seconds:7.2f} s ({self.processor:6.2f} of processor time), {self.peak:.2f} GB"


def run(code: str, *arguments: str) -> Spent:
    command = [sys.executable, "-c", code, *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        lines = process.stdout.read().split("\n")[:-1]
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)  # which it cannot ask for any more
    assert process.returncode == 0
    seconds = time.perf_counter() - start
    return Spent(seconds, usage.ru_utime + usage.ru_stime, int(lines[-1]) / 1e6, lines[:-1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both files of the layout. Twelve kinds of prompts, which the vectors tell through noise, decide who is good."""
    found, rng = tmp_path_factory.mktemp("routereval"), np.random.default_rng(0)
    n = sum(SIZES.values())
    kind = rng.integers(0, N_KINDS, n)
    vectors = rng.normal(size=(N_KINDS, WIDTH))[kind] + 2 * rng.normal(size=(n, WIDTH))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    logit = rng.normal(size=N_LLMS) + rng.normal(size=(N_KINDS, N_LLMS))[kind] - rng.normal(size=(n, 1))
    scores = (rng.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(np.float64)
    rows = dict(zip(SIZES, np.split(np.arange(n), np.cumsum(list(SIZES.values()))[:-1]), strict=True))
    embeddings = {f"{part}_embed": vectors[at] for part, at in rows.items()}
    parts = {f"{part}_score": scores[at] for part, at in rows.items()}
    np.savez(found / "tmp_perf.npz", **embeddings, **parts)
    pool = {"data": parts, "model": np.array([f"llm-{j:04d}" for j in range(N_LLMS)])}
    content = {
        "easy": {},
        "hard": {N_LLMS: {"all_strong": pool}},
        "split_index": {f"{part}_indices": at for part, at in rows.items()},
        "embedding": embeddings,
        "prompt": {f"{part}_prompt": np.array([f"question {i}" for i in at]) for part, at in rows.items()},
    }
    with (found / "mmlu_router_dataset.pkl").open("wb") as file:
        pickle.dump(content, file)
    best, oracle = parts["test_score"].mean(axis=0).max(), parts["test_score"].max(axis=1).mean()
    print(f"\nbest single {best:.4f}, oracle {oracle:.4f}")
    return found


@pytest.mark.parametrize(
    ("router", "epochs"), [("knn", 0), ("cluster", 0), ("linear", 1)], ids=lambda value: str(value)
)
def test_one_router(folder: Path, router: str, epochs: int) -> None:
    if router == "linear":
        pytest.importorskip("torch")
    label = f"linear(n_epochs={epochs})" if epochs else router
    file = str(folder / "tmp_perf.npz")
    both = [
        (
            run(START + THEIRS[router] + END, file, str(epochs)),
            run(START + OURS.replace("ROUTER", repr(label)) + END, file),
        )
        for _ in range(N_TURNS)
    ]
    theirs, ours = (sorted(spent, key=lambda one: one.processor)[N_TURNS // 2] for spent in zip(*both, strict=True))
    print(f"\n{label}: theirs {theirs}, mu {float(theirs.lines[-1]):.4f}")
    print(f"{label}: ours   {ours}, mu {float(ours.lines[-1]):.4f}")
    print(f"{label}: ratio of processor time {theirs.processor / ours.processor:.1f}")
    assert float(ours.lines[-1]) > float(theirs.lines[-1]) - 0.01  # or speed would be bought with quality


@pytest.mark.parametrize("routers", [("knn", "cluster"), ("knn", "linear", "cluster")], ids="-".join)
def test_import_and_evaluate(folder: Path, routers: tuple[str, ...], tmp_path: Path) -> None:
    """With what the command adds: bounds and baselines, all metrics, 1,000 bootstrap resamples."""
    source, target = str(folder / "mmlu_router_dataset.pkl"), str(tmp_path / "data")
    imported = run(COMMAND, "data", "import", "routereval", source, target, "--quiet")
    options = [part for router in routers for part in ("--router", router)]
    json_file = tmp_path / "result.json"
    options += ["--encoder", "precomputed", "--json", str(json_file), "--quiet"]
    evaluated = run(COMMAND, "evaluate", target, *options)
    rows = json.loads(json_file.read_text("utf8"))["rows"]
    mu = {row["router"]: row["value"] for row in rows if row["metric"] == "mean_score" and "baseline" not in row}
    print(
        f"\nimport   {imported}\nevaluate {evaluated}: "
        + ", ".join(f"{r} {mu[r]:.4f}" for r in (*routers, "best_single"))
    )
    assert set(routers) <= set(mu)
