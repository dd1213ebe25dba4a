"""What a router keeps beside its fit, in memory and on disk: the floor between `RouterCore` and `Router`."""

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
from recroute.util.numeric import AnyArray, evenly
from recroute.util.state import fitted

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs
    from recroute.routers.memory.prior import LLMPrior


@dataclass(kw_only=True, eq=False)
class RememberingRouter(RouterCore):
    """A router that keeps its training data, can grow from them, and knows which arrays make a folder of it.

    What is done with that, from explanations to unseen LLMs, stands beside this file in functions that take such a
    router; `Router` has them as methods.

    Class attributes
    ----------------
    takes_unseen_llms : bool
        The fitted arrays with a dimension `n_llms` then grow with the LLMs; a router that knows better than a linear
        function of what is known of an LLM fills in `_llm_entries`.
    """

    takes_unseen_llms: ClassVar[bool] = False

    background_: Background | None = fitted(saved=False)

    def _remember(self, train: Dataset) -> None:
        has_scores = train.interactions.n_observed > 0
        self.background_ = Background.of(train, with_vectors=self.needs == "text") if has_scores else None

    def remembered(self) -> Background:
        """What the router keeps of its training data; RouterError if it is not fitted or keeps none."""
        self.llm_index()  # raises if not fitted
        if self.background_ is None:
            raise RouterError(
                f"this {self.name} router was saved without its training prompts (by an older version, or fitted on "
                "too few LLMs or on preferences alone) and can take no unseen LLM; fit it again, on scores"
            )
        return self.background_

    @property
    def training_prompts(self) -> pl.DataFrame:
        """The prompts an unseen LLM can be run on: `instance_id, task` and, where there are texts, `prompt`.

        Those the router was fitted on that have a record. Raises RouterError if the router does not keep them.
        """
        return self.remembered().prompts

    def training_sample(self) -> Prompts:
        """At most 2,000 training prompts, evenly spread, with their vectors where these are kept.

        Raises RouterError if the router does not keep them.
        """
        background = self.remembered()
        return background.sample(evenly(background.prompts.height), self.llm_ids_, self.encoder_)

    @property
    def prior(self) -> LLMPrior:
        """What the known LLMs' scores say about unseen ones: learned when it is first asked for, and saved with it.

        Raises DataError if the router was fitted on too few LLMs, RouterError if it does not keep its training prompts.
        """
        return self.remembered().prior()

    def decisions_taken_in(self) -> NDArray[np.uint64]:
        """Numbers of the decisions that earlier refreshes took in, uint64 (k,); see `Feedback.decisions`."""
        return np.zeros(0, dtype=np.uint64)

    def _llm_entries(self, new: NewLLMs) -> dict[str, AnyArray]:
        """Entries of unseen LLMs in the fitted arrays, by name; each as the array, with them in place of its LLMs.

        An array that is not named here gets the linear function of an LLM's vector that fits the known LLMs' entries
        best (`NewLLMs.parameters`).
        """
        return {}

    def known_sizes(self) -> dict[str, int]:
        """Dimensions of the fitted arrays that are known before these are read."""
        sizes = {"n_llms": len(self.llm_ids_)}
        if self.needs == "text":
            width = 0 if self.encoder_ is None else encoder_width(self.encoder_)
            sizes |= {} if width is None else {"width": width}
        return sizes

    def check_fitted(self, sizes: Mapping[str, int]) -> None:
        """Called once a folder's arrays are set; raises RouterError for what shapes and ranges cannot say.

        `sizes` are the dimensions of the arrays, `n_prompts` among them where it is known.
        """
        if self.needs != "text" or not (width := sizes.get("width")):
            return
        if hasattr(self, "width_") and int(self.width_[0]) != width:
            raise RouterError(f"{self.name} reads vectors {int(self.width_[0])} wide, and its arrays are {width} wide")
        self.width_ = np.array([width])

    def write_files(self, folder: Path) -> None:
        """Write into the router's folder what arrays cannot hold; nothing by default. `save` adds the hashes."""

    def read_files(self, folder: Path) -> None:
        """Read what `write_files` wrote, after `load` has checked the hashes and set the arrays."""
