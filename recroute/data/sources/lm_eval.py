"""lm-evaluation-harness: a file of logged samples per LLM, task and run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from recroute.data.content import Content
from recroute.data.sources._llms import by_hand, name_llms, newest_runs
from recroute.data.sources._lm_eval_documents import Documents
from recroute.data.sources._lm_eval_llms import refuse_nameless, who_ran
from recroute.data.sources._lm_eval_runs import WHERE, Run, find_runs
from recroute.data.sources._lm_eval_samples import metrics_of, one_row_each
from recroute.data.sources._pickle import clean_text
from recroute.data.sources._scores import Sample, Taken, check_mean, choose_scores
from recroute.data.sources.source import Source


@dataclass(frozen=True, kw_only=True)
class LmEval(Source):
    """Samples that lm-evaluation-harness logs: `<model>/samples_<task>_<date>.jsonl`.

    Who ran is what the results file of the same date says: model name, revision, quantisation and other arguments.
    Rows are joined by what identifies their document, never by their order: runs on several ranks are written rank
    after rank.

    Parameters
    ----------
    metric : str, optional
        Which of a row's metrics is the score. Default: one that all runs of the task have, of these the first of
        acc_norm, acc, exact_match, pass@1, prompt_level_strict_acc, em, f1, else the first in alphabetical order.
        A metric of which less is better, and which is in [0, 1], is turned round.
    filter : str, optional
        Which filter's rows to take. Default: one that all runs have, of these the first of none, flexible-extract,
        strict-match, else the first in alphabetical order.
    llm_id : str, optional
        Id of the one LLM whose runs these are.
    name_by : str
        What tells LLMs apart: "auto" (name, and arguments where they differ), "model" (name alone), "revision"
        (name and revision) or "folder".
    check_means : bool
        Refuse samples whose mean is not that of the results file.
    """

    layout: ClassVar[str] = "lm-eval"
    reads: ClassVar[str] = f"output folder with {WHERE}"
    card: ClassVar[dict[str, str]] = {
        "title": "lm-evaluation-harness samples",
        "source": "EleutherAI/lm-evaluation-harness, logged samples",
        "licence": "that of the benchmarks",
    }

    metric: str | None = None
    filter: str | None = None
    llm_id: str | None = None
    name_by: str = "auto"
    check_means: bool = True

    def read(self, path: Path) -> Content:
        notes: list[str] = []
        runs = find_runs(path)
        named_by_hand = by_hand(self.llm_id, self.name_by)
        seen = [(run, who_ran(run, by_hand=named_by_hand)) for run in runs]
        llms = name_llms(seen, self.llm_id, self.name_by, path, notes)
        if not named_by_hand:
            refuse_nameless(llms, path)
        runs = newest_runs(runs, notes)
        taken = Taken(notes)
        for task in dict.fromkeys(run.task for run in runs):
            self._task([run for run in runs if run.task == task], taken)
        return taken.content(path)

    def _task(self, runs: list[Run], taken: Taken) -> None:
        """The rows of one task, of all its LLMs."""
        notes = taken.notes
        documents = Documents(runs[0].task)
        samples = [one_row_each(run, _samples(run, at, documents), notes) for at, run in enumerate(runs)]
        choices = choose_scores(runs, samples, self.metric, self.filter, notes)
        samples = [
            [sample for sample in rows if sample.filter == choice.filter]
            for rows, choice in zip(samples, choices, strict=True)
        ]
        documents.join()
        places = documents.instances([[sample.key for sample in rows] for rows in samples])
        for run, rows, choice, instances in zip(runs, samples, choices, places, strict=True):
            check_mean(run, rows, choice, self.check_means, notes)
            taken.take(run, rows, instances, choice, one_kind=len(set(choices)) == 1)
        notes += documents.notes()


def _samples(run: Run, run_index: int, documents: Documents) -> list[Sample]:
    """The rows of a file."""
    few_shot = run.results is not None and run.results.n_fewshot(run.task) > 0
    found = []
    for where, row in run.rows():
        key = documents.add(row, where, run_index, few_shot=few_shot)
        name = row.get("filter")
        found.append(Sample(where, key, None if name is None else clean_text(name), metrics_of(row)))
    return found
