"""A map of LLMs: the factors of a router, rotated to principal axes so that they can be interpreted."""

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

MIN_SHARE = 1e-9  # a factor with a smaller share of the differences is rounding error
PROMPT_LENGTH = 60  # characters of a prompt in a table
MAX_LABELS = 16  # LLMs named in the plot


@runtime_checkable
class HasFactors(Protocol):
    """A router that predicts from inner products of instance factors and LLM factors."""

    def factors(self, prompts: Prompts) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Instance factors float (b, k) and LLM factors float (m, k)."""
        ...


@dataclass(frozen=True, repr=False, eq=False)
class LLMMap(Shown):
    """LLMs as points; LLMs that a router predicts alike lie close together.

    The distance of two LLMs is the root mean square, over prompts, of the difference of their predicted scores after
    the difference of their means is removed. So the map does not show how good an LLM is, but on which prompts it is
    better or worse than its mean. Factors are sorted by the share of the differences that they explain.

    Parameters
    ----------
    router : str
        Label of the router.
    llm_ids : IdMap
    position : f64 (m, k)
        Centred positions of the LLMs, in the router's own scale: scores, or log odds if it applies a sigmoid.
    share : f64 (k,)
        Share of the LLMs' differences explained by each factor; sums to 1.
    instance_position : f64 (n, k)
        Positions of the prompts, with mean 0 and variance 1. `position @ instance_position.T` is the predicted score
        of an LLM on a prompt relative to the average LLM and to the LLM's own mean.
    instances : polars.DataFrame
        n rows: `instance_id, task` and, if there are texts, `prompt`.
    mean_score : f64 (m,)
        Mean scores on the router's training prompts.
    families : list of str, optional
        Family of each LLM; "" if unknown.
    simulated : bool
        Whether the data are simulated.
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
        """LLMs, tasks and prompts at the two ends of each factor, which show what the factor means.

        Parameters
        ----------
        n : int
            Rows of each kind at each end.

        Returns
        -------
        polars.DataFrame
            Columns `factor` (from 1), `end` ("+" or "-"), `kind` ("LLM", "task" or "prompt"), `name` and `value`: the
            position of the LLM or prompt, or the mean position of the task's prompts. LLMs at one end are better than
            their means on the prompts of the same end, and worse on those of the other.
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
        """Share of each factor's variance over prompts that lies between tasks, f64 (k,).

        0: the factor is unrelated to the task; 1: it only distinguishes tasks.
        """
        _, means, sizes = self._task_means()
        return (sizes[:, None] * means**2).sum(axis=0) / sizes.sum()

    def tasks(self) -> pl.DataFrame:
        """Mean position of each task's prompts: `task, n_instances, factor_1, factor_2, ...`."""
        names, means, sizes = self._task_means()
        columns = {f"factor_{j + 1}": means[:, j] for j in range(means.shape[1])}
        return pl.DataFrame({"task": names, "n_instances": sizes.astype(np.int64)} | columns)

    def nearest(self, llm: str, n: int = 5) -> pl.DataFrame:
        """The n LLMs most similar to this one, by distance over all factors.

        Returns
        -------
        polars.DataFrame
            n rows, nearest first: `llm_id, distance, mean_score` and, if known, `family`.

        Raises
        ------
        UnknownNameError
            If the map does not have the LLM.
        """
        (own,) = self.llm_ids.to_index([llm])
        distance = np.sqrt(((self.position - self.position[own]) ** 2).sum(axis=1))
        order = [int(i) for i in np.argsort(distance, kind="stable") if i != own][:n]
        columns = {
            "llm_id": [self.llm_ids.ids[i] for i in order],
            "distance": distance[order],
            "mean_score": self.mean_score[order],
        }
        if self.families is not None:
            columns["family"] = [self.families[i] for i in order]
        return pl.DataFrame(columns)

    def plot(
        self,
        *,
        axes: tuple[int, int] = (1, 2),
        colour: str | None = None,
        n_labels: int = MAX_LABELS,
        ax: Any = None,
        title: str | None = None,
    ) -> Any:
        """Plot the LLMs in the plane of two factors; each axis names the tasks at its ends.

        Parameters
        ----------
        axes : (int, int)
            The two factors, counted from 1.
        colour : {"family", "mean_score"}, optional
            Default: the family, if known. The six largest families have their own colours.
        n_labels : int
            Maximum number of LLMs to name. The outermost are named first, as far as there is room.
        ax : matplotlib.axes.Axes, optional
            Axes to draw on (default: a new figure).
        title : str, optional

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        RouterError
            If the map does not have these factors, or colour is "family" and no family is known.
        UnknownNameError
            If `colour` is something else.
        """
        return draw_map(
            self, axes, colour, n_labels, ax, title or self.document().marked(f"LLMs as {self.router} sees them")
        )

    def __repr__(self) -> str:
        shares = ", ".join(f"{share:.0%}" for share in self.share)
        return f"LLMMap({self.router}: {len(self.llm_ids):,} LLMs, {len(self.share)} factors of {shares})"

    def document(self) -> Document:
        """Table of the LLMs and tasks at the ends of each factor, and the map."""
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
                    name="llm-map",
                    draw=self.plot,
                    caption="LLMs that lie close together are predicted alike.",
                    on=Medium.PAGE,
                ),
            ],
            simulated=self.simulated,
        )

    def _kinds(self, factor: int) -> dict[str, tuple[list[str], Array]]:
        """Names and positions along a factor, by kind: LLMs, tasks and prompts."""
        kinds = {"LLM": (list(self.llm_ids), self.position[:, factor])}
        names, means, _ = self._task_means()
        if len(names) > 1:
            kinds["task"] = (names, means[:, factor])
        if "prompt" in self.instances.columns:
            texts = self.instances["prompt"].str.replace_all(r"\s+", " ").str.slice(0, PROMPT_LENGTH).to_list()
            kinds["prompt"] = (texts, self.instance_position[:, factor])
        return kinds

    def _task_means(self) -> tuple[list[str], Array, Array]:
        """Task names, mean positions f64 (t, k) of their prompts, and numbers of prompts f64 (t,)."""
        names, of = np.unique(self.instances["task"].to_numpy().astype(np.str_), return_inverse=True)
        sizes = np.bincount(of).astype(np.float64)
        sums = np.zeros((len(names), len(self.share)))
        np.add.at(sums, of, self.instance_position)
        return names.tolist(), sums / sizes[:, None], sizes


@checked
def llm_map(router: Router, dataset: Dataset | None = None) -> LLMMap:
    """Map the LLMs of a fitted router by its factors, rotated to principal axes.

    Parameters
    ----------
    router : Router
        A router with LLM factors: als, bpr, embedllm, irt, lightfm, lmf or svd.
    dataset : Dataset, optional
        Source of the LLM families. Also the prompts on which LLMs are compared if the router keeps no factors of its
        training prompts (embedllm, irt, lightfm); required for these.

    Returns
    -------
    LLMMap

    Raises
    ------
    RouterError
        If the router is not fitted, has no factors, does not distinguish LLMs except by their means, or needs a
        data set.
    """
    index = router.llm_index()  # raises if not fitted
    if not isinstance(router, HasFactors):
        raise RouterError(f"{router.name} has no LLM factors to map; use svd, als or embedllm")
    of_instance, of_llm, instances = _factors(router, dataset)
    position, share, instance_position = principal_axes(of_instance, of_llm)
    if not len(share):
        raise RouterError(f"{router.label} distinguishes LLMs by their means only, so there is nothing to map")
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
    """Instance factors f64 (n, k), LLM factors f64 (m, k) and the instance table."""
    if hasattr(router, "instance_factors_") and router.background_ is not None:
        return router.instance_factors_.astype(np.float64), router.llm_factors_, router.background_.prompts
    if dataset is None:
        raise RouterError(
            f"{router.label} keeps no factors of its training prompts; pass a data set whose prompts LLMs are compared "
            "on, as in llm_map(router, split.train)"
        )
    of_instance, of_llm = router.factors(Prompts.of(dataset))
    return of_instance.astype(np.float64), of_llm.astype(np.float64), dataset.instances


def principal_axes(of_instance: Array, of_llm: Array) -> tuple[Array, Array, Array]:
    """Rotate and scale factors so that distances between LLMs are differences of predictions, see `LLMMap`.

    Parameters
    ----------
    of_instance : f64 (n, k)
    of_llm : f64 (m, k)

    Returns
    -------
    position : f64 (m, j)
        For the j <= k factors with a share above rounding error.
    share : f64 (j,)
    instance_position : f64 (n, j)
    """
    U, V = of_instance - of_instance.mean(axis=0), of_llm - of_llm.mean(axis=0)
    value, Q = np.linalg.eigh(U.T @ U / len(U))
    kept = value > MIN_SHARE * max(value.max(initial=0), 1e-300)
    Q, size = Q[:, kept], np.sqrt(value[kept])
    left, spread, right = np.linalg.svd((V @ Q) * size, full_matrices=False)  # (m, j): V cov(U)^(1/2)
    share = spread**2 / max((spread**2).sum(), 1e-300)
    j = int((share > MIN_SHARE).sum())
    position = left[:, :j] * spread[:j]
    instance_position = (U @ Q / size) @ right[:j].T  # (n, k) x (k, j)
    # the sign of a factor is arbitrary: the end that reaches further is +
    sign = np.sign(position[np.abs(position).argmax(axis=0), np.arange(j)])
    return position * sign, share[:j], instance_position * sign


def _families(llm_ids: IdMap, dataset: Dataset) -> list[str] | None:
    if "family" not in dataset.llms.columns:
        return None
    of = dict(dataset.llms.select("llm_id", "family").iter_rows())
    return [of.get(llm) or "" for llm in llm_ids]
