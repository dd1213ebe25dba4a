"""`RememberingRouter`: the layer between `RouterCore` and `Router` that keeps training data, in memory and on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data import Dataset, Prompts
from recroute.encoders import encoder_width
from recroute.errors import RouterError
from recroute.routers.core import RouterCore
from recroute.routers.memory.background import Background
from recroute.routers.memory.joint import JointScores
from recroute.routers.sums.moments import KeptSums, Moments
from recroute.util.numeric import AnyArray, Array, Floats, evenly
from recroute.util.state import fitted

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs
    from recroute.routers.memory.prior import LLMPrior


@dataclass(kw_only=True, eq=False)
class RememberingRouter(RouterCore):
    """A router that keeps its training data and defines how its arrays are saved and extended by unseen LLMs.

    The features built on it (explanations, unseen LLMs, score errors) are functions in this package; `Router` offers
    them as methods.

    Class attributes
    ----------------
    takes_unseen_llms : bool
        Whether LLMs can be added without refitting. Fitted arrays with a dimension `n_llms` are then extended by a
        linear prediction from the LLM's vector, unless the router overrides `_llm_entries`.
    sums_over : str
        What `Moments` the router can be fitted from (`recroute.routers.sums`): "scores" sums over single scores,
        "pairs" also over the scores of two LLMs, "" none.
    predicts_by_prompts : bool
        Whether predictions come from single training prompts that the router keeps. Fitted from sums, it has only those
        of the sample.
    """

    takes_unseen_llms: ClassVar[bool] = False
    sums_over: ClassVar[str] = ""
    predicts_by_prompts: ClassVar[bool] = False

    background_: Background | None = fitted(saved=False)
    joint_: JointScores | None = fitted(of=JointScores, older=lambda router: None)
    kept_sums_: KeptSums | None = fitted(of=KeptSums, older=lambda router: None)

    def _remember(self, train: Dataset) -> None:
        has_scores = train.interactions.n_observed > 0
        self.background_ = Background.of(train, with_vectors=self.needs == "text") if has_scores else None
        self.joint_ = None
        self.kept_sums_ = None

    def scorer(self) -> RememberingRouter:
        """The fitted router that predicts the scores: itself, unless it combines them with costs."""
        return self

    def remembered(self) -> Background:
        """Training data that the router keeps; RouterError if it is not fitted or keeps none."""
        self.llm_index()  # raises if not fitted
        if self.background_ is None:
            raise RouterError(
                f"this {self.name} router does not keep its training prompts (it was saved by an older version or "
                "fitted on preferences alone) and cannot take unseen LLMs; fit it again, on scores"
            )
        return self.background_

    @property
    def training_prompts(self) -> pl.DataFrame:
        """Training prompts that have a record: `instance_id, task` and, if there are texts, `prompt`.

        These are the prompts to run an unseen LLM on. Raises RouterError if the router does not keep them.
        """
        return self.remembered().prompts

    def training_sample(self) -> Prompts:
        """At most 2,000 evenly spaced training prompts, with their vectors if these are kept.

        Raises RouterError if the router does not keep them.
        """
        background = self.remembered()
        return background.sample(evenly(background.prompts.height), self.llm_ids_, self.encoder_)

    @property
    def prior(self) -> LLMPrior:
        """Prior of unseen LLMs, learned at first use and saved with the router afterwards.

        Raises DataError if the router was fitted on too few LLMs, RouterError if it does not keep its training prompts.
        """
        return self.remembered().prior()

    def decisions_taken_in(self) -> NDArray[np.uint64]:
        """Hashes uint64 (k,) of the decisions used by earlier refreshes; see `Feedback.decisions`."""
        return np.zeros(0, dtype=np.uint64)

    def change_since_fit(self, prompts: Prompts) -> Floats | None:
        """Change f32 (b, m) of the predicted scores by feedback observed since the fit; None if there was none."""
        return None

    def _llm_entries(self, new: NewLLMs) -> dict[str, AnyArray]:
        """Entries of unseen LLMs in the fitted arrays, by name; each has the array's shape with j LLMs instead of m.

        Arrays not named here are extended by a linear prediction from the LLMs' vectors (`NewLLMs.parameters`).
        """
        return {}

    def sum_features(self, prompts: Prompts) -> Array:
        """Features f64 (b, p) of prompts that `Moments` add up: by default their vectors, if the router reads text."""
        return self.vectors(prompts).astype(np.float64) if self.needs == "text" else np.zeros((prompts.n, 0))

    def sum_penalty(self, train: Dataset) -> float:
        """Penalty of the regression on text, chosen on training data with the router's vectors."""
        return 0.0

    def penalty_on(self, train: Dataset) -> float:
        """`sum_penalty` of training data with whatever vectors."""
        if self.needs != "text" or self.encoder_ is None:
            return self.sum_penalty(train)
        return self.sum_penalty(train.with_embeddings(self.vectors(train), self.encoder_))

    def take_moments(self, moments: Moments, penalty: float) -> None:
        """Set what follows from sums over prompts; all else stays as it was fitted.

        `llm_mean_` is set by the caller.
        """

    def keep_prompts(self, kept: NDArray[np.int64]) -> None:
        """Keep the training prompts at these positions only, in fields that are not declared by their number."""

    def task_shares(self, prompts: Prompts) -> Array | None:
        """Probability f64 (b, t) of each training task, in alphabetical order; None without a task classifier."""
        return None

    def known_sizes(self) -> dict[str, int]:
        """Dimensions that are known before the fitted arrays are read."""
        sizes = {"n_llms": len(self.llm_ids_)}
        if self.needs == "text":
            width = 0 if self.encoder_ is None else encoder_width(self.encoder_)
            sizes |= {} if width is None else {"width": width}
        return sizes

    def check_fitted(self, sizes: Mapping[str, int]) -> None:
        """Check restored arrays beyond their shapes and ranges; raises RouterError.

        `sizes` are the dimensions of the arrays, including `n_prompts` if it is known.
        """
        if self.needs != "text" or not (width := sizes.get("width")):
            return
        if hasattr(self, "width_") and int(self.width_[0]) != width:
            raise RouterError(f"{self.name} reads vectors {int(self.width_[0])} wide, but its arrays are {width} wide")
        self.width_ = np.array([width])

    def write_files(self, folder: Path) -> None:
        """Hook for state that arrays cannot hold: write it to the router's folder. `save` adds the hashes."""

    def read_files(self, folder: Path) -> None:
        """Hook that reads what `write_files` wrote, after `load` has checked the hashes and set the arrays."""
