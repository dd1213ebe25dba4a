"""TF-IDF with truncated SVD: the default encoder, which is small, fast and needs no download."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recroute.errors import DataError
from recroute.util.state import array

# Words and pairs of words. Numbers and punctuation are kept, because they distinguish arithmetic and code from prose.
SETTINGS: dict[str, Any] = {
    "ngram_range": (1, 2),
    "sublinear_tf": True,
    "token_pattern": r"\w+|[^\w\s]",
    "dtype": np.float32,
}


@dataclass(frozen=True, eq=False)
class TfidfEncoder:
    """Maps prompts to unit vectors by TF-IDF followed by truncated SVD (latent semantic analysis).

    Parameters
    ----------
    vocabulary : str (v,)
        Terms in the order of `idf`.
    idf : f32 (v,)
        Inverse document frequencies.
    components : f32 (d, v)
        Right singular vectors of the training prompts' TF-IDF matrix.

    Notes
    -----
    A prompt that shares no term with the training prompts becomes the zero vector.
    """

    kind: ClassVar[str] = "tfidf"
    of_prompts: ClassVar[bool] = True
    joins: ClassVar[bool] = True

    vocabulary: NDArray[np.str_] = array("n_terms", kind="text")
    idf: NDArray[np.float32] = array("n_terms")
    components: NDArray[np.float32] = array("width", "n_terms")

    @classmethod
    def fit(cls, prompts: Sequence[str], *, n_dims: int = 128, seed: int = 0) -> TfidfEncoder:
        """Fit on training prompts; with few prompts or terms the vectors have fewer dimensions than `n_dims`.

        Raises
        ------
        DataError
            If the prompts share no words.
        """
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
        from threadpoolctl import threadpool_limits

        min_df = 2 if len(prompts) >= 50 else 1  # a term that occurs in one prompt only is useless for others
        try:
            vectorizer = TfidfVectorizer(min_df=min_df, **SETTINGS)
            weights = vectorizer.fit_transform(prompts)
        except ValueError:  # raised by scikit-learn for an empty vocabulary
            raise DataError(
                f"the {len(prompts)} training prompts share no words; give texts, or embeddings.npz"
            ) from None
        n_dims = min(n_dims, min(weights.shape) - 1) or 1
        components = np.ones((1, 1))  # a single term needs no SVD
        if weights.shape[1] > 1:
            with threadpool_limits(limits=1, user_api="blas"):  # threads sum in no fixed order
                components = TruncatedSVD(n_dims, random_state=seed).fit(weights).components_
        vocabulary = np.asarray(vectorizer.get_feature_names_out(), dtype=np.str_)
        return cls(vocabulary, vectorizer.idf_.astype(np.float32), components.astype(np.float32))

    @property
    def width(self) -> int:
        """Dimension of the vectors."""
        return len(self.components)

    @cached_property
    def name(self) -> str:
        """ "tfidf:" and a hash of the fitted arrays, so that equal names mean equal vectors."""
        digest = hashlib.sha256()
        for part in (self.vocabulary, self.idf, self.components):
            digest.update(np.ascontiguousarray(part).tobytes())
        return f"tfidf:{digest.hexdigest()[:12]}"

    @cached_property
    def _terms(self) -> tuple[Callable[[str], list[str]], dict[str, int]]:
        """Tokenizer, and the position of each term."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        return TfidfVectorizer(**SETTINGS).build_analyzer(), {str(term): i for i, term in enumerate(self.vocabulary)}

    def _weights(self, prompts: Sequence[str]) -> Any:
        """TF-IDF weights, sparse f32 (b, v), equal to those of `TfidfVectorizer`, which is slow for single prompts."""
        from scipy.sparse import csr_matrix

        split, position = self._terms
        terms = [[position[term] for term in split(prompt) if term in position] for prompt in prompts]
        ends = np.cumsum([0, *map(len, terms)], dtype=np.int32)
        columns = np.fromiter(chain.from_iterable(terms), dtype=np.int32, count=ends[-1])
        weights = csr_matrix((np.ones(len(columns), np.float32), columns, ends), shape=(len(prompts), len(self.idf)))
        weights.sum_duplicates()
        weights.data = (1 + np.log(weights.data)) * self.idf[weights.indices]
        return weights

    def encode(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors f32 (b, d)."""
        vectors = np.asarray(self._weights(prompts) @ self.components.T, dtype=np.float32)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= np.where(norms > 0, norms, 1)
        return vectors
