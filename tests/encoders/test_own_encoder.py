"""An encoder of the user's own: kept wherever its vectors are used, and refused where it cannot be saved."""

import hashlib
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import recroute as rr
from recroute.data import Dataset, Precomputed
from recroute.encoders import JointEncoder, TfidfEncoder, fit_encoder, register_encoder
from recroute.encoders.registry import REGISTRY
from recroute.errors import DataError, RecrouteError, RouterError
from recroute.testing import planted_dataset
from recroute.tuning.parallel import _pickled

WIDTH = 12
TEXT = ["multiply the integers number 3", "nobody has ever seen these words"]


class Mine:
    """Hashed words; it counts what it is asked, and cannot be pickled."""

    name = "mine"
    asked: ClassVar[list[str]] = []

    def __init__(self) -> None:
        self.unpicklable = lambda: None

    def encode(self, prompts: Sequence[str]) -> NDArray[np.float64]:
        Mine.asked += prompts
        found = np.zeros((len(prompts), WIDTH))
        for row, prompt in zip(found, prompts, strict=True):
            for word in prompt.split():
                row[int(hashlib.md5(word.encode()).hexdigest(), 16) % WIDTH] += 1
        return found


class Saved(Mine):
    kind = name = "saved"

    def __init__(self, scale: float = 2.0) -> None:
        super().__init__()
        self.scale = scale

    def encode(self, prompts: Sequence[str]) -> NDArray[np.float64]:
        return self.scale * super().encode(prompts)

    def state(self) -> dict[str, Any]:
        return {"scale": np.array(self.scale)}

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]]) -> "Saved":
        return cls(float(arrays["scale"]))


@pytest.fixture
def registered() -> Any:
    yield register_encoder(Saved)
    REGISTRY.added.clear()


def encoded(encoder: Any) -> Dataset:
    data = planted_dataset(costs=True)
    assert data.prompts is not None
    return data.with_embeddings(encoder.encode(data.prompts), encoder)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return encoded(Mine())


@pytest.mark.parametrize("kind", ["auto", "precomputed"])
def test_a_split_keeps_the_vectors_and_the_encoder(data: Dataset, kind: str) -> None:
    parts = rr.prepare_split(data, encoder=kind)
    for part in parts.parts().values():
        assert part.encoder is not None
        assert part.embeddings is not None
        assert part.encoder.name.split("+")[0] == "mine"
        np.testing.assert_array_equal(part.embeddings[:, :WIDTH], Mine().encode(part.prompts or ()).astype(np.float32))
    again = rr.prepare_split(parts.train)  # a part of a split is a data set too
    assert again.train.encoder is not None
    assert again.train.encoder.name.startswith("mine+tfidf:")


def test_only_tfidf_does_without_it(data: Dataset) -> None:
    found = rr.prepare_split(data, encoder="tfidf").train.encoder
    assert found is not None
    assert "mine" not in found.name


def test_without_prompts_it_is_kept_too(data: Dataset) -> None:
    bare = replace(data, instances=data.instances.drop("prompt"))
    parts = rr.prepare_split(bare)
    assert parts.test.encoder is data.encoder
    assert rr.make_router("svd").fit(parts.train).rank(TEXT).names  # the encoder reads text that the data do not have


@pytest.mark.parametrize("name", ["svd", "knn", "auto", "ridge", "budgeted(router=svd,trade_off=1)", "svd(views=all)"])
def test_a_router_reads_new_text_with_it(name: str) -> None:
    router = rr.make_router(name).fit(rr.prepare_split(encoded(Mine())).train)
    assert router.encoder_ is not None
    assert router.encoder_.name.split("+")[0] == "mine"
    Mine.asked.clear()
    assert router.rank(TEXT).llm_index.shape == (2, 1)
    assert set(Mine.asked) == set(TEXT)


EXPERIMENTS: dict[str, Callable[[Dataset], Any]] = {
    "evaluate": lambda d: rr.evaluate(d, ["svd"], n_resamples=5, headroom=False).info["dataset"]["encoder"],
    "scale": lambda d: rr.scale(d, ["svd"], pool_sizes=[3], n_resamples=5, headroom=False).info["dataset"]["encoder"],
    "learning_curve": lambda d: rr.learning_curve(
        d, ["svd"], train_fractions=[1], evaluate=rr.evaluate, n_resamples=5
    ).info["dataset"]["encoder"],
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiments_say_that_they_use_it(name: str, data: Dataset) -> None:
    assert EXPERIMENTS[name](data).startswith("mine+tfidf:")


def test_its_vectors_count_in_every_experiment(data: Dataset) -> None:
    """Vectors that tell the best LLM, beside prompts that tell nothing: who drops the vectors is behind."""
    best = data.interactions.dense().argmax(axis=1)
    words = [f"{'abcdefg'[i % 7] * 3} {'klmno'[3 * i % 5] * 3} {i}" for i in range(data.n_instances)]
    silent = replace(data, instances=data.instances.with_columns(prompt=pl.Series(words)))
    telling = silent.with_embeddings(np.eye(data.n_llms)[best], Mine())
    plain = rr.evaluate(telling, ["svd"], encoder="tfidf", n_resamples=5, headroom=False).value("svd", "mean_score")
    found = {
        "evaluate": rr.evaluate(telling, ["svd"], n_resamples=5, headroom=False).value("svd", "mean_score"),
        "frontier": rr.frontier(telling, ["svd"], n_resamples=5).value("svd", "mean_score"),
        "pool": rr.choose_pool(telling, 6, router="svd").pooled("mean_score", group="all")["value"][0],
    }
    assert min(found.values()) > plain + 0.1
    cold = [
        rr.coldstart(
            telling, ["knn"], encoder=kind, n_seeds=1, anchors=[0], strategies=["random"], pool_size=2, holdout="random"
        ).rows.filter(router="knn", strategy="all scores", group="mixed")["value"][0]
        for kind in ("tfidf", "auto")
    ]
    assert cold[1] > cold[0]
    logs = rr.simulate_logs(telling, rr.make_router("random").fit(telling), epsilon=1)
    judged = [
        rr.off_policy(logs, ["svd"], known=telling, encoder=kind, n_folds=2).value("svd", estimator="dr")
        for kind in ("tfidf", "auto")
    ]
    assert judged[1] > judged[0] + 0.1


def test_a_router_that_needs_it_is_not_saved_without_it(data: Dataset, tmp_path: Path) -> None:
    train = rr.prepare_split(data).train
    for name in ("svd", "auto", "svd(views=all)"):
        with pytest.raises(RouterError, match=r"encoder 'mine' \(Mine\) cannot be saved.*register_encoder"):
            rr.make_router(name).fit(train).save(tmp_path / "router")
    assert not list(tmp_path.iterdir())
    for name in ("best_single", "svd(views=tfidf)"):  # they never ask it
        rr.make_router(name).fit(train).save(tmp_path / name)
        assert rr.load_router(tmp_path / name).rank(TEXT).names
    with pytest.raises(RouterError, match="cannot be saved"):  # before hours of search, not after
        rr.tune(data, tmp_path / "study", n_trials=1)


@pytest.mark.parametrize("name", ["svd", "auto"])
def test_a_registered_encoder_is_saved_and_loaded(name: str, registered: type, tmp_path: Path) -> None:
    router = rr.make_router(name).fit(rr.prepare_split(encoded(registered(3.0))).train)
    router.save(tmp_path / "router")
    loaded = rr.load_router(tmp_path / "router")
    np.testing.assert_array_equal(loaded.score(TEXT), router.score(TEXT))
    part = loaded.encoder_.parts[0] if isinstance(loaded.encoder_, JointEncoder) else loaded.encoder_
    assert isinstance(part, Saved)
    assert part.scale == 3
    REGISTRY.added.clear()
    with pytest.raises(RouterError, match="encoder 'saved', which is not registered"):
        rr.load_router(tmp_path / "router")
    register_encoder(type("Later", (Saved,), {"name": "later"}))
    with pytest.raises(RouterError, match="is restored as 'later' but was 'saved'"):
        rr.load_router(tmp_path / "router")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"kind": None}, "give the class a kind"),
        ({"kind": "two words"}, "give the class a kind"),
        ({"kind": "tfidf"}, "the kind of another encoder"),
        ({"kind": "sentence"}, "the kind of another encoder"),
    ],
)
def test_a_class_without_a_kind_of_its_own_is_not_registered(made: dict[str, Any], message: str) -> None:
    with pytest.raises(RouterError, match=message):
        register_encoder(type("Wrong", (Saved,), made))


def test_a_class_that_could_not_come_back_is_not_registered() -> None:
    with pytest.raises(RouterError, match="encoder 'half' lacks state, from_state"):
        register_encoder(type("Half", (Mine,), {"kind": "half"}))


def test_a_state_of_objects_is_not_written(registered: type, tmp_path: Path) -> None:
    encoder = registered()
    encoder.scale = object()
    train = rr.prepare_split(encoded(Saved())).train
    router = rr.make_router("svd").fit(train)
    router.encoder_ = encoder
    with pytest.raises(RouterError, match="'scale' in the state of encoder 'saved' holds objects"):
        router.save(tmp_path / "router")


def test_a_dataset_folder_refuses_vectors_that_nobody_could_make_again(data: Dataset, tmp_path: Path) -> None:
    for one in (data, rr.prepare_split(data).train):
        with pytest.raises(DataError, match=r"by the encoder 'mine' \(Mine\).*Precomputed\('mine'\)"):
            rr.write_dataset(one, tmp_path / "data")
    assert not list(tmp_path.iterdir())
    assert data.embeddings is not None
    rr.write_dataset(data.with_embeddings(data.embeddings, Precomputed("mine")), tmp_path / "data")
    again = rr.read_dataset(tmp_path / "data")
    np.testing.assert_array_equal(again.embeddings, data.embeddings)


def test_a_part_of_a_split_is_written_with_the_vectors_that_came_with_the_data(data: Dataset, tmp_path: Path) -> None:
    assert data.embeddings is not None
    train = rr.prepare_split(data.with_embeddings(data.embeddings, Precomputed("theirs"))).train
    assert isinstance(train.encoder, JointEncoder)
    rr.write_dataset(train, tmp_path / "train")
    again = rr.read_dataset(tmp_path / "train")
    assert again.encoder == Precomputed("theirs")
    np.testing.assert_array_equal(again.embeddings, train.embeddings[:, :WIDTH])  # type: ignore[index]


def test_what_follows_from_the_prompts_is_not_written(data: Dataset, tmp_path: Path) -> None:
    rr.write_dataset(rr.prepare_split(data, encoder="tfidf").train, tmp_path / "data")
    assert rr.read_dataset(tmp_path / "data").embeddings is None


def test_an_own_tfidf_is_kept(data: Dataset) -> None:
    assert data.prompts is not None
    own = TfidfEncoder.fit(data.prompts, n_dims=5)
    given = data.with_embeddings(own.encode(data.prompts), own)
    found = fit_encoder(given)
    assert isinstance(found, JointEncoder)
    assert found.parts[0] is own
    assert found.widths[0] == 5


def test_several_own_encoders_side_by_side_are_one_view(data: Dataset) -> None:
    first, second = Mine(), Saved()
    both = JointEncoder((first, second), (WIDTH, WIDTH))
    assert data.prompts is not None
    given = data.with_embeddings(both.encode(data.prompts), both)
    router = rr.make_router("svd").fit(rr.prepare_split(given).train)
    assert router.encoder_ is not None
    assert router.encoder_.name == "mine+saved"
    assert router.rank(TEXT).llm_index.shape == (2, 1)


@pytest.mark.parametrize("wrong", ["mine", Mine, object(), 3, len, {"name": "mine"}], ids=lambda w: type(w).__name__)
def test_what_is_no_encoder_is_refused_in_one_line(wrong: Any, data: Dataset) -> None:
    assert data.embeddings is not None
    with pytest.raises(DataError, match="lacks a name or encode"):
        data.with_embeddings(data.embeddings, wrong)


@pytest.mark.parametrize(
    ("gives", "message"),
    [
        (lambda n: np.zeros((1, WIDTH)), "gives 1 vectors for 2 prompts"),
        (lambda n: np.full((n, WIDTH), np.nan), "not finite"),
        (lambda n: np.zeros((n, WIDTH - 1)), f"are {WIDTH - 1} wide"),
        (lambda n: np.zeros(n), "shape"),
        (lambda n: [["a"]] * n, "not real numbers"),
        (lambda n: None, "not real numbers"),
    ],
)
def test_what_an_encoder_gives_is_checked(gives: Callable[[int], Any], message: str) -> None:
    mine = Mine()
    router = rr.make_router("svd").fit(rr.prepare_split(encoded(mine)).train)
    mine.encode = lambda prompts: gives(len(prompts))  # type: ignore[method-assign]
    with pytest.raises(RecrouteError, match=message):
        router.rank(TEXT)


def test_workers_of_a_search_get_the_vectors_and_the_name(data: Dataset) -> None:
    parts = rr.prepare_split(data)
    found = pickle.loads(_pickled(parts))
    assert found.train.encoder.name == parts.train.encoder.name  # type: ignore[union-attr]
    assert found.train.encoder.parts[0] == Precomputed("mine", named=True)
    router = rr.make_router("svd").fit(found.train)
    np.testing.assert_array_equal(router.score(found.test), rr.make_router("svd").fit(parts.train).score(parts.test))
