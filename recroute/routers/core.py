"""`RouterCore`: hyperparameters, fit, score and rank, all that the author of a small router needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, fields
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, Encoder, IdMap, Prompts, llm_means
from recroute.data.prompts import Instances
from recroute.data.scored_prompts import as_dataset
from recroute.encoders import fit_encoder, view_encoder, with_encoder
from recroute.errors import RouterError
from recroute.retrieval import Choices, condensed, tie_order, top_k
from recroute.routers.ranking import Ranking
from recroute.util.arguments import LARGEST_SEED, as_list, as_texts, as_whole_number, check_kind
from recroute.util.numeric import Array, Floats, Index, Positions
from recroute.util.registry import convert_settings
from recroute.util.settings import check_range, kinds_of, setting
from recroute.util.state import fitted
from recroute.util.threads import one_blas_thread

Scores = Floats
Pool = Sequence[str] | Positions  # LLM ids or positions


@dataclass(kw_only=True, eq=False)
class RouterCore(ABC):
    """Core of `Router`, from which routers are derived; `Router` adds training data kept, refreshing and saving.

    A subclass declares its hyperparameters as fields made by `setting` and the arrays that `_fit` sets as fields made
    by `fitted`, with names ending in an underscore. It implements `_fit` and `_score`. Routers are compared and hashed
    by identity; two with the same hyperparameters have the same `label`.

    Class attributes
    ----------------
    name, kind : str
        Registry name, and one word that groups routers in tables.
    needs : str
        What the router reads of a prompt: "" nothing, "text" its vector (`vectors`), "prompts" the text itself, "task"
        its task, or "scores" the observed scores (only the upper bounds of an evaluation).
    learns_from_preferences : bool
        Whether the router can be fitted on preferences alone.
    chooses_by_chance : bool
        Whether the choice is random. Such a router is evaluated by `expected_score` instead of a single draw.
    weighs_cost : bool
        Whether the router trades score for cost, so that `score` is less than `predicted_score`.
    optional_modules : mapping of str to str
        Imports beyond the default install, each with the extra that provides it.
    """

    name: ClassVar[str]
    kind: ClassVar[str] = "own"
    needs: ClassVar[str] = ""
    learns_from_preferences: ClassVar[bool] = False
    chooses_by_chance: ClassVar[bool] = False
    weighs_cost: ClassVar[bool] = False
    optional_modules: ClassVar[Mapping[str, str]] = {}

    seed: int = setting(0, low=0, high=LARGEST_SEED, help="seed of everything random in the fit")

    llm_mean_: Array = fitted("n_llms")
    llm_ids_: IdMap = fitted(saved=False)
    encoder_: Encoder | None = fitted(saved=False)
    width_: Index = fitted("1", kind="int", low=1, older=None)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # `@dataclass` would compare hyperparameters only, so a fitted router would equal an unfitted one
        if "__eq__" not in vars(cls):
            cls.__eq__, cls.__hash__ = object.__eq__, object.__hash__  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        kinds = kinds_of(type(self))
        for f in self.settings():
            value, what = getattr(self, f.name), f"{self.name}: {f.name}"
            if f.name in kinds:
                check_kind(value, kinds[f.name], what)
            check_range(value, f, what, f" of {self.name}", RouterError)

    @property
    def reads(self) -> str:
        """What the router reads of a prompt, as in `needs`; may depend on the hyperparameters of a composite router."""
        return self.needs

    @property
    def label(self) -> str:
        """Name with the hyperparameters that differ from their defaults, such as `knn(n_neighbors=100)`."""
        changed = [f.name for f in self.settings() if f.name != "seed" and getattr(self, f.name) != f.default]
        inner = ",".join(f"{name}={getattr(self, name)}" for name in changed)
        return f"{self.name}({inner})" if inner else self.name

    @classmethod
    def settings(cls) -> list[Field[Any]]:
        """Dataclass fields of the hyperparameters."""
        return [f for f in fields(cls) if f.init]

    def hyperparameters(self) -> dict[str, Any]:
        """Hyperparameter values by name."""
        return {f.name: getattr(self, f.name) for f in self.settings()}

    @classmethod
    def from_settings(cls, values: Mapping[str, Any]) -> Self:
        """Build a router from hyperparameter values; text is converted to the type of the field.

        Raises UnknownNameError for an unknown hyperparameter and RouterError for an invalid value.
        """
        known = [f.name for f in cls.settings()]
        return cls(**convert_settings(cls, cls.name, "hyperparameter", known, values, RouterError))

    def fit(
        self, train: Dataset | Sequence[str] | Floats, scores: Any = None, *, llm_ids: Any = None, encoder: Any = None
    ) -> Self:
        """Fit on training instances and return self.

        BLAS is limited to one thread, so the same seed gives the same router whatever the number of cores.

        Parameters
        ----------
        train : Dataset, or with `scores` a list of n prompts or their vectors f32 (n, d)
        scores : (n, m), optional
            Observed scores in [0, 1], as `Dataset.from_matrix` takes them: NaN where nothing was observed.
        llm_ids : list of str, optional
            Ids of the columns of `scores`. Default: the columns of a table, or llm_0, llm_1, and so on.
        encoder : str, callable, or object with `encode`, optional
            As in `fit_encoder`. Default: the data set's vectors, or TF-IDF if it has none.

        Raises
        ------
        RouterError
            If `train` has no records (or preferences, if the router learns from them), or lacks the text or tasks
            that the router reads.
        DataError
            If prompts, scores and ids do not fit together.
        """
        data = as_dataset(train, scores, llm_ids)
        data = self._begin(data if encoder is None else with_encoder(data, encoder))
        with one_blas_thread():
            self._fit(data)
        return self

    def _begin(self, train: Dataset) -> Dataset:
        """Validate the training data, set the fields that every router has, and return the data that `_fit` gets."""
        has_scores = train.interactions.n_observed > 0
        if not has_scores and not train.n_preferences:
            raise RouterError(f"{self.name} cannot be fitted on {train.name}: it has no records")
        if not has_scores and not self.learns_from_preferences:
            raise RouterError(
                f"{self.name} learns from scores, and {train.name} has only preferences; "
                "use bradley_terry or auto, or add records"
            )
        if train.preferences is not None and not self.learns_from_preferences:
            train = train.evaluated()
        train = self._with_vectors(train)
        self._remember(train)
        self.llm_ids_ = train.llm_ids
        self.llm_mean_ = llm_means(train)
        self.encoder_ = train.encoder
        return train

    def _with_vectors(self, train: Dataset) -> Dataset:
        """Training data with the vectors that the router reads; unchanged if it reads no text.

        The data set's own vectors, or TF-IDF fitted here. A router with a hyperparameter `views` may read a part.
        """
        if self.needs != "text":
            return train
        encoder = train.encoder if train.embeddings is not None else fit_encoder(train)
        if encoder is None:
            raise RouterError(
                f"{self.name} reads text, and {train.name} has neither prompts nor embeddings; "
                "add them, or use best_single or task_best"
            )
        encoder = view_encoder(encoder, getattr(self, "views", "embedding"))
        vectors = Prompts.of(train).encoded(encoder)
        self.width_ = np.array([vectors.shape[1]])
        return train.with_embeddings(vectors, encoder)

    def _remember(self, train: Dataset) -> None:  # noqa: B027
        """Hook of `RememberingRouter`, which keeps training data; does nothing here."""

    def score(self, instances: Instances, llms: Pool | None = None) -> Scores:
        """Predict the score of each LLM on each instance.

        Parameters
        ----------
        instances : Dataset, list of str, or f32 (b, d)
            A data set, raw prompts, or vectors of the router's encoder. A single prompt or vector counts as a list of
            one.
        llms : list of str or int (m,), optional
            Ids or positions of the LLMs to score (default: all).

        Returns
        -------
        f32 (b, m), columns in the order of `llms`

        Raises
        ------
        RouterError
            If the router is not fitted or the instances lack what it reads.
        UnknownNameError
            If the router does not know one of `llms`.
        """
        index = self.llm_index(llms)
        return self._predicted(self.prompts(instances), index)

    def predicted_score(self, instances: Instances, llms: Pool | None = None) -> Scores:
        """Predicted quality alone: `score`, without the cost term of a router that weighs cost."""
        return self.score(instances, llms)

    def rank(self, instances: Instances, k: int = 1, llms: Pool | None = None) -> Ranking:
        """Rank the k best LLMs of each instance; ties go to the higher training mean, then to the lower index.

        Parameters and errors are those of `score`; RouterError also if k is not between 1 and the size of the pool.
        """
        index, k = self.llm_index(llms), as_whole_number(k, "k")
        if not 1 <= k <= len(index):
            raise RouterError(f"k={k} does not fit a pool of {len(index)} LLMs; choose k between 1 and {len(index)}")
        return self._rank(self.prompts(instances), k, index)

    def _rank(self, prompts: Prompts, k: int, llm_index: Index) -> Ranking:
        predicted = self._predicted(prompts, llm_index)
        best = self.choose(predicted, llm_index, k)
        return Ranking(llm_index[best].astype(np.int32), np.take_along_axis(predicted, best, axis=1), self.llm_ids_)

    def prompts(self, instances: Instances) -> Prompts:
        """Convert instances to `Prompts`, the form that `_score` reads.

        An array is taken as vectors of the router's own encoder. Every method that accepts `instances` also accepts
        the result, so text is encoded only once when several methods are called.
        """
        return Prompts.of(instances, self.encoder_)

    def choose(self, predicted: Scores, llm_index: Positions, k: int = 1) -> NDArray[np.int32]:
        """Columns int32 (b, k) of the k best LLMs, from predictions f32 (b, m) for the LLMs at `llm_index` int (m,)."""
        return top_k(predicted, k, self._ties(llm_index))

    def choose_judged(
        self, predicted: Scores, scores: NDArray[np.floating], llm_index: Positions | None = None
    ) -> Choices:
        """Choose the best LLM of each instance, and the best among those evaluated on it.

        Experiments judge a choice by the latter (a condensed ranking). On complete data the two are equal.

        Parameters
        ----------
        predicted : f32 (b, m)
            Predicted scores.
        scores : float (b, m)
            Observed scores of the same LLMs, NaN where unobserved.
        llm_index : int (m,), optional
            Positions of the LLMs (default: all LLMs of the router).
        """
        index = self.llm_index() if llm_index is None else llm_index
        return condensed(self.choose(predicted, index)[:, 0], scores, predicted, self._ties(index))

    def _ties(self, llm_index: Positions) -> Index:
        """Order in which ties over `llm_index` are broken, see `tie_order`."""
        if not self._is_full_pool(llm_index):
            return tie_order(self.llm_mean_[llm_index])
        of, order = vars(self).get("_tie_order", (None, np.arange(0)))
        if of is not self.llm_mean_:  # cached, because sorting takes longer than ranking one prompt
            of, order = self._tie_order = self.llm_mean_, tie_order(self.llm_mean_)
        return np.asarray(order)

    def _is_full_pool(self, llm_index: Positions) -> bool:
        """Whether `llm_index` lists all LLMs in the router's order."""
        return len(llm_index) == len(self.llm_mean_) and bool((llm_index == np.arange(len(llm_index))).all())

    def distribution(self, predicted: Scores) -> Array:
        """Probability f64 (b, m) that the router gives each LLM: by default the softmax of its predictions f32 (b, m).

        For a router with an `expected_score`, evaluation passes the observed scores instead, -inf where unobserved.
        """
        shifted = np.exp(predicted.astype(np.float64) - predicted.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)

    def expected_score(self, observed: Floats) -> Array | None:
        """Expected score f64 (b,) of a router that chooses by chance, in closed form; None for all others.

        `observed` are the observed scores f32 (b, m), NaN where unobserved.
        """
        return None

    def llm_index(self, llms: Pool | None = None) -> Index:
        """Positions int64 (m,) of LLMs given as ids or positions; all LLMs if None.

        Raises RouterError if the router is not fitted, the pool is empty or a position is out of range, and
        UnknownNameError for an unknown id.
        """
        if not hasattr(self, "llm_ids_"):
            raise RouterError(f"{self.name} is not fitted; call fit(train) first")
        n = len(self.llm_ids_)
        if llms is None:
            return np.arange(n)
        if not (isinstance(llms, np.ndarray) and llms.ndim == 1 and llms.dtype.kind in "iu"):
            named = as_list(llms, "llms", (str, Integral), "ids or positions")
            if any(isinstance(name, str) for name in named):
                return self.llm_ids_.to_index(as_texts(named, "llms")).astype(np.int64)
            llms = np.array(named, dtype=np.int64)
        if len(llms) == 0:
            raise RouterError("the pool is empty; name at least one LLM")
        if llms.min() < 0 or llms.max() >= n:
            raise RouterError(f"llms contains a position out of range; give positions from 0 to {n - 1}")
        return llms.astype(np.int64)

    @abstractmethod
    def _fit(self, train: Dataset) -> None:
        """Set the arrays declared with `fitted()`."""

    def _predicted(self, prompts: Prompts, llm_index: Index) -> Scores:
        """Result of `_score` as f32 (b, m); RouterError if it has another shape or is not finite."""
        shape = (prompts.n, len(llm_index))
        if prompts.n == 0:
            return np.zeros(shape, dtype=np.float32)
        with np.errstate(all="ignore"):  # the result is checked below
            predicted = np.asarray(self._score(prompts, llm_index), dtype=np.float32)
        if predicted.shape == shape[1:]:
            predicted = np.tile(predicted, (prompts.n, 1))
        if predicted.shape != shape:
            raise RouterError(f"{self.label} predicts scores of shape {predicted.shape}, not {shape}; fix its _score")
        return self._finite(predicted)

    def _finite(self, predicted: Scores) -> Scores:
        if self.needs != "scores" and not np.isfinite(predicted).all():
            raise RouterError(f"{self.label} predicts scores that are not finite; fit it again")
        return predicted

    @abstractmethod
    def _score(self, prompts: Prompts, llm_index: Index) -> NDArray[np.floating]:
        """Predicted scores float (b, len(llm_index)), or one row that holds for all prompts.

        Read only what `needs` declares: `self.vectors(prompts)` f32 (b, d), `prompts.texts` or `prompts.tasks`.
        """

    def vectors(self, instances: Instances) -> Floats:
        """Vectors f32 (b, d) of the instances by the router's encoder; RouterError if their width does not fit."""
        if (encoder := self.encoder_) is None:
            raise RouterError(f"{self.label} reads text and has no encoder; fit it again")
        vectors = self.prompts(instances).encoded(encoder)
        width = int(self.width_[0]) if hasattr(self, "width_") else None  # missing in folders of older versions
        if width is not None and vectors.shape[1] != width:
            raise RouterError(
                f"the vectors are {vectors.shape[1]} wide, but {self.name} was fitted on vectors of {encoder.name}, "
                f"{width} wide; give vectors of that encoder"
            )
        return vectors
