"""A map of LLMs: the factors of a router turned so that they can be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data import Dataset, IdMap, Prompts
from recroute.errors import RouterError
from recroute.report.document import Cell, Document, Figure, Medium, Number, Table
from recroute.report.shown import Shown
from recroute.routers.base import Router
from recroute.routers.llm_map_picture import draw_map
from recroute.util.arguments import checked
from recroute.util.numeric import Array

SMALLEST = 1e-9  # share of the differences; a factor below it is rounding
PROMPT_LENGTH = 60
MOST_LABELS = 16  # LLMs named on the picture


@runtime_checkable
class HasFactors(Protocol):
    """A router that adds up products of instance factors and LLM factors."""

    def factors(self, prompts: Prompts) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Instance factors float (b, k) and LLM factors float (m, k)."""
        ...


@dataclass(frozen=True, repr=False, eq=False)
class LLMMap(Shown):
    """LLMs as points, so that LLMs which are alike stand together.

    The distance of two LLMs is the root mean square, over prompts, of the difference between what the router predicts
    for them, once the difference of their means is taken away: a mean is not on the map, only on which prompts an
    LLM is better than its mean says. Factors come in the order of how much of that they explain.

    Parameters
    ----------
    router : str
    llm_ids : IdMap
    position : f64 (m, k)
        In the router's own scale: scores, or log odds where it predicts `sigmoid` of the products. Mean 0.
    share : f64 (k,)
        Of the LLMs' differences, by factor; their sum is 1.
    instance_position : f64 (n, k)
        Of prompts, mean 0 and variance 1: `position @ instance_position.T` is by how much more than its mean an LLM is
        predicted to score on a prompt, relative to the average LLM.
    instances : polars.DataFrame
        n rows: `instance_id, task` and, where there are texts, `prompt`.
    mean_score : f64 (m,)
        On the router's training prompts.
    families : list of str, optional
        m of them; "" where unknown.
    simulated : bool
    """

    router: str
    llm_ids: IdMap
    position: Array
    share: Array
    instance_position: Array
    instances: pl.DataFrame
    mean_score: Array
    families: list[str] | None = None
    simulated: bool = False

    def ends(self, n: int = 3) -> pl.DataFrame:
        """What each factor means: the LLMs, tasks and prompts at its two ends.

        Parameters
        ----------
        n : int
            Of each kind, at each end.

        Returns
        -------
        polars.DataFrame with `factor` (1 is the first), `end` ("+" or "-"), `kind` ("LLM", "task" or "prompt"), `name`
        and `value`: the position of the LLM or prompt, or the mean of the task's prompts. LLMs at one end are better
        at the prompts of the same end, and worse at those of the other, than their means say.
        """
        rows = []
        for factor in range(len(self.share)):
            for kind, (names, values) in self._kinds(factor).items():
                order = np.argsort(-values, kind="stable")
                for end, at in (("+", order[:n]), ("-", order[::-1][:n])):
                    on_side = [i for i in at if (values[i] > 0) == (end == "+")]
                    rows += [(factor + 1, end, kind, names[i], float(values[i])) for i in on_side]
        return pl.DataFrame(rows, schema=["factor", "end", "kind", "name", "value"], orient="row")

    @property
    def task_share(self) -> Array:
        """How much of each factor is the task: share of the variance of prompts between tasks, f64 (k,).

        0: the factor has nothing to do with the task; 1: it tells tasks apart and nothing else.
        """
        _, means, sizes = self._task_means()
        return (sizes[:, None] * means**2).sum(axis=0) / sizes.sum()

    def tasks(self) -> pl.DataFrame:
        """Where tasks stand: `task, n_instances`, and the mean position of its prompts along each factor."""
        names, means, sizes = self._task_means()
        columns = {f"factor_{j + 1}": means[:, j] for j in range(means.shape[1])}
        return pl.DataFrame({"task": names, "n_instances": sizes.astype(np.int64)} | columns)

    def nearest(self, llm: str, n: int = 5) -> pl.DataFrame:
        """The LLMs most like this one.

        Returns
        -------
        polars.DataFrame with n rows `llm_id, distance, mean_score` and, where known, `family`, nearest first; over all
        factors. Raises UnknownNameError for an unknown LLM.
        """
        (own,) = self.llm_ids.to_index([llm])
        distance = np.sqrt(((self.position - self.position[own]) ** 2).sum(axis=1))
        order = [int(i) for i in np.argsort(distance, kind="stable") if i != own][:n]
        found = {
            "llm_id": [self.llm_ids.ids[i] for i in order],
            "distance": distance[order],
            "mean_score": self.mean_score[order],
        }
        if self.families is not None:
            found["family"] = [self.families[i] for i in order]
        return pl.DataFrame(found)

    def plot(
        self,
        *,
        axes: tuple[int, int] = (1, 2),
        colour: str | None = None,
        n_labels: int = MOST_LABELS,
        ax: Any = None,
        title: str | None = None,
    ) -> Any:
        """LLMs in the plane of two factors; the tasks at the ends of each factor stand at its axis.

        Parameters
        ----------
        axes : (int, int)
            The two factors; 1 is the first.
        colour : {"family", "mean_score"}, optional
            Default: the family where it is known. The six largest families have colours of their own.
        n_labels : int
            LLMs to name, at most: those furthest out, as far as there is room.
        ax : matplotlib.axes.Axes, optional
        title : str, optional

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        RouterError
            If the router does not have these factors, or families are asked for and not known.
        """
        return draw_map(
            self, axes, colour, n_labels, ax, title or self.document().marked(f"LLMs as {self.router} sees them")
        )

    def __repr__(self) -> str:
        shares = ", ".join(f"{share:.0%}" for share in self.share)
        return f"LLMMap({self.router}: {len(self.llm_ids):,} LLMs, {len(self.share)} factors of {shares})"

    def document(self) -> Document:
        """The LLMs and tasks at the ends of each factor."""
        ends = self.ends()
        kinds = [kind for kind in ("LLM", "task") if kind in ends["kind"]]
        rows: list[list[Cell]] = []
        for factor, (share, of_task) in enumerate(zip(self.share, self.task_share, strict=True), 1):
            sides = [ends.filter(factor=factor, end=end, kind=kind)["name"] for end in "-+" for kind in kinds]
            shares = [Number(one, form=".0%") for one in ((share, of_task) if "task" in kinds else (share,))]
            rows.append([Number(factor, form="d"), *shares, *(", ".join(names) for names in sides)])
        heads = ["factor", "of the LLMs' differences", *(["between tasks"] if "task" in kinds else [])]
        heads += [f"{kind}s at the {end} end" for end in "-+" for kind in kinds]
        return Document(
            title=f"Map of LLMs by {self.router}",
            facts=f"{len(self.llm_ids):,} LLMs, compared on {self.instances.height:,} prompts",
            blocks=[
                Table(heads=heads, rows=rows),
                Figure(
                    name="llm-map", draw=self.plot, caption="LLMs near each other are predicted alike.", on=Medium.PAGE
                ),
            ],
            simulated=self.simulated,
        )

    def _kinds(self, factor: int) -> dict[str, tuple[list[str], Array]]:
        """Names and values of what stands along a factor."""
        found = {"LLM": (list(self.llm_ids), self.position[:, factor])}
        names, means, _ = self._task_means()
        if len(names) > 1:
            found["task"] = (names, means[:, factor])
        if "prompt" in self.instances.columns:
            texts = self.instances["prompt"].str.replace_all(r"\s+", " ").str.slice(0, PROMPT_LENGTH).to_list()
            found["prompt"] = (texts, self.instance_position[:, factor])
        return found

    def _task_means(self) -> tuple[list[str], Array, Array]:
        """Tasks, the mean positions f64 (t, k) of their prompts, and how many there are, f64 (t,)."""
        names, of = np.unique(self.instances["task"].to_numpy().astype(np.str_), return_inverse=True)
        sizes = np.bincount(of).astype(np.float64)
        sums = np.zeros((len(names), len(self.share)))
        np.add.at(sums, of, self.instance_position)
        return names.tolist(), sums / sizes[:, None], sizes


@checked
def llm_map(router: Router, dataset: Dataset | None = None) -> LLMMap:
    """The factors of a fitted router, turned to principal axes.

    Parameters
    ----------
    router : Router
        One that holds factors of LLMs: als, bpr, embedllm, irt, lightfm, lmf, svd.
    dataset : Dataset, optional
        Where families are known from, and the prompts that LLMs are compared on where the router keeps no factors of
        its training prompts (embedllm, irt, lightfm).

    Raises
    ------
    RouterError
        If the router is not fitted, holds no factors or no differences between LLMs, or needs a data set.
    """
    index = router.llm_index()  # raises if not fitted
    if not isinstance(router, HasFactors):
        raise RouterError(f"{router.name} holds no factors of LLMs to draw; take svd, als or embedllm")
    of_instance, of_llm, instances = _factors(router, dataset)
    position, share, instance_position = principal_axes(of_instance, of_llm)
    if not len(share):
        raise RouterError(f"{router.label} tells no LLM from another by anything but its mean; there is no map")
    return LLMMap(
        router.label,
        router.llm_ids_,
        position,
        share,
        instance_position,
        instances.select([name for name in ("instance_id", "task", "prompt") if name in instances.columns]),
        router.llm_mean_[index],
        None if dataset is None else _families(router.llm_ids_, dataset),
        dataset is not None and bool(dataset.card.get("simulated")),
    )


def _factors(router: Any, dataset: Dataset | None) -> tuple[Array, Array, pl.DataFrame]:
    """Factors f64 (n, k) and (m, k), and the table of the instances."""
    if hasattr(router, "instance_factors_") and router.background_ is not None:
        return router.instance_factors_.astype(np.float64), router.llm_factors_, router.background_.prompts
    if dataset is None:
        raise RouterError(
            f"{router.label} keeps no factors of its training prompts; name the data set whose prompts LLMs are to be "
            "compared on, such as llm_map(router, split.train)"
        )
    of_instance, of_llm = router.factors(Prompts.of(dataset))
    return of_instance.astype(np.float64), of_llm.astype(np.float64), dataset.instances


def principal_axes(of_instance: Array, of_llm: Array) -> tuple[Array, Array, Array]:
    """Turn factors so that LLMs' distances are differences of predictions, see `LLMMap`.

    Parameters
    ----------
    of_instance : f64 (n, k)
    of_llm : f64 (m, k)

    Returns
    -------
    position f64 (m, j), share f64 (j,), instance position f64 (n, j), for the j <= k factors that are not nothing
    """
    U, V = of_instance - of_instance.mean(axis=0), of_llm - of_llm.mean(axis=0)
    value, Q = np.linalg.eigh(U.T @ U / len(U))
    kept = value > SMALLEST * max(value.max(initial=0), 1e-300)
    Q, size = Q[:, kept], np.sqrt(value[kept])
    left, spread, right = np.linalg.svd((V @ Q) * size, full_matrices=False)  # (m, j): V cov(U)^(1/2)
    share = spread**2 / max((spread**2).sum(), 1e-300)
    j = int((share > SMALLEST).sum())
    position = left[:, :j] * spread[:j]
    instance_position = (U @ Q / size) @ right[:j].T  # (n, k) x (k, j)
    # which end is called + is arbitrary: the one that reaches further
    sign = np.sign(position[np.abs(position).argmax(axis=0), np.arange(j)])
    return position * sign, share[:j], instance_position * sign


def _families(llm_ids: IdMap, dataset: Dataset) -> list[str] | None:
    if "family" not in dataset.llms.columns:
        return None
    of = dict(dataset.llms.select("llm_id", "family").iter_rows())
    return [of.get(llm) or "" for llm in llm_ids]
