"""Any board of scores that a harness can log comes back score by score."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from written import (
    details_row,
    helm_stat,
    inspect_log,
    inspect_sample,
    question,
    write_details,
    write_helm,
    write_inspect,
    write_opencompass,
)

from recroute.data import read_dataset
from recroute.data.sources import import_dataset

EIGHTHS = st.integers(0, 8).map(lambda k: k / 8)


@dataclass(frozen=True)
class Answers:
    """One LLM's answers to the questions of a task, in the order of its log; NaN is no score."""

    scores: dict[int, list[float]]  # of each question, one or several
    form: int  # how they are written

    def mean(self, number: int) -> float:
        known = [score for score in self.scores[number] if not math.isnan(score)]
        return sum(known) / len(known) if known else math.nan


@dataclass(frozen=True)
class Board:
    """By LLM and task."""

    answers: dict[tuple[str, str], Answers]
    lower: bool  # whether less of the metric is better

    @property
    def metric(self) -> str:
        return "wer" if self.lower else "f1"


@st.composite
def boards(draw: st.DrawFn) -> Board:
    tasks = draw(st.sampled_from([["sums"], ["sums", "long words"]]))
    llms = [f"lab/m{j}" for j in range(draw(st.integers(1, 3)))]
    n_questions, n_repeats = draw(st.integers(1, 5)), draw(st.integers(1, 2))
    answers = {}
    for llm in llms:
        for task in tasks:
            asked = draw(st.lists(st.integers(0, n_questions - 1), min_size=1, unique=True))
            values = st.lists(EIGHTHS | st.just(math.nan), min_size=n_repeats, max_size=n_repeats)
            scores = {number: draw(values) for number in asked}
            scores[asked[0]][0] = draw(EIGHTHS)  # a run without any score has no LLM
            answers[llm, task] = Answers(scores, draw(st.integers(0, 2)))
    return Board(answers, draw(st.booleans()))


def inspect_ai(root: Path, board: Board) -> None:
    for at, ((llm, task), answers) in enumerate(board.answers.items()):
        rows = [
            inspect_sample(number, score, question(task, number), board.metric, epoch=repeat)
            for number, scores in answers.scores.items()
            for repeat, score in enumerate(scores, 1)
        ]
        log = inspect_log(llm, rows, task)
        means = [mean for number in answers.scores if not math.isnan(mean := answers.mean(number))]
        value = sum(means) / len(means) if means else math.nan
        log["results"]["scores"][0] |= {"reducer": "mean", "metrics": {"mean": {"value": value}}}
        write_inspect(root / ("log.json", "log.eval", "zstd.eval")[answers.form].replace(".", f"{at}."), log)


def helm(root: Path, board: Board) -> None:
    """Several trials as a run with several entries for an instance; a metric of HELM's own names."""
    metric = "wer_score" if board.lower else "f1_score"
    for at, ((llm, task), answers) in enumerate(board.answers.items()):
        texts = {f"id{number}": question(task, number) for number in answers.scores}
        scores = {f"id{number}": {metric: answers.mean(number), "exact_match": math.nan} for number in answers.scores}
        name = f"{task}:n=3,model={llm.replace('/', '_')}" + (",stop=hash" if answers.form else "")
        folder = write_helm(root / f"run{at}", llm, scores, texts, name=name)
        entries = [
            {"instance_id": f"id{number}", "train_trial_index": trial, "stats": [helm_stat(metric, score)]}
            for number, repeats in answers.scores.items()
            for trial, score in enumerate(repeats)
            if not math.isnan(score)
        ]
        (folder / "per_instance_stats.json").write_text(json.dumps(entries), "utf8")


def leaderboard(root: Path, board: Board) -> None:
    """Rows in any order, without ids; a question has one answer."""
    for at, ((llm, task), answers) in enumerate(board.answers.items()):
        means = {number: None if math.isnan(mean := answers.mean(number)) else mean for number in answers.scores}
        rows: list[dict[str, Any]] = [details_row(question(task, n), mean, board.metric) for n, mean in means.items()]
        if answers.form == 1:  # as lighteval writes it today
            rows = [{"doc": {"query": row["example"], "choices": ["a"]}, "metric": row["metrics"]} for row in rows]
        if answers.form == 2:  # with all columns as text
            rows = [{key: str(value) for key, value in row.items()} for row in rows]
        date = f"2023-08-23T13-05-44.{at:06d}"
        write_details(root / f"details_{llm.replace('/', '__')}", None, rows, f"harness|{task}|5", date)


def opencompass(root: Path, board: Board) -> None:
    """Numbered from 0 in each data set; its facts have no direction, and its folders no slash."""
    for (llm, task), answers in board.answers.items():
        numbers = sorted(answers.scores)
        file = write_opencompass(
            root, llm, [answers.scores[n] for n in numbers], [question(task, n) for n in numbers], task
        )
        for place in (file, Path(str(file).replace("/results/", "/predictions/"))):  # those of other LLMs are missing
            content = json.loads(place.read_text("utf8"))
            if "details" in content:
                content = {"details": dict(zip(map(str, numbers), content["details"], strict=True))}
            else:
                content = {str(number): content[str(at)] for at, number in enumerate(numbers)}
            place.write_text(json.dumps(content), "utf8")


WRITERS: dict[str, Callable[[Path, Board], None]] = {
    "inspect-ai": inspect_ai,
    "helm": helm,
    "leaderboard": leaderboard,
    "opencompass": opencompass,
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("random")


@pytest.mark.parametrize("layout", WRITERS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(board=boards())
def test_a_random_board_comes_back(place: Path, layout: str, board: Board) -> None:
    if layout == "opencompass":
        names = {key: (key[0].replace("/", "-"), key[1]) for key in board.answers}
        board = Board({names[key]: answers for key, answers in board.answers.items()}, lower=False)
    wanted: dict[tuple[str, str], Any] = {}
    n_nan = 0
    for (llm, task), answers in board.answers.items():
        for number in answers.scores:
            score = answers.mean(number)
            n_nan += math.isnan(score)
            if not math.isnan(score):
                wanted[llm, question(task, number)] = 1 - score if board.lower else score
    assume(wanted)
    shutil.rmtree(place / "logs", ignore_errors=True)
    WRITERS[layout](place / "logs", board)
    notes = import_dataset(layout, place / "logs", place / "data").notes
    data = read_dataset(place / "data")
    assert data.prompts is not None
    i, j = data.interactions.coordinates()
    asked = [prompt[prompt.index("Passage") :].removesuffix("\nA:") for prompt in data.prompts]  # without instructions
    found = {
        (data.llm_ids.ids[column], asked[row]): float(score)
        for row, column, score in zip(i, j, data.interactions.scores.data, strict=True)
    }
    assert found == wanted
    assert n_nan == sum(int(note.split()[0].replace(",", "")) for note in notes if "NaN: left unobserved" in note)
    assert set(data.llm_ids.ids) == {llm for llm, _ in board.answers}
