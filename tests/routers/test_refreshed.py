"""What has been observed since the fit moves the choices, survives a folder, and leaves all else as it is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, Precomputed
from recroute.data.feedback import Feedback
from recroute.encoders import vectors_of
from recroute.errors import RecrouteError
from recroute.routers import Router, load_router, make_router
from recroute.routers.budgeted import Budgeted
from recroute.routers.refreshed import Refreshed
from recroute.testing import planted_dataset

ROUTERS = [
    "knn(n_neighbors=20)",
    "svd",
    "auto",
    "hierarchy",
    "calibrated(router=svd)",
    "budgeted(router=knn,trade_off=20)",
]
PARTS = np.random.default_rng(0).permutation(360).reshape(3, 120)
Make = Callable[[str], Router]


@pytest.fixture(scope="module")
def data() -> Dataset:
    return planted_dataset(n_instances=360, costs=True)


@pytest.fixture(scope="module")
def make(data: Dataset) -> Make:
    """Routers fitted once on a third of the prompts."""
    train, known = data.take_instances(PARTS[0]), dict[str, Router]()
    return lambda name: known.setdefault(name, make_router(name).fit(train))


@pytest.fixture(scope="module")
def later(data: Dataset) -> Dataset:
    return data.take_instances(PARTS[1])


@pytest.fixture(scope="module")
def test(data: Dataset) -> Dataset:
    return data.take_instances(PARTS[2])


def answers(router: Router, later: Dataset, broken: str = "") -> pl.DataFrame:
    """What the router's own choices score; one LLM is always wrong."""
    names = [names[0] for names in router.rank(later).names]
    scores = later.interactions.dense()[np.arange(len(names)), later.llm_ids.to_index(names)]
    wrong = np.array(names) == broken
    columns = {"instance_id": later.instance_ids.ids, "llm_id": names, "score": np.where(wrong, 0, scores)}
    return pl.DataFrame({**columns, "prompt": later.prompts})


def favourite(router: Router, prompts: Dataset) -> str:
    names, count = np.unique([names[0] for names in router.rank(prompts).names], return_counts=True)
    return str(names[count.argmax()])


@pytest.mark.parametrize("name", ROUTERS)
def test_an_llm_that_breaks_loses_its_prompts_to_one_as_good(
    name: str, make: Make, later: Dataset, test: Dataset
) -> None:
    router = make(name)
    before = router.score(test)
    broken = favourite(router, later)
    refreshed = router.refresh(Feedback(answers(router, later, broken)))
    assert broken not in {names[0] for names in refreshed.rank(test).names}
    choice = refreshed.rank(test).llm_index[:, 0]
    assert test.interactions.dense()[np.arange(test.n_instances), choice].mean() > 0.8  # its like takes over
    np.testing.assert_array_equal(router.score(test), before)  # the old router is as it was
    assert isinstance(refreshed, Budgeted if name.startswith("budgeted") else Refreshed)


@pytest.mark.parametrize("name", ROUTERS)
def test_feedback_that_agrees_makes_no_choice_worse(name: str, make: Make, later: Dataset, test: Dataset) -> None:
    router = make(name)
    refreshed = router.refresh(Feedback(answers(router, later)))
    scores, rows = test.interactions.dense(), np.arange(test.n_instances)
    before, after = (scores[rows, each.rank(test).llm_index[:, 0]].mean() for each in (router, refreshed))
    assert after > before - 0.03


@pytest.mark.parametrize("name", ROUTERS)
def test_two_halves_are_the_whole_also_through_a_folder(
    name: str, make: Make, later: Dataset, test: Dataset, tmp_path: Path
) -> None:
    router = make(name)
    table = answers(router, later, favourite(router, later))
    once = router.refresh(Feedback(table))
    router.refresh(Feedback(table[:50])).save(tmp_path / "half")
    twice = load_router(tmp_path / "half").refresh(Feedback(table[50:]))
    np.testing.assert_allclose(twice.score(test), once.score(test), atol=1e-5)
    once.save(tmp_path / "once")
    loaded = load_router(tmp_path / "once")
    assert loaded.label == once.label
    np.testing.assert_array_equal(loaded.score(test), once.score(test))


def test_a_decision_is_taken_in_once(make: Make, later: Dataset, test: Dataset, tmp_path: Path) -> None:
    router = make("svd")
    table = answers(router, later, favourite(router, later))
    table = table.with_columns(decision_id=pl.Series([f"d{i}" for i in range(table.height)]))
    whole = router.refresh(Feedback(table))
    router.refresh(Feedback(table[:70])).save(tmp_path / "router")
    grown = load_router(tmp_path / "router").refresh(Feedback(pl.concat([table, table[:5]])))
    np.testing.assert_allclose(grown.score(test), whole.score(test), atol=1e-5)
    assert grown.refresh(Feedback(table)) is grown


def test_preferences_move_the_loser(make: Make, later: Dataset, test: Dataset) -> None:
    router = make("knn(n_neighbors=20)")
    broken = favourite(router, later)
    rng, rows = np.random.default_rng(0), np.flatnonzero([n[0] == broken for n in router.rank(later).names])
    others = rng.choice([name for name in router.llm_ids_ if name != broken], len(rows))
    prompts = [(later.prompts or [])[i] for i in rows]
    columns = {"instance_id": [str(i) for i in rows], "llm_a": [broken] * len(rows), "llm_b": others, "prompt": prompts}
    refreshed = router.refresh(Feedback(preferences=pl.DataFrame({**columns, "outcome": ["loss"] * len(rows)})))
    change = (refreshed.score(test) - router.score(test)).mean(axis=0)
    assert change.argmin() == router.llm_ids_.position(broken)
    assert favourite(refreshed, test) != broken


def test_vectors_say_what_prompts_say_and_those_of_another_encoder_are_refused(
    make: Make, later: Dataset, test: Dataset
) -> None:
    router = make("auto")
    table = answers(router, later, favourite(router, later))
    assert router.encoder_ is not None
    vectors, name = vectors_of(later, router.encoder_), router.encoder_.name
    bare = table.drop("prompt").with_columns(vector=pl.Series(vectors.tolist()), encoder=pl.lit(name))
    np.testing.assert_allclose(
        router.refresh(Feedback(bare)).score(test), router.refresh(Feedback(table)).score(test), atol=1e-5
    )
    with pytest.raises(RecrouteError, match="from encoder 'other'"):
        router.refresh(Feedback(bare.with_columns(encoder=pl.lit("other"))))
    with pytest.raises(RecrouteError, match="neither prompt nor vector"):
        router.refresh(Feedback(table.drop("prompt")))
    short = pl.Series([*vectors[:-1].tolist(), [0.0]])
    with pytest.raises(RecrouteError, match="different lengths"):
        router.refresh(Feedback(bare.with_columns(vector=short)))


def test_an_llm_that_the_router_does_not_know_is_named(make: Make, later: Dataset) -> None:
    router = make("svd")
    table = answers(router, later).with_columns(
        llm_id=pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("new")).otherwise("llm_id")
    )
    with pytest.raises(RecrouteError, match=r"'new' in feedback, row 3 .* recroute onboard"):
        router.refresh(Feedback(table))


def test_llms_come_and_go_after_a_refresh(make: Make, later: Dataset, test: Dataset) -> None:
    router = make("svd")
    broken = favourite(router, later)
    refreshed = router.refresh(Feedback(answers(router, later, broken)))
    grown = refreshed.add_llms(None, pl.DataFrame({"llm_id": ["new"]}))
    known = list(refreshed.llm_ids_)
    np.testing.assert_allclose(grown.score(test, known), refreshed.score(test), atol=1e-6)
    more = answers(router, later.take_instances(np.arange(30)))
    more = more.with_columns(llm_id=pl.lit("new"), score=pl.lit(1.0))
    praised = grown.refresh(Feedback(more))
    assert (praised.score(test, ["new"]) > grown.score(test, ["new"])).all()
    left = praised.remove_llms([broken, "new"])
    assert list(left.llm_ids_) == [name for name in known if name != broken]
    np.testing.assert_allclose(left.score(test), praised.score(test, list(left.llm_ids_)), atol=1e-6)


def test_routers_that_read_nothing_or_the_task(make: Make, later: Dataset, test: Dataset) -> None:
    single = make("best_single")
    broken = favourite(single, later)
    table = answers(single, later, broken).drop("prompt")
    assert favourite(single.refresh(Feedback(table)), test) != broken
    of_task = make("task_best")
    table = answers(of_task, later, favourite(of_task, later))
    with pytest.raises(RecrouteError, match="a column task"):
        of_task.refresh(Feedback(table))
    table = table.with_columns(task=pl.Series(later.tasks))
    assert favourite(of_task.refresh(Feedback(table)), test) != favourite(of_task, later)


@pytest.mark.parametrize("name", ["random", "oracle"])
def test_routers_without_predictions_have_nothing_to_refresh(name: str, make: Make, later: Dataset) -> None:
    with pytest.raises(RecrouteError, match="cannot be refreshed"):
        make(name).refresh(Feedback(answers(make("svd"), later)))


def test_vectors_that_came_with_the_data(data: Dataset, later: Dataset, tmp_path: Path) -> None:
    """After a reload the training vectors may be gone; the LLMs' levels are learned all the same."""
    space = Precomputed("elsewhere")
    vectors = np.random.default_rng(0).normal(size=(data.n_instances, 8)).astype(np.float32)
    train = data.with_embeddings(vectors, space).take_instances(PARTS[0])
    router = make_router("knn").fit(train)
    prompts = later.with_embeddings(vectors[PARTS[1]], space)
    table = answers(router, prompts, favourite(router, prompts)).drop("prompt")
    table = table.with_columns(vector=pl.Series(vectors[PARTS[1]].tolist()), encoder=pl.lit(space.name))
    router.save(tmp_path / "router")
    for each in (router, load_router(tmp_path / "router")):
        refreshed = each.refresh(Feedback(table))
        assert (refreshed.score(prompts) - each.score(prompts)).mean(axis=0).argmin() == router.llm_ids_.position(
            favourite(router, prompts)
        )


def test_answers_make_the_router_surer_of_the_llms_that_gave_them(
    make: Make, later: Dataset, test: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_fit(router: Router, x: Dataset, llms: list[str] | None = None, reducible: bool = False) -> np.ndarray:
        return np.full_like(router.score(x, llms), 0.3)

    monkeypatch.setattr(Router, "score_std", of_fit, raising=False)
    router = make("svd")
    broken = favourite(router, later)
    table = answers(router, later, broken)
    refreshed = router.refresh(Feedback(table))
    std = refreshed.score_std(test)
    assert std.shape == refreshed.score(test).shape
    answered = np.isin(list(router.llm_ids_), table["llm_id"])
    assert 0 < answered.sum() < len(answered)
    assert std[:, answered].mean(axis=0).max() < std[:, ~answered].mean(axis=0).min()
    np.testing.assert_allclose(refreshed.score_std(test, [broken])[:, 0], std[:, router.llm_ids_.position(broken)])
