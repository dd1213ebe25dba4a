"""Functions and objects with `encode` as encoders, everywhere."""

from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

import recroute as rr
from recroute.encoders import FunctionEncoder, as_encoder, function, with_encoder
from recroute.errors import DataError, RouterError


def lengths(prompts: list[str]) -> np.ndarray:
    return np.array([[len(prompt), prompt.count("e")] for prompt in prompts], dtype=np.float64)


class Lengths:
    def encode(self, prompts: list[str]) -> np.ndarray:
        return lengths(prompts)


@pytest.fixture(scope="module")
def data() -> rr.Dataset:
    return rr.simulate(n_llms=5, n_instances=120, seed=0)


@pytest.mark.parametrize(
    "encoder", [lengths, Lengths(), lambda prompts: lengths(prompts)], ids=["function", "object", "lambda"]
)
def test_experiments_take_functions_and_objects(data: rr.Dataset, encoder: object) -> None:
    found = rr.evaluate(data, ["knn"], encoder=encoder)
    bare = data.with_embeddings(lengths(data.prompts).astype(np.float32), FunctionEncoder(lengths))
    expected = rr.evaluate(bare, ["knn"], encoder="precomputed")
    assert found.value("knn", "mean_score") == expected.value("knn", "mean_score")
    split = rr.prepare_split(data, encoder=encoder)
    assert split.train.embeddings[:, :2].tolist() == lengths(split.train.prompts).tolist()
    router = rr.make_router("ridge", views="embedding").fit(data, encoder=encoder)
    assert router.score(["a new prompt"]).shape == (1, 5)
    assert router.width_.tolist() == [2]


def test_tune_with_a_function(data: rr.Dataset, tmp_path: Path) -> None:
    tuned = rr.tune(data, tmp_path / "study", encoder=lengths, routers=["knn"], n_trials=2, n_folds=2, pool_sizes=[3])
    assert len(tuned.study.trials) == len(tuned.trials) == 2
    assert tuned.study.best_trial.value == tuned.trials["value"].max()
    again = rr.tune(data, tmp_path / "study", encoder=lengths, routers=["knn"], n_trials=2, n_folds=2, pool_sizes=[3])
    assert again.best.label == tuned.best.label
    with pytest.raises(DataError, match="encoder"):
        rr.tune(data, tmp_path / "study", routers=["knn"], n_trials=2, n_folds=2, pool_sizes=[3])
    with pytest.raises(RouterError, match="no other process finds"):
        rr.tune(data, tmp_path / "other", encoder=lambda p: lengths(p), routers=["knn"], n_trials=2)
    assert not (tmp_path / "other").exists()


def test_a_function_is_saved_by_reference_and_loaded_where_it_is_known(
    data: rr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = rr.make_router("ridge").fit(data, encoder=lengths)
    router.save(tmp_path / "router")
    prompts = ["What is 2 + 2?", "Translate it."]
    np.testing.assert_array_equal(rr.load_router(tmp_path / "router").score(prompts), router.score(prompts))
    monkeypatch.setattr(function, "_KNOWN", {})  # as in another process
    with pytest.raises(RouterError, match=r"call recroute.register_encoder\(.*lengths\)"):
        rr.load_router(tmp_path / "router")
    declared = EntryPoint("lengths", f"{lengths.__module__}:lengths", "recroute.encoders")
    with monkeypatch.context() as installed:
        installed.setattr(function, "entry_points", lambda group: [declared])
        np.testing.assert_array_equal(rr.load_router(tmp_path / "router").score(prompts), router.score(prompts))
    rr.register_encoder(lengths)
    np.testing.assert_array_equal(rr.load_router(tmp_path / "router").score(prompts), router.score(prompts))


@pytest.mark.parametrize("encoder", [lambda prompts: lengths(prompts), Lengths()], ids=["lambda", "object"])
def test_what_no_other_process_finds_is_not_saved(data: rr.Dataset, tmp_path: Path, encoder: object) -> None:
    router = rr.make_router("ridge").fit(data, encoder=encoder)
    with pytest.raises(RouterError, match="no other process finds"):
        router.save(tmp_path / "router")
    assert not (tmp_path / "router").exists()


@pytest.mark.parametrize("given", [3, None, Lengths, ["tfidf"]])
def test_anything_else_is_one_line(data: rr.Dataset, given: object) -> None:
    with pytest.raises(DataError, match="give a name such as tfidf, a function"):
        as_encoder(given)
    with pytest.raises(DataError, match="give a name such as tfidf, a function"):
        rr.evaluate(data, ["knn"], encoder=given)


def test_bad_vectors_and_no_prompts_are_one_line(data: rr.Dataset) -> None:
    with pytest.raises(RouterError, match="119 vectors for 120 prompts"):
        with_encoder(data, lambda prompts: lengths(prompts)[1:])
    bare = rr.Dataset.from_matrix(data.interactions.dense(), list(data.llm_ids), list(data.instance_ids))
    with pytest.raises(DataError, match="no prompts to encode"):
        rr.make_router("ridge").fit(bare, encoder=lengths)
