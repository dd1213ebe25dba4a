"""Opt-in: `pytest tests/benchmarks/test_route.py -s`. How long a prompt waits for its LLM.

Prints figures beside targets; the machine decides them, so nothing timed is asserted. CPU time is that of the whole
process: on a busy machine it says what the wall clock cannot. Peers run in the same test on the same vectors.
"""

import os
import resource
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from recroute.bridges.ridge import RidgeBridge
from recroute.data import Dataset, IdMap, InteractionMatrix
from recroute.data.sources.simulated import simulate
from recroute.retrieval import LLMIndex
from recroute.routers import make_router
from recroute.routers.svd import SVD

K, M, WIDTH = 10, 10_000, 384


@pytest.fixture(autouse=True)
def _load() -> None:
    print(f"\nload {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def laps(name: str, call: Callable[[int], object], n: int, target: str = "") -> float:
    """Print and return the median of single calls in microseconds."""
    call(0)
    wall, cpu = np.empty(n), time.process_time()
    for i in range(n):
        start = time.perf_counter()
        call(i)
        wall[i] = time.perf_counter() - start
    spent = (time.process_time() - cpu) / n * 1e6
    median, late = np.percentile(wall, [50, 99]) * 1e6
    print(f"{name:34} median {median:9.1f} us, 99% within {late:9.1f} us, CPU {spent:9.1f} us   {target}")
    return float(median)


def planted(m: int, d: int, seed: int = 0, n_families: int = 500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Biases, factors of falling size and train means of LLMs that come in families, as real ones do."""
    rng = np.random.default_rng(seed)
    family, size = rng.integers(n_families, size=m), 0.1 / np.sqrt(np.arange(1, d + 1))
    bias = 0.5 + 0.1 * rng.normal(size=n_families)[family] + 0.05 * rng.normal(size=m)
    factors = size * (rng.normal(size=(n_families, d))[family] + 0.5 * rng.normal(size=(m, d)))
    return bias, factors, rng.random(m)


def router_of(d: int) -> tuple[SVD, np.ndarray]:
    """A router with planted parameters, and prompt vectors for it."""
    router, rng = SVD(n_factors=d), np.random.default_rng(1)
    router.llm_ids_ = IdMap(tuple(f"llm-{i}" for i in range(M)), kind="llm")
    router.bias_, router.llm_factors_, router.llm_mean_ = planted(M, d)
    router.encoder_ = object()  # type: ignore[assignment]  # vectors are given, so it is never asked
    router.bridge_ = RidgeBridge(rng.normal(size=(WIDTH, d)), np.zeros(d))
    return router, (rng.normal(size=(8192, WIDTH)) / np.sqrt(WIDTH)).astype(np.float32)


@pytest.mark.parametrize("d", [4, 32])
def test_one_vector_among_10000_llms(d: int) -> None:
    import faiss
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

    router, prompts = router_of(d)
    factors = router.bridge_(prompts)
    queries = np.column_stack([np.ones(len(factors)), factors]).astype(np.float32)
    vectors = np.column_stack([router.bias_, router.llm_factors_]).astype(np.float32)
    columns = np.ascontiguousarray(vectors.T)
    flat = faiss.IndexFlatIP(d + 1)
    flat.add(vectors)
    als = AlternatingLeastSquares(factors=d + 1)
    als.user_factors, als.item_factors, nothing = queries, vectors, csr_matrix((1, M), dtype=np.float32)

    def partition(i: int) -> np.ndarray:
        scores = queries[i] @ columns
        best = np.argpartition(scores, M - K)[M - K :]
        return best[np.argsort(-scores[best])]

    index = LLMIndex(router.bias_, router.llm_factors_, router.llm_mean_)
    print(f"one vector, {M} LLMs, {d} factors, k={K}")
    ours = laps("rank", lambda i: router.rank(prompts[i : i + 1], K), 2000, "targets: 100 us, 1000 us")
    laps("LLMIndex.search", lambda i: index.search(factors[i : i + 1], K), 2000)
    with threadpool_limits(limits=1):  # as fast as with two for one vector, and no waiting for the second
        peers = {
            "FAISS flat": laps("FAISS IndexFlatIP", lambda i: flat.search(queries[i : i + 1], K), 1000),
            "argpartition": laps("NumPy product, argpartition", partition, 1000),
            "implicit": laps("implicit recommend", lambda i: als.recommend(i, nothing, K, False), 500),
        }
        read = laps("sum of the vectors, f32", lambda i: columns.sum(), 500)
        product = laps("product alone, f32", lambda i: queries[i] @ columns, 500)
    print("peer / rank: " + ", ".join(f"{name} {spent / ours:.2f}" for name, spent in peers.items()))
    size = columns.nbytes
    print(
        f"{size / 1e6:.2f} MB to read: {size / read / 1e3:.1f} GB/s as a sum, {size / product / 1e3:.1f} as a product; "
        f"rank takes {ours / product:.1f} times the product"
    )


@pytest.mark.parametrize("d", [4, 32])
def test_batches(d: int) -> None:
    import faiss

    router, prompts = router_of(d)
    queries = np.column_stack([np.ones(len(prompts)), router.bridge_(prompts)]).astype(np.float32)
    flat = faiss.IndexFlatIP(d + 1)
    flat.add(np.column_stack([router.bias_, router.llm_factors_]).astype(np.float32))
    router.rank(prompts, K)

    def rate(call: Callable[[], object]) -> tuple[float, float]:
        wall, cpu = [], []
        for _ in range(5):
            start, used = time.perf_counter(), time.process_time()
            call()
            wall.append(time.perf_counter() - start)
            cpu.append(time.process_time() - used)
        return len(prompts) / float(np.median(wall)), len(prompts) / float(np.median(cpu))

    print(f"{len(prompts)} vectors at once, {M} LLMs, {d} factors, k={K}, prompts a second (a CPU second)")
    for name, call in {"rank": lambda: router.rank(prompts, K), "FAISS flat": lambda: flat.search(queries, K)}.items():
        print("{:12} {:9.0f} ({:.0f})".format(name, *rate(call)), "  target: 50000" if name == "rank" else "")


@pytest.mark.parametrize("name", ["svd", "hierarchy", "knn", "auto"])
def test_raw_text(name: str) -> None:
    """The default encoder, fitted on simulated prompts; those to route are put together to 100 to 2,000 characters."""
    few = simulate(n_llms=100, n_instances=600)
    scores = np.tile(few.interactions.dense(), (1, M // few.n_llms))
    llms = pl.DataFrame({"llm_id": [f"llm-{i}" for i in range(M)]})
    router = make_router(name).fit(Dataset("wide", InteractionMatrix.from_dense(scores), few.instances, llms))
    texts = list(_texts(few.prompts or [], np.random.default_rng(2)))
    print(f"{name}, raw text among {M} LLMs, {np.median([len(text) for text in texts]):.0f} characters at the median")
    encoder = router.encoder_
    if name == "svd":
        assert encoder is not None
        laps("encode", lambda i: encoder.encode([texts[i]]), len(texts))
    laps("rank", lambda i: router.rank([texts[i]], K), len(texts), "target: 1000 us" if name == "svd" else "")


def _texts(prompts: Sequence[str], rng: np.random.Generator) -> Iterator[str]:
    for length in np.exp(rng.uniform(np.log(100), np.log(2000), size=300)).astype(int):
        text = ""
        while len(text) < length:
            text += prompts[rng.integers(len(prompts))] + " "
        yield text[:length]


@pytest.mark.parametrize("d", [4, 32])
def test_hnsw_of_a_million(d: int) -> None:
    """Takes minutes: one thread grows the graph, so that it is the same each time."""
    bias, factors, mean = planted(1_000_000, d, n_families=2000)
    queries = np.random.default_rng(3).normal(size=(300, d))
    with threadpool_limits(limits=1):
        flat = LLMIndex(bias, factors, mean)
        start, used = time.perf_counter(), time.process_time()
        hnsw = LLMIndex(bias, factors, mean, "hnsw")
        built, used = time.perf_counter() - start, time.process_time() - used
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        best, found = flat.search(queries, K)[0], hnsw.search(queries, K)[0]
        hits = np.array([len(set(a) & set(b)) / K for a, b in zip(best, found, strict=True)])
        margin = 1.96 * hits.std() / np.sqrt(len(hits))
        print(f"1,000,000 LLMs, {d} factors: built in {built:.0f} s (CPU {used:.0f} s), peak {peak:.0f} MB")
        print(f"recall@{K} {hits.mean():.4f} +- {margin:.4f} over {len(hits)} prompts   target: 0.95")
        slow = laps("flat", lambda i: flat.search(queries[i : i + 1], K), 100)
        fast = laps("hnsw", lambda i: hnsw.search(queries[i : i + 1], K), 300)
    print(f"flat / hnsw: {slow / fast:.1f}")
