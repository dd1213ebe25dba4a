"""Opt-in: `pytest tests/benchmarks/test_full_size.py -s`. RouterEval's full size, 8,567 LLMs x 23,345 instances.

A planted 0/1 matrix with a tenth of its cells hidden, and production logs of 20M records over 5M prompts. Every job
runs in a process of its own and reports its seconds and peak memory. Prints figures; the machine decides them, so
nothing timed is asserted. Needs 1 GB of disk under the temporary folder, 12 GB of memory and some 30 minutes; the
slow part is implicit's ALS.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, IdMap, InteractionMatrix, Precomputed, read_dataset, write_dataset
from recroute.data.embeddings import read_embeddings, write_embeddings

N, M, N_SKILLS, WIDTH, HIDDEN = 23_345, 8_567, 16, 384, 0.1
N_FACTORS = 32
LOGS = (5_000_000, 300, 4)  # prompts, LLMs, records a prompt
LOGS_WIDTH = 64
JOB = """
import json, resource, sys, time
sys.path.insert(0, {folder!r})
import test_full_size as jobs
start = time.perf_counter()
found = getattr(jobs, {job!r})(*json.loads({arguments!r})) or {{}}
found["seconds"] = found.get("seconds", time.perf_counter() - start)
peak = [line for line in open("/proc/self/status") if line.startswith("VmHWM")][0]
found["peak_gb"] = int(peak.split()[1]) / 1e6
print(json.dumps(found))
"""


def in_own_process(job: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """What a function of this module returns, with its seconds and the peak memory of its process."""
    code = JOB.format(folder=str(Path(__file__).parent), job=job.__name__, arguments=json.dumps(arguments))
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def say(what: str, found: dict[str, Any]) -> None:
    rest = "".join(f", {key} {value:.4g}" for key, value in found.items() if key not in ("seconds", "peak_gb"))
    print(f"\n{what}: {found['seconds']:.2f} s, peak {found['peak_gb']:.2f} GB{rest}", flush=True)


# ------------------------------------------------------------------------------------------------ planted data


def plant(folder: str, n: int = N, m: int = M, seed: int = 0) -> None:
    """A dataset folder whose hidden cells are in `hidden.npz`; prompt vectors say something of the skills needed."""
    rng = np.random.default_rng(seed)
    ease, ability = rng.normal(size=n).astype(np.float32), rng.normal(0, 0.8, m).astype(np.float32)
    need = rng.normal(size=(n, N_SKILLS)).astype(np.float32)
    skill = rng.normal(0, 1.5 / np.sqrt(N_SKILLS), (m, N_SKILLS)).astype(np.float32)
    scores = np.empty((n, m), dtype=np.float32)
    hidden: list[np.ndarray] = []
    for start in range(0, n, 1024):
        rows = slice(start, min(start + 1024, n))
        chance = 1 / (1 + np.exp(-(ease[rows, None] + ability + need[rows] @ skill.T)))
        solved = rng.random(chance.shape, dtype=np.float32) < chance
        row, column = np.nonzero(rng.random(chance.shape, dtype=np.float32) < HIDDEN)
        scores[rows] = solved
        scores[rows][row, column] = np.nan
        few = rng.permutation(len(row))[:5000]
        hidden.append(np.stack([row[few] + start, column[few], solved[row[few], column[few]]]))
    matrix = InteractionMatrix.from_dense(scores)
    vectors = need @ rng.normal(size=(N_SKILLS, WIDTH)).astype(np.float32) / 4 + rng.normal(0, 0.5, (n, WIDTH))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    instances = pl.DataFrame({"instance_id": [f"q{i}" for i in range(n)], "task": [f"task{i % 12}" for i in range(n)]})
    llms = pl.DataFrame({"llm_id": [f"org-{j % 97}/llm-{j:05d}" for j in range(m)]})
    vectors = vectors.astype(np.float16).astype(np.float32)
    write_dataset(Dataset("planted", matrix, instances, llms, vectors, Precomputed("planted")), folder)
    np.savez(Path(folder) / "hidden.npz", cells=np.concatenate(hidden, axis=1))


def plant_logs(folder: str, share: float = 1.0) -> None:
    """Every prompt answered by a few LLMs."""
    n, m, k = int(LOGS[0] * share), LOGS[1], LOGS[2]
    rng = np.random.default_rng(1)
    need = rng.normal(size=(n, 4)).astype(np.float32)
    skill, ability = rng.normal(0, 0.7, (m, 4)).astype(np.float32), rng.normal(0, 0.8, m).astype(np.float32)
    columns = np.sort((rng.integers(0, m, (n, 1)) + np.arange(k) * (m // k) + rng.integers(0, m // k, (n, k))) % m)
    keep = np.ones((n, k), dtype=bool)
    keep[:, 1:] = columns[:, 1:] != columns[:, :-1]
    logit = ability[columns] + (need[:, None, :] * skill[columns]).sum(axis=2) + rng.normal(size=(n, 1))
    solved = rng.random((n, k)) < 1 / (1 + np.exp(-logit))
    rows = np.broadcast_to(np.arange(n)[:, None], (n, k))[keep]
    matrix = InteractionMatrix.from_coordinates(rows, columns[keep], solved[keep].astype(np.float32), (n, m))
    vectors = need @ rng.normal(size=(4, LOGS_WIDTH)).astype(np.float32)
    vectors += rng.normal(0, 1, (n, LOGS_WIDTH)).astype(np.float32)
    instances = pl.select(instance_id=pl.format("q{}", pl.int_range(n)), task=pl.lit("chat"))
    llms = pl.DataFrame({"llm_id": [f"llm-{j}" for j in range(m)]})
    write_dataset(Dataset("logs", matrix, instances, llms, vectors, Precomputed("planted")), folder)


def widen_logs(folder: str, wide: str) -> None:
    """The same logs with vectors 384 wide in half precision: turned, with noise."""
    ids = IdMap(pl.read_parquet(Path(folder) / "instances.parquet")["instance_id"], "instance")
    vectors, _ = read_embeddings(Path(folder) / "embeddings.npz", ids)
    rng = np.random.default_rng(2)
    turn = rng.normal(size=(vectors.shape[1], WIDTH)).astype(np.float32) / np.float32(vectors.shape[1] ** 0.5)
    shutil.copytree(folder, wide, ignore=shutil.ignore_patterns("embeddings.npz"), dirs_exist_ok=True)
    made = np.lib.format.open_memmap(f"{wide}/made.npy", "w+", np.float16, (len(ids), WIDTH))
    for start in range(0, len(ids), 1 << 16):
        rows = vectors[start : start + (1 << 16)] @ turn
        made[start : start + (1 << 16)] = rows + rng.standard_normal(rows.shape, dtype=np.float32) / 4
    write_embeddings(Path(wide) / "embeddings.npz", ids, made, "planted", half=True)
    (Path(wide) / "made.npy").unlink()


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if place := os.environ.get("RECROUTE_PLANTED"):  # made before
        return Path(place)
    folder = tmp_path_factory.mktemp("full") / "planted"
    say("made, and written as a dataset folder", in_own_process(plant, str(folder)))
    return folder


# ------------------------------------------------------------------------------------------------ jobs


def limits() -> dict[str, float]:
    """What one core of this machine can do: single-precision products, and copying memory."""
    from threadpoolctl import threadpool_limits

    a, b = np.ones((1024, 8192), dtype=np.float32), np.ones((8192, 64), dtype=np.float32)
    big, to = np.ones(1 << 26, dtype=np.float32), np.empty(1 << 26, dtype=np.float32)

    def best(call: Callable[[], Any]) -> float:
        times = []
        for _ in range(10):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return min(times)

    with threadpool_limits(1):
        flops = 2 * a.size * b.shape[1] / best(lambda: a @ b)
        bandwidth = 2 * big.nbytes / best(lambda: np.copyto(to, big))
    return {"gflops_per_core": flops / 1e9, "gb_per_second": bandwidth / 1e9}


def load(folder: str) -> dict[str, float]:
    start = time.perf_counter()
    dataset = read_dataset(folder)
    return {"seconds": time.perf_counter() - start, "records": dataset.interactions.n_observed}


def load_records(folder: str) -> dict[str, float]:
    """Without the mapped matrix: from records.parquet, as a folder of another program has it."""
    meaning = Path(folder) / "scores.json"
    aside = meaning.rename(meaning.with_suffix(".aside"))
    try:
        return load(folder)
    finally:
        aside.rename(meaning)


def auc(cells: np.ndarray, bias: np.ndarray, left: np.ndarray, right: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    row, column, solved = cells
    return float(roc_auc_score(solved, bias[column] + (left[row] * right[column]).sum(axis=1)))


def factorise_svd(folder: str) -> dict[str, float]:
    from recroute.routers.factorisation import factorise

    matrix = read_dataset(folder).interactions
    start = time.perf_counter()
    found = factorise(matrix, N_FACTORS)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "auc_hidden": auc(np.load(Path(folder) / "hidden.npz")["cells"], *found)}


def factorise_implicit(folder: str, epochs: int) -> dict[str, float]:
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    from recroute.routers.three_states import to_confidence

    matrix = read_dataset(folder).interactions
    coded = to_confidence(matrix, 10.0)
    with threadpool_limits(limits=1, user_api="blas"):
        model = AlternatingLeastSquares(
            factors=N_FACTORS, regularization=0.1, alpha=1.0, iterations=epochs, num_threads=0, random_state=0
        )
        start = time.perf_counter()
        model.fit(coded, show_progress=False)
        seconds = time.perf_counter() - start
    cells = np.load(Path(folder) / "hidden.npz")["cells"]
    return {"seconds": seconds, "auc_hidden": auc(cells, np.zeros(M), model.user_factors, model.item_factors)}


def fit(folder: str, router: str, share: float = 1.0) -> dict[str, float]:
    """The whole fit, bridge and all, of the first rows and LLMs: `share` of the cells."""
    from recroute.routers import make_router

    dataset = part(read_dataset(folder), share)
    start, used = time.perf_counter(), time.process_time()
    make_router(router).fit(dataset)
    found = {"seconds": time.perf_counter() - start, "processor_seconds": time.process_time() - used}
    return found | {"records": dataset.interactions.n_observed}


def part(dataset: Dataset, share: float) -> Dataset:
    if share == 1:
        return dataset
    n, m = (int(side * share**0.5) for side in dataset.interactions.shape)
    return dataset.take_instances(np.arange(n)).take_llms(np.arange(m))


def pools(folder: str, group: str) -> dict[str, float]:
    from recroute.pools import make_pools
    from recroute.splits import split_dataset

    train = split_dataset(read_dataset(folder)).train
    start = time.perf_counter()
    make_pools(train, [group], [3, 10, 100, 1000], 0)
    return {"seconds": time.perf_counter() - start}


def scale_curve(folder: str, share: float = 1.0, sizes: str = "3,10,100,1000,8567") -> dict[str, float]:
    import recroute as rr

    dataset = part(read_dataset(folder), share)
    start, used = time.perf_counter(), time.process_time()
    found = rr.scale(dataset, ["knn", "svd", "auto"], pool_sizes=[int(size) for size in sizes.split(",")])
    table = found.rows.filter((pl.col("metric") == "lift") & (pl.col("group") == "mean") & pl.col("seed").is_null())
    lifts = {f"lift_{row['router']}_{row['pool_size']}": row["value"] for row in table.to_dicts() if row["pool_size"]}
    return {"seconds": time.perf_counter() - start, "processor_seconds": time.process_time() - used, **lifts}


def route(folder: str, router: str, share: float = 1.0) -> dict[str, float]:
    """Fit, then 1,000 prompts ranked at once."""
    from recroute.routers import make_router

    dataset = part(read_dataset(folder), share)
    found = make_router(router).fit(dataset)
    assert dataset.embeddings is not None
    prompts = dataset.embeddings[:1000].copy()
    found.rank(prompts, 10)
    start = time.perf_counter()
    found.rank(prompts, 10)
    return {"seconds": time.perf_counter() - start}


def save(folder: str, place: str, share: float = 1.0) -> dict[str, float]:
    """`svd` fitted before, written and read again."""
    from recroute.routers import Router, make_router

    router = make_router("svd(n_factors=32)").fit(part(read_dataset(folder), share))
    assert isinstance(router, Router)
    start = time.perf_counter()
    router.save(place)
    saved = time.perf_counter()
    Router.load(place)
    return {"seconds": saved - start, "seconds_load": time.perf_counter() - saved}


def first_onboard(folder: str, share: float = 1.0) -> dict[str, float]:
    """The first batch of 16 prompts for a new LLM and what to expect, with the prior, and the same for a second LLM.

    All in processor seconds but the total.
    """
    from recroute.coldstart import expect, next_anchors
    from recroute.routers import Router, make_router

    router = make_router("svd(n_factors=32)").fit(part(read_dataset(folder), share))
    assert isinstance(router, Router)
    start, used = time.perf_counter(), [time.process_time()]
    assert router.prior.loadings.size
    used.append(time.process_time())
    for name in ("first", "second"):
        llm = pl.DataFrame({"llm_id": [name]})
        next_anchors(router, 16, llm)
        expect(router, None, llm)
        used.append(time.process_time())
    prior, first, second = np.diff(used)
    return {"seconds": time.perf_counter() - start, "prior": prior, "first": first, "second": second}


def learn_in_rounds(folder: str, router: str, n_rounds: int) -> dict[str, float]:
    """`learn_logs` after so many rounds of variational Bayes, converged or not; none: as before few records counted."""
    from recroute.routers import factorisation, factors, variational

    if n_rounds:
        variational.FEW_ROUNDS, variational.TOLERANCE = n_rounds, 0.0
    else:
        for module in (factors, factorisation, variational):
            module.has_few_records = lambda matrix: False  # type: ignore[attr-defined]
    return learn_logs(folder, router, "fit")


def learn_logs(folder: str, router: str, how: str) -> dict[str, float]:
    """Fit on all prompts but the last fiftieth; AUC of the predicted scores on the records of these."""
    from sklearn.metrics import roc_auc_score

    import recroute as rr

    dataset = read_dataset(folder)
    n = dataset.n_instances - dataset.n_instances // 50
    train, rest = dataset.take_instances(np.arange(n)), dataset.take_instances(np.arange(n, dataset.n_instances))
    del dataset
    start, cpu = time.perf_counter(), time.process_time()
    if how == "sums":
        found = rr.fit_from_sums(train, rr.make_router(router), n_sample=20_000)
    else:
        found = rr.make_router(router).fit(train)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    rows, columns = rest.interactions.coordinates()
    predicted = found.score(rest)[rows, columns]
    return {
        "seconds": seconds,
        "seconds_cpu": cpu,
        "auc": float(roc_auc_score(rest.interactions.scores.data > 0.5, predicted)),
    }


# ------------------------------------------------------------------------------------------------ benchmarks


def test_load(planted: Path) -> None:
    print(f"\nlimits of this machine: {in_own_process(limits)}")
    say("load, mapped", in_own_process(load, str(planted)))
    say("load from records.parquet", in_own_process(load_records, str(planted)))


def test_factorise(planted: Path) -> None:
    svd = in_own_process(factorise_svd, str(planted))
    say(f"svd, {N_FACTORS} factors", svd)
    als = in_own_process(factorise_implicit, str(planted), 15)
    say("implicit's ALS, 15 iterations, all cores", als)
    print(f"ratio {als['seconds'] / svd['seconds']:.1f}")
    assert svd["auc_hidden"] >= als["auc_hidden"]


@pytest.mark.parametrize("router", ["svd(n_factors=32)", "als(n_factors=32)", "knn", "ridge", "auto"])
def test_fit(planted: Path, router: str) -> None:
    say(f"fit {router}", in_own_process(fit, str(planted), router))


def test_save_and_onboard(planted: Path, tmp_path: Path) -> None:
    say("save svd", in_own_process(save, str(planted), str(tmp_path / "router")))
    say("first batch and expectation of two new LLMs", in_own_process(first_onboard, str(planted)))


@pytest.mark.parametrize("group", ["all_strong", "all_weak", "strong_to_weak"])
def test_pools(planted: Path, group: str) -> None:
    say(f"pools of {group} at 3, 10, 100, 1000", in_own_process(pools, str(planted), group))


def test_scale(planted: Path) -> None:
    say("scale, knn svd auto at 3, 10, 100, 1000, 8567, one seed", in_own_process(scale_curve, str(planted)))


GROWING: dict[str, Callable[[str, float], dict[str, Any]]] = {
    f"fit {router}": lambda folder, share, router=router: in_own_process(fit, folder, router, share)
    for router in ("best_single", "knn", "ridge", "svd(n_factors=32)", "hierarchy", "auto")
} | {
    "route svd": lambda folder, share: in_own_process(route, folder, "svd", share),
    "scale at 3, 10, 100, 1000": lambda folder, share: in_own_process(scale_curve, folder, share, "3,10,100,1000"),
}


@pytest.mark.parametrize("name", GROWING)
def test_growth(planted: Path, name: str) -> None:
    """Exponents of seconds and memory in the number of records."""
    shares = (1 / 16, 1 / 4, 1.0)
    found = [GROWING[name](str(planted), share) for share in shares]
    print(f"\n{name} at 1/16, 1/4 and 1:")
    for key in sorted(found[0].keys() & {"seconds", "processor_seconds", "peak_gb"}):
        values = [one[key] for one in found]
        exponent = np.polyfit(np.log(shares), np.log(values), 1)[0]
        print(f"{key} " + ", ".join(f"{value:.2f}" for value in values) + f"; exponent {exponent:.2f}", flush=True)


def test_logs(tmp_path: Path) -> None:
    folder = str(tmp_path / "logs")
    say("logs made and written", in_own_process(plant_logs, folder))
    say("load the logs", in_own_process(load, folder))
    for router, how in (("best_single", "fit"), ("svd", "fit"), ("svd", "sums"), ("ease", "sums")):
        say(f"{router} on the logs, {how}", in_own_process(learn_logs, folder, router, how))
    say("fit and route svd on the logs: 1,000 prompts", in_own_process(route, folder, "svd"))
    wide = str(tmp_path / "wide")
    say(f"{WIDTH} wide in half precision, made and written", in_own_process(widen_logs, folder, wide))
    say(f"load the logs, {WIDTH} wide", in_own_process(load, wide))
    say(f"svd on the logs, {WIDTH} wide, sums", in_own_process(learn_logs, wide, "svd", "sums"))


def test_rounds(tmp_path: Path) -> None:
    """By number of rounds of variational Bayes on logs of 230,000 records."""
    folder = str(tmp_path / "logs")
    say("logs made and written", in_own_process(plant_logs, folder, 0.0115))
    for router in ("svd", "hierarchy"):
        for n_rounds in (0, 1, 3, 10, 20, 30):
            say(
                f"{router}, {n_rounds or 'before: up to 20'} rounds",
                in_own_process(learn_in_rounds, folder, router, n_rounds),
            )
