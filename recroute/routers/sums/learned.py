"""How many prompts a router fitted from sums has learned from."""

from __future__ import annotations

from dataclasses import dataclass

from recroute.routers.memory.remembering import RememberingRouter
from recroute.routers.parts import Composite


@dataclass(frozen=True)
class Learned:
    """Prompts behind a router fitted from sums; as text, what to say after "fitted on".

    Parameters
    ----------
    n_sample : int
        Prompts of the sample that have a record: those that the router keeps.
    n_summed : int
        Prompts of the sums.
    by_prompts : bool
        Whether predictions come from single prompts, so from the sample alone, as those of `knn`.

    Examples
    --------
    >>> str(Learned(3_000, 5_108, by_prompts=False))
    '5,108 instances (sample: 3,000)'
    >>> str(Learned(3_000, 5_108, by_prompts=True))
    'a sample of 3,000 of 5,108 instances'
    """

    n_sample: int
    n_summed: int
    by_prompts: bool

    @classmethod
    def of(cls, router: RememberingRouter, n_summed: float) -> Learned:
        """Of a fitted router, whose sums may have been dropped."""
        return cls(router.remembered().prompts.height, int(n_summed), predicts_by_prompts(router))

    @property
    def n_train(self) -> int:
        """Prompts that predictions come from."""
        return self.n_sample if self.by_prompts else self.n_summed

    @property
    def note(self) -> str:
        """What is of the sample, and what of all prompts; empty if these are the same."""
        if self.n_sample == self.n_summed:
            return ""
        if self.by_prompts:
            return "Neighbours are prompts of the sample; only the LLMs' mean scores are over all training instances."
        return (
            "Means, factors and regression weights are of sums over all training instances; encoder, cluster centres "
            "and penalties are of the sample."
        )

    def __str__(self) -> str:
        if self.n_sample == self.n_summed:
            return f"{self.n_summed:,} instances"
        if self.by_prompts:
            return f"a sample of {self.n_sample:,} of {self.n_summed:,} instances"
        return f"{self.n_summed:,} instances (sample: {self.n_sample:,})"

    def to_dict(self) -> dict[str, int]:
        return {"n_train": self.n_train, "n_sample": self.n_sample, "n_summed": self.n_summed}


def predicts_by_prompts(router: RememberingRouter) -> bool:
    """Whether the router, or a part of it, predicts from single training prompts that it keeps."""
    parts = router.make_parts() if isinstance(router, Composite) else []
    return router.predicts_by_prompts or any(map(predicts_by_prompts, parts))
