"""TF-IDF is scikit-learn's, one prompt or many."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from threadpoolctl import threadpool_limits

from recroute.encoders import TfidfEncoder
from recroute.encoders.tfidf import SETTINGS
from recroute.util.state import arrays_of, made

TRAIN = [f"Compute {i} + {i % 7} times {i % 3}; then name the {w}." for i in range(40) for w in ("river", "poet")]
NEW = ["Compute 3 + 3 + 3 + 3 and name the poet", "rivers and poets", "", "the the the river river .", TRAIN[5]]


@pytest.fixture(scope="module")
def encoder() -> TfidfEncoder:
    return TfidfEncoder.fit(TRAIN, n_dims=8)


def test_weights_are_those_of_scikit_learn(encoder: TfidfEncoder) -> None:
    theirs = TfidfVectorizer(vocabulary=encoder.vocabulary.tolist(), **SETTINGS)
    theirs.idf_ = encoder.idf
    expected = theirs.transform([*NEW, *TRAIN]) @ encoder.components.T
    length = np.linalg.norm(expected, axis=1, keepdims=True)
    expected /= np.where(length > 0, length, 1)
    np.testing.assert_allclose(encoder.encode([*NEW, *TRAIN]), expected, atol=2e-6)


def test_a_prompt_gets_the_same_vector_alone_and_among_others(encoder: TfidfEncoder) -> None:
    alone = np.vstack([encoder.encode([prompt]) for prompt in NEW])
    np.testing.assert_array_equal(alone, encoder.encode(NEW))
    restored = made(TfidfEncoder, arrays_of(encoder))
    np.testing.assert_array_equal(restored.encode(NEW), alone)


def test_a_prompt_without_a_known_term_is_the_zero_vector(encoder: TfidfEncoder) -> None:
    np.testing.assert_array_equal(encoder.encode(["", "xyzzy"]), np.zeros((2, 8), dtype=np.float32))
    assert encoder.encode(["", "xyzzy"]).dtype == np.float32


def test_no_prompts_give_no_vectors(encoder: TfidfEncoder) -> None:
    assert encoder.encode([]).shape == (0, 8)


def test_a_vocabulary_of_one_term_is_one_dimension() -> None:
    encoder = TfidfEncoder.fit(["again", "again again"], n_dims=8)
    assert encoder.width == 1
    assert encoder.encode(["again"]).shape == (1, 1)


def test_the_number_of_threads_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    prompts = [" ".join(f"w{i}" for i in rng.integers(0, 3000, size=40)) for _ in range(2000)]
    names = set()
    for n in (1, 2, 4):
        with threadpool_limits(limits=n):
            names.add(TfidfEncoder.fit(prompts).name)
    assert len(names) == 1
