"""Which LLM ran: what logs of a harness say, and the shortest names that tell LLMs apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

from recroute.data.sources._pickle import clean_text
from recroute.errors import DataError, argument

NAME_BY = ("auto", "model", "revision", "folder")
# Arguments on where and how fast a model runs, not on which one it is.
LOGISTICS = re.compile(
    r"device.*|.*batch_size.*|parallelize|max_(memory|cpu).*|.*offload.*|low_cpu_mem_usage|.*_parallel_size|[td]p_size|"
    r"gpu_memory_utilization|mem_fraction_static|swap_space|enforce_eager|distributed_executor_backend|max_num_.*|"
    r"enable_prefix_caching|disable_log_stats|max_length|max_model_len|trust_remote_code|base_url|num_concurrent|"
    r"max_retries|timeout|verify_certificate|tokenized_requests|tokenizer_(backend|mode)|use_fast_tokenizer|"
    r"(cache|download)_dir|.*token|api_key|seed|logits_cache|attn_implementation"
)
SHAS = ("model_sha", "peft_sha", "delta_sha")
QUANTISED = ("load_in_4bit", "load_in_8bit", "quantization", "gptq", "autogptq", "gguf_file")
FACTS = ("model_revision", "model_sha", "model_dtype", "peft_sha", "delta_sha")
# Normalised for the length of the answer first.
METRICS = ("acc_norm", "acc", "exact_match", "pass@1", "prompt_level_strict_acc", "em", "f1")
BRIEF = 8  # digits of a commit that a name shows


@dataclass(eq=False)
class Run:
    """An LLM on a task, as a harness logged it.

    Parameters
    ----------
    date : str
        The later, the greater.
    who, llm : str
        Which LLM the files say it is, and its id; given by `name_llms`.
    """

    file: Path
    task: str
    date: str = ""
    who: str = ""
    llm: str = ""

    @property
    def folder(self) -> Path:
        """The folder that an LLM may be named by."""
        return self.file.parent

    @property
    def rank(self) -> tuple[Any, ...]:
        """Of two runs of one LLM on one task the greater stands."""
        return (self.date,)

    @property
    def usual(self) -> Sequence[str]:
        """Metrics in the order in which one is taken for the score."""
        return METRICS

    @property
    def told_in(self) -> Path:
        """The file with what is published of the run."""
        return self.file

    def higher_is_better(self, metric: str) -> bool | None:
        """Which way a metric goes; None where the files do not say."""
        return None

    def published(self, metric: str, filter_name: str) -> float | None:
        """The published mean of a metric; None where there is none, or something else than a mean."""
        return None


R = TypeVar("R", bound=Run)


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


def by_hand(llm_id: str | None, name_by: str) -> bool:
    """Whether LLMs are named without the help of what their runs say."""
    return llm_id is not None or name_by == "folder"


def name_llms(
    seen: Sequence[tuple[Run, Who]], llm_id: str | None, name_by: str, root: Path, notes: list[str]
) -> list[Who]:
    """Give every run its LLM; returns the LLMs that the runs tell of.

    Raises
    ------
    DataError
        Where nothing says which LLM ran, where `llm_id` names several, and where two LLMs would get one name.
    """
    if name_by not in NAME_BY:
        raise DataError(f"name_by={name_by!r} is none of {', '.join(NAME_BY)}")
    groups = _groups(seen, strict=not by_hand(llm_id, name_by) and name_by != "model")
    labels = shortest_labels(groups)
    told = [label for who, label in zip(groups, labels, strict=True) if who.told]
    if llm_id is not None and len(told) > 1:
        raise DataError(f"llm_id={llm_id!r} names one LLM, and these files are of {listed(told)}; import one of them")
    if not by_hand(llm_id, name_by):
        _refuse_shared(groups, labels)
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
    return groups


def _said(groups: Sequence[Who], labels: Sequence[str]) -> Iterator[str]:
    """Which LLMs have a name in common, and which are one by nothing else than their name."""
    for name in dict.fromkeys(who.name for who in groups):
        variants = [label for who, label in zip(groups, labels, strict=True) if who.name == name]
        if len(variants) > 1:
            yield f"{name} ran as {len(variants)} LLMs, told apart by their arguments: {listed(variants)}"
    apart = argument("name_by", "folder")
    for who in groups:
        folders = sorted({str(run.folder) for run in who.runs})
        if len(folders) > 1 and not who.complete:
            yield f"{who.name} is one LLM by its name alone, in {listed(folders)} ({apart} keeps them apart)"


def newest_runs(runs: Sequence[R], notes: list[str]) -> list[R]:
    """One run for each LLM and task. Raises DataError where two may be of different LLMs."""
    grouped: dict[tuple[str, str], list[R]] = {}
    for run in runs:
        grouped.setdefault((run.llm, run.task), []).append(run)
    newest = []
    for (llm, task), same in grouped.items():
        newest.append(max(same, key=lambda run: run.rank))
        for run in same[1:]:
            _refuse_two(same[0], run)
        if len(same) > 1:
            last = newest[-1].date or newest[-1].file.name
            notes.append(f"{llm} ran {task} {len(same)} times: the run of {last} stands")
    return newest


def folder_name(folder: Path, root: Path) -> str:
    """A folder's path within the import, its own name alone where it is the root; "__" stands for "/"."""
    folder, root = folder.absolute(), root.absolute()
    if folder != root and folder.is_relative_to(root):
        return clean_text(folder.relative_to(root).as_posix().replace("__", "/"))
    return clean_text(folder.resolve().name.replace("__", "/"))


def normal(key: str, value: str) -> str:
    """An argument's value, "" for its default."""
    text = clean_text(value).strip().strip("\"'")
    text = {"true": "True", "false": "", "none": "", "null": ""}.get(text.lower(), text)
    return "" if (key, text) in {("revision", "main"), ("dtype", "auto")} else text.removeprefix("torch.")


def _groups(seen: Sequence[tuple[Run, Who]], *, strict: bool) -> list[Who]:
    """Runs of one LLM joined: what one run does not say is filled in where only one LLM fits."""
    by_folder = {sanitised(who.name): who.name for _, who in seen if who.told}
    groups: list[Who] = []
    for run, who in sorted(seen, key=lambda pair: (-pair[1].complete, -len(pair[1].known))):
        if not who.told:
            who.name = by_folder.get(sanitised(who.name.replace("/", "__")), who.name)
        fits = [group for group in groups if group.name == who.name and not group.differs(who)]
        if len(fits) > 1 and strict:
            raise DataError(
                f"{run.file} is of {who.name}, and the files do not say which of its variants ran: "
                f"{listed(shortest_labels(fits))}; name LLMs by their folders with {argument('name_by', 'folder')}"
            )
        if fits:
            fits[0].known = {**who.known, **fits[0].known}
        else:
            groups.append(who)
        (fits[0] if fits else who).runs.append(run)
    return groups


def shortest_labels(groups: Sequence[Who]) -> list[str]:
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
                f"their folders with {argument('name_by', 'folder')}"
            )


def _refuse_two(first: Run, second: Run) -> None:
    if first.who != second.who:
        raise DataError(
            f"{first.llm} would be two LLMs in one, {first.who} ({first.file}) and {second.who} ({second.file}); "
            f"leave {argument('name_by')} and llm_id out, or import them one by one"
        )
    if first.folder != second.folder:
        raise DataError(
            f"{first.llm} ran {first.task} in two folders: {first.file} and {second.file}; if these are two LLMs name "
            f"them by their folders with {argument('name_by', 'folder')}, otherwise leave one of the runs out"
        )


def sanitised(name: str) -> str:
    """A name as a harness makes a folder of it."""
    return re.sub(r"[\"<>:/|\\?*\[\]]+", "__", name)


def listed(names: Iterable[str]) -> str:
    """Distinct names for a message, at most 8 of them and how many there are."""
    names = list(dict.fromkeys(names))
    return ", ".join(names[:8]) + (f", ... ({len(names)} in all)" if len(names) > 8 else "")
