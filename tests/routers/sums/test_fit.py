from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, Precomputed
from recroute.errors import DataError, RouterError
from recroute.routers import Router, load_router, make_router, router_names
from recroute.routers.sums.fit import fit_from_sums, fit_on_blocks, taken_in
from recroute.testing import planted_dataset

ROUTERS = (
    "best_single",
    "ridge",
    "svd(n_factors=3)",
    "ease",
    "kmeans",
    "hierarchy",
    "knn",
    "auto",
    "guarded(router=ridge)",
)
TEXTS = ["What is 12 times 7?", "Write a sonnet about rain.", "Prove that 2 is prime.", "Fix this loop."]


def planted(n: int, *, seed: int = 0, missing: float = 0.0) -> Dataset:
    """Vectors that tell the task, and no texts."""
    data = planted_dataset(n_instances=n, n_llms=7, noise=0.2, missing=missing, seed=seed)
    names, task = np.unique(data.tasks, return_inverse=True)
    vectors = np.eye(len(names))[task] + np.random.default_rng(seed).normal(0, 0.3, (n, len(names)))
    return data.with_embeddings(vectors.astype(np.float32), Precomputed("planted")).evaluated()


@pytest.fixture(scope="module")
def data() -> Dataset:
    return planted(400)


@pytest.fixture(scope="module")
def new() -> np.ndarray:
    embeddings = planted(60, seed=3).embeddings
    assert embeddings is not None
    return embeddings


@pytest.mark.parametrize("name", ROUTERS)
def test_complete_data_give_the_router_that_fit_gives(name: str, data: Dataset, new: np.ndarray) -> None:
    fitted, summed = make_router(name).fit(data), fit_from_sums(data, make_router(name))
    assert np.ptp(fitted.score(new), axis=0).max() > 0 or name == "best_single"  # it reads the vectors
    np.testing.assert_allclose(summed.score(new), fitted.score(new), atol=1e-6)
    assert summed.rank(new, 3).llm_index.tolist() == fitted.rank(new, 3).llm_index.tolist()


@pytest.mark.parametrize("missing", [0.0, 0.5])
@pytest.mark.parametrize("name", ROUTERS)
def test_blocks_do_not_matter(name: str, missing: float, new: np.ndarray) -> None:
    data = planted(400, missing=missing)
    sample = data.take_instances(np.arange(150))
    order = np.random.default_rng(0).permutation(data.n_instances)
    blocks = [data.take_instances(part) for part in np.array_split(order, 64)]
    one, many = (fit_on_blocks(make_router(name), sample, each) for each in ([data], blocks))
    np.testing.assert_allclose(many.score(new), one.score(new), atol=1e-6)


@pytest.mark.parametrize("name", ROUTERS)
def test_what_is_taken_in_and_out_counts_as_if_it_had_been_there(
    name: str, data: Dataset, new: np.ndarray, tmp_path: Path
) -> None:
    first, second = data.take_instances(np.arange(250)), data.take_instances(np.arange(250, 400))
    sample = first.take_instances(np.arange(200))
    fit_on_blocks(make_router(name), sample, [first], keep_sums=True).save(tmp_path / "router")
    early = load_router(tmp_path / "router")
    before = early.score(new)
    whole = fit_on_blocks(make_router(name), sample, [first, second])
    late = taken_in(early, added=second)
    np.testing.assert_allclose(late.score(new), whole.score(new), atol=1e-6)
    np.testing.assert_array_equal(early.score(new), before)  # the router itself does not change
    np.testing.assert_allclose(taken_in(late, removed=second).score(new), before, atol=1e-6)


def test_knn_takes_neighbors_from_the_sample_and_means_from_all(data: Dataset, new: np.ndarray) -> None:
    sample = data.take_instances(np.arange(150))
    summed, fitted = fit_on_blocks(make_router("knn"), sample, [data]), make_router("knn").fit(sample)
    np.testing.assert_array_equal(summed.score(new), fitted.score(new))
    np.testing.assert_allclose(summed.llm_mean_, make_router("knn").fit(data).llm_mean_)
    guarded = fit_on_blocks(make_router("guarded(router=knn)"), sample, [data])
    np.testing.assert_allclose(guarded.llm_mean_, summed.llm_mean_)


@pytest.mark.parametrize(("part", "share"), [("knn", 1.0), ("ridge", 0.5)])
def test_a_guard_is_as_sure_as_the_prompts_that_its_router_learned_from_are_many(
    part: str, share: float, data: Dataset
) -> None:
    sample, name = data.take_instances(np.arange(100)), f"guarded(router={part})"
    errors = [
        router.error_ for router in (make_router(name).fit(sample), fit_on_blocks(make_router(name), sample, [data]))
    ]
    np.testing.assert_allclose(errors[1], share * errors[0])


@pytest.mark.parametrize("name", ["svd", "kmeans", "hierarchy", "knn", "auto"])
def test_removed_prompts_are_forgotten(name: str, data: Dataset, tmp_path: Path) -> None:
    router = fit_on_blocks(make_router(name), data, [data], keep_sums=True)
    gone = data.take_instances(np.arange(0, 400, 3))
    left = taken_in(router, removed=gone)
    assert not set(gone.instance_ids) & set(left.training_prompts["instance_id"])
    left.save(tmp_path / "left")
    again = load_router(tmp_path / "left")
    kept = data.take_instances(np.setdiff1d(np.arange(400), np.arange(0, 400, 3)))
    answers = kept.take_llms(np.array([0]))
    grown = again.add_llms(answers.interactions, answers.llms.with_columns(llm_id=pl.lit("twin")))  # type: ignore[arg-type]
    of_both = grown.score(kept, ["twin", data.llm_ids.ids[0]])
    assert np.corrcoef(of_both.T)[0, 1] > 0.8


def test_what_cannot_be_taken_in_or_out(data: Dataset) -> None:
    router = fit_on_blocks(make_router("ridge"), data, [data], keep_sums=True)
    with pytest.raises(DataError, match=r"learned from 'i\d+' already"):
        taken_in(router, added=data.take_instances(np.arange(3)))
    with pytest.raises(RouterError, match="would keep no training prompt"):
        taken_in(router, removed=data)
    other = planted(10, seed=9)
    stranger = Dataset(
        "others", other.interactions, other.instances, other.llms.with_columns(llm_id="x" + other.llms["llm_id"])
    )
    with pytest.raises(DataError, match="which the router does not know; onboard it"):
        taken_in(router, added=stranger)
    with pytest.raises(RouterError, match="keeps no sums"):
        taken_in(make_router("ridge").fit(data), added=other)
    smaller = router.remove_llms([data.llm_ids.ids[0]])
    with pytest.raises(RouterError, match="keeps no sums"):
        taken_in(smaller, added=other)


def test_a_router_fitted_before_stays_as_it_is(new: np.ndarray) -> None:
    data = planted(300, missing=0.4)
    fitted = make_router("auto").fit(data)
    before = fitted.score(new)
    summed = fit_from_sums(data, make_router("auto"))
    np.testing.assert_array_equal(fitted.score(new), before)
    np.testing.assert_array_equal(make_router("auto").fit(data).score(new), before)
    assert np.abs(summed.score(new) - before).max() > 1e-6


def test_routers_that_do_not_follow_from_sums_say_so(data: Dataset) -> None:
    without = [name for name in router_names() if not type(make_router(name)).sums_over]
    assert {"item_knn", "als"} <= set(without)
    with pytest.raises(RouterError, match="als does not follow from sums"):
        fit_from_sums(data, make_router("als"))
    with pytest.raises(RouterError, match="use bridge=ridge"):
        fit_from_sums(data, make_router("svd(bridge=neighbors)"))
    with pytest.raises(RouterError, match="knn\\) does not follow from sums"):
        fit_from_sums(data, make_router("auto(router=ridge+knn)"))


def test_text_is_read_as_the_sample_taught_it() -> None:
    texts = [f"{TEXTS[i % 4]} {i}" for i in range(80)]
    scores = np.array([[i % 4 in (0, 2), i % 4 in (1, 3), 0.5] for i in range(80)], dtype=np.float32)
    router: Router = make_router("ridge").fit(texts, scores)
    data = Dataset.from_matrix(
        scores, list(router.llm_ids_), list(range(80)), instances={"instance_id": list(range(80)), "prompt": texts}
    )
    summed = fit_from_sums(data, make_router("ridge"))
    np.testing.assert_allclose(summed.score(TEXTS), router.score(TEXTS), atol=1e-6)
