"""What a router scores: one object, whatever it was made of."""

import numpy as np
import pytest

import recroute as rr
from recroute.data import Dataset, Precomputed, Prompts
from recroute.encoders import fit_encoder, vectors_of, view_encoder
from recroute.errors import RouterError
from recroute.experiment.prepare import prepare_split
from recroute.routers import Router, make_router


class Counting:
    """Letters of a text; it counts the texts that it encodes."""

    name, width = "counting", 3

    def __init__(self) -> None:
        self.n_encoded = 0

    def encode(self, prompts: list[str]) -> np.ndarray:
        self.n_encoded += len(prompts)
        return np.array([[len(text), text.count("e"), text.count("t")] for text in prompts], dtype=np.float32)


def test_prompts_are_made_of_texts_a_data_set_or_vectors(planted: Dataset) -> None:
    texts, data, vectors = Prompts.of(["a", "b"]), Prompts.of(planted), Prompts.of(np.ones((2, 3)))
    assert (texts.n, texts.texts, texts.ids, texts.tasks) == (2, ["a", "b"], None, None)
    assert (data.n, data.texts) == (planted.n_instances, planted.prompts)
    assert data.ids == list(planted.instance_ids)
    assert (data.tasks == planted.tasks).all()
    assert vectors.n == 2
    assert vectors.texts is None
    assert Prompts.of(data) is data


def test_only_prompts_of_a_data_set_have_scores(planted: Dataset) -> None:
    assert Prompts.of(["a"]).observed(["llm-0"]) is None
    found = Prompts.of(planted).observed(["llm-3", "llm-1"])
    np.testing.assert_array_equal(found, planted.interactions.dense()[:, [3, 1]])  # type: ignore[arg-type]


def test_some_of_the_prompts_keep_all_that_is_known_of_them(planted: Dataset) -> None:
    encoder = fit_encoder(planted)
    assert encoder is not None
    data = planted.with_embeddings(vectors_of(planted, encoder), encoder)
    rows = np.array([5, 2])
    some, same = Prompts.of(data).take(rows), Prompts.of(data.take_instances(rows))
    assert (some.ids, some.texts, list(some.tasks)) == (same.ids, same.texts, list(same.tasks))  # type: ignore[arg-type]
    assert list(some.keys) == list(same.keys)
    for name, vectors in same.vectors.items():
        np.testing.assert_array_equal(some.vectors[name], vectors)


def test_text_is_encoded_once_for_all_that_is_asked(planted: Dataset) -> None:
    encoder = Counting()
    data = planted.with_embeddings(encoder.encode(planted.prompts or []), encoder)
    router, prompts = make_router("knn").fit(data), Prompts.of(["one text", "and another"])
    encoder.n_encoded = 0
    router.rank(prompts), router.score_std(prompts), router.explain(prompts)
    assert encoder.n_encoded == 2


def test_parts_that_read_the_same_encode_once(planted: Dataset) -> None:
    encoder = Counting()
    data = planted.with_embeddings(encoder.encode(planted.prompts or []), encoder)
    router = make_router("auto", router="knn + ridge + svd").fit(data)
    encoder.n_encoded = 0
    router.rank(["one text", "and another"])
    assert encoder.n_encoded == 2


def test_vectors_of_a_whole_hold_those_that_its_parts_read(planted: Dataset) -> None:
    train = prepare_split(planted).train
    router = make_router("calibrated", router="knn(views=embedding)").fit(train)
    assert router.encoder_ is not None
    part = view_encoder(router.encoder_, "embedding")
    texts = ["multiply the integers 7", "compile the program 8"]
    whole = Prompts.of(texts).encoded(router.encoder_)
    assert Prompts.of(texts).encoded(part).shape[1] < whole.shape[1]
    np.testing.assert_allclose(router.score(whole), router.score(texts), atol=1e-6)


def test_what_cannot_be_encoded_is_named(planted: Dataset) -> None:
    with pytest.raises(RouterError, match="an array of vectors has no prompts to encode, and no vectors of"):
        Prompts.of(np.ones((2, 3))).encoded(Counting())
    with pytest.raises(RouterError, match="came with the data set and new text cannot get one"):
        Prompts.of(["a"]).encoded(Precomputed("theirs"))


@pytest.mark.parametrize("name", ["best_single", "knn"])
def test_a_router_that_weighs_no_cost_says_so(name: str, planted: Dataset) -> None:
    router = make_router(name).fit(planted)
    ranking = router.rank(["a", "b"], 2)
    scores, costs = router.score_parts(["a", "b"], ranking)
    np.testing.assert_array_equal(scores, ranking.predicted_score)
    assert (costs, router.expected(), router.predicted_cost("a"), router.cost_limit()) == (None, None, None, np.inf)
    with pytest.raises(RouterError, match="has no cost curve"):
        router.with_target(budget=1)


def test_one_row_stands_for_all_prompts_and_a_wrong_shape_is_refused(planted: Dataset) -> None:
    class Row(Router):
        name = "row"

        def _fit(self, train: Dataset) -> None: ...

        def _score(self, prompts: Prompts, llm_index: np.ndarray) -> np.ndarray:
            return self.llm_mean_[llm_index]

    class Wrong(Row):
        def _score(self, prompts: Prompts, llm_index: np.ndarray) -> np.ndarray:
            return np.zeros((prompts.n, 1))

    predicted = Row().fit(planted).score(["a", "b"])
    assert (predicted.shape, predicted.dtype) == ((2, planted.n_llms), np.float32)
    assert (predicted[0] == predicted[1]).all()
    with pytest.raises(rr.RecrouteError, match=r"shape \(2, 1\), not \(2, 6\)"):
        Wrong().fit(planted).score(["a", "b"])
