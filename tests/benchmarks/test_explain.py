"""Opt-in: `pytest tests/benchmarks/test_explain.py -s`. How far intervals, predicted tasks and folders are from ideal.

Every figure is of test instances. `RECROUTE_SEEDS` sets the number of splits, 3 if not set.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from recroute.data import Dataset, InteractionMatrix, read_dataset
from recroute.data.sources.simulated import simulate, simulate_chances
from recroute.routers import load_router, make_router
from recroute.routers.base import TextRouter
from recroute.routers.memory.score_error import N_NEAR, kernel_weights, score_error
from recroute.splits import split_dataset
from recroute.testing import planted_dataset

SEEDS = range(int(os.environ.get("RECROUTE_SEEDS", "3")))
ROUTERS = ("best_single", "svd", "knn", "hierarchy", "auto")
REAL = ("llmrouter", "mmlupro", "routerbench", "zeroeval", "openllm1")
NORMAL = 1.6449


def mean_interval(values: list[float]) -> str:
    """Mean over seeds, and 95% interval of it."""
    half = 1.96 * np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return f"{np.mean(values):.3f} +- {half:.3f}"


def simulated(seed: int) -> tuple[Dataset, np.ndarray]:
    return simulate_chances(n_llms=100, n_instances=2000, seed=seed)


def planted(noise: float) -> Callable[[int], tuple[Dataset, np.ndarray]]:
    def draw(seed: int) -> tuple[Dataset, np.ndarray]:
        data = planted_dataset(noise=noise, missing=0.1, n_instances=480, seed=seed)
        solves = (np.arange(6) % 3)[None, :] == (np.arange(480) % 3)[:, None]
        return data, np.where(solves, 1 - noise, noise)

    return draw


@pytest.mark.parametrize(
    ("name", "draw"), [("simulated", simulated), ("planted .1", planted(0.1)), ("planted .3", planted(0.3))]
)
def test_known_truth(name: str, draw: Callable[[int], tuple[Dataset, np.ndarray]]) -> None:
    """90% intervals of the expected score, which is known."""
    print(
        f"\n{name}: coverage of 90% intervals over {len(SEEDS)} seeds, target .85 to .95; errors are root mean squares"
    )
    for router_name in ROUTERS:
        found: list[list[float]] = []
        for seed in SEEDS:
            data, chance = draw(seed)
            split = split_dataset(data, seed=seed)
            router = make_router(router_name).fit(split.train)
            truth = chance[data.instance_ids.to_index(list(split.test.instance_ids))]
            error = router.score(split.test).clip(0, 1) - truth
            std = router.score_std(split.test)
            reducible = router.score_std(split.test, reducible=True)
            squares = [np.sqrt(np.mean(np.square(v))) for v in (error, std, reducible)]
            found.append([float((np.abs(error) <= NORMAL * std).mean()), *map(float, squares)])
        covered, error, std, reducible = map(list, zip(*found, strict=True))
        print(
            f"  {router_name:12} covered {mean_interval(covered)}  error {np.mean(error):.3f}, score_std "
            f"{np.mean(std):.3f} (reducible {np.mean(reducible):.3f}), n = {truth.size} cells a seed"
        )


def some(real: Path, name: str, seed: int) -> Dataset:
    """At most 4,000 instances and 300 LLMs, drawn with the seed."""
    data, rng = read_dataset(real / name), np.random.default_rng(seed)
    if name == "openllm1":
        full = np.flatnonzero(data.interactions.llm_counts == data.n_instances)
        data = data.take_llms(np.sort(rng.permutation(full)[:300]))
    return data.take_instances(np.sort(rng.permutation(data.n_instances)[:4000]))


def group_errors(router: TextRouter, test: Dataset, group: np.ndarray) -> np.ndarray:
    """Errors of predicted group means over their standard deviations, for groups of 5 prompts or more and each LLM.

    Noise and what sets prompts apart are independent from prompt to prompt; what is reducible is as correlated as the
    known prompts are shared that it rests on.
    """
    error, vectors = score_error(router), router.vectors(test)
    near, similarity = error.evidence.neighbors.search(vectors, N_NEAR)
    weights = kernel_weights(near, 1 - similarity, error.width, error.evidence.scores.n_instances)
    weights = sp.diags(1 / np.sqrt(np.asarray(weights.power(2).sum(axis=1)).ravel())) @ weights
    predicted, scores = router.score(test), test.interactions.dense()
    std = router.score_std(test, reducible=True).astype(np.float64)
    chance = predicted.clip(0.01, 0.99).astype(np.float64)
    cell = error.spread * chance * (1 - chance)
    found = []
    for g in np.unique(group):
        rows = np.flatnonzero(group == g)
        seen = ~np.isnan(scores[rows])
        n = seen.sum(axis=0)
        shared, part = (weights[rows] @ weights[rows].T).toarray(), np.where(seen, std[rows], 0)
        variance = np.einsum("il,ij,jl->l", part, shared, part) + np.where(seen, cell[rows], 0).sum(axis=0)
        off = np.where(seen, np.nan_to_num(scores[rows]) - predicted[rows], 0).sum(axis=0)
        found.append((off / np.sqrt(variance.clip(1e-12)))[n >= 5])
    return np.concatenate(found)


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
def test_group_means(real: Path, name: str) -> None:
    """Means of clusters of about 12 near test prompts, and of tasks, for each LLM: their 90% intervals."""
    from sklearn.cluster import KMeans

    print(f"\n{name}: coverage of 90% intervals of group means over {len(SEEDS)} splits; z2 is the mean squared error")
    for router_name in ("svd", "knn", "auto"):
        found: dict[str, list[tuple[float, float, int]]] = {"clusters": [], "tasks": []}
        for seed in SEEDS:
            split = split_dataset(some(real, name, seed), seed=seed)
            router, test = make_router(router_name).fit(split.train), split.test.evaluated()
            assert isinstance(router, TextRouter)
            clusters = KMeans(max(2, test.n_instances // 12), n_init=1, random_state=0).fit_predict(
                router.vectors(test)
            )
            for kind, group in (("clusters", clusters), ("tasks", test.tasks)):
                z = group_errors(router, test, group)
                found[kind].append((float((np.abs(z) <= NORMAL).mean()), float((z**2).mean()), len(z)))
        for kind, rows in found.items():
            covered, squared, n = map(list, zip(*rows, strict=True))
            print(
                f"  {router_name:5} {kind:9} covered {mean_interval(covered)}  z2 {mean_interval(squared)}  "
                f"n = {int(np.mean(n))} groups x LLMs of {test.n_instances} prompts a split"
            )


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
def test_predicted_task(real: Path, name: str) -> None:
    print(f"\n{name}: share of test prompts whose task is predicted, over {len(SEEDS)} splits")
    for router_name in ("svd", "auto"):
        right, sure = [], []
        for seed in SEEDS:
            split = split_dataset(some(real, name, seed), seed=seed)
            router = make_router(router_name).fit(split.train)
            tasks = [each.task for each in router.explain(split.test, n_neighbors=1)]
            hits = [t is not None and t["name"] == u for t, u in zip(tasks, split.test.tasks, strict=True)]
            right.append(float(np.mean(hits)))
            sure.append(float(np.mean([t["probability"] for t in tasks if t])))
        print(
            f"  {router_name:5} {mean_interval(right)}, mean probability {np.mean(sure):.3f}, n = {len(hits)} a split"
        )


@pytest.mark.parametrize("name", ["svd", "knn", "auto"])
def test_time(name: str, tmp_path: Path) -> None:
    """10,000 known prompts and 1,000 LLMs, one prompt at a time."""
    few = simulate(n_llms=200, n_instances=10_000)
    llms = pl.DataFrame({"llm_id": [f"llm-{i}" for i in range(1000)]})
    scores = np.tile(few.interactions.dense(), (1, 5))
    router = make_router(name).fit(Dataset("wide", InteractionMatrix.from_dense(scores), few.instances, llms))
    router.background_.known_prior = None  # type: ignore[union-attr]
    router.save(tmp_path / "router")
    start = time.perf_counter()
    router = load_router(tmp_path / "router")
    loaded = time.perf_counter() - start
    texts = (few.prompts or [])[:200]
    router.rank(texts[:1])
    start = time.perf_counter()
    router.explain(texts[:1], 3)
    first = time.perf_counter() - start
    calls: dict[str, Callable[[str], object]] = {
        "rank": lambda text: router.rank([text], 3),
        "score_std": lambda text: router.score_std([text]),
        "explain": lambda text: router.explain([text], 3),
    }
    print(f"\n{name}: load {loaded:.2f} s, first explain {first:.2f} s, load average {os.getloadavg()[0]:.1f}")
    for what, call in calls.items():
        laps, used = [], time.process_time()
        for text in texts:
            start = time.perf_counter()
            call(text)
            laps.append(time.perf_counter() - start)
        used = (time.process_time() - used) / len(texts) * 1e3
        median, late = np.percentile(laps, [50, 99]) * 1e3
        print(f"  {what:10} median {median:6.2f} ms, 99% within {late:6.2f} ms, CPU {used:6.2f} ms")


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["mmlupro", "openllm1", "full size"])
@pytest.mark.parametrize("router_name", ["svd", "auto"])
def test_folder(real: Path, name: str, router_name: str, tmp_path: Path) -> None:
    """Size and loading time with evidence and without it."""
    if name == "full size":  # RouterEval's, with vectors as wide as text and embeddings together
        if router_name == "auto":
            pytest.skip("takes long to fit, and holds the same evidence")
        rng = np.random.default_rng(0)
        scores = InteractionMatrix.of_state(
            {"codes": rng.integers(1, 3, (23_345, 8_567), dtype=np.uint8), "values": np.float32([np.nan, 0, 1])}
        )
        names = [f"{i}" for i in range(23_345)]
        table = pl.DataFrame({"instance_id": names, "task": "all"})
        small = planted_dataset()
        encoder = make_router("svd").fit(small).encoder_
        assert encoder is not None
        data = Dataset("full", scores, table, pl.DataFrame({"llm_id": [f"llm-{i}" for i in range(8_567)]}))
        data = data.with_embeddings(rng.normal(size=(23_345, 704)).astype(np.float32), encoder)
    else:
        data = read_dataset(real / name)
        data = data.take_llms(np.flatnonzero(data.interactions.llm_counts == data.n_instances))
    router = make_router(router_name).fit(data)
    router.save(tmp_path / "router")
    sizes = {file.name: file.stat().st_size / 1e6 for file in (tmp_path / "router").iterdir()}
    evidence = sum(size for file, size in sizes.items() if file.startswith("evidence"))
    laps = []
    for _ in range(5):
        start = time.perf_counter()
        loaded = load_router(tmp_path / "router")
        laps.append(time.perf_counter() - start)
    start = time.perf_counter()
    assert loaded.background_ is not None
    assert loaded.background_.evidence is not None
    hashed = time.perf_counter() - start
    ms, later = np.median(laps) * 1e3, hashed * 1e3
    print(
        f"\n{router_name} on {name}, {data.n_instances} x {data.n_llms}: folder {sum(sizes.values()):.1f} MB, of it "
        f"evidence {evidence:.1f} MB; loading {ms:.0f} ms, evidence {later:.0f} ms when needed"
    )


def test_thompson() -> None:
    """What choosing by a draw from the predicted scores costs at once, on simulated prompts."""
    print(f"\nmean expected score of the choice, over {len(SEEDS)} seeds")
    for router_name in ("svd", "auto"):
        found: dict[str, list[float]] = {}
        for seed in SEEDS:
            data, chance = simulated(seed)
            split = split_dataset(data, seed=seed)
            truth = chance[data.instance_ids.to_index(list(split.test.instance_ids))]
            router, rng = make_router(router_name).fit(split.train), np.random.default_rng(seed)
            predicted = router.score(split.test)
            draws = {"greedy": np.zeros_like(predicted), "uniform": np.full_like(predicted, 1e6)}
            draws["score_std"] = router.score_std(split.test)
            draws["reducible"] = router.score_std(split.test, reducible=True)
            for what, std in draws.items():
                choice = (predicted + std * rng.normal(size=std.shape)).argmax(axis=1)
                found.setdefault(what, []).append(float(truth[np.arange(len(truth)), choice].mean()))
        print(f"  {router_name:5} " + ", ".join(f"{what} {mean_interval(v)}" for what, v in found.items()))
