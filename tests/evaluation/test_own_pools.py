"""`--groups own` against RouterEval's definitions, written out in plain NumPy on the pickle itself."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recroute.data import read_dataset
from recroute.data.sources import import_dataset
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.run import scale

FILES = {"arc": "arc", "truthfulqa": "harness_truthfulqa_mc_0"}
GROUPS = ("all_strong", "all_weak", "strong_to_weak")


def plain(content: dict[str, Any], level: str, size: int, group: str) -> dict[tuple[str, str], float]:
    """Mean score, V_B and E_p of oracle, random, r_o(0.5) and PRknn (5 cosine neighbours) on one pool."""
    train, test = (content[level][size][group]["data"][f"{part}_score"].astype(float) for part in ("train", "test"))
    x, y = (content["embedding"][f"{part}_embed"].astype(float) for part in ("train", "test"))
    x, y = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (x, y))
    mu = {"oracle": test.max(axis=1).mean(), "random": test.mean()}
    mu["oracle_mix(p=0.5)"] = (mu["oracle"] + mu["random"]) / 2
    entropies, scores = [], []
    by_preference = np.lexsort((np.arange(size), -train.mean(axis=0)))  # our rule for ties
    for row, similarity in enumerate(y @ x.T):
        near = np.argsort(-similarity, kind="stable")[:5]
        predicted = train[near].mean(axis=0)
        tied = np.flatnonzero(predicted > predicted.max() - 1e-9)
        choice = next(llm for llm in by_preference if llm in tied)
        scores.append(test[row, choice])
        share = np.exp(predicted) / np.exp(predicted).sum()
        entropies.append(-(share * np.log2(share)).sum())
    mu["knn"] = np.mean(scores)
    best_single = test.mean(axis=0).max()
    found = {(router, "mean_score"): value for router, value in mu.items()}
    found |= {(router, "best_single_ratio"): value / best_single for router, value in mu.items()}
    oracle_share = np.where(test.sum(axis=1, keepdims=True) > 0, test, 1)
    oracle_share = oracle_share / oracle_share.sum(axis=1, keepdims=True)
    mixed = oracle_share / 2 + 1 / (2 * size)
    found["random", "selection_entropy"] = np.log2(size)
    found["oracle", "selection_entropy"] = bits(oracle_share)
    found["oracle_mix(p=0.5)", "selection_entropy"] = bits(mixed)
    found["knn", "selection_entropy"] = np.mean(entropies)
    return found


def bits(share: np.ndarray) -> float:
    return float(-(share * np.log2(np.where(share > 0, share, 1))).sum(axis=1).mean())


@pytest.fixture(scope="module", params=FILES)
def benchmark_run(
    request: pytest.FixtureRequest, real: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, Any], Evaluation]:
    name = request.param
    folder = real / "routereval_layout/router_dataset"
    imported = tmp_path_factory.mktemp("own") / "routereval"
    import_dataset("routereval", folder, imported)
    data = read_dataset(imported).take_benchmark(name)
    content = pickle.loads((folder / f"{FILES[name]}_router_dataset.pkl").read_bytes())
    return name, content, scale(data, [], groups=["own"], n_resamples=20)


@pytest.mark.realdata
def test_own_pools_agree_with_plain_numpy(benchmark_run: tuple[str, dict[str, Any], Evaluation]) -> None:
    _, content, found = benchmark_run
    sizes = [(level, size) for level in ("easy", "hard") for size in content[level]]
    assert set(found.rows["pool_size"].drop_nulls()) == {size for _, size in sizes}
    assert set(found.rows["group"]) == {*GROUPS, "mean"}
    for level, size in sizes:
        expected = [plain(content, level, size, group) for group in GROUPS]
        for router, metric in expected[0]:
            values = [values[router, metric] for values in expected]
            for group, value in zip((*GROUPS, "mean"), (*values, np.mean(values)), strict=True):
                ours = found.value(router, metric, pool_size=size, group=group)
                assert ours == pytest.approx(value, abs=1e-6), (router, metric, size, group)


@pytest.mark.realdata
def test_own_pools_use_the_datas_split(benchmark_run: tuple[str, dict[str, Any], Evaluation]) -> None:
    _, content, found = benchmark_run
    info = found.info["dataset"]
    assert info["split"] == "own"
    assert [info[f"n_{part}"] for part in ("train", "valid", "test")] == [
        len(content["split_index"][f"{part}_indices"]) for part in ("train", "val", "test")
    ]


@pytest.mark.realdata
def test_published_baselines_stand_beside(benchmark_run: tuple[str, dict[str, Any], Evaluation]) -> None:
    name, _, found = benchmark_run
    published = found.info["published"]
    assert (published["benchmark"], published["pool_size"], published["group"]) == (name, 5, "mean")
    assert {row["here"]: row["value"] for row in published["rows"]}["knn"] == 0.95
