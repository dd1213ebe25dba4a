"""HELM: a folder per run, with `run_spec.json`, `scenario_state.json` and `per_instance_stats.json`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from recroute.data.reading import read_json
from recroute.data.sources._json import json_object
from recroute.data.sources._llms import Who, sanitised
from recroute.data.sources._logged import LoggedRun, LoggedSource, Row, as_dict, as_list, text_of
from recroute.data.sources._pickle import clean_text
from recroute.errors import DataError

STATS, SPEC, STATE, MEANS = "per_instance_stats.json", "run_spec.json", "scenario_state.json", "stats.json"
# Main metrics of scenarios, those first that occur in few of them.
METRICS = (
    *("math_equiv_chain_of_thought", "math_equiv", "final_number_exact_match", "ifeval_strict_accuracy"),
    *("chain_of_thought_correctness", "omni_math_accuracy", "wildbench_score_rescaled", "safety_score", "pass"),
    *("execution_accuracy", "program_accuracy", "squad_f1_score", "f1_score", "rouge_2", "quasi_exact_match"),
    *("exact_match", "quasi_prefix_exact_match", "prefix_exact_match"),
)
# What is counted, timed and estimated beside the metrics, and metrics of the best of several completions.
BOOKKEEPING = re.compile(
    r"num_.*|.*logprob.*|.*runtime.*|training_.*|finish_reason_.*|prompt_truncated|max_prob|predicted_index|batch_size|"
    r"perplexity|bits_per_byte|.*@\d+"
)
LOWER_IS_BETTER = re.compile(
    r"(.*_)?(wer|mer|cer)_score|absolute_value_difference|error_rate|(platt_)?ece_.*|bbq_metric_.*_bias|.*_imbalance|"
    r"(toxic|nsfw|nudity|watermark|blacked_out)_frac|(expected_)?max_(toxicity|nsfw|watermark).*|toxic_prompt_.*|"
    r"edit_similarity|longest_common_prefix_length|fractal_dimension_loss|expected_lpips_score"
)


@dataclass(eq=False)
class HelmRun(LoggedRun):
    """One folder of a run; `file` is its `per_instance_stats.json`.

    Parameters
    ----------
    scenario : str
        What `run_spec.json` says of the scenario.
    options : list of str
        Arguments in the run's name, without the model.
    """

    scenario: str = ""
    options: list[str] = field(default_factory=list)
    means: list[Any] | None = None

    @property
    def folder(self) -> Path:
        """The suite's, and the model."""
        return self.file.absolute().parent.parent / sanitised(self.identity.name)

    @property
    def told_in(self) -> Path:
        return self.file.with_name(MEANS)

    @property
    def usual(self) -> Sequence[str]:
        return METRICS

    def higher_is_better(self, metric: str) -> bool | None:
        return False if LOWER_IS_BETTER.fullmatch(metric) else None

    def published(self, metric: str, filter_name: str) -> float | None:
        """The mean of `stats.json`, where it is not cut up by split."""
        if self.means is None:
            self.means = as_list(read_json(self.told_in)) if self.told_in.exists() else []
        found = [_value(stat) for stat in map(as_dict, self.means) if _name(stat) == (metric, False)]
        return found[0] if len(found) == 1 else None

    def rows(self, notes: list[str]) -> Iterator[Row]:
        metrics: dict[tuple[str, int], dict[str, float]] = {}
        n_perturbed = 0
        for where, entry, number in _entries(read_json(self.file), self.file):
            if entry.get("perturbation") is not None:
                n_perturbed += 1
                continue
            trial = entry.get("train_trial_index", 0)
            there = metrics.setdefault((number, trial if isinstance(trial, int) else 0), {})
            for stat in map(as_dict, as_list(entry.get("stats"))):
                name, _ = _name(stat)
                if (value := _value(stat)) is None or BOOKKEEPING.fullmatch(name):
                    continue
                if there.setdefault(name, value) != value:
                    raise DataError(f"{name} of {where} stands twice, {there[name]:g} and {value:g}; fix that file")
        if n_perturbed:
            notes.append(f"{self.llm}, {self.task}: {n_perturbed:,} statistics of perturbed instances left out")
        asked = self._asked()
        scored = {number for number, _ in metrics}
        metrics |= {(number, 0): {} for number in asked if number not in scored}  # NaN is not written
        for (number, trial), values in metrics.items():
            question, prompt = asked.get(number, (None, None))
            yield Row(f"{self.file}, {number}", number, question, prompt, values, trial)

    def _asked(self) -> dict[str, tuple[str | None, str | None]]:
        """Question and prompt by instance."""
        state = self.file.with_name(STATE)
        if not state.exists():
            return {}
        asked: dict[str, tuple[str | None, str | None]] = {}
        for place, request in enumerate(as_list(json_object(state).get("request_states"))):
            instance = as_dict(as_dict(request).get("instance"))
            if instance.get("perturbation") is None and isinstance(instance.get("id"), str):
                number = clean_text(instance["id"])
                question = _question(instance)
                if asked.setdefault(number, (question, _prompt(request, instance)))[0] != question:
                    raise DataError(f"instance {number!r} is two questions in {state}, request {place}; fix that file")
        return asked


@dataclass(frozen=True, kw_only=True)
class Helm(LoggedSource[HelmRun]):
    """Runs of HELM: `runs/<suite>/<run>/` with `run_spec.json`, `scenario_state.json` and `per_instance_stats.json`.

    Who ran is the run's model, and its deployment where one model was run by several. Instances are numbered within a
    scenario with its arguments, so each such scenario is a task of its own; runs of it that differ in other options
    are one task as long as every LLM has one run. Several train trials are one score, their mean. Perturbed instances
    are left out.

    Parameters
    ----------
    metric : str, optional
        Which statistic is the score. Default: one that all runs of the task have, of these the first of HELM's main
        metrics (`math_equiv_chain_of_thought`, ..., `f1_score`, `rouge_2`, `quasi_exact_match`, `exact_match`). One of
        which less is better, and which is in [0, 1], is turned round.
    llm_id : str, optional
        Id of the one LLM whose runs these are.
    name_by : str
        What tells LLMs apart: "auto" (model, and deployment where it differs), "model" (alone), "revision" (the same
        here) or "folder" (suite and model).
    check_means : bool
        Refuse statistics whose mean is not the one in `stats.json`.
    """

    layout: ClassVar[str] = "helm"
    reads: ClassVar[str] = f"folder of runs, each with {SPEC}, {STATE} and {STATS}"
    card: ClassVar[dict[str, str]] = {
        "title": "HELM runs",
        "source": "stanford-crfm/helm, per-instance statistics",
        "licence": "that of the benchmarks",
    }

    def runs(self, path: Path, notes: list[str]) -> list[HelmRun]:
        files = sorted(path.rglob(STATS)) if path.is_dir() else [path]
        if not files or files[0].name != STATS:
            raise DataError(f"{path} has no {STATS}; name a folder of HELM's runs")
        found = [_run(file) for file in files]
        _name_tasks(found, notes)
        if without := [run for run in found if not run.file.with_name(STATE).exists()]:
            notes.append(
                f"no {STATE} beside {len(without):,} of {len(found):,} {STATS} ({without[0].file.parent.name}): no "
                "prompts, and what an id asks is not compared"
            )
        return found


def _run(file: Path) -> HelmRun:
    spec_file = file.with_name(SPEC)
    if not spec_file.exists():
        raise DataError(f"no {SPEC} beside {file}: nothing says which LLM ran; get the folder whole")
    spec = json_object(spec_file)
    adapter, scenario = as_dict(spec.get("adapter_spec")), as_dict(spec.get("scenario_spec"))
    model, deployment = (adapter.get(key) for key in ("model", "model_deployment"))
    name = model or deployment
    if not isinstance(name, str) or not isinstance(spec.get("name"), str):
        raise DataError(f"{spec_file} does not name the run and its model; get it again")
    known = {}
    if isinstance(deployment, str) and deployment not in ("", name):
        known["model_deployment"] = clean_text(deployment)
    task, *options = re.split(r"[:,]", clean_text(spec["name"]))
    return HelmRun(
        file,
        task,
        identity=Who(clean_text(name), known, complete=True),
        scenario=json.dumps(scenario, sort_keys=True),
        options=[option for option in options if option.partition("=")[0] not in ("model", "model_deployment")],
    )


def _name_tasks(runs: Sequence[HelmRun], notes: list[str]) -> None:
    """One task for each scenario, by the options that its runs share; by all of them where an LLM ran it twice."""
    scenarios: dict[tuple[str, str], list[HelmRun]] = {}
    for run in runs:
        scenarios.setdefault((run.task, run.scenario), []).append(run)
    for same in scenarios.values():
        ran = [(run.identity.name, *sorted(run.identity.known.items())) for run in same]
        shared = [option for option in same[0].options if all(option in run.options for run in same)]
        others = list(dict.fromkeys(option for run in same for option in run.options if option not in shared))
        once = len(set(ran)) == len(ran)
        for run in same:
            options = shared if once else run.options
            run.task += f":{','.join(options)}" if options else ""
            scenario = as_dict(json.loads(run.scenario))
            arguments = {**as_dict(scenario.get("args")), "scenario": scenario.get("class_name")}
            run.arguments = {clean_text(key): clean_text(json.dumps(value)) for key, value in arguments.items()}
        if once and others:
            notes.append(f"{same[0].task}: runs differ in {', '.join(others)[:200]}, taken as one task")


def _entries(content: Any, file: Path) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Place, entry and instance id of each entry of the statistics."""
    if not isinstance(content, list):
        raise DataError(f"{file} holds {type(content).__name__}, not a list of statistics; get it again")
    for place, entry in enumerate(content):
        number = as_dict(entry).get("instance_id")
        if not isinstance(number, str) or not number:
            raise DataError(f"instance_id {number!r} of {file}, entry {place} is not a name; get it again"[:300])
        yield f"{file}, entry {place}", entry, clean_text(number)


def _name(stat: dict[str, Any]) -> tuple[str, bool]:
    """Name of a statistic, and whether it is of perturbed instances."""
    name = as_dict(stat.get("name"))
    return clean_text(str(name.get("name"))), name.get("perturbation") is not None


def _value(stat: dict[str, Any]) -> float | None:
    """Mean of a statistic; None where it has none."""
    value = stat.get("mean")
    if isinstance(value, bool) or not isinstance(value, int | float) or stat.get("count") == 0:
        return None
    return float(value) if abs(value) < 1e300 or math.isnan(value) else None


def _question(instance: dict[str, Any]) -> str | None:
    given = as_dict(instance.get("input"))
    return text_of(given.get("text")) or text_of(given.get("messages"))


def _prompt(request: dict[str, Any], instance: dict[str, Any]) -> str | None:
    """What was asked, from the question on, behind examples; question and options where each option was asked alone."""
    question = _question(instance)
    sent = text_of(as_dict(request.get("request")).get("prompt"))
    if question and sent and request.get("reference_index") is None and (place := sent.rfind(question)) >= 0:
        return sent[place:]
    options = [
        text_of(as_dict(as_dict(part).get("output")).get("text")) for part in as_list(instance.get("references"))
    ]
    return "\n".join(filter(None, [question, *(options if request.get("reference_index") is not None else [])])) or None
