"""inspect-ai: a log per LLM and task, `.eval` (a zip archive) or `.json`."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from recroute.data.reading import parse_json, regular_file
from recroute.data.sources._llms import LOGISTICS, Who, normal
from recroute.data.sources._logged import LoggedRun, LoggedSource, Row, as_dict, as_list, text_of
from recroute.data.sources._pickle import clean_text
from recroute.data.sources._zip import Archive, open_zip
from recroute.errors import DataError, argument

VERSIONS = (1, 2)
HEADER, START = "header.json", "_journal/start.json"  # the latter stands alone in the log of a run that did not end
LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}  # correct, partially, incorrect, no answer
WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
UNNAMED = "88F74D2C"  # the one scorer of a sample of version 1
LONG = 60  # characters of an argument that a name shows
NO_MODEL = ("", "none", "none/none")
# Settings of generation on how requests are sent, not on what is answered.
SENDING = {"attempt_timeout", "max_connections", "adaptive_connections", "cache", "cache_prompt", "batch"}
SENDING |= {"num_choices", "logprobs", "top_logprobs", "prompt_logprobs", "extra_headers", "max_tool_output"}


@dataclass(eq=False)
class Log(LoggedRun):
    """One log.

    Parameters
    ----------
    header : mapping
        All of the log but its samples, which are read when they are needed.
    """

    header: dict[str, Any] = field(default_factory=dict)
    is_zip: bool = True
    n_invalid: int = 0

    @property
    def status(self) -> str:
        return str(self.header.get("status"))

    @property
    def rank(self) -> tuple[Any, ...]:
        return (self.status == "success", self.date)

    @property
    def usual(self) -> Sequence[str]:
        """In the order of the log's results."""
        found = []
        for entry in self._scores():
            name, scorer = str(entry.get("name")), str(entry.get("scorer"))
            found += [name, f"{scorer}/{name}"]
        return found

    def published(self, metric: str, filter_name: str) -> float | None:
        for entry in self._scores():
            names = (entry.get("name"), f"{entry.get('scorer')}/{entry.get('name')}")
            if metric in names and entry.get("reducer") in (None, "mean") and not self.n_invalid:
                means = as_dict(entry.get("metrics"))
                value = next((as_dict(means[key]).get("value") for key in ("mean", "accuracy") if key in means), None)
                return None if (number := _number(value)) is None or math.isnan(number) else number
        return None

    def rows(self, notes: list[str]) -> Iterator[Row]:
        self.n_invalid = n = 0
        for where, sample in self._read():
            n += 1
            if not isinstance(sample, dict):
                raise DataError(f"{where} is {type(sample).__name__}, not an object; is this a log of inspect-ai?")
            if sample.get("invalidation") is not None:
                self.n_invalid += 1
                continue
            yield self._row(where, sample)
        if self.n_invalid:
            notes.append(f"{self.llm}, {self.task}: {self.n_invalid:,} samples are marked invalid: left out")
        if self.status != "success":
            notes.append(f"{self.file.name} ({self.llm}, {self.task}) did not end: {self.status}, {n:,} samples")

    def _read(self) -> Iterator[tuple[str, Any]]:
        if not self.is_zip:
            samples = as_dict(parse_json(self.file.read_bytes(), str(self.file))).get("samples") or []
            if not isinstance(samples, list):
                raise DataError(f"samples of {self.file} is {type(samples).__name__}, not a list; get it again")
            yield from ((f"{self.file}, sample {number}", sample) for number, sample in enumerate(samples))
            return
        with open_zip(self.file) as archive:
            for name in archive.members:
                if name.startswith("samples/") and name.endswith(".json"):
                    yield f"{self.file}, {name}", parse_json(archive.read(name), f"{self.file}, {name}")

    def _row(self, where: str, sample: dict[str, Any]) -> Row:
        number, epoch = sample.get("id"), sample.get("epoch", 1)
        if not isinstance(number, int | str) or isinstance(number, bool) or number == "":
            raise DataError(f"id {number!r} of {where} is not a name; nothing says which question it is"[:300])
        usage = as_dict(as_dict(sample.get("model_usage")).get(str(as_dict(self.header.get("eval")).get("model"))))
        cost = _number(usage.get("total_cost"))
        return Row(
            where,
            clean_text(str(number)),
            text_of(_resolved(sample.get("input"), sample)),
            _prompt(sample),
            dict(self._metrics(sample)),
            epoch if isinstance(epoch, int) else 1,
            math.nan if cost is None else cost,
        )

    def _metrics(self, sample: dict[str, Any]) -> Iterator[tuple[str, float]]:
        """Scores by scorer, those of a scorer with several by `scorer/name`."""
        scores = as_dict(sample.get("scores"))
        if "score" in sample:
            scores = {UNNAMED: sample["score"], **scores}
        for scorer, score in scores.items():
            if scorer == UNNAMED:
                scorer = next((str(entry.get("name")) for entry in self._scores()), "score")
            value = as_dict(score).get("value")
            parts = {f"{scorer}/{key}": part for key, part in value.items()} if isinstance(value, dict) else {}
            for name, part in parts.items() or [(scorer, value)]:
                if (number := _number(part)) is not None:
                    yield clean_text(name), number

    def _scores(self) -> list[dict[str, Any]]:
        """What the log says of each scorer."""
        results = as_dict(self.header.get("results"))
        if isinstance(old := results.get("scorer"), dict):
            return [{"metrics": results.get("metrics"), "scorer": old.get("name"), **old}]
        return [entry for entry in as_list(results.get("scores")) if isinstance(entry, dict)]


@dataclass(frozen=True, kw_only=True)
class InspectAi(LoggedSource[Log]):
    """Logs of inspect-ai, `.eval` and `.json`, alone or in a folder.

    Who ran is what a log says: the model, its arguments, settings of generation that were asked for (such as
    `reasoning_effort`) and a solver other than the task's own. Runs of a task with other arguments are of two tasks.
    Several epochs are one score, their mean. Correct is 1, partially correct 0.5, incorrect and no answer 0. Of two
    logs of an LLM on a task in one folder the newest that ended stands.

    Parameters
    ----------
    metric : str, optional
        Which scorer's value is the score, `scorer/name` where a scorer has several. Default: one that all logs of
        the task have, of these the first in a log's results. A metric that is known to be lower-is-better, and which
        is in [0, 1], is turned round.
    llm_id : str, optional
        Id of the one LLM whose logs these are.
    name_by : str
        What tells LLMs apart: "auto" (name, and arguments where they differ), "model" (name alone), "revision"
        (name and revision) or "folder".
    check_means : bool
        Refuse samples whose mean is not the one in the log's results.
    """

    layout: ClassVar[str] = "inspect-ai"
    reads: ClassVar[str] = "folder of .eval or .json logs, or one of them"
    card: ClassVar[dict[str, str]] = {
        "title": "inspect-ai logs",
        "source": "UKGovernmentBEIS/inspect_ai, logs",
        "licence": "that of the benchmarks",
    }

    def runs(self, path: Path, notes: list[str]) -> list[Log]:
        files = (
            sorted(file for file in path.rglob("*") if file.suffix in (".eval", ".json")) if path.is_dir() else [path]
        )
        found = [log for file in files if (log := self._log(file, alone=file == path)) is not None]
        if not found:
            raise DataError(f"{path} has no log of inspect-ai; name a folder with .eval or .json files")
        return found

    def _log(self, file: Path, *, alone: bool) -> Log | None:
        """The log in a file; None for a .json file that is none."""
        with regular_file(file).open("rb") as opened:
            is_zip = opened.read(2) == b"PK"
        if is_zip:
            with open_zip(file) as archive:
                header = _header(archive)
        elif file.suffix == ".eval":
            raise DataError(f"{file} is not a zip archive, which a .eval log is; get it again")
        else:
            header = parse_json(file.read_bytes(), str(file))
            if not isinstance(header, dict) or not {"eval", "version"} <= header.keys():
                if alone:
                    raise DataError(f"{file} is not a log of inspect-ai: it has no version and no eval")
                return None
            header.pop("samples", None)
        return self._run(file, header, is_zip=is_zip)

    def _run(self, file: Path, header: dict[str, Any], *, is_zip: bool) -> Log:
        if header.get("version") not in VERSIONS:
            raise DataError(
                f"{file} is a log of version {header.get('version')!r}; versions {' and '.join(map(str, VERSIONS))} "
                "are known: write it again with `inspect log convert`"[:300]
            )
        spec = as_dict(header.get("eval"))
        if not isinstance(spec.get("task"), str) or not spec["task"]:
            raise DataError(f"{file} does not say of which task it is a log; get it again")
        arguments = _known(as_dict(spec.get("task_args")), set())
        if spec.get("task_version") not in (None, 0, 1):
            arguments["version"] = clean_text(str(spec["task_version"]))
        task, date = clean_text(spec["task"]), _date(spec.get("created"))
        who = self._who(file, spec)
        return Log(file, task, date, identity=who, arguments=arguments, header=header, is_zip=is_zip)

    def _who(self, file: Path, spec: dict[str, Any]) -> Who:
        name = spec.get("model")
        if not isinstance(name, str) or name in NO_MODEL:  # an agent whose models have roles
            roles = [as_dict(config).get("model") for config in as_dict(spec.get("model_roles")).values()]
            names = sorted({role for role in roles if isinstance(role, str) and role not in NO_MODEL})
            if not names and not self.by_hand:
                raise DataError(f"{file} names no model; name the LLM with {argument('llm_id', 'NAME', option='set')}")
            name = " + ".join(names)
        known = _known(as_dict(spec.get("model_args")), set())
        known |= _known(as_dict(spec.get("model_generate_config")), SENDING)
        if isinstance(solver := spec.get("solver"), str) and solver:
            said = _known(as_dict(spec.get("solver_args")), set())
            known["solver"] = clean_text(solver) + "".join(f" {key}={value}" for key, value in said.items())
        return Who(clean_text(name), known, complete=True)


def _header(archive: Archive) -> dict[str, Any]:
    for name in (HEADER, START):
        if name in archive.members:
            found = parse_json(archive.read(name), f"{archive.path}, {name}")
            if isinstance(found, dict):
                return {"status": "started", **found}
    raise DataError(f"{archive.path} has no {HEADER}; is it a log of inspect-ai, and whole?")


def _known(arguments: Mapping[str, Any], left_out: set[str]) -> dict[str, str]:
    """Arguments as text, without those that are not given, or say how and where something runs."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in arguments.items()}
    known = {clean_text(key): normal(key, text) for key, text in texts.items() if key not in left_out}
    return {key: _brief(text) for key, text in known.items() if text and not LOGISTICS.fullmatch(key)}


def _brief(text: str) -> str:
    """A long text, such as a system message, by its beginning and a hash."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return text if len(text) <= LONG else f"{' '.join(text.split())[: LONG // 2]}... {digest}"


def _prompt(sample: dict[str, Any]) -> str | None:
    """What the LLM was asked: the message that holds the input; else input and choices."""
    asked = text_of(_resolved(sample.get("input"), sample))
    for message in as_list(sample.get("messages")) if isinstance(sample.get("input"), str) else []:
        said = text_of(_resolved(as_dict(message).get("content"), sample))
        if as_dict(message).get("role") == "user" and asked and said and asked.strip() in said:
            return said
    return "\n".join(filter(None, [asked, text_of(as_list(sample.get("choices")))])) or None


def _resolved(value: Any, sample: dict[str, Any]) -> Any:
    """A text that stands among the sample's attachments, in its place."""
    if isinstance(value, str) and value.startswith("attachment://"):
        return as_dict(sample.get("attachments")).get(value.removeprefix("attachment://"), value)
    return value


def _number(value: Any) -> float | None:
    """A score as a number, as inspect-ai counts it; None for what is none."""
    if isinstance(value, str):
        if value in LETTERS:
            return LETTERS[value]
        value = WORDS.get(value.lower(), value)
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        return None


def _date(value: Any) -> str:
    """A moment in a form that sorts."""
    try:
        moment = datetime.fromisoformat(str(value))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return clean_text(str(value or ""))
