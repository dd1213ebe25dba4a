"""OpenCompass: a folder per run with predictions, results and a summary."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from recroute.data.content import Content
from recroute.data.reading import reading, regular_file
from recroute.data.sources._json import json_object
from recroute.data.sources._llms import Who
from recroute.data.sources._logged import LoggedRun, LoggedSource, Row, as_dict, as_list, text_of
from recroute.data.sources._pickle import clean_text
from recroute.data.sources._scores import NEAR, mean_of
from recroute.errors import DataError

STAMP = re.compile(r"\d{8}_\d{6}")
JUDGED = re.compile(r"(?P<llm>.+)_judged-by--(?P<judge>.+)")
METRICS = ("correct", "is_correct", "cascade_correct", "score")
MEANS = re.compile(r"accuracy( \(\d+ runs average\))?")  # the mean of correct answers, in percent
WHERE = "<work_dir>/<date>/results/<model>/<dataset>.json"
DETAILS = "run the evaluation with --dump-eval-details"


@dataclass(eq=False)
class OpenCompassRun(LoggedRun):
    """One file of results: a model on a data set.

    Parameters
    ----------
    base : Path
        The folder that holds `results/`, `predictions/` and `summary/`.
    """

    base: Path = Path()
    dataset: str = ""

    asks: ClassVar[bool] = False

    @property
    def folder(self) -> Path:
        """The working folder, whatever the date, and the model."""
        return (self.base.parent if self.date else self.base) / self.file.absolute().parent.name

    @property
    def told_in(self) -> Path:
        return self.file if self._summary_differs is None else self._summary_differs[0]

    @property
    def usual(self) -> Sequence[str]:
        return METRICS

    def published(self, metric: str, filter_name: str) -> float | None:
        if metric not in METRICS[:3]:
            return None
        return self._mean if self._summary_differs is None else self._summary_differs[1]

    def rows(self, notes: list[str]) -> Iterator[Row]:
        asked = self._asked()
        for number, detail in self._details():
            where = f"{self.file}, {number}"
            if not isinstance(detail, dict):
                raise DataError(f"details of {where} is {type(detail).__name__}, not an object; get the file again")
            said = asked.get(number, {})
            gold = next(
                (part for part in (said.get("gold"), _first(detail, "answer", "references", "ref")) if part), None
            )
            question = None if gold is None else clean_text(gold if isinstance(gold, str) else json.dumps(gold))
            yield Row(where, number, question, _prompt(said) or _prompt(detail), dict(self._metrics(detail)))

    @cached_property
    def _results(self) -> dict[str, Any]:
        return json_object(self.file)

    def _details(self) -> Iterator[tuple[str, Any]]:
        """Place and facts of each answer: a list, or a mapping by place with facts of all among them."""
        details = self._results.pop("details", None)
        if isinstance(details, dict):
            yield from ((clean_text(key), value) for key, value in details.items() if key.isdigit())
        else:
            yield from ((str(number), value) for number, value in enumerate(as_list(details)))

    def _metrics(self, detail: dict[str, Any]) -> Iterator[tuple[str, float]]:
        """What says how right an answer is; a list has one value for each of several answers, their mean is taken."""
        for name, value in detail.items():
            if name not in METRICS and not isinstance(self._results.get(name), int | float):
                continue  # an answer may be a number as well
            values = value if isinstance(value, list) else [value]
            if values and all(isinstance(part, int | float) for part in values):
                mean = mean_of(map(float, values))
                yield clean_text(name), float("nan") if mean is None else mean

    @property
    def _mean(self) -> float | None:
        """Accuracy that the results say."""
        found = [value for name, value in self._results.items() if MEANS.fullmatch(name)]
        return found[0] / 100 if len(found) == 1 and isinstance(found[0], int | float) else None

    @cached_property
    def _summary_differs(self) -> tuple[Path, float] | None:
        """The newest summary and what it says of the accuracy, where that is not what the results say."""
        files = sorted((self.base / "summary").glob("summary_*.csv"))
        for row in _csv(files[-1]) if files else []:
            if row.get("dataset") == self.dataset and MEANS.fullmatch(row.get("metric") or ""):
                value = _float(row.get(self.file.absolute().parent.name))
                if value is not None and (self._mean is None or abs(value / 100 - self._mean) > NEAR):
                    return files[-1], value / 100
        return None

    def _asked(self) -> dict[str, dict[str, Any]]:
        """Predictions by place: one file, or parts that are numbered."""
        folder = self.base / "predictions" / self.file.absolute().parent.name
        whole = folder / f"{self.dataset}.json"
        if whole.exists():
            return {clean_text(key): as_dict(value) for key, value in json_object(whole).items()}
        parts: list[dict[str, Any]] = []
        while (part := folder / f"{self.dataset}_{len(parts)}.json").exists():
            parts.append(json_object(part))
        every = [as_dict(part.get(str(number))) for part in parts for number in range(len(part))]
        return {str(number): value for number, value in enumerate(every)}


@dataclass(frozen=True, kw_only=True)
class OpenCompass(LoggedSource[OpenCompassRun]):
    """Runs of OpenCompass whose results have details: `<work_dir>/<date>/{predictions,results,summary}`.

    Who ran is the folder's name, the model's abbreviation. Answers are numbered within a data set; where the right
    answer to one number differs between runs they are refused. Several answers to a question (`n`) are one score,
    their mean. Of two dates of one working folder the newest stands. A model that several judges judged has a task for
    each judge.

    Parameters
    ----------
    metric : str, optional
        Which of an answer's facts is the score. Default: one that all runs of the data set have, of these the first of
        correct, is_correct, cascade_correct, score.
    llm_id : str, optional
        Id of the one LLM whose runs these are.
    name_by : str
        What tells LLMs apart: "auto", "model" or "revision" (all by the model's abbreviation) or "folder" (with the
        working folder).
    check_means : bool
        Refuse answers whose mean is not the accuracy in results and summary.
    """

    layout: ClassVar[str] = "opencompass"
    reads: ClassVar[str] = f"folder with {WHERE}"
    card: ClassVar[dict[str, str]] = {
        "title": "OpenCompass runs",
        "source": "open-compass/opencompass, details of results",
        "licence": "that of the benchmarks",
    }

    def read(self, path: Path) -> Content:
        content = super().read(path)
        if content.n_rows == 0:
            raise DataError(f"the results in {path} have no details, so no score of a single answer; {DETAILS}")
        return content

    def runs(self, path: Path, notes: list[str]) -> list[OpenCompassRun]:
        files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        places = {file: file.absolute().parts[-3:-2] for file in files}
        found = [_run(file) for file, place in places.items() if place == ("results",)]
        if not found and path.name.startswith("summary_"):
            raise DataError(f"{path} is a summary, which has means and no answers; name the folder with {WHERE}")
        if not found and ("predictions",) in places.values():
            raise DataError(f"{path} has predictions and no results, so no scores; run the evaluation, and {DETAILS}")
        if not found:
            raise DataError(f"{path} has no results; name a folder with {WHERE}")
        return found


def _run(file: Path) -> OpenCompassRun:
    base = file.absolute().parents[2]
    name, dataset = clean_text(file.absolute().parent.name), clean_text(file.stem)
    judged = JUDGED.fullmatch(name)
    return OpenCompassRun(
        file,
        dataset,
        base.name if STAMP.fullmatch(base.name) else "",
        identity=Who(name if judged is None else judged["llm"]),
        arguments={} if judged is None else {"judge": judged["judge"]},
        base=base,
        dataset=file.stem,
    )


def _prompt(said: dict[str, Any]) -> str | None:
    """What was asked: of a conversation the last turn that asks, of options asked one by one the input of the first."""
    for key in ("origin_prompt", "prompt"):
        asked = said.get(key)
        if isinstance(asked, list):
            human = [turn for turn in map(as_dict, asked) if turn.get("role") in ("HUMAN", "user")]
            asked = human[-1] if human else asked
        if (text := text_of(asked)) is not None:
            return text
    for value in said.values():
        if (text := text_of(as_dict(value).get("testing input"))) is not None:
            return text
    return text_of(said.get("testing input"))


def _first(detail: dict[str, Any], *names: str) -> Any:
    """The first fact that is there; of several answers that of the first."""
    value = next((detail[name] for name in names if detail.get(name) not in (None, "", [])), None)
    return value[0] if isinstance(value, list) and isinstance(detail.get("correct"), list) else value


def _csv(file: Path) -> list[dict[str, str]]:
    with reading(file, "a summary"), regular_file(file).open(encoding="utf8", newline="") as opened:
        return list(csv.DictReader(opened))


def _float(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
