import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from recroute.retrieval import LLMIndex, tie_order, top_k
from recroute.retrieval.llm_index import BLOCK

M, D, B = 3000, 5, 40
WORLD = np.random.default_rng(1)
BIAS, VECTORS, MEAN = WORLD.uniform(0.3, 0.7, M), 0.1 * WORLD.normal(size=(M, D)), WORLD.random(M)
FACTORS = WORLD.normal(size=(B, D))


def expected(factors: np.ndarray, k: int, pool: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    predicted = (BIAS[pool] + factors @ VECTORS[pool].T).astype(np.float32)
    best = top_k(predicted, k, tie_order(MEAN[pool]))
    return pool[best], np.take_along_axis(predicted, best, axis=1)


@pytest.mark.parametrize("kind", ["flat", "exact"])
@pytest.mark.parametrize("k", [1, 10, 200, M])
def test_flat_equals_numpy(kind: str, k: int) -> None:
    index, predicted = LLMIndex(BIAS, VECTORS, MEAN, kind).search(FACTORS, k)
    best, score = expected(FACTORS, k, np.arange(M))
    np.testing.assert_array_equal(index, best)
    np.testing.assert_allclose(predicted, score, rtol=1e-6)


@pytest.mark.parametrize("size", [1, 15, 400, 2500])
def test_a_pool_restricts_by_selector_without_a_new_index(size: int, rng: np.random.Generator) -> None:
    index = LLMIndex(BIAS, VECTORS, MEAN)
    pool = rng.permutation(M)[:size]
    found, _ = index.search(FACTORS, min(10, size), pool)
    np.testing.assert_array_equal(found, expected(FACTORS, min(10, size), pool)[0])


def test_an_llm_named_twice_is_ranked_twice() -> None:
    pool = np.concatenate([np.arange(100), np.arange(100)])
    found, _ = LLMIndex(BIAS, VECTORS, MEAN).search(FACTORS, 10, pool)
    np.testing.assert_array_equal(found, expected(FACTORS, 10, pool)[0])


@pytest.mark.parametrize("n_kinds", [1, 7, 400])
@pytest.mark.parametrize("pooled", [False, True])
def test_equal_scores_go_by_train_mean_then_position_also_across_the_last_place(
    n_kinds: int, pooled: bool, rng: np.random.Generator
) -> None:
    kinds = rng.integers(n_kinds, size=M)  # every LLM has many doubles
    mean = rng.integers(4, size=M) / 4
    bias, vectors = BIAS[kinds], VECTORS[kinds]
    pool = rng.permutation(M)[:2000] if pooled else np.arange(M)
    found, _ = LLMIndex(bias, vectors, mean).search(FACTORS, 10, pool if pooled else None)
    predicted = (bias[pool] + FACTORS @ vectors[pool].T).astype(np.float32)
    np.testing.assert_array_equal(found, pool[top_k(predicted, 10, tie_order(mean[pool]))])


def test_scores_that_differ_by_less_than_float32_can_hold_are_ordered_as_the_scores_say(
    rng: np.random.Generator,
) -> None:
    bias = 0.5 + 1e-8 * rng.normal(size=M)
    vectors = 1e-8 * rng.normal(size=(M, D))
    found, _ = LLMIndex(bias, vectors, MEAN).search(FACTORS, 10)
    predicted = (bias + FACTORS @ vectors.T).astype(np.float32)
    np.testing.assert_array_equal(found, top_k(predicted, 10, tie_order(MEAN)))


@pytest.mark.parametrize(("kind", "least"), [("hnsw", 0.95), ("ivf", 0.95)])
@pytest.mark.parametrize("pooled", [False, True])
def test_approximate_indexes_find_nearly_all(kind: str, least: float, pooled: bool, rng: np.random.Generator) -> None:
    pool = rng.permutation(M)[:1500] if pooled else None
    found, predicted = LLMIndex(BIAS, VECTORS, MEAN, kind).search(FACTORS, 10, pool)
    best, score = expected(FACTORS, 10, np.arange(M) if pool is None else pool)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, best, strict=True)])
    assert recall >= least
    assert (predicted <= score + 1e-6).all()
    assert (np.diff(predicted, axis=1) <= 0).all()


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_approximate_indexes_are_the_same_on_any_number_of_threads(kind: str) -> None:
    found = []
    for n_threads in (1, 2):
        with threadpool_limits(limits=n_threads):
            found.append(LLMIndex(BIAS, VECTORS, MEAN, kind, seed=3).search(FACTORS, 10)[0])
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_an_approximate_search_that_comes_up_short_is_made_up_for(kind: str) -> None:
    pool = np.sort(np.argsort(BIAS + FACTORS[0] @ VECTORS.T)[:40])  # all far from the first query
    found, _ = LLMIndex(BIAS, VECTORS, MEAN, kind).search(FACTORS[:1], 10, pool)
    assert set(found[0]) <= set(pool)
    assert len(set(found[0])) == 10


@pytest.mark.parametrize("kind", ["flat", "exact"])
def test_an_llm_is_added_as_a_vector(kind: str) -> None:
    index = LLMIndex(BIAS, VECTORS, MEAN, kind)
    index.search(FACTORS, 3)
    index.add(np.array([5.0, 0.0]), np.zeros((2, D)), np.array([0.5, 0.5]))  # one better than all, one worse
    assert len(index) == M + 2
    found, predicted = index.search(FACTORS, 3)
    assert (found[:, 0] == M).all()
    np.testing.assert_array_equal(predicted[:, 0], 5)
    np.testing.assert_array_equal(found[:, 1:], expected(FACTORS, 2, np.arange(M))[0])


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf", "exact"])
@pytest.mark.parametrize("longer", [False, True])
def test_an_index_with_added_llms_finds_what_one_of_all_llms_finds(kind: str, longer: bool) -> None:
    order = np.argsort(np.linalg.norm(np.column_stack([BIAS - BIAS.mean(), VECTORS]), axis=1))
    order = order if longer else order[::-1]  # what is added is longer than all before it, or shorter
    bias, vectors, mean = BIAS[order], VECTORS[order], MEAN[order]
    grown = LLMIndex(bias[:1000], vectors[:1000], mean[:1000], kind)
    grown.add(bias[1000:], vectors[1000:], mean[1000:])
    found = order[grown.search(FACTORS, 10)[0]]
    best = expected(FACTORS, 10, np.arange(M))[0]
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, best, strict=True)])
    assert recall == 1 if kind in ("flat", "exact") else recall > 0.95


@pytest.mark.parametrize("pooled", [False, True])
def test_a_prompt_is_ranked_the_same_alone_and_among_others(pooled: bool, rng: np.random.Generator) -> None:
    index, pool = LLMIndex(BIAS, VECTORS, MEAN), rng.permutation(M)[:2000] if pooled else None
    factors = rng.normal(size=(3 * (BLOCK // M) + 5, D))  # the last block is not full
    found, predicted = index.search(factors, 10, pool)
    for row in (0, BLOCK // M - 1, BLOCK // M, len(factors) - 1):
        alone, score = index.search(factors[[row]], 10, pool)
        np.testing.assert_array_equal(alone[0], found[row])
        np.testing.assert_array_equal(score[0], predicted[row])


@pytest.mark.parametrize("kind", ["flat", "exact"])
def test_no_instances_give_no_rows(kind: str) -> None:
    found, predicted = LLMIndex(BIAS, VECTORS, MEAN, kind).search(np.empty((0, D)), 10)
    assert found.shape == predicted.shape == (0, 10)


def test_equal_llms_are_ranked_by_train_mean_alone() -> None:
    found, _ = LLMIndex(np.full(M, 0.5), np.zeros((M, D)), MEAN).search(FACTORS, 10)
    np.testing.assert_array_equal(found, np.tile(tie_order(MEAN)[:10], (B, 1)))


@pytest.mark.parametrize("best_at", ["front", "end", "one group"])
def test_where_the_best_llms_stand_does_not_matter(best_at: str, rng: np.random.Generator) -> None:
    bias = rng.uniform(0.3, 0.5, M)
    at = {"front": np.arange(30), "end": np.arange(M - 30, M), "one group": np.arange(0, 256 * 11, 256)}[best_at]
    bias[at] += 0.5
    found, _ = LLMIndex(bias, 1e-3 * VECTORS, MEAN).search(FACTORS, 10)
    predicted = (bias + FACTORS @ (1e-3 * VECTORS).T).astype(np.float32)
    np.testing.assert_array_equal(found, top_k(predicted, 10, tie_order(MEAN)))
    assert np.isin(found, at).all()
