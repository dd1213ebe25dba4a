"""Who ran lm-evaluation-harness: what the results file of a run says, or else its folder."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recroute.data.sources._json import json_object
from recroute.data.sources._llms import FACTS, LOGISTICS, Who, normal, sanitised
from recroute.data.sources._llms import Run as LoggedRun
from recroute.data.sources._lm_eval_runs import Results, Run, dated_results
from recroute.data.sources._pickle import clean_text
from recroute.errors import DataError, argument

NAMES = ("peft", "delta", "pretrained", "model", "path", "engine")  # where the harness finds its model_name


def who_ran(run: Run, *, by_hand: bool) -> Who:
    """What is known of the LLM of a run; `by_hand` where the files need not name it."""
    if (own := _told(run.results, run.early)) is not None:
        return own
    if run.early is not None:
        return Who(clean_text(run.file.name.removesuffix(f"_{run.task}.jsonl")))
    name = run.folder.resolve().name
    if run.results is None and (files := dated_results(run.folder)):
        others = [who for file in files if (who := _told(Results(file, json_object(file)))) is not None]
        alike = others and not any(others[0].name != who.name or others[0].differs(who) for who in others)
        if alike and sanitised(others[0].name) == name:
            return others[0]
        if others and not by_hand:
            told = ", ".join(dict.fromkeys(who.name for who in others))
            raise DataError(
                f"{run.file}: no results_{run.date}.json beside it says which LLM ran (other runs of the folder: "
                f"{told}); put it there, or name the LLM with {argument('llm_id', 'NAME', option='set')} or, "
                f"by its folder, with {argument('name_by', 'folder')}"
            )
    return Who(clean_text(name.replace("__", "/")), told=False)


def _told(results: Results | None, early: dict[str, str] | None = None) -> Who | None:
    """What a results file, or the name of a file of early versions, says; None if neither names an LLM."""
    content, config = (results.content, results.config) if results is not None else ({}, {})
    arguments = _arguments(config.get("model_args", early))
    name = content.get("model_name")
    if not isinstance(name, str) or not name:
        name = next((arguments[key] for key in NAMES if arguments and arguments.get(key)), None)
    if name is None:
        return None
    name = clean_text(name)
    known = {key: normal(key, value) for key, value in (arguments or {}).items() if not LOGISTICS.fullmatch(key)}
    known = {key: value for key, value in known.items() if key not in NAMES or value != name}
    for fact in FACTS:
        value = config.get(fact, content.get(fact))
        if isinstance(value, str) and value:
            known["revision" if fact == "model_revision" else fact] = normal(fact.removeprefix("model_"), value)
    return Who(name, known, complete=arguments is not None)


def _arguments(given: Any) -> dict[str, str] | None:
    """Model arguments, `pretrained=lab/tiny,revision=step1000` or a mapping; None where they were not logged."""
    if isinstance(given, dict):
        return {str(key): value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
    if not isinstance(given, str):
        return None
    parts = re.split(r",(?=\s*\w+=)", given)  # a comma within a value is not followed by a name
    return {key.strip(): value.strip() for key, _, value in (part.partition("=") for part in parts) if key.strip()}


def refuse_nameless(groups: Sequence[Who], root: Path) -> None:
    """Runs that lie together in no LLM's folder, with nothing that says who ran."""
    for who in groups:
        first: dict[str, LoggedRun] = {}
        for run in who.runs if not who.told else []:
            other = first.setdefault(run.task, run)
            if run is not other and run.folder == other.folder == root and "__" not in run.folder.resolve().name:
                raise DataError(
                    f"{other.file} and {run.file} may be of two LLMs: no results_<date>.json says which ran; put "
                    f"these beside them, or name the LLM, if it is one, with {argument('llm_id', 'NAME', option='set')}"
                )
