"""Which LLM ran: what the results file of a run says, and the shortest names that tell LLMs apart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from recroute.data.sources._json import json_object
from recroute.data.sources._lm_eval_runs import Results, Run, dated_results
from recroute.data.sources._pickle import clean_text
from recroute.errors import DataError

NAME_BY = ("auto", "model", "revision", "folder")
# Arguments on where and how fast a model runs, not on which one it is.
LOGISTICS = re.compile(
    r"device.*|.*batch_size.*|parallelize|max_(memory|cpu).*|.*offload.*|low_cpu_mem_usage|.*_parallel_size|[td]p_size|"
    r"gpu_memory_utilization|mem_fraction_static|swap_space|enforce_eager|distributed_executor_backend|max_num_.*|"
    r"enable_prefix_caching|disable_log_stats|max_length|max_model_len|trust_remote_code|base_url|num_concurrent|"
    r"max_retries|timeout|verify_certificate|tokenized_requests|tokenizer_(backend|mode)|use_fast_tokenizer|"
    r"(cache|download)_dir|.*token|api_key|seed|logits_cache|attn_implementation"
)
NAMES = ("peft", "delta", "pretrained", "model", "path", "engine")  # where the harness finds its model_name
FACTS = ("model_revision", "model_sha", "model_dtype", "peft_sha", "delta_sha")
SHAS = ("model_sha", "peft_sha", "delta_sha")
QUANTISED = ("load_in_4bit", "load_in_8bit", "quantization", "gptq", "autogptq", "gguf_file")
BRIEF = 8  # digits of a commit that a name shows


@dataclass(eq=False)
class Who:
    """A name, and what else is known of the LLM: "" for an argument's default; what is unknown is missing.

    Parameters
    ----------
    complete : bool
        The arguments were logged, so one that is missing has its default.
    told : bool
        The name stands in a results file or in the name of the file; otherwise it is the folder's.
    runs : list of Run
    """

    name: str
    known: dict[str, str] = field(default_factory=dict)
    complete: bool = False
    told: bool = True
    runs: list[Run] = field(default_factory=list)

    def get(self, key: str) -> str | None:
        """A value, "" for the default, None where it is unknown."""
        return self.known.get(key, "" if self.complete and key not in FACTS else None)

    def differs(self, other: Who) -> list[str]:
        """What both know, and know differently."""
        keys = dict.fromkeys([*self.known, *other.known])
        if self.known.get("model_dtype") and other.known.get("model_dtype"):
            keys.pop("dtype", None)  # what was asked for; what came of it decides
        pairs = ((key, self.get(key), other.get(key)) for key in keys)
        return [key for key, one, two in pairs if one is not None and two is not None and one != two]


def name_llms(runs: Sequence[Run], llm_id: str | None, name_by: str, root: Path, notes: list[str]) -> None:
    """Give every run its LLM.

    Raises
    ------
    DataError
        Where nothing says which LLM ran, where `llm_id` names several, and where two LLMs would get one name.
    """
    if name_by not in NAME_BY:
        raise DataError(f"name_by={name_by!r} is none of {', '.join(NAME_BY)}")
    by_hand = llm_id is not None or name_by == "folder"
    groups = _groups([(run, _who(run, by_hand=by_hand)) for run in runs], strict=not by_hand and name_by != "model")
    labels = _labels(groups)
    told = [label for who, label in zip(groups, labels, strict=True) if who.told]
    if llm_id is not None and len(told) > 1:
        raise DataError(f"llm_id={llm_id!r} names one LLM, and these files are of {_listed(told)}; import one of them")
    if not by_hand:
        _refuse_shared(groups, labels)
        _refuse_nameless(groups, root)
    for who, label in zip(groups, labels, strict=True):
        for run in who.runs:
            run.who = label
            run.llm = {
                "auto": label,
                "model": who.name,
                "revision": _label(who, ["revision"]),
                "folder": folder_name(run.folder, root),
            }[name_by]
            run.llm = llm_id or run.llm
    if name_by == "auto" and llm_id is None:
        notes += _said(groups, labels)


def _said(groups: Sequence[Who], labels: Sequence[str]) -> Iterator[str]:
    """Which LLMs have a name in common, and which are one by nothing else than their name."""
    for name in dict.fromkeys(who.name for who in groups):
        variants = [label for who, label in zip(groups, labels, strict=True) if who.name == name]
        if len(variants) > 1:
            yield f"{name} ran as {len(variants)} LLMs, told apart by their arguments: {_listed(variants)}"
    for who in groups:
        folders = sorted({str(run.folder) for run in who.runs})
        if len(folders) > 1 and not who.complete:
            yield f"{who.name} is one LLM by its name alone, in {_listed(folders)} (--name-by folder keeps them apart)"


def newest_runs(runs: Sequence[Run], notes: list[str]) -> list[Run]:
    """One run for each LLM and task. Raises DataError where two may be of different LLMs."""
    grouped: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        grouped.setdefault((run.llm, run.task), []).append(run)
    newest = []
    for (llm, task), same in grouped.items():
        newest.append(max(same, key=lambda run: run.date))
        for run in same[1:]:
            _refuse_two(same[0], run)
        if len(same) > 1:
            last = newest[-1].date or newest[-1].file.name
            notes.append(f"{llm} ran {task} {len(same)} times: the run of {last} stands")
    return newest


def folder_name(folder: Path, root: Path) -> str:
    """A folder's path within the import, its own name alone where it is the root; "__" stands for "/"."""
    if root.is_dir() and folder != root:
        return clean_text(folder.relative_to(root).as_posix().replace("__", "/"))
    return clean_text(folder.resolve().name.replace("__", "/"))


def _who(run: Run, *, by_hand: bool) -> Who:
    """What is known of the LLM of a run; `by_hand` where the files need not name it."""
    if (own := _told(run.results, run.early)) is not None:
        return own
    if run.early is not None:
        return Who(clean_text(run.file.name.removesuffix(f"_{run.task}.jsonl")))
    name = run.folder.resolve().name
    if run.results is None and (files := dated_results(run.folder)):
        others = [who for file in files if (who := _told(Results(file, json_object(file)))) is not None]
        alike = others and not any(others[0].name != who.name or others[0].differs(who) for who in others)
        if alike and _sanitised(others[0].name) == name:
            return others[0]
        if others and not by_hand:
            told = ", ".join(dict.fromkeys(who.name for who in others))
            raise DataError(
                f"{run.file}: no results_{run.date}.json beside it says which LLM ran (other runs of the folder: "
                f"{told}); put it there, or name the LLM with --set llm_id=NAME or, by its folder, with "
                "--name-by folder"
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
    known = {key: _normal(key, value) for key, value in (arguments or {}).items() if not LOGISTICS.fullmatch(key)}
    known = {key: value for key, value in known.items() if key not in NAMES or value != name}
    for fact in FACTS:
        value = config.get(fact, content.get(fact))
        if isinstance(value, str) and value:
            known["revision" if fact == "model_revision" else fact] = _normal(fact.removeprefix("model_"), value)
    return Who(name, known, complete=arguments is not None)


def _arguments(given: Any) -> dict[str, str] | None:
    """Model arguments, `pretrained=lab/tiny,revision=step1000` or a mapping; None where they were not logged."""
    if isinstance(given, dict):
        return {str(key): value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
    if not isinstance(given, str):
        return None
    parts = re.split(r",(?=\s*\w+=)", given)  # a comma within a value is not followed by a name
    return {key.strip(): value.strip() for key, _, value in (part.partition("=") for part in parts) if key.strip()}


def _normal(key: str, value: str) -> str:
    """An argument's value, "" for its default."""
    text = clean_text(value).strip().strip("\"'")
    text = {"true": "True", "false": "", "none": "", "null": ""}.get(text.lower(), text)
    return "" if (key, text) in {("revision", "main"), ("dtype", "auto")} else text.removeprefix("torch.")


def _groups(seen: Sequence[tuple[Run, Who]], *, strict: bool) -> list[Who]:
    """Runs of one LLM joined: what one run does not say is filled in where only one LLM fits."""
    by_folder = {_sanitised(who.name): who.name for _, who in seen if who.told}
    groups: list[Who] = []
    for run, who in sorted(seen, key=lambda pair: (-pair[1].complete, -len(pair[1].known))):
        if not who.told:
            who.name = by_folder.get(_sanitised(who.name.replace("/", "__")), who.name)
        fits = [group for group in groups if group.name == who.name and not group.differs(who)]
        if len(fits) > 1 and strict:
            raise DataError(
                f"{run.file} is of {who.name}, and the files do not say which of its variants ran: "
                f"{_listed(_labels(fits))}; name LLMs by their folders with --name-by folder"
            )
        if fits:
            fits[0].known = {**who.known, **fits[0].known}
        else:
            groups.append(who)
        (fits[0] if fits else who).runs.append(run)
    return groups


def _labels(groups: Sequence[Who]) -> list[str]:
    """The shortest names that differ: `name`, `name@revision`, `name (load_in_4bit=True)`."""
    labels: dict[int, str] = {}
    for name in dict.fromkeys(who.name for who in groups):
        same = [who for who in groups if who.name == name]
        varying = {key for one, two in combinations(same, 2) for key in one.differs(two)}
        keys = sorted(varying, key=lambda key: (key in SHAS, key != "revision", key not in QUANTISED, key))
        sizes = range(len(keys) + 1) if len(keys) < 9 else [len(keys)]
        choices = ([_label(who, chosen) for who in same] for n in sizes for chosen in combinations(keys, n))
        found = next((names for names in choices if len(set(names)) == len(same)), [])
        labels.update(zip(map(id, same), found or [_label(who, keys) for who in same], strict=True))
    return [labels[id(who)] for who in groups]


def _label(who: Who, keys: Iterable[str]) -> str:
    revision = who.get("revision") if "revision" in keys else ""
    shown = [(key, who.get(key) or "") for key in keys if key != "revision" and who.get(key)]
    rest = ", ".join(f"{key}={value[:BRIEF] if key in SHAS else value}" for key, value in shown)
    return who.name + (f"@{revision}" if revision else "") + (f" ({rest})" if rest else "")


def _refuse_shared(groups: Sequence[Who], labels: Sequence[str]) -> None:
    files: dict[str, Run] = {}
    for who, label in zip(groups, labels, strict=True):
        if (other := files.setdefault(label, who.runs[0])) is not who.runs[0]:
            raise DataError(
                f"{other.file} and {who.runs[0].file} are of two LLMs that would both be named {label}; name LLMs by "
                "their folders with --name-by folder"
            )


def _refuse_nameless(groups: Sequence[Who], root: Path) -> None:
    """Runs that lie together in no LLM's folder, with nothing that says who ran."""
    for who in groups:
        first: dict[str, Run] = {}
        for run in who.runs if not who.told else []:
            other = first.setdefault(run.task, run)
            if run is not other and run.folder == other.folder == root and "__" not in run.folder.resolve().name:
                raise DataError(
                    f"{other.file} and {run.file} may be of two LLMs: no results_<date>.json says which ran; put "
                    "these beside them, or name the LLM, if it is one, with --set llm_id=NAME"
                )


def _refuse_two(first: Run, second: Run) -> None:
    if first.who != second.who:
        raise DataError(
            f"{first.llm} would be two LLMs in one, {first.who} ({first.file}) and {second.who} ({second.file}); "
            "leave --name-by and llm_id out, or import them one by one"
        )
    if first.folder != second.folder:
        raise DataError(
            f"{first.llm} ran {first.task} in two folders: {first.file} and {second.file}; if these are two LLMs name "
            "them by their folders with --name-by folder, otherwise leave one of the runs out"
        )


def _sanitised(name: str) -> str:
    """A name as the harness makes a folder of it."""
    return re.sub(r"[\"<>:/|\\?*\[\]]+", "__", name)


def _listed(names: Iterable[str]) -> str:
    names = list(dict.fromkeys(names))
    return ", ".join(names[:8]) + (f", ... ({len(names)} in all)" if len(names) > 8 else "")
