"""What every router is: hyperparameters as fields, fit, score, rank."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, fields
from functools import cache
from importlib import import_module
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.data import Dataset, Encoder, IdMap, InteractionMatrix, llm_means
from recroute.encoders import encode_texts, encoder_width, fit_encoder, vectors_of, view_encoder
from recroute.errors import RouterError, UnknownNameError
from recroute.retrieval import Choices, condensed, tie_order, top_k
from recroute.routers.instances import Instances, n_instances, read_instances
from recroute.routers.memory.background import Background
from recroute.routers.ranking import Ranking
from recroute.util.arguments import LARGEST_SEED, as_list, as_texts, as_whole_number, check_kind, checked, classes_of
from recroute.util.arrays import ArrayRule, Arrays, inside, rules_of
from recroute.util.settings import Layout, fitted, group_of, group_rules, group_state, groups, setting

if TYPE_CHECKING:
    from recroute.data.feedback import Feedback
    from recroute.routers.memory.explanation import Explanation
    from recroute.routers.memory.new_llms import NewLLMs
    from recroute.routers.memory.prior import LLMPrior
    from recroute.routers.refresh.answers import Answers

Scores = NDArray[np.float32]
VIEWS = ("embedding", "tfidf", "all")

__all__ = ["VIEWS", "Instances", "Ranking", "Router", "Scores", "TextRouter", "fitted", "setting"]


@dataclass(kw_only=True, eq=False)
class Router(ABC):
    """Base of all routers. A subclass declares its hyperparameters as fields and fills in `_fit` and `_score`.

    A router equals itself only and can be hashed; two of the same settings have the same `label`.

    Class attributes: `name` (registry name), `kind` (one word for the registry's table), `needs` (what of an
    instance it reads: "text" by its vector, "prompts" themselves, "task" or "scores"), `takes_unseen_llms`, and
    `learns_from_preferences` (whether it can be fitted on a data set with preferences and no score). The
    arrays that `_fit` sets are declared with `fitted()`; their names end in an underscore, and `save` writes them.
    `llm_arrays` names those of them that have a row (0) or a column (1) for each LLM: enough for a router to take
    unseen LLMs; one that knows better than a linear function of what is known of the LLM overrides `_add_llms`.
    `grows_from` names arrays that only `_add_llms` needs: folders of older versions may lack them.
    `optional_modules` names what it imports beyond the default install, each with the extra that brings it.
    """

    name: ClassVar[str]
    kind: ClassVar[str]
    needs: ClassVar[str] = ""
    takes_unseen_llms: ClassVar[bool] = False
    learns_from_preferences: ClassVar[bool] = False
    llm_arrays: ClassVar[Mapping[str, int]] = {}
    grows_from: ClassVar[Sequence[str]] = ()
    optional_modules: ClassVar[Mapping[str, str]] = {}

    seed: int = setting(0, low=0, high=LARGEST_SEED, help="seed of everything random in the fit")

    llm_mean_: NDArray[np.float64] = fitted("n_llms")
    llm_ids_: IdMap = fitted(array=False)
    encoder_: Encoder | None = fitted(array=False)
    background_: Background | None = fitted(array=False)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # `@dataclass` would compare the settings alone, so that a fitted router equals an unfitted one
        if "__eq__" not in vars(cls):
            cls.__eq__, cls.__hash__ = object.__eq__, object.__hash__  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        kinds = _kinds_of_settings(type(self))
        for f in self.settings():
            if f.name in kinds:
                check_kind(getattr(self, f.name), kinds[f.name], f"{self.name}: {f.name}")
            value, low, high = getattr(self, f.name), f.metadata.get("low"), f.metadata.get("high")
            if value is None:
                continue
            if (choices := f.metadata.get("choices")) is not None:
                if value not in choices:
                    raise UnknownNameError(f.name, str(value), choices, where=f" of {self.name}")
                continue
            if (low is not None and not value >= low) or (high is not None and not value <= high):
                limits = f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
                raise RouterError(f"{self.name}: {f.name}={value!r} has to be {limits}")

    @property
    def reads(self) -> str:
        """What of an instance it reads, as `needs`; a router made of others may say it with its hyperparameters."""
        return self.needs

    @property
    def label(self) -> str:
        """The name with the hyperparameters that differ from their defaults, for tables."""
        changed = [f.name for f in self.settings() if f.name != "seed" and getattr(self, f.name) != f.default]
        inner = ",".join(f"{name}={getattr(self, name)}" for name in changed)
        return f"{self.name}({inner})" if inner else self.name

    @classmethod
    def settings(cls) -> list[Field[Any]]:
        """The fields that are hyperparameters."""
        return [f for f in fields(cls) if f.init]

    def hyperparameters(self) -> dict[str, Any]:
        """Names and values of the hyperparameters."""
        return {f.name: getattr(self, f.name) for f in self.settings()}

    def _repr_html_(self) -> str:
        """What a notebook shows: the settings."""
        return str(import_module("recroute.report").router_notebook(self))

    def state(self) -> dict[str, NDArray[Any]]:
        """The arrays that `save` writes: those that a fit sets."""
        declared = (f for f in fields(self) if f.metadata.get("array"))
        found = {f.name: getattr(self, f.name) for f in declared if f.metadata["needed"] or hasattr(self, f.name)}
        for f, prefix, _ in groups(self):
            found |= {prefix + name: array for name, array in group_state(getattr(self, f.name)).items()}
        return found

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Set what `state` gave; KeyError if an array is missing."""
        for f in fields(self):
            if f.metadata.get("array") and (f.metadata["needed"] or f.name in arrays):
                setattr(self, f.name, arrays[f.name])
        for f, prefix, of in groups(self):
            setattr(self, f.name, group_of(of, inside(arrays, prefix)))
        self.fill_in()

    def fill_in(self) -> None:  # noqa: B027
        """Set what folders of older versions lack; nothing by default."""

    def layout(self, arrays: Arrays) -> Layout:
        """What the arrays of `state` have to be, for these `arrays`; names that are not declared do not belong there.

        Where a router overrides `restore` and not this, any array passes that is not declared.
        """
        rules = rules_of(type(self))
        for _, prefix, of in groups(self):
            names = set(inside(arrays, prefix))
            rules |= {prefix + name: rule for name, rule in group_rules(of, names).items()}
        restores, declares = (_owner(type(self), name) for name in ("restore", "layout"))
        if restores is not declares and issubclass(restores, declares):
            rules = dict.fromkeys(arrays, ArrayRule(kind="any")) | rules
        return Layout(rules, {"n_llms": len(self.llm_ids_)})

    def restored(self, sizes: Mapping[str, int]) -> None:  # noqa: B027
        """Called once a folder is read: raises RouterError for what shapes and ranges cannot say; nothing by default.

        `sizes` are the dimensions of the arrays, `n_prompts` among them where it is known.
        """

    @checked
    def fit(self, train: Dataset) -> Self:
        """Fit on training instances and return self.

        The fit holds BLAS at one thread: the same seed gives the same router on every machine size.

        Raises
        ------
        RouterError
            If `train` has no records (or preferences, if the router learns from them), or lacks the text or tasks
            the router reads.
        """
        train = self._begin(train)
        with threadpool_limits(limits=1, user_api="blas"):
            self._fit(train)
        return self

    def _begin(self, train: Dataset) -> Dataset:
        """Set what every router keeps of its training data, and give these as `_fit` wants them."""
        has_scores = train.interactions.n_observed > 0
        if not has_scores and not train.n_preferences:
            raise RouterError(f"{self.name} cannot be fitted on {train.name}: it has no records")
        if not has_scores and not self.learns_from_preferences:
            raise RouterError(
                f"{self.name} learns from scores, and {train.name} has only preferences; "
                "take bradley_terry or auto, or add records"
            )
        if train.preferences is not None and not self.learns_from_preferences:
            train = train.evaluated()
        train = self._with_vectors(train)
        reads_text = isinstance(self, TextRouter)
        self.background_ = Background.of(train, with_vectors=reads_text) if has_scores else None
        self.llm_ids_ = train.llm_ids
        self.llm_mean_ = llm_means(train)
        self.encoder_ = train.encoder
        return train

    def _with_vectors(self, train: Dataset) -> Dataset:
        """The training data as `_fit` wants them."""
        return train

    def score(self, instances: Instances, llms: Sequence[str] | NDArray[np.integer] | None = None) -> Scores:
        """Predicted score of each LLM for each instance.

        Parameters
        ----------
        instances : Dataset, list of str, or f32 (b, d)
            A data set, raw prompts, or vectors of the space the router was fitted in. One prompt or one vector counts
            as a list of one.
        llms : list of str or int (m,), optional
            Ids or positions of the LLMs to choose from; default all.

        Returns
        -------
        f32 (b, m), columns in the order of `llms`.

        Raises
        ------
        RouterError
            If the router is not fitted or the instances lack what it reads.
        UnknownNameError
            If it does not know one of `llms`.
        """
        return self._predicted(instances, self.llm_index(llms))

    def predicted_score(self, instances: Instances, llms: Sequence[str] | NDArray[np.integer] | None = None) -> Scores:
        """`score`, except of a router whose scores are weighed against something else: here they are not."""
        return self.score(instances, llms)

    def score_std(
        self,
        instances: Instances,
        llms: Sequence[str] | NDArray[np.integer] | None = None,
        *,
        reducible: bool = False,
    ) -> Scores:
        """Standard deviation f32 (b, m) of the error of `predicted_score`.

        The error is the difference to the LLM's expected score on that prompt, not to one noisy answer; see
        `recroute.routers.memory.score_error`. It is larger where the known prompts are further away.

        Parameters
        ----------
        instances, llms
            As in `score`.
        reducible : bool
            Only the part that scores of the LLM on prompts like this one would take away: what exploring can gain.
            Left out is what sets the prompt apart from its like.

        Raises
        ------
        RouterError
            As `score`, and if the router keeps no scores of its training prompts.
        """
        from recroute.routers.memory.score_std import score_std

        return score_std(self, instances, self.llm_index(llms), reducible=reducible)

    def explain(
        self,
        instances: Instances,
        k: int = 1,
        llms: Sequence[str] | NDArray[np.integer] | None = None,
        n_neighbors: int = 5,
    ) -> list[Explanation]:
        """Why these k LLMs, for each instance; see `recroute.routers.memory.explain`."""
        from recroute.routers.memory.explain import explain

        return explain(self, instances, k, llms, n_neighbors)

    def rank(
        self, instances: Instances, k: int = 1, llms: Sequence[str] | NDArray[np.integer] | None = None
    ) -> Ranking:
        """The k best LLMs for each instance; equal scores go to the higher train mean, then the lower index.

        Parameters and errors are those of `score`; k beyond the pool raises RouterError.
        """
        index, k = self.llm_index(llms), as_whole_number(k, "k")
        if not 1 <= k <= len(index):
            raise RouterError(f"k={k} does not fit a pool of {len(index)} LLMs; choose k between 1 and {len(index)}")
        predicted = self._predicted(instances, index)
        best = self.choose(predicted, index, k)
        return Ranking(index[best].astype(np.int32), np.take_along_axis(predicted, best, axis=1), self.llm_ids_)

    def choose(self, predicted: Scores, llm_index: NDArray[np.integer], k: int = 1) -> NDArray[np.int32]:
        """Columns int32 (b, k) of the best LLMs, for predictions f32 (b, m) over `llm_index` int (m,)."""
        return top_k(predicted, k, self._ties(llm_index))

    def choose_judged(
        self, predicted: Scores, scores: NDArray[np.floating], llm_index: NDArray[np.integer] | None = None
    ) -> Choices:
        """The best LLM of each instance, and the best one that was evaluated, by which the choice is judged.

        Every experiment judges choices so. On complete data the two are the same.

        Parameters
        ----------
        predicted : f32 (b, m)
        scores : float (b, m)
            Observed scores of the same LLMs, NaN where unobserved.
        llm_index : int (m,), optional
            Their positions; default all LLMs of the router.
        """
        index = self.llm_index() if llm_index is None else llm_index
        return condensed(self.choose(predicted, index)[:, 0], scores, predicted, self._ties(index))

    def _ties(self, llm_index: NDArray[np.integer]) -> NDArray[np.int64]:
        """The order of equal predictions over `llm_index`, see `tie_order`."""
        if not self._is_everyone(llm_index):
            return tie_order(self.llm_mean_[llm_index])
        of, order = vars(self).get("_tie_order", (None, np.arange(0)))
        if of is not self.llm_mean_:  # sorting takes longer than ranking one prompt, and many are ranked by one order
            of, order = self._tie_order = self.llm_mean_, tie_order(self.llm_mean_)
        return np.asarray(order)

    def _is_everyone(self, llm_index: NDArray[np.integer]) -> bool:
        """Whether these are all LLMs in their order."""
        return len(llm_index) == len(self.llm_mean_) and bool((llm_index == np.arange(len(llm_index))).all())

    def distribution(self, predicted: Scores) -> NDArray[np.float64]:
        """The router's own distribution over the pool, f64 (b, m): softmax of the predicted scores.

        Evaluation gives a router with an `expected_score` the observed scores instead, -inf where unobserved.
        """
        shifted = np.exp(predicted.astype(np.float64) - predicted.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)

    def expected_score(self, observed: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """Closed form of the mean score for routers that choose by chance, f64 (b,); None for all others.

        `observed` is f32 (b, m), NaN where unobserved.
        """
        return None

    def llm_index(self, llms: Sequence[str] | NDArray[np.integer] | None = None) -> NDArray[np.int64]:
        """Positions int (m,) of `llms`, given as ids or positions; all LLMs if None."""
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
            raise RouterError(f"llms has a position that none of the {n} LLMs has; give positions from 0 to {n - 1}")
        return llms.astype(np.int64)

    @property
    def training_prompts(self) -> pl.DataFrame:
        """The prompts an unseen LLM can be run on: `instance_id, task` and, where there are texts, `prompt`.

        Those the router was fitted on that have a record. Raises RouterError if the router does not keep them.
        """
        from recroute.routers.memory.grow import background_of

        self.llm_index()  # raises if not fitted
        return background_of(self).prompts

    @property
    def prior(self) -> LLMPrior:
        """What the known LLMs' scores say about unseen ones; learned when it is first asked for, or when saved.

        Raises DataError if the router was fitted on too few LLMs, RouterError if it does not keep its training prompts.
        """
        from recroute.routers.memory.grow import background_of

        self.llm_index()  # raises if not fitted
        return background_of(self).prior()

    def add_llms(self, interactions: InteractionMatrix | Dataset | None, llm_table: pl.DataFrame | None = None) -> Self:
        """The router with LLMs that nobody has evaluated, or only on some of its training prompts.

        What is expected of an unseen LLM comes from the known LLMs' scores (`LLMPrior`), its own, and what is known
        beside them; its parameters follow from that. Nothing else is fitted again, the LLMs the router knows are
        scored as before, and this router stays as it is.

        Parameters
        ----------
        interactions : InteractionMatrix (n, j) or Dataset, optional
            Scores on the n `training_prompts`, in their order; or a data set, whose instances are found by their ids.
            None, or an LLM without a record: it is expected to be like the known ones.
        llm_table : polars.DataFrame
            j rows: `llm_id` and, if known, `family, n_params_b, price_in, price_out`. Default: that of the data set.

        Raises
        ------
        RouterError
            If the router is not fitted, cannot take unseen LLMs, or does not keep its training prompts.
        DataError
            If an LLM or an instance is not what it has to be, or the router knows an LLM already.
        """
        from recroute.routers.memory.grow import add_llms

        return add_llms(self, interactions, llm_table)

    def remove_llms(self, llms: Sequence[str]) -> Self:
        """The router without these LLMs; this one stays as it is.

        Raises RouterError if it has to be fitted for every LLM or none would be left, UnknownNameError for an
        unknown LLM.
        """
        from recroute.routers.memory.grow import remove_llms

        return remove_llms(self, llms)

    def refresh(self, feedback: Feedback) -> Router:
        """The router with what has been observed since it was fitted: a `refreshed` one around it.

        Nothing is fitted again, which takes milliseconds to seconds, and this router stays as it is. Refreshing twice
        gives what refreshing once with all of the feedback gives; rows of a decision that was taken in before are left
        out, so the same growing file can be given again.

        Parameters
        ----------
        feedback : Feedback
            Scores, typically of the one LLM that answered a prompt, and preferences; see `read_feedback`.

        Raises
        ------
        RouterError
            If the router is not fitted or predicts no scores, or the feedback lacks what it reads of a prompt.
        DataError
            If the feedback is about an LLM that the router does not know.
        """
        from recroute.routers.refresh.run import refresh

        return refresh(self, feedback)

    def decisions_taken_in(self) -> NDArray[np.uint64]:
        """Numbers of the decisions that earlier refreshes took in, uint64 (k,); see `Feedback.decisions`."""
        return np.zeros(0, dtype=np.uint64)

    def _refreshed(self, answers: Answers, training: Dataset | None) -> Router:
        """A router with these answers; `training` are prompts it was fitted on, if it keeps them."""
        from recroute.routers.refreshed import Refreshed

        return Refreshed.around(self, training)._refreshed(answers, training)

    def _add_llms(self, new: NewLLMs) -> None:
        """Append to everything that has an entry for each LLM, in place; `llm_ids_` is not extended yet."""
        from recroute.routers.memory.grow import extend

        for name, axis in self.llm_arrays.items():
            array = getattr(self, name)
            of_known = array.reshape(len(array), -1) if axis == 0 else array.T
            setattr(self, name, extend(array, new.parameters(of_known), axis))
        self.llm_mean_ = np.append(self.llm_mean_, new.posterior.mean)

    def _take_llms(self, kept: NDArray[np.int64]) -> None:
        """Keep the entries of the LLMs at these positions only, in place."""
        for name, axis in {"llm_mean_": 0, **self.llm_arrays}.items():
            setattr(self, name, np.take(getattr(self, name), kept, axis=axis))

    def save(self, path: str | Path, card: str | None = None) -> None:
        """Write the router's folder, see `recroute.routers.storage`; `card` is what a person reads there."""
        from recroute.routers.storage import save_router

        save_router(self, path, card)

    @staticmethod
    def load(path: str | Path) -> Router:
        """Read a router's folder, see `recroute.routers.storage`."""
        from recroute.routers.storage import load_router

        return load_router(path)

    def write_files(self, folder: Path) -> None:  # noqa: B027
        """Write into the router's folder what arrays cannot hold; nothing by default. `save` adds the hashes."""

    def read_files(self, folder: Path) -> None:  # noqa: B027
        """Read what `write_files` wrote, after `load` has checked the hashes and set the arrays."""

    @abstractmethod
    def _fit(self, train: Dataset) -> None:
        """Set the arrays declared with `fitted()`."""

    def _predicted(self, instances: Instances, llm_index: NDArray[np.int64]) -> Scores:
        known = read_instances(instances)
        if n_instances(known) == 0:
            return np.zeros((0, len(llm_index)), dtype=np.float32)
        with np.errstate(all="ignore"):  # the result is looked at
            return self._finite(self._score(known, llm_index))

    def _finite(self, predicted: Scores) -> Scores:
        """The predictions; RouterError where one is no number, unless they are observed scores."""
        if self.needs != "scores" and not np.isfinite(predicted).all():
            raise RouterError(f"{self.label} predicts scores that are not finite; fit it again")
        return predicted

    @abstractmethod
    def _score(self, instances: Instances, llm_index: NDArray[np.int64]) -> Scores:
        """Predicted scores f32 (b, len(llm_index))."""

    def observed(self, instances: Instances, llm_index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Observed scores f32 (b, m) of the instances, NaN where there are none."""
        if not isinstance(instances, Dataset):
            raise RouterError(
                f"{self.name} reads the observed scores of the instances it ranks: it is a bound for evaluation "
                "and cannot route a prompt"
            )
        names = [self.llm_ids_.ids[i] for i in llm_index]
        return instances.take_llms(instances.llm_ids.to_index(names)).interactions.dense()


@cache
def _kinds_of_settings(cls: type[Router]) -> dict[str, tuple[type, ...]]:
    """Classes of the hyperparameters whose annotations name plain ones."""
    names = {name: value for one in reversed(cls.__mro__) for name, value in vars(sys.modules[one.__module__]).items()}
    kinds = {f.name: classes_of(f.type, names) for f in cls.settings()}
    return {name: kind for name, kind in kinds.items() if kind}


@dataclass(kw_only=True)
class TextRouter(Router):
    """A router that reads the prompt as a vector: in `_fit`, `train` has embeddings.

    Source of the vectors: `train.encoder`, or TF-IDF fitted here if the data set carries none (`fit_encoder`).
    """

    needs: ClassVar[str] = "text"

    views: str = setting("embedding", choices=VIEWS, help="of the text: the main vectors, TF-IDF, or all there is")

    width_: NDArray[np.int64] = fitted("1", kind="int", low=1, needed=False)

    def layout(self, arrays: Arrays) -> Layout:
        width = 0 if self.encoder_ is None else encoder_width(self.encoder_)
        return super().layout(arrays) | Layout({}, {} if width is None else {"width": width})

    def restored(self, sizes: Mapping[str, int]) -> None:
        super().restored(sizes)
        if (width := sizes.get("width")) is None or width == 0:
            return
        if hasattr(self, "width_") and int(self.width_[0]) != width:
            raise RouterError(f"{self.name} reads vectors {int(self.width_[0])} wide, and its arrays are {width} wide")
        self.width_ = np.array([width])

    def _with_vectors(self, train: Dataset) -> Dataset:
        encoder = train.encoder if train.embeddings is not None else fit_encoder(train)
        if encoder is None:
            raise RouterError(
                f"{self.name} reads text, and {train.name} has neither prompts nor embeddings; "
                "add them, or use best_single or task_best"
            )
        encoder = view_encoder(encoder, self.views)
        vectors = vectors_of(train, encoder)
        self.width_ = np.array([vectors.shape[1]])
        return train.with_embeddings(vectors, encoder)

    def vectors(self, instances: Instances) -> NDArray[np.float32]:
        """Vectors f32 (b, d) of the instances in the space the router was fitted in."""
        encoder, known = self.encoder_, read_instances(instances)
        if encoder is None:
            raise RouterError(f"{self.label} reads text and has no encoder; fit it again")
        width = int(self.width_[0]) if hasattr(self, "width_") else None  # folders of older versions lack it
        if isinstance(known, Dataset):
            vectors = vectors_of(known, encoder)
        elif isinstance(known, np.ndarray):
            vectors = known
        else:
            vectors = encode_texts(encoder, known)
        if width is not None and vectors.shape[1] != width:
            raise RouterError(
                f"the vectors are {vectors.shape[1]} wide, and {self.name} was fitted on those of {encoder.name}, "
                f"{width} wide; give vectors of that encoder"
            )
        return vectors


def _owner(cls: type, name: str) -> type:
    """The class that defines a method."""
    return next(owner for owner in cls.__mro__ if name in vars(owner))
