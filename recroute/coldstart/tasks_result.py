"""`TaskColdStart`: the result of `coldstart` for tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recroute.experiment.compare import bracket
from recroute.experiment.result import Result
from recroute.report.document import Document, Figure, Medium, Number, Table

REFRESH, FULL = "refresh", "task known"
BEST_SINGLE = "best_single"
LEAD = "lead_over_best_single"


@dataclass(frozen=True, repr=False, eq=False)
class TaskColdStart(Result):
    """Mean scores of choices for the prompts of a task that was left out of training, with 95% intervals.

    Parameters
    ----------
    rows : polars.DataFrame
        The columns of `ColdStart`. `group` is "mean" (over tasks) or one task, `n_anchors` the number of prompts of the
        task that were given with the scores of all LLMs. The strategy "refresh" is a router refreshed with them, or for
        `best_single` the LLM with the best mean on them (on the other tasks, if none is given); "task known" is a
        router fitted with half of the task. Metrics: `mean_score`, and `lead_over_best_single` for the same prompts.
    info : mapping
        Includes `anchors`.
    """

    @property
    def routers(self) -> list[str]:
        """Labels of the routers, `best_single` first."""
        labels: list[str] = self.pooled("mean_score", group="mean", strategy=FULL)["router"].to_list()
        return labels

    def sentences(self) -> list[str]:
        sentences = []
        for router in self.routers[1:]:
            for k in (min(self.info["anchors"]), max(self.info["anchors"])):
                lead = self.row(LEAD, group="mean", router=router, strategy=REFRESH, n_anchors=k)
                assert lead is not None
                sentences.append(
                    f"after {k} prompts of a new {self.info['dataset']['holdout']}: {router} - best_single = "
                    f"{lead['value']:+.3f} {bracket(lead['ci_low'], lead['ci_high'])}"
                )
        return sentences

    def document(self) -> Document:
        data = self.info["dataset"]
        kind = data["holdout"]
        facts = (
            f"{data['n_instances']:,} instances x {data['n_llms']:,} LLMs; each of {data['n_tasks']} {kind}s is left "
            f"out of training in turn; half of it is judged ({data['n_test']:,} prompts); {len(self.seeds)} seeds; 95% "
            "bootstrap intervals."
        )
        caption = (
            f"Mean score of the choices for a {kind} that was left out of training, by number of its prompts that were "
            "given with the scores of all LLMs; dotted: fitted with half of it."
        )
        picture = Figure(name="coldstart", draw=self.plot, caption=caption, on=Medium.NOTEBOOK | Medium.PAGE)
        return self.document_of("Cold start of tasks on", facts, [picture, self._table()])

    def _table(self) -> Table:
        def cell(router: str, strategy: str, k: int | None, metric: str = "mean_score") -> Number:
            rows = self.pooled(metric, group="mean", router=router, strategy=strategy)
            rows = rows.filter(rows["n_anchors"].is_null() if k is None else rows["n_anchors"] == k)
            return Number.of(next(rows.iter_rows(named=True), None))

        bounds = {name: self.row("mean_score", group="mean", router=name) for name in ("random", "oracle")}
        reached = ", ".join(f"{name} {row['value']:.3f}" for name, row in bounds.items() if row)
        heads, rows = ["prompts given", BEST_SINGLE], []
        for router in self.routers[1:]:
            heads += [router, "lead"]
        for name, strategy, k in [*((str(k), REFRESH, k) for k in self.info["anchors"]), ("half", FULL, None)]:
            row: list[str | Number] = [name, cell(BEST_SINGLE, strategy, k)]
            for router in self.routers[1:]:
                row += [cell(router, strategy, k), cell(router, strategy, k, LEAD)]
            rows.append(row)
        return Table(
            title=f"mean score on a new {self.info['dataset']['holdout']}",
            heads=heads,
            rows=rows,
            caption=f"{self.counted()}; mean over {self.info['dataset']['n_tasks']} "
            f"{self.info['dataset']['holdout']}s; half: fitted with half of it; {reached}",
            on=Medium.SCREEN | Medium.PAGE,
        )

    def plot(self, **options: Any) -> Any:
        """Plot mean scores by number of given prompts; returns the Matplotlib axes."""
        from recroute.coldstart.picture import draw_tasks

        return draw_tasks(self)
